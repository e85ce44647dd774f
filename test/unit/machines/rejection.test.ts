import { describe, expect, test } from 'vitest'
import { isClientRejected, isGrantRejected, isRetryLater, portFailureOf } from '../../../machines/rejection.ts'
import { rejection, rejections } from '../../support/charts/facts.ts'

const type = 'xstate.error.actor.refreshTokens'
const UNEXPECTED = { failure: { code: 'TOKEN_OUTCOME_UNKNOWN', details: { reason: 'unexpected' } }, outcome: 'unknown' }

describe('the failure in an event', () => {
  test('is the failure and the outcome of the port, and nothing else of its error', () => {
    expect(portFailureOf({ type, error: rejections.notSent })).toEqual({
      failure: { code: 'HTTP_NETWORK', details: { host: 'as.example.com' } },
      outcome: 'notSent',
    })
  })

  test.each([
    ['another error', new Error('secret')],
    ['half a port error', { failure: { code: 'HTTP_NETWORK' } }],
    ['a text', 'secret'],
    ['null', null],
    ['nothing', undefined],
  ])('is an unknown outcome for %s', (_, error) => {
    expect(portFailureOf({ type, error })).toEqual(UNEXPECTED)
  })
})

test.each([
  ['rejected', 'invalid_client', true],
  ['rejected', 'unauthorized_client', true],
  ['rejected', 'invalid_grant', false],
  ['rejected', undefined, false],
  ['unknown', 'invalid_client', false],
] as const)('%s with %s refuses the client: %s', (outcome, error, expected) => {
  expect(isClientRejected(rejection('REFRESH_REJECTED', outcome, { error }))).toBe(expected)
})

test.each([
  ['rejected', 'invalid_grant', true],
  ['rejected', 'invalid_client', false],
  ['rejected', undefined, false],
  ['unknown', 'invalid_grant', false],
] as const)('%s with %s refuses the refresh token: %s', (outcome, error, expected) => {
  expect(isGrantRejected(rejection('REFRESH_REJECTED', outcome, { error }))).toBe(expected)
})

test.each([
  ['notSent', undefined, true],
  ['notSent', { status: 400 }, true],
  ['rejected', { status: 429 }, true],
  ['rejected', { status: 503 }, true],
  ['rejected', { status: 400, error: 'temporarily_unavailable' }, true],
  ['rejected', { status: 400, error: 'invalid_grant' }, false],
  ['rejected', undefined, false],
  ['unknown', { status: 503 }, false],
  ['unknown', { status: 429 }, false],
] as const)('%s with %j asks to come again: %s', (outcome, details, expected) => {
  expect(isRetryLater(rejection('HTTP_NETWORK', outcome, details))).toBe(expected)
})
