import { backoffMs } from '../../src/backoff.ts'
import type { Failure } from '../../src/errors/failure.ts'
import { nonInteractiveGrant } from '../../src/protocol/token-endpoint.ts'
import type { Attempt, AuthorizationRequest, Claim, ConnectionContext } from '../../src/schemas/connection-context.ts'
import { assertDefined } from '../assert.ts'
import { MAX_FAILED_RENEWALS, MAX_RETRIES, MIN_RETRY_AFTER_MS, REFRESH_BACKOFF } from '../limits.ts'
import { isDeferred, withExpiredClaim, withUnknownOutcome } from '../record-rules.ts'
import { isLocal, isOfOneProcess, isPassing, isSecretFailure, type PortFailure, portFailureOf } from '../rejection.ts'
import type { Change, ConnectionEvent, Sent, Stamp } from './events.ts'
import { canRetry, hasClientKey, isRenewal } from './guards.ts'
import { attemptOf, claimedServer, isRenewing, isReplacementOwed, requestedScope, wantedGrant } from './selectors.ts'

/** Creates a claim: the intent, which is stored before the request is sent. */
export function claim(
  { at, claimId, leaseMs }: Stamp,
  intent: Omit<Claim, 'id' | 'leaseMs' | 'retries' | 'outcomeUnknown'>,
  retries: number = 0,
): Change {
  return { at, claim: { id: claimId, leaseMs, retries, ...intent } }
}

/**
 * Claims an exchange and stores its code, whose lifetime replaces that of the attempt. `exchange.resumed` claims a code
 * that is already stored. The backoff that an earlier release stored after an earlier code does not defer a new one.
 */
export function claimExchange(
  context: ConnectionContext,
  event: Sent<'callback.received'> | Sent<'exchange.resumed'>,
): Change {
  const { stateHash, at } = event
  const claimed = claim(event, { kind: 'exchange', stateHash }, attemptOf(context, stateHash)?.retries)
  if (event.type === 'exchange.resumed') return claimed
  const { code, codeTtlMs, refuseAccountChange, arrivedAt = at } = event
  const isNew = attemptOf(context, stateHash)?.code === undefined
  const retainCode = (attempt: Attempt): Attempt =>
    attempt.stateHash === stateHash && attempt.code === undefined
      ? { ...attempt, code, expiresAt: arrivedAt + codeTtlMs, refuseAccountChange }
      : attempt
  const attempts = context.attempts.map(retainCode)
  return { ...claimed, attempts, ...(isNew && { retryAt: undefined, retryDelayMs: undefined }) }
}

/** A code that is redeemed later may have been consumed before: its next claim counts that. */
export function retainRetries({ attempts, claim: current }: ConnectionContext): Change {
  const retained = (attempt: Attempt): Attempt =>
    attempt.stateHash === current?.stateHash && current.retries > 0 ? { ...attempt, retries: current.retries } : attempt
  return { attempts: attempts.map(retained) }
}

/**
 * Defers the code of the current claim, and that of no other attempt: it may be another issuer's. The failure explains
 * a later callback.
 */
export function withDeferredCode(
  { attempts, claim: current }: ConnectionContext,
  deferral: Pick<Attempt, 'retries' | 'retryAt' | 'retryDelayMs' | 'failure'>,
): Change {
  if (current?.kind !== 'exchange') return {}
  const deferred = (attempt: Attempt): Attempt =>
    attempt.stateHash === current.stateHash ? { ...attempt, ...deferral } : attempt
  return { attempts: attempts.map(deferred) }
}

/** Claims a non-interactive grant, or the refresh of imported tokens, with the claim id of its request. */
export function claimTokenRequest(context: ConnectionContext): Change {
  const request = assertDefined(context.request, 'a request')
  const { claimId, leaseMs } = request
  const serverId = context.servers.at(-1)?.id
  const stamp = { at: context.at, claimId, leaseMs }
  const claimed = isRenewal(context)
    ? claim(stamp, { kind: 'refresh', serverId }, earlierRefreshes(context.tokens))
    : claim(stamp, {
        kind: 'requestToken',
        serverId,
        scope: requestedScope(context),
        grant: nonInteractiveGrant(wantedGrant(request)),
        afterRejection: request.afterRejection,
      })
  return { ...claimed, request: decidedRequest(request) }
}

