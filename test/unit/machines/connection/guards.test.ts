import { describe, expect, test } from 'vitest'
import { type CallbackVerdict, judgeCallback } from '../../../../machines/connection/callback-verdict.ts'
import type { Callback, ConnectionEvent } from '../../../../machines/connection/events.ts'
import * as ask from '../../../../machines/connection/guards.ts'
import { claimedServer, wantedGrant } from '../../../../machines/connection/selectors.ts'
import { asksForNothingNew, isStepUpExhausted } from '../../../../machines/connection/step-up.ts'
import { isCurrentClaim } from '../../../../machines/record-rules.ts'
import type { AuthorizationRequest, Claim, ConnectionContext } from '../../../../src/schemas/connection-context.ts'
import type { Tokens } from '../../../../src/schemas/credentials.ts'
import type { Grant } from '../../../../src/schemas/grants.ts'
import {
  contextWith,
  dynamicClient,
  issuer,
  LEASE_MS,
  metadata,
  server,
  START,
  staticClient,
  tokens,
  wishes,
} from '../../../support/charts/facts.ts'

test.each<[string, ConnectionEvent, boolean]>([
  [
    'true without metadata',
    { type: 'xstate.done.actor.discoverServer', output: { at: START, metadata: undefined } },
    true,
  ],
  ['false with metadata', { type: 'xstate.done.actor.discoverServer', output: { at: START, metadata } }, false],
  ['false for another event', { type: 'xstate.done.actor.revokeTokens', output: { at: START, revoked: 'yes' } }, false],
])('isNotRequired is %s', (_name, event, expected) => {
  expect(ask.isNotRequired(event)).toBe(expected)
})

const stamp = { at: START, claimId: 'claim-2', leaseMs: LEASE_MS }
const expired: ConnectionEvent = { ...stamp, type: 'attempt.expired' }
const attempt = {
  stateHash: 'hash-1',
  verifier: 'fake-verifier',
  serverId: 1,
  expiresAt: START + 1,
  bindingHash: 'browser',
}

test.each<[string, ConnectionEvent, Partial<ConnectionContext>, boolean]>([
  ['is true for the current tokens', { ...stamp, type: 'token.rejected', generation: 3, by: 'server' }, {}, true],
  ['is false for older tokens', { ...stamp, type: 'token.rejected', generation: 2, by: 'server' }, {}, false],
  [
    'is false without tokens',
    { ...stamp, type: 'token.rejected', generation: 3, by: 'server' },
    { tokens: undefined },
    false,
  ],
  [
    'is false for what is recorded',
    { ...stamp, type: 'token.rejected', generation: 3, by: 'server' },
    { tokens: { ...tokens, rejectedBy: 'server' } },
    false,
  ],
  [
    'is true for the host after the server',
    { ...stamp, type: 'token.rejected', generation: 3, by: 'host' },
    { tokens: { ...tokens, rejectedBy: 'server' } },
    true,
  ],
  [
    'is false for the server after the host',
    { ...stamp, type: 'token.rejected', generation: 3, by: 'server' },
    { tokens: { ...tokens, rejectedBy: 'host' } },
    false,
  ],
  ['is false for another event', { ...stamp, type: 'attempt.expired' }, {}, false],
])('isNewRejection %s', (_name, event, changes, expected) => {
  expect(ask.isNewRejection(contextWith({ generation: 3, tokens, ...changes }), event)).toBe(expected)
})

test.each<[string, ConnectionEvent, Tokens['rejectedBy'], boolean]>([
  ['is true for the current tokens', { ...stamp, type: 'token.accepted', generation: 3, rejection: 5 }, 'server', true],
  ['is false for older tokens', { ...stamp, type: 'token.accepted', generation: 2, rejection: 5 }, 'server', false],
  [
    'is false for an older rejection',
    { ...stamp, type: 'token.accepted', generation: 3, rejection: 4 },
    'server',
    false,
  ],
  [
    'is false for tokens that the host rejected',
    { ...stamp, type: 'token.accepted', generation: 3, rejection: 5 },
    'host',
    false,
  ],
  ['is false for another event', { ...stamp, type: 'attempt.expired' }, 'server', false],
])('clearsRejection %s', (_name, event, rejectedBy, expected) => {
  const context = contextWith({ generation: 3, tokens: { ...tokens, rejectedBy, rejectedAt: 5 } })
  expect(ask.clearsRejection(context, event)).toBe(expected)
})

