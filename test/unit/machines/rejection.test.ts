import { describe, expect, test } from 'vitest'
import {
  isClientRejected,
  isGrantRejected,
  isOfOneProcess,
  isRenewalRejected,
  isRetryLater,
  isTokenResponseInvalid,
  mayPass,
  portFailureOf,
} from '../../../machines/rejection.ts'
import { PortError } from '../../../src/errors/port-error.ts'
import { rejection, rejections } from '../../support/charts/facts.ts'

const type = 'xstate.error.actor.refreshTokens'
const UNEXPECTED = { failure: { code: 'TOKEN_OUTCOME_UNKNOWN', details: { reason: 'unexpected' } }, outcome: 'unknown' }

test.each([408, 425, 429, 503])(
  'a %s rejects neither the client nor the grant, whatever error its body names',
  (status) => {
    const named = (error: string) => rejection('SERVER_UNAVAILABLE', 'rejected', { status, error })
    expect([isClientRejected(named('invalid_client')), isGrantRejected(named('invalid_grant'))]).toEqual([false, false])
  },
)

test('mayPass is true for metadata that were not found, unless their server publishes none, for a registration that waits, and for a wait that timed out', () => {
  const notPublished = { reason: 'notPublished' }
  expect(mayPass({ code: 'RESOURCE_METADATA_UNAVAILABLE' })).toBe(true)
  expect(mayPass({ code: 'SERVER_METADATA_UNAVAILABLE' })).toBe(true)
  expect(mayPass({ code: 'SERVER_METADATA_UNAVAILABLE', details: notPublished })).toBe(false)
  expect(mayPass({ code: 'RATE_LIMITED' })).toBe(true)
  expect(mayPass({ code: 'TIMED_OUT', details: { reason: 'claimed' } })).toBe(true)
  expect(mayPass({ code: 'CLIENT_INFORMATION_REQUIRED' })).toBe(false)
})

test('isOfOneProcess is true for a grant whose assertion the host does not have, and not for one that the server does not list', () => {
  expect(isOfOneProcess({ code: 'GRANT_UNSUPPORTED', details: { reason: 'noAssertions' } })).toBe(true)
  expect(isOfOneProcess({ code: 'GRANT_UNSUPPORTED' })).toBe(false)
  expect(isOfOneProcess({ code: 'INSECURE_ENDPOINT' })).toBe(true)
  expect(isOfOneProcess({ code: 'CLIENT_REJECTED' })).toBe(false)
})

describe('portFailureOf', () => {
  test('portFailureOf returns only the failure, the outcome and the instant of a PortError', () => {
    const { failure, outcome } = rejections.notSent
    expect(portFailureOf({ type, error: new PortError(failure, outcome, 7) })).toEqual({
      failure: { code: 'HTTP_NETWORK', details: { host: 'as.example.com' } },
      outcome: 'notSent',
      at: 7,
    })
  })

  test.each([
    ['another error', new Error('secret')],
    ['an incomplete port error', { failure: { code: 'HTTP_NETWORK' } }],
    ['a string', 'secret'],
    ['null', null],
    ['undefined', undefined],
  ])('portFailureOf reports an unknown outcome for %s', (_, error) => {
    expect(portFailureOf({ type, error })).toEqual(UNEXPECTED)
  })
})

test.each([
  ['rejected', 'invalid_client', true],
  ['rejected', 'unauthorized_client', true],
  ['rejected', 'invalid_grant', false],
  ['rejected', undefined, false],
  ['unknown', 'invalid_client', false],
] as const)('isClientRejected for the outcome %s with the error %s is %s', (outcome, error, expected) => {
  expect(isClientRejected(rejection('REFRESH_REJECTED', outcome, { error }))).toBe(expected)
})

test.each([
  ['rejected', 'invalid_grant', true],
  ['rejected', 'invalid_client', false],
  ['rejected', undefined, false],
  ['unknown', 'invalid_grant', false],
] as const)('isGrantRejected for the outcome %s with the error %s is %s', (outcome, error, expected) => {
  expect(isGrantRejected(rejection('REFRESH_REJECTED', outcome, { error }))).toBe(expected)
})

test.each([
  ['REFRESH_REJECTED', 'rejected', { status: 400, error: 'invalid_request' }, true],
  ['EXCHANGE_REJECTED', 'rejected', { status: 401 }, true],
  ['REFRESH_REJECTED', 'rejected', { status: 200, error: 'bad_refresh_token' }, true],
  ['REFRESH_REJECTED', 'unknown', { status: 400 }, false],
  ['REFRESH_REJECTED', 'rejected', { status: 400, error: 'invalid_client' }, false],
  ['REFRESH_REJECTED', 'rejected', { reason: 'secretExpired' }, false],
  ['REFRESH_REJECTED', 'rejected', { status: 400, error: 'temporarily_unavailable' }, false],
  ['TOKEN_RESPONSE_INVALID', 'rejected', { status: 200 }, true],
] as const)(
  'isRenewalRejected for %s with the outcome %s and the details %j is %s',
  (code, outcome, details, expected) => {
    expect(isRenewalRejected(rejection(code, outcome, details))).toBe(expected)
  },
)

test.each([
  ['TOKEN_RESPONSE_INVALID', 'rejected', true],
  ['TOKEN_RESPONSE_INVALID', 'unknown', false],
  ['REFRESH_REJECTED', 'rejected', false],
] as const)('isTokenResponseInvalid for %s with the outcome %s is %s', (code, outcome, expected) => {
  expect(isTokenResponseInvalid(rejection(code, outcome))).toBe(expected)
})

test.each([
  ['notSent', undefined, true],
  ['notSent', { status: 400 }, true],
  ['rejected', { status: 408 }, true],
  ['rejected', { status: 425 }, true],
  ['rejected', { status: 429 }, true],
  ['rejected', { status: 503 }, true],
  ['rejected', { status: 400, error: 'temporarily_unavailable' }, true],
  ['rejected', { status: 400, reason: 'dpopProof' }, true],
  ['rejected', { status: 400, error: 'invalid_grant' }, false],
  ['rejected', undefined, false],
  ['unknown', { status: 503 }, false],
  ['unknown', { status: 429 }, false],
] as const)('isRetryLater for the outcome %s with the details %j is %s', (outcome, details, expected) => {
  expect(isRetryLater(rejection('HTTP_NETWORK', outcome, details))).toBe(expected)
})
