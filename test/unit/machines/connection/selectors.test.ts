import { describe, expect, test } from 'vitest'
import {
  isAuthorized,
  isFresh,
  isPending,
  isRenewable,
  isUsable,
  marginMs,
  nextWakeAt,
  pendingExchange,
  requestedScope,
  restingState,
  stateOf,
  tokensOf,
} from '../../../../machines/connection/selectors.ts'
import type { AuthorizationRequest, ConnectionContext } from '../../../../src/schemas/connection-context.ts'
import type { Tokens } from '../../../../src/schemas/credentials.ts'
import { contextWith, resource, START, TOKEN_TTL_MS, tokens } from '../../../support/charts/facts.ts'
import { ATTEMPT, CLAIM, IDENTITY, SERVER, TOKENS } from '../../durable/records.ts'
import { BEGINNING } from '../../durable/test-time.ts'
import { request } from './support.ts'

const { refreshToken: _, ...lastTokens } = tokens
const END = START + TOKEN_TTL_MS

test.each<[string, Tokens | undefined, number, number | undefined, boolean]>([
  ['no tokens', undefined, START, undefined, false],
  ['tokens that live', tokens, END - 1, undefined, true],
  ['tokens at their end', tokens, END, undefined, false],
  ['tokens with just enough life left', tokens, END - 1_001, 1_000, true],
  ['tokens with too little life left', tokens, END - 1_000, 1_000, false],
  ['tokens without a known end', { ...tokens, expiresAt: undefined }, END + 1, 1_000, true],
  ['tokens that a repeat may have revoked', { ...tokens, unverified: true }, START, undefined, false],
])('usable: %s', (_name, held, at, minTtlMs, expected) => {
  expect(isUsable(held, at, minTtlMs)).toBe(expected)
})

test.each<[string, Tokens | undefined, number, boolean]>([
  ['no tokens', undefined, START, false],
  ['a refresh token without a known end', tokens, END, true],
  ['a refresh token that lives', { ...tokens, refreshTokenExpiresAt: END }, END - 1, true],
  ['a refresh token at its end', { ...tokens, refreshTokenExpiresAt: END }, END, false],
  ['no refresh token', lastTokens, START, false],
  ['a grant that needs nobody', { ...lastTokens, grant: 'client_credentials' }, END, true],
  ['a workload', { ...lastTokens, grant: 'jwt_bearer' }, END, true],
  ['an identity assertion', { ...lastTokens, grant: 'identity_assertion' }, END, true],
  ['a refresh token that was refused', { ...tokens, refreshTokenRejected: true }, START, false],
  ['tokens that a repeat may have revoked', { ...tokens, unverified: true }, START, true],
])('renewable: %s', (_name, held, at, expected) => {
  expect(isRenewable(held, at)).toBe(expected)
})

const attempt = { stateHash: 'hash-1', verifier: 'fake-verifier', serverId: 1, expiresAt: START + 1 }

test('an attempt lives until its end', () => {
  expect([START, START + 1].map((at) => isPending(attempt, at))).toEqual([true, false])
})

describe('a connection rests', () => {
  test.each<[string, Partial<ConnectionContext>, string]>([
    ['disconnected: nothing is known', {}, 'disconnected'],
    ['failed: the last try failed', { failure: { code: 'HTTP_NETWORK' } }, 'failed'],
    [
      'waiting: an attempt lives, whatever failed',
      { attempts: [attempt], failure: { code: 'HTTP_NETWORK' } },
      'awaitingCallback',
    ],
    ['disconnected: no attempt lives', { attempts: [{ ...attempt, expiresAt: START }] }, 'disconnected'],
    ['authorized: tokens, although an attempt waits', { tokens, attempts: [attempt] }, 'authorized'],
    ['authorized: tokens, although something failed', { tokens, failure: { code: 'HTTP_NETWORK' } }, 'authorized'],
    ['authorized: expired, but renewable', { tokens: { ...tokens, expiresAt: START } }, 'authorized'],
    [
      'in need of its user: expired, not renewable',
      { tokens: { ...lastTokens, expiresAt: START } },
      'reauthorizationRequired',
    ],
    ['in need of its user: refused', { tokens: { ...tokens, refreshTokenRejected: true } }, 'reauthorizationRequired'],
    [
      'in need of its user: signed in once',
      { reauthorizationRequired: true, failure: { code: 'HTTP_NETWORK' } },
      'reauthorizationRequired',
    ],
    ['waiting: its user is at it', { reauthorizationRequired: true, attempts: [attempt] }, 'awaitingCallback'],
  ])('%s', (_name, changes, expected) => {
    expect(restingState(contextWith(changes))).toBe(expected)
  })

  test('elsewhere once time has passed', () => {
    const context = contextWith({ tokens: lastTokens })
    expect([START, END].map((at) => restingState(context, at))).toEqual(['authorized', 'reauthorizationRequired'])
  })
})

test('asks for the scope that is left of its wishes', () => {
  const scope = (changes: Partial<AuthorizationRequest>): string | undefined =>
    requestedScope(contextWith({ request: { ...request, ...changes } }))
  expect(scope({ challengeScope: 'write' })).toBe('read write')
  expect(scope({ scope: undefined, resource: { ...resource, scopesSupported: ['admin'] } })).toBe('admin')
  expect(scope({ scope: undefined, defaultScope: 'base' })).toBe('base')
  expect(scope({ scope: undefined })).toBeUndefined()
  expect(scope({ scope: 'read write', allowedScopes: ['write'] })).toBe('write')
  expect(scope({ allowedScopes: ['write'] })).toBeUndefined()
  expect(scope({ scope: undefined, allowedScopes: ['write'] })).toBeUndefined()
})

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
const { refreshToken: _refreshToken, ...LAST } = TOKENS

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
