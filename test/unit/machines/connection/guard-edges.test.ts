import { describe, expect, test } from 'vitest'
import { judgeCallback } from '../../../../machines/connection/callback-verdict.ts'
import type { Callback, ConnectionEvent } from '../../../../machines/connection/events.ts'
import * as ask from '../../../../machines/connection/guards.ts'
import type { AuthorizationRequest, Claim, ConnectionContext } from '../../../../src/schemas/connection-context.ts'
import {
  contextWith,
  dynamicClient,
  issuer,
  metadata,
  server,
  staticClient,
  START,
  tokens,
} from '../../../support/charts/facts.ts'
import { attemptOf, exchanging, NOW, refreshing, request, stamp } from './support.ts'

const withRequest = (changes: Partial<AuthorizationRequest>): Partial<ConnectionContext> => ({
  request: { ...request, ...changes },
})

test.each<[string, Partial<ConnectionContext>, boolean]>([
  ['is true for a client that was registered dynamically', withRequest({ client: dynamicClient }), true],
  ['is false for a client that the host gave', withRequest({ client: staticClient }), false],
  [
    'is false for a client that was registered again in this request',
    withRequest({ client: dynamicClient, registeredAgain: true }),
    false,
  ],
  ['is false before a client is known', withRequest({ client: undefined }), false],
  ['is false without a request', {}, false],
])('mayRegisterAgain %s', (_name, changes, expected) => {
  expect(ask.mayRegisterAgain(contextWith(changes))).toBe(expected)
})

describe('isIssuerChangeDisallowed', () => {
  const other = { ...metadata, issuer: 'https://other.example.com' }
  const refusing = withRequest({ refuseIssuerChange: true })
  test.each<[string, Partial<ConnectionContext>, typeof metadata | undefined, boolean]>([
    ['is true for another issuer than that of the tokens', refusing, other, true],
    ['is false for the issuer of the tokens', refusing, { ...metadata, issuer }, false],
    ['is false where the server requires no authorization', refusing, undefined, false],
    ['is false where the policy allows another issuer', withRequest({}), other, false],
    ['is false without a request', {}, other, false],
  ])('isIssuerChangeDisallowed %s', (_name, changes, discovered, expected) => {
    const event = {
      type: 'xstate.done.actor.discoverServer',
      output: { at: START, metadata: discovered },
    } as const
    const context = contextWith({ tokens, servers: [server], ...changes })
    expect(ask.isIssuerChangeDisallowed(context, event)).toBe(expected)
  })
})

describe('disallowedScope', () => {
  const listing = (...scopesSupported: string[]): Partial<AuthorizationRequest> => ({
    scope: undefined,
    metadata: { ...metadata, scopesSupported },
  })
  test.each<[string, Partial<ConnectionContext>, string | undefined]>([
    ['undefined without a request', {}, undefined],
    ['undefined where the policy lists no scopes', withRequest({ scope: 'read' }), undefined],
    ['undefined if the policy allows a part', withRequest({ scope: 'a b', allowedScopes: ['b'] }), undefined],
    ['the requested scope if the policy allows none', withRequest({ scope: 'a b', allowedScopes: ['c'] }), 'a b'],
    [
      'the requested scope, whatever the server lists',
      withRequest({ ...listing('b', 'c'), scope: 'a', allowedScopes: ['c'] }),
      'a',
    ],
    ["the server's list without a requested one", withRequest({ ...listing('a', 'b'), allowedScopes: ['c'] }), 'a b'],
    [
      "undefined if a part of the server's list is allowed",
      withRequest({ ...listing('a', 'b'), allowedScopes: ['b'] }),
      undefined,
    ],
    ['undefined where the list of the server is empty', withRequest({ ...listing(), allowedScopes: [] }), undefined],
    ['undefined without any scope', withRequest({ scope: undefined, allowedScopes: [] }), undefined],
    [
      'undefined before discovery',
      withRequest({ scope: undefined, metadata: undefined, allowedScopes: ['a'] }),
      undefined,
    ],
  ])('disallowedScope is %s', (_name, changes, expected) => {
    const context = contextWith(changes)
    expect(ask.disallowedScope(context)).toBe(expected)
    const mayAsk = changes.request !== undefined && expected === undefined
    expect(ask.canUseGrant(context, 'authorization_code')).toBe(mayAsk)
  })
})

test('a record without tokens needs discovery, and has nothing to renew', () => {
  const context = contextWith({ servers: [server], ...withRequest({ purpose: 'renew' }) })
  expect(ask.needsDiscovery(context)).toBe(true)
  expect(ask.isRenewal(context)).toBe(false)
})

