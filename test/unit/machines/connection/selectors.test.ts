import { describe, expect, test } from 'vitest'
import { isPending, isRenewable, isUsable, restingState } from '../../../../machines/connection/selectors.ts'
import type { ConnectionContext } from '../../../../src/schemas/connection-context.ts'
import type { Tokens } from '../../../../src/schemas/credentials.ts'
import { contextWith, START, TOKEN_TTL_MS, tokens } from '../../../support/charts/facts.ts'

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
