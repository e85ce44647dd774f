import { describe, expect, test } from 'vitest'
import { isClientRefused, isGrantRefused, isRetryLater, portFailureOf } from '../../../machines/rejection.ts'
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
  ['refused', 'invalid_client', true],
  ['refused', 'unauthorized_client', true],
  ['refused', 'invalid_grant', false],
  ['refused', undefined, false],
  ['unknown', 'invalid_client', false],
] as const)('%s with %s refuses the client: %s', (outcome, error, expected) => {
  expect(isClientRefused(rejection('REFRESH_REJECTED', outcome, { error }))).toBe(expected)
})

test.each([
  ['refused', 'invalid_grant', true],
  ['refused', 'invalid_client', false],
  ['refused', undefined, false],
  ['unknown', 'invalid_grant', false],
] as const)('%s with %s refuses the refresh token: %s', (outcome, error, expected) => {
  expect(isGrantRefused(rejection('REFRESH_REJECTED', outcome, { error }))).toBe(expected)
})

test.each([
  ['notSent', undefined, true],
  ['notSent', { status: 400 }, true],
  ['refused', { status: 429 }, true],
  ['refused', { status: 503 }, true],
  ['refused', { status: 400, error: 'temporarily_unavailable' }, true],
  ['refused', { status: 400, error: 'invalid_grant' }, false],
  ['refused', undefined, false],
  ['unknown', { status: 503 }, false],
  ['unknown', { status: 429 }, false],
] as const)('%s with %j asks to come again: %s', (outcome, details, expected) => {
  expect(isRetryLater(rejection('HTTP_NETWORK', outcome, details))).toBe(expected)
})
