import { isCurrentClaim } from '../../../../machines/record-rules.ts'
import { describe, expect, test } from 'vitest'
import type { Callback, ConnectionEvent } from '../../../../machines/connection/events.ts'
import * as ask from '../../../../machines/connection/guards.ts'
import {
  type CallbackVerdict,
  claimedServer,
  judgeCallback,
  wantedGrant,
} from '../../../../machines/connection/selectors.ts'
import { asksForNothingNew, isStepUpExhausted } from '../../../../machines/connection/step-up.ts'
import type { AuthorizationRequest, Claim, ConnectionContext } from '../../../../src/schemas/connection-context.ts'
import type { Grant, Tokens } from '../../../../src/schemas/credentials.ts'
import {
  contextWith,
  dynamicClient,
  staticClient,
  issuer,
  LEASE_MS,
  metadata,
  server,
  START,
  tokens,
  wishes,
} from '../../../support/charts/facts.ts'

const stamp = { at: START, claimId: 'claim-2', leaseMs: LEASE_MS }
const expired: ConnectionEvent = { ...stamp, type: 'attempt.expired' }
const attempt = {
  stateHash: 'hash-1',
  verifier: 'fake-verifier',
  serverId: 1,
  expiresAt: START + 1,
  bindingHash: 'browser',
}
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

describe('a callback is', () => {
  const mine: Callback = { stateHash: 'hash-1', bindingHash: 'browser' }
  test.each<[string, ConnectionContext, Callback, number, CallbackVerdict]>([
    ['acceptable', withAttempt, mine, START, 'acceptable'],
    ['acceptable from the issuer that was asked', withAttempt, { ...mine, iss: issuer }, START, 'acceptable'],
    [
      'acceptable from a browser that is known otherwise',
      withAttempt,
      { stateHash: 'hash-1', bindingProven: true },
      START,
      'acceptable',
    ],
    [
      'acceptable without a binding if the attempt has none',
      contextWith({ servers: [server], attempts: [{ ...attempt, bindingHash: undefined }] }),
      { stateHash: 'hash-1' },
      START,
      'acceptable',
    ],
    ['unknown: no such attempt', withAttempt, { ...mine, stateHash: 'hash-2' }, START, 'unknown'],
    ['unknown: its server is gone', contextWith({ attempts: [attempt] }), mine, START, 'unknown'],
    ['too late', withAttempt, mine, START + 1, 'expired'],
    ['of another browser', withAttempt, { ...mine, bindingHash: 'another' }, START, 'bindingMismatch'],
    ['of no browser', withAttempt, { stateHash: 'hash-1' }, START, 'bindingMismatch'],
    ['of another issuer', withAttempt, { ...mine, iss: `${issuer}/` }, START, 'issuerMismatch'],
    [
      'of nobody knows which issuer, where the server promised to say',
      contextWith({ servers: [{ ...server, issRequired: true }], attempts: [attempt] }),
      mine,
      START,
      'issuerMismatch',
    ],
  ])('%s', (_, context, callback, at, verdict) => {
    expect(judgeCallback(context, callback, at)).toBe(verdict)
    const event: ConnectionEvent = { ...stamp, ...callback, at, type: 'callback.denied', error: 'access_denied' }
    expect(ask.isAcceptableCallback(context, event)).toBe(verdict === 'acceptable')
  })
})

test('what is asked of an event is false for every other one', () => {
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
  ['a code that lives', { ...attempt, code: 'fake-code' }, true],
  ['a code at its end', { ...attempt, code: 'fake-code', expiresAt: START }, false],
  ['no code', attempt, false],
  ['another attempt', { ...attempt, stateHash: 'hash-2', code: 'fake-code' }, false],
])('an exchange can be resumed with %s: %s', (_, kept, expected) => {
  const event: ConnectionEvent = { ...stamp, type: 'exchange.resumed', stateHash: 'hash-1' }
  expect(ask.hasPendingCode(contextWith({ attempts: [kept] }), event)).toBe(expected)
})

test.each<[string, number, Tokens | undefined, boolean]>([
  ['these tokens', 3, tokens, true],
  ['older ones', 2, tokens, false],
  ['tokens that cannot be renewed', 3, { ...tokens, refreshToken: undefined }, false],
  ['none', 3, undefined, false],
])('a refresh starts from %s', (_, generation, held, expected) => {
  const event: ConnectionEvent = { ...stamp, type: 'refresh.requested', generation }
  expect(ask.isCurrentGeneration(contextWith({ generation: 3, tokens: held }), event)).toBe(expected)
})