describe('a guard about one event', () => {
  const received: ConnectionEvent = {
    ...stamp,
    type: 'callback.received',
    stateHash: 'hash-1',
    code: 'fake-code',
    codeTtlMs: 60_000,
  }
  const rejected: ConnectionEvent = { ...stamp, type: 'token.rejected', generation: 3, by: 'server' }
  const refreshed: ConnectionEvent = { ...stamp, type: 'refresh.requested', generation: 3 }
  const expired: ConnectionEvent = { ...stamp, type: 'claim.expired', orphanId: 'claim-1' }
  const held = { generation: 3, tokens }
  const orphanedClaims = [{ id: 'claim-1', retried: false, disconnected: true as const }]

  test.each<[string, boolean]>([
    [
      'hasPendingCode is false for a callback of an attempt whose code is stored',
      ask.hasPendingCode(contextWith({ attempts: [attemptOf(1, { code: 'fake-code' })] }), received),
    ],
    [
      'isCurrentGeneration is false for a rejection of the current tokens',
      ask.isCurrentGeneration(contextWith(held), rejected),
    ],
    [
      'isNewRejection is false for a refresh of rejected tokens',
      ask.isNewRejection(contextWith({ ...held, tokens: { ...tokens, rejectedBy: 'server' } }), refreshed),
    ],
    [
      'clearsRejection is false for a rejection of tokens that were never rejected',
      ask.clearsRejection(contextWith(held), rejected),
    ],
    [
      'isOrphanedResult is false for the expiry of a disconnected claim',
      ask.isOrphanedResult(contextWith({ orphanedClaims }), expired),
    ],
  ])('%s', (_name, answer) => {
    expect(answer).toBe(false)
  })
})

test('a late result of a lost claim is ignored unless a code was redeemed, whatever attempt it names', () => {
  const context = contextWith({ generation: 3, servers: [server], attempts: [attemptOf(1)] })
  const late = { ...stamp, type: 'result.late', orphanId: 'claim-1', attemptHash: 'hash-1', generation: 3 } as const
  const accepted = (['exchange', 'requestToken'] as const).map((kind) =>
    ask.isAcceptableLateResult(context, { ...late, kind, tokens, server }),
  )
  expect(accepted).toEqual([true, false])
})

describe('a callback that came in time and waited', () => {
  const waited: Callback = { stateHash: 'hash-1', arrivedAt: NOW - 5, codeTtlMs: 60 }
  test.each<[string, Callback, number, Parameters<typeof attemptOf>[1], string]>([
    ['as long as its code is valid', waited, NOW + 54, {}, 'acceptable'],
    ['until its code has expired', waited, NOW + 55, {}, 'expired'],
    ['for a code of unknown validity', { ...waited, codeTtlMs: undefined }, NOW, {}, 'expired'],
    ['after its attempt had expired', { ...waited, arrivedAt: NOW }, NOW, {}, 'expired'],
    ['while its attempt stored a code', waited, NOW, { code: 'fake-code' }, 'expired'],
    ['while its attempt is pending, whatever its code', { ...waited, codeTtlMs: 1 }, NOW - 1, {}, 'acceptable'],
  ])('judgeCallback of one that waited %s', (_name, callback, at, changes, verdict) => {
    const attempts = [attemptOf(1, { expiresAt: NOW, ...changes })]
    expect(judgeCallback(contextWith({ servers: [server], attempts }), callback, at)).toBe(verdict)
  })
})

describe('canRetryLater', () => {
  const deferred: Claim = { ...refreshing, retryAt: NOW + 1 }
  test.each<[string, Partial<ConnectionContext>, boolean]>([
    ['is true for a claim whose server asked to wait', { claim: deferred }, true],
    ['is true for a claim that need not wait', { claim: refreshing }, true],
    ['is false for a claim that was retried', { claim: { ...deferred, retries: 1 } }, false],
    ['is false without a claim', {}, false],
    [
      'is false for a code that expires before it may be sent again',
      { claim: { ...exchanging, retryAt: NOW + 2 }, attempts: [attemptOf(1, { expiresAt: NOW + 1 })] },
      false,
    ],
    [
      'is false for a code that has expired, although it might have been sent again before',
      { claim: { ...exchanging, retryAt: NOW - 2 }, attempts: [attemptOf(1, { expiresAt: NOW - 1 })] },
      false,
    ],
  ])('canRetryLater %s', (_name, changes, expected) => {
    expect(ask.canRetryLater(contextWith(changes), NOW)).toBe(expected)
  })

  test('canRetry is false until the instant that the server asked for', () => {
    const context = contextWith({ claim: deferred })
    expect([NOW, NOW + 1].map((at) => ask.canRetry(context, at))).toEqual([false, true])
  })
})
