import { describe, expect, test } from 'vitest'
import {
  claimExchange,
  claimRenewal,
  claimTokenRequest,
  expireClaim,
  markOutcomeUnknown,
  retainRetries,
} from '../../../../machines/connection/claims.ts'
import type { ConnectionContext } from '../../../../src/schemas/connection-context.ts'
import { CODE_TTL_MS, contextWith, LEASE_MS, rejections, server, tokens } from '../../../support/charts/facts.ts'
import { after, attemptOf, exchanging, NOW, refreshing, request, stamp } from './support.ts'

describe('a claim', () => {
  test('claimTokenRequest records server, scope and grant of a non-interactive request, and not what they were decided from', () => {
    const { attemptTtlMs, claimId, leaseMs } = request
    const decided = { parameters: { audience: 'a' }, fingerprint: 'f', afterRejection: true as const }
    const asked = {
      ...request,
      ...decided,
      grant: 'jwt_bearer' as const,
      challengeScope: 'read',
      defaultScope: 'other',
    }
    const context = contextWith({ at: NOW, request: asked, servers: [server] })
    const claim = { id: 'claim-1', leaseMs: LEASE_MS, retries: 0, serverId: 1 }
    expect(claimTokenRequest(context)).toEqual({
      at: NOW,
      claim: { ...claim, kind: 'requestToken', scope: 'read', grant: 'jwt_bearer', afterRejection: true },
      request: { ...decided, purpose: 'authorize', grant: 'jwt_bearer', attemptTtlMs, claimId, leaseMs },
    })
    const renewal = after(context, { request: { ...request, purpose: 'renew' }, tokens })
    expect(claimTokenRequest(renewal)).toEqual({
      at: NOW,
      claim: { ...claim, kind: 'refresh' },
      request: { purpose: 'renew', attemptTtlMs, claimId, leaseMs },
    })
  })

  test('claimRenewal without a refresh token requests the same grant and scope again', () => {
    const held = { ...tokens, grant: 'identity_assertion' as const }
    const event = { ...stamp, type: 'refresh.requested' as const, generation: 1 }
    expect(claimRenewal(contextWith({ tokens: held }), event)).toEqual({
      at: NOW,
      claim: {
        id: 'claim-2',
        kind: 'requestToken',
        leaseMs: LEASE_MS,
        retries: 0,
        serverId: 1,
        scope: 'read',
        grant: 'identity_assertion',
      },
    })
    expect(claimRenewal(contextWith(), { ...event, rejectedToken: true }).claim).toEqual({
      id: 'claim-2',
      kind: 'requestToken',
      leaseMs: LEASE_MS,
      retries: 0,
      afterRejection: true,
    })
  })

  test('markOutcomeUnknown marks the claim, and the refresh token as possibly consumed', () => {
    const event = { type: 'xstate.error.actor.refreshTokens', error: rejections.unknown } as const
    const { failure } = rejections.unknown
    expect(markOutcomeUnknown(contextWith({ claim: refreshing, tokens }), event)).toEqual({
      failure,
      claim: { ...refreshing, outcomeUnknown: true },
      tokens: { ...tokens, refreshTokenMayBeConsumed: true },
    })
    expect(markOutcomeUnknown(contextWith({ claim: exchanging, tokens }), event)).toEqual({
      failure,
      claim: { ...exchanging, outcomeUnknown: true },
    })
    expect(markOutcomeUnknown(contextWith(), event)).toEqual({ failure, claim: undefined })
  })

  const event = { ...stamp, type: 'claim.expired', orphanId: 'claim-1' } as const

  test('an expired claim is retried once under a new id, and the expired retry ends in TOKEN_OUTCOME_UNKNOWN', () => {
    const context = contextWith({
      claim: { ...refreshing, outcomeUnknown: true },
      tokens,
      failure: { code: 'HTTP_TIMEOUT' },
    })
    const once = expireClaim(context, event)
    expect(once).toEqual({
      at: NOW,
      orphanedClaims: [{ id: 'claim-1', retried: true }],
      claim: { id: 'claim-2', kind: 'refresh', leaseMs: LEASE_MS, retries: 1 },
      tokens: { ...tokens, refreshTokenMayBeConsumed: true },
      failure: { code: 'HTTP_TIMEOUT' },
    })
    expect(expireClaim(after(context, once), { ...event, orphanId: 'claim-2', claimId: 'claim-3' })).toEqual({
      at: NOW,
      orphanedClaims: [
        { id: 'claim-1', retried: true },
        { id: 'claim-2', retried: false },
      ],
      claim: undefined,
      tokens: { ...tokens, refreshTokenMayBeConsumed: true },
      failure: { code: 'TOKEN_OUTCOME_UNKNOWN' },
      failedRenewal: {
        failure: { code: 'TOKEN_OUTCOME_UNKNOWN' },
        retryAt: NOW + 5_000,
        retryDelayMs: 5_000,
        count: 1,
      },
    })
  })

  test('expireClaim defers a retained code by a lease only if its own exchange expired', () => {
    const attempts = [attemptOf(1, { code: 'fake-code' }), attemptOf(2, { code: 'fake-code' })]
    const [first, other] = attempts
    expect(expireClaim(contextWith({ claim: exchanging, attempts }), event).attempts).toEqual([
      { ...first, retryAt: NOW + LEASE_MS },
      other,
    ])
    expect(expireClaim(contextWith({ claim: refreshing, tokens, attempts }), event).attempts).toBeUndefined()
  })

  test('expireClaim of a token request for authorize() defers the next one only as long as the server asked to wait', () => {
    const claim = { ...refreshing, kind: 'requestToken', serverId: 1, retries: 1 } as const
    const context = contextWith({ claim, request: { ...request, grant: 'client_credentials' }, servers: [server] })
    expect(expireClaim(context, event)).not.toHaveProperty('failedRequest')
    const asked = after(context, { claim: { ...claim, retries: 0, retryAt: NOW + 60_000 } })
    expect(expireClaim(asked, event)).toMatchObject({
      claim: undefined,
      failedRequest: { grant: 'client_credentials', retryAt: NOW + 60_000 },
    })
  })

  test('expireClaim without a current claim starts no retry', () => {
    expect(expireClaim(contextWith(), event)).toMatchObject({
      claim: undefined,
      orphanedClaims: [{ id: 'claim-1', retried: false }],
    })
  })
})