const withAttempt = contextWith({ servers: [server], attempts: [attempt] })
const claim: Claim = { id: 'claim-1', kind: 'refresh', leaseMs: LEASE_MS, retries: 0 }
const request = (changes: Partial<AuthorizationRequest> = {}): AuthorizationRequest => ({
  ...wishes(),
  purpose: 'authorize',
  claimId: 'claim-1',
  leaseMs: LEASE_MS,
  metadata,
  ...changes,
})

describe('judgeCallback', () => {
  const mine: Callback = { stateHash: 'hash-1', bindingHash: 'browser' }
  test.each<[string, ConnectionContext, Callback, number, CallbackVerdict]>([
    ['accepts a callback of a pending attempt', withAttempt, mine, START, 'acceptable'],
    ['accepts the issuer of the attempt', withAttempt, { ...mine, iss: issuer }, START, 'acceptable'],
    [
      'accepts a browser whose binding was proven otherwise',
      withAttempt,
      { stateHash: 'hash-1', bindingProven: true },
      START,
      'acceptable',
    ],
    [
      'accepts a callback without a binding if the attempt has no binding',
      contextWith({ servers: [server], attempts: [{ ...attempt, bindingHash: undefined }] }),
      { stateHash: 'hash-1' },
      START,
      'acceptable',
    ],
    [
      'accepts a browser by the hash that an earlier release stored',
      withAttempt,
      { ...mine, bindingHash: 'another', earlierBindingHash: 'browser' },
      START,
      'acceptable',
    ],
    [
      'returns bindingMismatch for another hash of the same length',
      withAttempt,
      { ...mine, bindingHash: 'browsen' },
      START,
      'bindingMismatch',
    ],
    ['returns unknown for a state without an attempt', withAttempt, { ...mine, stateHash: 'hash-2' }, START, 'unknown'],
    [
      'returns unknown if the server of the attempt was removed',
      contextWith({ attempts: [attempt] }),
      mine,
      START,
      'unknown',
    ],
    ['returns expired for an attempt at its expiry', withAttempt, mine, START + 1, 'expired'],
    [
      'returns bindingMismatch for another browser',
      withAttempt,
      { ...mine, bindingHash: 'another', earlierBindingHash: 'anothe' },
      START,
      'bindingMismatch',
    ],
    [
      'returns bindingMismatch for a callback without a browser binding',
      withAttempt,
      { stateHash: 'hash-1' },
      START,
      'bindingMismatch',
    ],
    ['returns issuerMismatch for another issuer', withAttempt, { ...mine, iss: `${issuer}/` }, START, 'issuerMismatch'],
    [
      'returns issuerMismatch for a missing issuer if the server always sends one',
      contextWith({ servers: [{ ...server, issRequired: true }], attempts: [attempt] }),
      mine,
      START,
      'issuerMismatch',
    ],
  ])('judgeCallback %s', (_, context, callback, at, verdict) => {
    expect(judgeCallback(context, callback, at)).toBe(verdict)
    const event: ConnectionEvent = { ...stamp, ...callback, at, type: 'callback.denied', error: 'access_denied' }
    expect(ask.isAcceptableCallback(context, event)).toBe(verdict === 'acceptable')
  })
})

test('guards about one event type are false for every other event type', () => {
  const context = contextWith({
    servers: [server],
    attempts: [{ ...attempt, code: 'fake-code' }],
    tokens,
    claim,
    orphanedClaims: [{ id: 'claim-1', retried: false }],
  })
  const guards = [
    ask.isAcceptableCallback,
    ask.hasPendingCode,
    ask.isCurrentGeneration,
    isCurrentClaim,
    ask.isAcceptableLateResult,
  ]
  expect(guards.map((guard) => guard(context, expired))).toEqual(guards.map(() => false))
})