/** A request whose server and scope are decided, as its claim has them: what they were decided from is not stored. */
function decidedRequest(request: AuthorizationRequest): AuthorizationRequest {
  const { purpose, grant, parameters, fingerprint, afterRejection, attemptTtlMs, claimId, leaseMs } = request
  return { purpose, grant, parameters, fingerprint, afterRejection, attemptTtlMs, claimId, leaseMs }
}

/** Claims a refresh of the current tokens. */
export function claimRefresh({ tokens }: ConnectionContext, event: Sent<'refresh.requested'>): Change {
  return claim(event, { kind: 'refresh', afterRejection: event.rejectedToken }, earlierRefreshes(tokens))
}

/** A refresh token that may have been consumed was sent before: until that is known, it is not sent once more at once. */
function earlierRefreshes(tokens: ConnectionContext['tokens']): number {
  return tokens?.refreshTokenMayBeConsumed ? MAX_RETRIES : 0
}

/** Claims a renewal without a refresh token: the same grant with the same scope. */
export function claimRenewal(context: ConnectionContext, event: Sent<'refresh.requested'>): Change {
  const { tokens } = context
  const { serverId, requestedScope: scope, grant } = tokens ?? {}
  const intent = { serverId, scope, grant: nonInteractiveGrant(grant), afterRejection: event.rejectedToken }
  return claim(event, { kind: 'requestToken', ...intent })
}

/** The outcome of the claim's request is unknown; its refresh token may have been consumed. */
export function markOutcomeUnknown(context: ConnectionContext, event: ConnectionEvent): Change {
  return { ...withUnknownOutcome(context, event), ...withConsumptionDoubt(context) }
}

/**
 * The refresh token of this claim may have been consumed: if the server rejects it later, it may have revoked the
 * access token along with it.
 */
export function withConsumptionDoubt({ claim: current, tokens }: ConnectionContext): Change {
  return current?.kind === 'refresh'
    ? { tokens: { ...assertDefined(tokens, 'tokens'), refreshTokenMayBeConsumed: true } }
    : {}
}

/**
 * Records that a renewal failed, and when callers may renew again; with its repetition after the lease it is one
 * failure. Nothing is recorded if this process was too slow, or closing: that says nothing about the server.
 */
export function withFailedRenewal(context: ConnectionContext, portFailure: PortFailure, at: number): Change {
  const { failure } = portFailure
  if (!isRenewing(context) || isLocal(failure)) return {}
  const { retryDelayMs, count = 0, failure: last, standing: before = last } = context.failedRenewal ?? {}
  const saysNothing = isPassing(portFailure) || isOfOneProcess(failure)
  // A rejection stands until the server answers otherwise: a lost answer does not make callers renew again.
  const rejection = context.tokens?.renewalRejected && isPassing(portFailure) ? last : undefined
  // Where callers do renew again, they get what deferred them.
  const isStanding = before?.code === 'CLIENT_REJECTED' || isReplacementOwed(context)
  return {
    ...(rejection && { failure: rejection }),
    failedRenewal: {
      failure: rejection ?? deferring(portFailure),
      ...(isStanding && saysNothing && { standing: before }),
      ...nextRetry(failure, retryDelayMs, at),
      count: isPassing(portFailure) ? Math.min(count + 1, MAX_FAILED_RENEWALS) : 0,
    },
  }
}

/**
 * Records that a token request of `authorize()`, which needs no user, failed for a passing reason or was rejected, and
 * when the next one may be sent. A rejection defers only equal requests: the host may have corrected what it was for.
 */
