import { describe, expect, test } from 'vitest'
import {
  isAuthorized,
  isFresh,
  pendingExchange,
  marginMs,
  nextWakeAt,
  stateOf,
  tokensOf,
} from '../../../../machines/connection/selectors.ts'
import type { ConnectionContext } from '../../../../src/schemas/connection-context.ts'
import { ATTEMPT, CLAIM, IDENTITY, SERVER, TOKENS } from '../../durable/records.ts'
import { BEGINNING } from '../../durable/test-time.ts'

const EMPTY: ConnectionContext = {
  identity: IDENTITY,
  at: BEGINNING,
  generation: 1,
  servers: [SERVER],
  attempts: [],
  endedAttempts: [],
  orphanedClaims: [],
  journal: [],
}
const SIGNED_IN: ConnectionContext = { ...EMPTY, tokens: TOKENS }
const EXPIRES_AT = BEGINNING + 60_000
/** A token whose end is the end of everything. */
const { refreshToken: _, ...LAST } = TOKENS

describe('where a connection is', () => {
  test.each([
    ['exchange', 'exchanging'],
    ['refresh', 'refreshing'],
    ['requestToken', 'requestingToken'],
    ['disconnect', 'disconnecting'],
    ['register', 'authorized'],
  ] as const)('in a claim of kind %s: %s', (kind, state) => {
    expect(stateOf({ ...SIGNED_IN, claim: { ...CLAIM, kind } }, BEGINNING)).toBe(state)
  })

  test('at rest it is where time has brought it', () => {
    const context = { ...EMPTY, tokens: LAST, attempts: [ATTEMPT] }
    expect(stateOf(context, EXPIRES_AT - 1)).toBe('authorized')
    expect(stateOf(context, EXPIRES_AT)).toBe('awaitingCallback')
    expect(stateOf(context, ATTEMPT.expiresAt)).toBe('reauthorizationRequired')
  })
})

describe('tokens', () => {
  test('that are being revoked are not answered', () => {
    expect(tokensOf({ ...SIGNED_IN, claim: CLAIM })).toBe(TOKENS)
    expect(tokensOf({ ...SIGNED_IN, claim: { ...CLAIM, kind: 'disconnect' } })).toBeUndefined()
    expect(tokensOf(undefined)).toBeUndefined()
  })

  test('are renewed early by the margin of the policy, and at most by a quarter of their life', () => {
    expect(marginMs(TOKENS, 30_000)).toBe(30_000)
    expect(marginMs({ ...TOKENS, lifetimeMs: 40_000 }, 30_000)).toBe(10_000)
    expect(marginMs({ ...TOKENS, lifetimeMs: undefined }, 30_000)).toBe(30_000)
  })

  test('are fresh with more life left than is asked for, unless they are the refused ones', () => {
    expect(isFresh(TOKENS, EXPIRES_AT - 10_001, 10_000, undefined)).toBe(true)
    expect(isFresh(TOKENS, EXPIRES_AT - 10_000, 10_000, undefined)).toBe(false)
    expect(isFresh(TOKENS, BEGINNING, 0, 'access-old')).toBe(false)
    expect(isFresh(TOKENS, BEGINNING, 0, 'another')).toBe(true)
    expect(isFresh(undefined, BEGINNING, 0, undefined)).toBe(false)
  })

  test('can be had without the user while they are usable or can be renewed', () => {
    expect(isAuthorized(SIGNED_IN, EXPIRES_AT)).toBe(true)
    expect(isAuthorized({ ...EMPTY, tokens: LAST }, EXPIRES_AT - 1)).toBe(true)
    expect(isAuthorized({ ...EMPTY, tokens: LAST }, EXPIRES_AT)).toBe(false)
    expect(isAuthorized(EMPTY, BEGINNING)).toBe(false)
  })
})

test('a kept code is one that is still alive', () => {
  const kept = { ...ATTEMPT, stateHash: 'kept', code: 'c' }
  const context = { ...EMPTY, attempts: [ATTEMPT, kept] }
  expect(pendingExchange(context, ATTEMPT.expiresAt - 1)).toBe(kept)
  expect(pendingExchange(context, ATTEMPT.expiresAt)).toBeUndefined()
})

describe('the next instant at which something is due', () => {
  const due = (context: Partial<ConnectionContext>, claimEndsAt?: number): number | undefined =>
    nextWakeAt({ ...EMPTY, ...context }, BEGINNING, claimEndsAt, 30_000)

  test('nothing by itself', () => {
    expect(due({})).toBeUndefined()
    expect(due({ tokens: LAST })).toBeUndefined()
    expect(due({ tokens: { ...TOKENS, expiresAt: undefined } })).toBeUndefined()
  })

  test('the end of a claim comes before anything else', () => {
    expect(due({ tokens: TOKENS, attempts: [ATTEMPT] }, BEGINNING + 1)).toBe(BEGINNING + 1)
  })

  test('an early refresh, but not while one that failed is left alone', () => {
    expect(due({ tokens: TOKENS })).toBe(EXPIRES_AT - 30_000)
    expect(due({ tokens: TOKENS, retryAt: EXPIRES_AT })).toBe(EXPIRES_AT)
  })

  test('the end of the first attempt, or a code that was kept', () => {
    const later = { ...ATTEMPT, expiresAt: ATTEMPT.expiresAt + 1 }
    expect(due({ attempts: [later, ATTEMPT] })).toBe(ATTEMPT.expiresAt)
    const kept = { ...ATTEMPT, code: 'c' }
    expect(due({ attempts: [kept] })).toBe(BEGINNING)
    expect(due({ attempts: [kept], retryAt: BEGINNING + 5_000 })).toBe(BEGINNING + 5_000)
  })
})