test.each([
  ['is true for an attempt with an unexpired code', { ...attempt, code: 'fake-code' }, true],
  ['is false for an attempt with a code at its expiry', { ...attempt, code: 'fake-code', expiresAt: START }, false],
  ['is false for an attempt without a code', attempt, false],
  ['is false for the code of another attempt', { ...attempt, stateHash: 'hash-2', code: 'fake-code' }, false],
])('hasPendingCode %s', (_, kept, expected) => {
  const event: ConnectionEvent = { ...stamp, type: 'exchange.resumed', stateHash: 'hash-1' }
  expect(ask.hasPendingCode(contextWith({ attempts: [kept] }), event)).toBe(expected)
})

test.each<[string, number, Tokens | undefined, boolean]>([
  ['is true for the current generation', 3, tokens, true],
  ['is false for an older generation', 2, tokens, false],
  ['is false for tokens that are not renewable', 3, { ...tokens, refreshToken: undefined }, false],
  ['is false for a record without tokens', 3, undefined, false],
])('isCurrentGeneration %s', (_, generation, held, expected) => {
  const event: ConnectionEvent = { ...stamp, type: 'refresh.requested', generation }
  expect(ask.isCurrentGeneration(contextWith({ generation: 3, tokens: held }), event)).toBe(expected)
})

test('needsDiscovery is true for tokens whose server is not in the record', () => {
  const needs = (changes: Partial<ConnectionContext>): boolean => ask.needsDiscovery(contextWith(changes))
  expect(needs({ tokens: { ...tokens, serverId: undefined } })).toBe(true)
  expect(needs({ tokens, servers: [{ ...server, id: 2 }] })).toBe(true)
  expect(needs({ tokens, servers: [server] })).toBe(false)
})

describe('a grant', () => {
  const offering = (...grantTypesSupported: string[]): Partial<AuthorizationRequest> => ({
    metadata: { ...metadata, grantTypesSupported },
  })
  test.each<[string, Partial<AuthorizationRequest>, Grant]>([
    ['the grant of the caller', { grant: 'jwt_bearer' }, 'jwt_bearer'],
    ['authorization_code before discovery', { metadata: undefined }, 'authorization_code'],
    ['authorization_code if the server lists no grants', {}, 'authorization_code'],
    [
      'authorization_code if the server offers it and client_credentials',
      offering('client_credentials', 'authorization_code'),
      'authorization_code',
    ],
    ['client_credentials if the server offers only that', offering('client_credentials'), 'client_credentials'],
    ['authorization_code if the server offers neither', offering('password'), 'authorization_code'],
  ])('wantedGrant is %s', (_, changes, grant) => {
    expect(wantedGrant(request(changes))).toBe(grant)
  })

  test.each<[string, Partial<AuthorizationRequest> | undefined, Grant | 'none']>([
    ['no grant without a request', undefined, 'none'],
    ['the wanted grant', {}, 'authorization_code'],
    ['the wanted grant before discovery', { metadata: undefined }, 'authorization_code'],
    ['no grant that the server does not offer', offering('password'), 'none'],
    ['no grant that the policy disallows', { allowedGrants: ['client_credentials'] }, 'none'],
    ['a grant that the policy allows', { allowedGrants: ['authorization_code'] }, 'authorization_code'],
    ['the grant of the host if the server lists no grants', { grant: 'client_credentials' }, 'client_credentials'],
    [
      'the grant of the host before discovery',
      { grant: 'client_credentials', metadata: undefined },
      'client_credentials',
    ],
    [
      'no grant of the host that the server does not offer',
      { grant: 'client_credentials', ...offering('authorization_code') },
      'none',
    ],
    [
      'jwt_bearer of the host, whatever the server lists',
      { grant: 'jwt_bearer', ...offering('authorization_code') },
      'jwt_bearer',
    ],
    [
      'identity_assertion of the host, whatever the server lists',
      { grant: 'identity_assertion', ...offering('password') },
      'identity_assertion',
    ],
    [
      'no assertion grant that the policy disallows',
      { grant: 'jwt_bearer', allowedGrants: ['identity_assertion'] },
      'none',
    ],
  ])('canUseGrant allows %s', (_, changes, expected) => {
    const context = contextWith({ request: changes && request(changes) })
    const grants: Grant[] = ['authorization_code', 'client_credentials', 'jwt_bearer', 'identity_assertion']
    expect(grants.find((grant) => ask.canUseGrant(context, grant)) ?? 'none').toBe(expected)
    expect(ask.canUseNonInteractiveGrant(context)).toBe(expected !== 'none' && expected !== 'authorization_code')
  })

  test('isRenewal is true only in a renewal request of tokens with a refresh token', () => {
    const renewal = request({ purpose: 'renew' })
    expect(ask.isRenewal(contextWith({ request: renewal, tokens }))).toBe(true)
    expect(ask.isRenewal(contextWith({ request: renewal, tokens: { ...tokens, refreshToken: undefined } }))).toBe(false)
    expect(ask.isRenewal(contextWith({ request: request(), tokens }))).toBe(false)
    expect(ask.isRenewal(contextWith({ tokens }))).toBe(false)
  })
})