export function withFailedRequest(context: ConnectionContext, portFailure: PortFailure, at: number): Change {
  const { failedRequest } = context
  const { failure, outcome } = portFailure
  const request = nonInteractiveRequest(context)
  if (request === undefined || isLocal(failure)) return {}
  const isRejected = !isPassing(portFailure)
  const isOfRequest = outcome === 'rejected' && !isSecretFailure(failure)
  // The next assertion may be accepted, and so may the key of another process.
  const isReproducible = (request.grant ?? 'client_credentials') === 'client_credentials' && !hasClientKey(context)
  if (isRejected && !(isOfRequest && isReproducible)) return {}
  const { issuer, client } = claimedServer(context) ?? {}
  const to = { grant: request.grant, issuer, clientId: client?.clientId }
  const fingerprint = isRejected ? request.fingerprint : undefined
  const last = { ...to, fingerprint, failure: deferring(portFailure) }
  const lastDelayMs = failedRequest?.fingerprint === fingerprint ? failedRequest?.retryDelayMs : undefined
  return { failedRequest: { ...last, ...nextRetry(failure, lastDelayMs, at) } }
}

/** The request of `authorize()` whose claim is that of a token request without a user. */
function nonInteractiveRequest({ claim: current, request }: ConnectionContext): ConnectionContext['request'] {
  return current?.kind === 'requestToken' && request?.purpose === 'authorize' ? request : undefined
}

/** The failure of a port. Another `authorize()` does not help a rejected request of it that needed no user. */
export function portFailureIn(context: ConnectionContext, event: ConnectionEvent): PortFailure {
  const portFailure = portFailureOf(event)
  const { code, details } = portFailure.failure
  if (nonInteractiveRequest(context) === undefined || code !== 'EXCHANGE_REJECTED' || details?.reason !== undefined)
    return portFailure
  return { ...portFailure, failure: { code, details: { ...details, reason: 'nonInteractiveGrant' } } }
}

/** The failure for callers that are deferred: a redirect whose outcome is unknown passes, as any other such answer. */
function deferring({ failure, outcome }: PortFailure): Failure {
  return outcome === 'unknown' && failure.code === 'TOO_MANY_REDIRECTS'
    ? { ...failure, code: 'TOKEN_OUTCOME_UNKNOWN' }
    : failure
}

/** When a failed token request may be sent again: when the server said, or else with backoff. */
export function nextRetry(
  { details: { retryAfterMs = 0 } = {} }: Failure,
  lastDelayMs: number | undefined,
  at: number,
): { retryDelayMs: number; retryAt: number } {
  const retryDelayMs = backoffMs(lastDelayMs, REFRESH_BACKOFF)
  return { retryDelayMs, retryAt: at + (retryAfterMs < MIN_RETRY_AFTER_MS ? retryDelayMs : retryAfterMs) }
}

/**
 * Expires the claim; its request is sent again under a new claim if a retry is left, unless the server asked to wait
 * longer: then it is sent as any other request that failed, once that time has elapsed.
 */
export function expireClaim(context: ConnectionContext, event: Sent<'claim.expired'>): Change {
  const { at, leaseMs } = event
  const { claim: last } = context
  const {
    claim: next,
    orphanedClaims,
    failure,
  } = withExpiredClaim(context, event, canRetry(context, at), 'TOKEN_OUTCOME_UNKNOWN')
  const deferral = isDeferred(last, at) ? { retryAt: last.retryAt, retries: last.retries + 1 } : undefined
  const details = deferral && { details: { retryAfterMs: deferral.retryAt - at } }
  const lost = { failure: { code: 'TOKEN_OUTCOME_UNKNOWN', ...details }, outcome: 'unknown' } as const
  return {
    at,
    claim: next,
    orphanedClaims,
    failure: next === undefined ? lost.failure : failure,
    ...withDeferredCode(context, deferral ?? { retryAt: at + leaseMs }),
    ...(next === undefined && withFailedRenewal(context, lost, at)),
    ...(deferral !== undefined && withFailedRequest(context, lost, at)),
    ...withConsumptionDoubt(context),
  }
}