test('tokens need discovery as long as no server of theirs is known', () => {
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
    ['what the caller says', { grant: 'jwt_bearer' }, 'jwt_bearer'],
    ['authorization code before anything is known', { metadata: undefined }, 'authorization_code'],
    ['authorization code where the server says nothing', {}, 'authorization_code'],
    [
      'authorization code where both are offered',
      offering('client_credentials', 'authorization_code'),
      'authorization_code',
    ],
    ['client credentials where only that is offered', offering('client_credentials'), 'client_credentials'],
    ['authorization code where neither is offered', offering('password'), 'authorization_code'],
  ])('is wanted: %s', (_, changes, grant) => {
    expect(wantedGrant(request(changes))).toBe(grant)
  })

  test.each<[string, Partial<AuthorizationRequest> | undefined, Grant | 'none']>([
    ['nothing without a request', undefined, 'none'],
    ['the wanted one', {}, 'authorization_code'],
    ['before anything is known', { metadata: undefined }, 'authorization_code'],
    ['not what is not offered', offering('password'), 'none'],
    ['not what the policy forbids', { allowedGrants: ['client_credentials'] }, 'none'],
    ['what the policy allows', { allowedGrants: ['authorization_code'] }, 'authorization_code'],
    ['what the host insists on, where the server says nothing', { grant: 'client_credentials' }, 'client_credentials'],
    [
      'what the host insists on, before anything is known',
      { grant: 'client_credentials', metadata: undefined },
      'client_credentials',
    ],
    [
      'not what the host insists on against the server',
      { grant: 'client_credentials', ...offering('authorization_code') },
      'none',
    ],
    [
      'an assertion that the host names, whatever the server lists',
      { grant: 'jwt_bearer', ...offering('authorization_code') },
      'jwt_bearer',
    ],
    ['an identity assertion likewise', { grant: 'identity_assertion', ...offering('password') }, 'identity_assertion'],
    [
      'not an assertion that the policy forbids',
      { grant: 'jwt_bearer', allowedGrants: ['identity_assertion'] },
      'none',
    ],
  ])('can be used: %s', (_, changes, expected) => {
    const context = contextWith({ request: changes && request(changes) })
    const grants: Grant[] = ['authorization_code', 'client_credentials', 'jwt_bearer', 'identity_assertion']
    expect(grants.find((grant) => ask.canUseGrant(context, grant)) ?? 'none').toBe(expected)
    expect(ask.canUseNonInteractiveGrant(context)).toBe(expected !== 'none' && expected !== 'authorization_code')
  })

  test('is renewed only by a refresh token, and only where a renewal was begun', () => {
    const renewal = request({ purpose: 'renew' })
    expect(ask.isRenewal(contextWith({ request: renewal, tokens }))).toBe(true)
    expect(ask.isRenewal(contextWith({ request: renewal, tokens: { ...tokens, refreshToken: undefined } }))).toBe(false)
    expect(ask.isRenewal(contextWith({ request: request(), tokens }))).toBe(false)
    expect(ask.isRenewal(contextWith({ tokens }))).toBe(false)
  })
})

describe('a claim', () => {
  test('is given up by its id', () => {
    const event = (orphanId: string): ConnectionEvent => ({ ...stamp, type: 'claim.expired', orphanId })
    expect(isCurrentClaim(contextWith({ claim }), event('claim-1'))).toBe(true)
    expect(isCurrentClaim(contextWith({ claim }), event('claim-0'))).toBe(false)
    expect(isCurrentClaim(contextWith(), event('claim-1'))).toBe(false)
  })

  const exchange: Claim = { ...claim, kind: 'exchange', stateHash: 'hash-1' }
  test.each<[string, Partial<ConnectionContext>, boolean]>([
    ['not without one', {}, false],
    ['a refresh, once', { claim }, true],
    ['a refresh, not twice', { claim: { ...claim, retries: 1 } }, false],
    ['an exchange while its code lives', { claim: exchange, attempts: [attempt] }, true],
    ['an exchange not after that', { claim: exchange, attempts: [{ ...attempt, expiresAt: START }] }, false],
    ['an exchange not without its attempt', { claim: exchange }, false],
  ])('may be repeated: %s', (_, changes, expected) => {
    expect(ask.canRetry(contextWith(changes), START)).toBe(expected)
  })

  test.each<[string, Partial<ConnectionContext>, number | undefined]>([
    ['that it names', { claim: { ...claim, kind: 'requestToken', serverId: 2 } }, 2],
    ['of its attempt', { claim: exchange, attempts: [{ ...attempt, serverId: 2 }] }, 2],
    ['of the tokens', { claim, tokens }, 1],
    ['that nobody names', { claim }, undefined],
  ])('spends at the server %s', (_, changes, id) => {
    const servers = [server, { ...server, id: 2, client: staticClient }]
    const context = contextWith({ servers, ...changes })
    expect(claimedServer(context)?.id).toBe(id)
    expect(ask.isClientDynamic(context)).toBe(id === 1)
    expect(server.client).toBe(dynamicClient)
  })
})