describe('a claim', () => {
  test('isCurrentClaim is true only for the id of the current claim', () => {
    const event = (orphanId: string): ConnectionEvent => ({ ...stamp, type: 'claim.expired', orphanId })
    expect(isCurrentClaim(contextWith({ claim }), event('claim-1'))).toBe(true)
    expect(isCurrentClaim(contextWith({ claim }), event('claim-0'))).toBe(false)
    expect(isCurrentClaim(contextWith(), event('claim-1'))).toBe(false)
  })

  const exchange: Claim = { ...claim, kind: 'exchange', stateHash: 'hash-1' }
  test.each<[string, Partial<ConnectionContext>, boolean]>([
    ['is false without a claim', {}, false],
    ['is true for a refresh without retries', { claim }, true],
    ['is false for a refresh that was retried once', { claim: { ...claim, retries: 1 } }, false],
    ['is true for an exchange until its attempt expires', { claim: exchange, attempts: [attempt] }, true],
    [
      'is false for an exchange whose attempt has expired',
      { claim: exchange, attempts: [{ ...attempt, expiresAt: START }] },
      false,
    ],
    ['is false for an exchange without an attempt', { claim: exchange }, false],
  ])('canRetry %s', (_, changes, expected) => {
    expect(ask.canRetry(contextWith(changes), START)).toBe(expected)
  })

  test.each<[string, Partial<ConnectionContext>, number | undefined]>([
    ['that the claim names', { claim: { ...claim, kind: 'requestToken', serverId: 2 } }, 2],
    ['of the attempt', { claim: exchange, attempts: [{ ...attempt, serverId: 2 }] }, 2],
    ['of the tokens', { claim, tokens }, 1],
    ['as undefined if the record names no server', { claim }, undefined],
  ])('claimedServer returns the server %s', (_, changes, id) => {
    const servers = [server, { ...server, id: 2, client: staticClient }]
    const context = contextWith({ servers, ...changes })
    expect(claimedServer(context)?.id).toBe(id)
    expect(ask.isClientDynamic(context)).toBe(id === 1)
    expect(ask.hasClientKey(context)).toBe(false)
    expect(server.client).toBe(dynamicClient)
  })

  test('hasClientKey is true for a client that signs with a private key', () => {
    const client = { ...staticClient, tokenEndpointAuthMethod: 'private_key_jwt' }
    expect(ask.hasClientKey(contextWith({ servers: [{ ...server, client }], claim, tokens }))).toBe(true)
  })
})