const received = {
  ...stamp,
  type: 'callback.received',
  stateHash: 'hash-1',
  code: 'fake-code',
  codeTtlMs: CODE_TTL_MS,
} as const

test('claimExchange stores the first code in the attempt before redemption and extends the attempt by the code TTL', () => {
  const context = contextWith({ attempts: [attemptOf(1), attemptOf(2)] })
  const claim = { id: 'claim-2', kind: 'exchange', stateHash: 'hash-1', leaseMs: LEASE_MS, retries: 0 }
  const kept = attemptOf(1, { code: 'fake-code', expiresAt: NOW + CODE_TTL_MS })
  expect(claimExchange(context, received)).toEqual({ at: NOW, claim, attempts: [kept, attemptOf(2)] })
  const again = contextWith({ attempts: [kept] })
  expect(claimExchange(again, { ...received, at: NOW + 1, code: 'another' })).toEqual({
    at: NOW + 1,
    claim,
    attempts: [kept],
  })
  expect(claimExchange(again, { ...stamp, type: 'exchange.resumed', stateHash: 'hash-1' })).toEqual({
    at: NOW,
    claim,
  })
})

test('claimExchange of a new code ends the backoff that an earlier release stored, and that of a stored code does not', () => {
  const backoff = { retryAt: NOW + 300_000, retryDelayMs: 5_000 }
  const claimed = (context: ConnectionContext): ConnectionContext => after(context, claimExchange(context, received))
  const fresh = contextWith({ attempts: [attemptOf(1)], ...backoff })
  expect(claimed(fresh)).toMatchObject({ retryAt: undefined, retryDelayMs: undefined })
  expect(claimed({ ...fresh, attempts: [attemptOf(1, { code: 'fake-code' })] })).toMatchObject(backoff)
})

test('retainRetries counts the earlier claims of a code that is redeemed later, and its next claim continues the count', () => {
  const claim = { id: 'claim-1', kind: 'exchange', stateHash: 'hash-1', leaseMs: LEASE_MS, retries: 1 } as const
  const attempts = [attemptOf(1, { code: 'fake-code' }), attemptOf(2)]
  const retained = [attemptOf(1, { code: 'fake-code', retries: 1 }), attemptOf(2)]
  expect(retainRetries(contextWith({ attempts, claim }))).toEqual({ attempts: retained })
  expect(retainRetries(contextWith({ attempts, claim: { ...claim, retries: 0 } }))).toEqual({ attempts })
  const event = { ...stamp, type: 'exchange.resumed', stateHash: 'hash-1' } as const
  expect(claimExchange(contextWith({ attempts: retained }), event)).toEqual({
    at: NOW,
    claim: { ...claim, id: 'claim-2' },
  })
})