describe('a late result is an orphan', () => {
  const late: ConnectionEvent = { ...stamp, type: 'result.late', orphanId: 'claim-1', generation: 3, tokens, server }
  test.each<[string, Partial<ConnectionContext>, ConnectionEvent, boolean]>([
    ['once the connection was disconnected', {}, late, true],
    ['not while nothing newer stands', { generation: 3 }, late, false],
    ['not if newer tokens stand', { tokens }, late, false],
    ['not if newer tokens have reauthorizationRequired', { reauthorizationRequired: true }, late, false],
    ['not of a claim that was never given up', { orphanedClaims: [] }, late, false],
    ['not if it is none', {}, expired, false],
  ])('%s', (_, changes, event, expected) => {
    const context = contextWith({ generation: 4, orphanedClaims: [{ id: 'claim-1', retried: false }], ...changes })
    expect(ask.isOrphanedResult(context, event)).toBe(expected)
  })
})

describe('a late result is wanted', () => {
  const late: ConnectionEvent = { ...stamp, type: 'result.late', orphanId: 'claim-1', generation: 3, tokens, server }
  test.each<[string, Partial<ConnectionContext>, ConnectionEvent, boolean]>([
    ['while nothing newer stands', {}, late, true],
    ['not if something newer stands', { generation: 4 }, late, false],
    ['not of a claim that was never given up', { orphanedClaims: [] }, late, false],
    ['of a repeated claim if it can be proven', { orphanedClaims: [{ id: 'claim-1', retried: true }] }, late, true],
    [
      'not of a repeated claim if it cannot',
      { orphanedClaims: [{ id: 'claim-1', retried: true }] },
      { ...late, tokens: { ...tokens, refreshToken: undefined } },
      false,
    ],
    ['of another claim without proof', {}, { ...late, tokens: { ...tokens, refreshToken: undefined } }, true],
  ])('%s', (_, changes, event, expected) => {
    const context = contextWith({ generation: 3, orphanedClaims: [{ id: 'claim-1', retried: false }], ...changes })
    expect(ask.isAcceptableLateResult(context, event)).toBe(expected)
  })
})

describe('a challenge for more scope', () => {
  const challenged = (challengeScope?: string, maxStepUps?: number): ConnectionEvent => ({
    ...stamp,
    type: 'challenge.insufficientScope',
    request: wishes({ challengeScope, maxStepUps }),
  })

  test.each<[string, ConnectionContext, ConnectionEvent, boolean]>([
    ['for what was granted asks for nothing new', contextWith({ tokens }), challenged('read'), true],
    ['for more than that asks for something', contextWith({ tokens }), challenged('read write'), false],
    ['without tokens asks for something', contextWith(), challenged('read'), false],
    ['is the only one of its kind', contextWith(), expired, false],
  ])('%s', (_name, context, event, expected) => {
    expect(asksForNothingNew(context, event)).toBe(expected)
  })

  const stepUps = [{ scope: 'write', rounds: 2, at: START - 1 }]
  const waiting = { ...attempt, scope: 'read write' }
  test.each<[string, ConnectionContext, ConnectionEvent, boolean]>([
    ['comes once too often', contextWith({ stepUps }), challenged('write', 2), true],
    ['is within the limit', contextWith({ stepUps }), challenged('write', 3), false],
    ['has no limit', contextWith({ stepUps }), challenged('write'), false],
    ['is waited for already', contextWith({ stepUps, attempts: [waiting] }), challenged('write', 2), false],
    ['is waited for in vain', contextWith({ stepUps, attempts: [attempt] }), challenged('write', 2), true],
    ['was long ago', contextWith({ stepUps: [{ scope: 'write', rounds: 9, at: 0 }] }), challenged('write', 1), false],
    ['names no scope', contextWith(), challenged(undefined, 0), true],
    ['would be too much', contextWith({ tokens: { ...tokens, scope: 'x'.repeat(5_000) } }), challenged('write'), true],
    ['is another event', contextWith({ stepUps }), expired, false],
  ])('%s', (_name, context, event, expected) => {
    expect(isStepUpExhausted(context, event)).toBe(expected)
  })
})