describe('isOrphanedResult', () => {
  const late: ConnectionEvent = {
    ...stamp,
    type: 'result.late',
    orphanId: 'claim-1',
    kind: 'refresh',
    generation: 3,
    tokens,
    server,
  }
  test.each<[string, Partial<ConnectionContext>, ConnectionEvent, boolean]>([
    ['is true after a disconnect', {}, late, true],
    ['is true after a disconnect, beside the tokens of a new sign-in', { tokens, generation: 5 }, late, true],
    [
      'is false for a result that is revoked already',
      { revocations: [{ id: 'claim-1', startedAt: START, outcome: 'yes' }] },
      late,
      false,
    ],
    ['is false without a disconnect', { orphanedClaims: [{ id: 'claim-1', retried: false }] }, late, false],
    ['is false for a claim that was never orphaned', { orphanedClaims: [] }, late, false],
    ['is false for any other event', {}, expired, false],
  ])('isOrphanedResult %s', (_, changes, event, expected) => {
    const orphanedClaims = [{ id: 'claim-1', retried: false, disconnected: true as const }]
    const context = contextWith({ generation: 4, orphanedClaims, ...changes })
    expect(ask.isOrphanedResult(context, event)).toBe(expected)
  })
})

describe('isAcceptableLateResult', () => {
  type Late = Extract<ConnectionEvent, { type: 'result.late' }>
  const late: Late = {
    ...stamp,
    type: 'result.late',
    orphanId: 'claim-1',
    kind: 'refresh',
    generation: 3,
    tokens,
    server,
  }
  const orphanedClaims = [{ id: 'claim-1', retried: true }]
  test.each<[string, Partial<ConnectionContext>, Partial<Late>, boolean]>([
    ['is true if the generation has not changed', {}, {}, true],
    ['is false if the generation has changed', { generation: 4 }, {}, false],
    ['is false for a lost claim to refresh tokens that were disconnected', { orphanedClaims: [] }, {}, false],
    ['is false for a lost claim of a refresh, beside tokens too', { orphanedClaims: [], tokens }, {}, false],
    ['is false for a lost claim of a grant without a user', { orphanedClaims: [] }, { kind: 'requestToken' }, false],
    [
      'is true for a lost claim whose attempt is pending',
      { orphanedClaims: [], attempts: [attempt] },
      { kind: 'exchange', attemptHash: attempt.stateHash },
      true,
    ],
    [
      'is false for a lost claim whose attempt has expired',
      { orphanedClaims: [], attempts: [{ ...attempt, expiresAt: START }] },
      { kind: 'exchange', attemptHash: attempt.stateHash },
      false,
    ],
    [
      'is false for a lost claim whose attempt has ended',
      { orphanedClaims: [] },
      { kind: 'exchange', attemptHash: attempt.stateHash },
      false,
    ],
    [
      'is false if the connection was disconnected, although it never had tokens',
      { orphanedClaims: [{ id: 'claim-1', retried: false, disconnected: true }] },
      {},
      false,
    ],
    ['is true for a retried claim if the result has a refresh token to verify it', { orphanedClaims }, {}, true],
    [
      'is false for a retried claim if the result has no refresh token',
      { orphanedClaims },
      { tokens: { ...tokens, refreshToken: undefined } },
      false,
    ],
    [
      'is true for a claim without a retry, even without a refresh token',
      { tokens: { ...tokens, refreshTokenMayBeConsumed: true } },
      { tokens: { ...tokens, refreshToken: undefined } },
      true,
    ],
    [
      'is false for a claim without a retry whose refresh token was rejected since, if the result has none to verify it',
      { tokens: { ...tokens, refreshTokenRejected: true } },
      { tokens: { ...tokens, refreshToken: undefined } },
      false,
    ],
  ])('isAcceptableLateResult %s', (_, changes, result, expected) => {
    const context = contextWith({ generation: 3, orphanedClaims: [{ id: 'claim-1', retried: false }], ...changes })
    expect(ask.isAcceptableLateResult(context, { ...late, ...result })).toBe(expected)
  })

  const { refreshToken: _, ...lastTokens } = tokens
  const { expiresAt: _end, ...renewable } = { ...tokens, rejectedBy: undefined }
  /** What may be stored when a late result arrives, and whether an unverified one of another grant may replace it. */
  const stored: [string, Partial<ConnectionContext>, boolean][] = [
    ['no tokens', {}, true],
    ['no tokens, and a reauthorization is required', { reauthorizationRequired: true }, true],
    ['usable tokens', { tokens }, false],
    ['tokens that never expire', { tokens: renewable }, false],
    ['an expired access token with a refresh token', { tokens: { ...tokens, expiresAt: START - 1 } }, false],
    ['an access token without a refresh token', { tokens: lastTokens }, false],
    ['an access token whose refresh token was rejected', { tokens: { ...tokens, refreshTokenRejected: true } }, false],
    ['an expired access token without a refresh token', { tokens: { ...lastTokens, expiresAt: START - 1 } }, true],
    ['rejected tokens', { tokens: { ...tokens, rejectedBy: 'server' } }, true],
    ['expired tokens whose renewal is rejected', { tokens: { ...tokens, expiresAt: 1, renewalRejected: true } }, true],
  ]
  const rows = stored.flatMap(([what, changes, mayReplace]) =>
    (['exchange', 'requestToken', 'refresh'] as const).flatMap((kind) => [
      [kind, 'unverified', what, mayReplace || kind === 'refresh' ? 'accepted' : 'ignored', changes] as const,
      [kind, 'verified', what, 'accepted', changes] as const,
    ]),
  )
  test.each(rows)(
    'the late result of a claim of kind %s, %s, beside %s, is %s',
    (kind, verification, _what, expected, changes) => {
      const context = contextWith({
        generation: 3,
        servers: [server],
        orphanedClaims: [{ id: 'claim-1', retried: verification === 'unverified' }],
        ...changes,
      })
      expect(ask.isAcceptableLateResult(context, { ...late, kind }) ? 'accepted' : 'ignored').toBe(expected)
    },
  )
})

describe('a scope challenge', () => {
  const challenged = (challengeScope?: string, maxStepUps?: number): ConnectionEvent => ({
    ...stamp,
    type: 'challenge.insufficientScope',
    request: wishes({ challengeScope, maxStepUps }),
  })

  test.each<[string, ConnectionContext, ConnectionEvent, boolean]>([
    ['is true for a challenge with the granted scope', contextWith({ tokens }), challenged('read'), true],
    ['is false for a challenge with more scope', contextWith({ tokens }), challenged('read write'), false],
    ['is false without tokens', contextWith(), challenged('read'), false],
    ['is false for any other event', contextWith(), expired, false],
  ])('asksForNothingNew %s', (_name, context, event, expected) => {
    expect(asksForNothingNew(context, event)).toBe(expected)
  })

  const stepUps = [{ scope: 'write', rounds: 2, at: START - 1 }]
  const waiting = { ...attempt, scope: 'read write' }
  test.each<[string, ConnectionContext, ConnectionEvent, boolean]>([
    ['is true at the maximum number of step-ups', contextWith({ stepUps }), challenged('write', 2), true],
    ['is false below the maximum', contextWith({ stepUps }), challenged('write', 3), false],
    ['is false without a maximum', contextWith({ stepUps }), challenged('write'), false],
    [
      'is false while an attempt with the challenged scope is pending',
      contextWith({ stepUps, attempts: [waiting] }),
      challenged('write', 2),
      false,
    ],
    [
      'is true while only an attempt with another scope is pending',
      contextWith({ stepUps, attempts: [attempt] }),
      challenged('write', 2),
      true,
    ],
    [
      'is false if the earlier step-ups are more than a day old',
      contextWith({ stepUps: [{ scope: 'write', rounds: 9, at: 0 }] }),
      challenged('write', 1),
      false,
    ],
    ['is true at a maximum of 0 for a challenge without a scope', contextWith(), challenged(undefined, 0), true],
    [
      'is true for a scope that exceeds the length limit',
      contextWith({ tokens: { ...tokens, scope: 'x'.repeat(5_000) } }),
      challenged('write'),
      true,
    ],
    ['is false for any other event', contextWith({ stepUps }), expired, false],
  ])('isStepUpExhausted %s', (_name, context, event, expected) => {
    expect(isStepUpExhausted(context, event)).toBe(expected)
  })
})
