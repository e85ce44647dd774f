import { permittedScope } from '../../src/protocol/scopes.ts'
import { grantOffered, nonInteractiveGrant } from '../../src/protocol/token-endpoint.ts'
import type { AuthorizationRequest, ConnectionContext } from '../../src/schemas/connection-context.ts'
import type { Grant } from '../../src/schemas/grants.ts'
import { hasRetriesLeft, isDeferred, orphanedClaim } from '../record-rules.ts'
import { judgeCallback } from './callback-verdict.ts'
import type { ConnectionEvent, Done, Sent } from './events.ts'
import { isOtherIssuer } from './issuers.ts'
import {
  attemptOf,
  claimedServer,
  clearableRejection,
  hasRenewal,
  isAuthorized,
  isExchangePending,
  isPending,
  isSentTwice,
  requestedScope,
  revocationOf,
  serverOf,
  wantedGrant,
} from './selectors.ts'

export function isAcceptableCallback(context: ConnectionContext, event: ConnectionEvent): boolean {
  return 'stateHash' in event && 'at' in event && judgeCallback(context, event, event.at) === 'acceptable'
}

/** Whether the event names a stored code that was not redeemed yet. */
export function hasPendingCode(context: ConnectionContext, event: ConnectionEvent): boolean {
  if (event.type !== 'exchange.resumed') return false
  const attempt = attemptOf(context, event.stateHash)
  return attempt !== undefined && isExchangePending(attempt, event.at)
}

/** Whether the tokens are still those of the generation that the refresh was requested for. */
export function isCurrentGeneration(context: ConnectionContext, event: ConnectionEvent): boolean {
  return (
    event.type === 'refresh.requested' &&
    event.generation === context.generation &&
    hasRenewal(context.tokens, event.at)
  )
}

/**
 * Whether the event names the current tokens, and their rejection is not recorded yet; the host's replaces the
 * server's.
 */
export function isNewRejection(context: ConnectionContext, event: ConnectionEvent): boolean {
  if (event.type !== 'token.rejected' || event.generation !== context.generation) return false
  const { tokens } = context
  return tokens !== undefined && tokens.rejectedBy !== 'host' && tokens.rejectedBy !== event.by
}

/** Whether the event names the current tokens and their rejection, and a success clears that. */
export function clearsRejection(context: ConnectionContext, event: ConnectionEvent): boolean {
  if (event.type !== 'token.accepted' || event.generation !== context.generation) return false
  return event.rejection === clearableRejection(context)
}

/** Whether the authorization server of imported tokens was not discovered yet. */
export function needsDiscovery(context: ConnectionContext): boolean {
  return serverOf(context, context.tokens?.serverId) === undefined
}

/**
 * Whether this is the grant of the request, the policy allows it, and the server offers it, or publishes no list where
 * the host named the grant. Grants by assertion are used only if the host names them, whatever the server lists.
 */
export function canUseGrant(context: ConnectionContext, grant: Grant): boolean {
  const { request } = context
  if (request === undefined || wantedGrant(request) !== grant || !isGrantAllowed(request)) return false
  if (disallowedScope(context) !== undefined) return false
  if (grant === 'jwt_bearer' || grant === 'identity_assertion') return true
  const isUnlisted = request.grant === grant && request.metadata?.grantTypesSupported === undefined
  return isUnlisted || grantOffered(request.metadata ?? {}, grant)
}

/** Whether discovery found another issuer than that of the current or last tokens, and the policy refuses that. */
export function isIssuerChangeDisallowed(context: ConnectionContext, { output }: Done<'discoverServer'>): boolean {
  return context.request?.refuseIssuerChange === true && isOtherIssuer(context, output.metadata?.issuer)
}

/** Whether discovery found that the server requires no authorization. */
export function isNotRequired(event: ConnectionEvent): boolean {
  return event.type === 'xstate.done.actor.discoverServer' && event.output.metadata === undefined
}

/** Whether the grant of the request is non-interactive and can be used. */
export function canUseNonInteractiveGrant(context: ConnectionContext): boolean {
  const grant = nonInteractiveGrant(context.request && wantedGrant(context.request))
  return grant !== undefined && canUseGrant(context, grant)
}

/** Whether the policy allows the grant of the request. */
export function isGrantAllowed(request: AuthorizationRequest): boolean {
  return request.allowedGrants?.includes(wantedGrant(request)) ?? true
}

/**
 * The scope that would be requested, or else that the authorization server lists, if the policy allows none of it:
 * without a scope, the server would grant its default.
 */
export function disallowedScope(context: ConnectionContext): string | undefined {
  const { request } = context
  if (request?.allowedScopes === undefined) return undefined
  const unlimited = requestedScope({ ...context, request: { ...request, allowedScopes: undefined } })
  const scope = unlimited ?? request.metadata?.scopesSupported?.join(' ')
  return permittedScope(scope, request.allowedScopes) === undefined ? scope || undefined : undefined
}

/** Whether the request renews imported tokens by their refresh token. */
export function isRenewal(context: ConnectionContext): boolean {
  return context.request?.purpose === 'renew' && context.tokens?.refreshToken !== undefined
}

/** Whether the request of the claim may be sent once more, at this instant. */
export function canRetry(context: ConnectionContext, at: number): boolean {
  const { claim } = context
  if (!hasRetriesLeft(claim) || isDeferred(claim, at)) return false
  if (claim.kind !== 'exchange') return true
  const attempt = attemptOf(context, claim.stateHash)
  return attempt !== undefined && isPending(attempt, at)
}

/** Whether the request of the claim may be sent once more, from this instant on: some servers ask to wait longer. */
export function canRetryLater(context: ConnectionContext, at: number): boolean {
  return canRetry(context, Math.max(at, context.claim?.retryAt ?? at))
}

/**
 * Whether a result submitted after its claim had expired, or after the store had lost its claim, is still useful: no
 * newer tokens were stored. If the request may have been sent twice, the server may have revoked this result because of
 * the reuse, and nothing else: then a refresh must be able to verify it, and only a refresh of the stored tokens
 * replaces usable ones.
 */
export function isAcceptableLateResult(context: ConnectionContext, event: ConnectionEvent): boolean {
  if (event.type !== 'result.late' || event.generation !== context.generation) return false
  const claim = orphanedClaim(context, event.orphanId)
  if (claim?.disconnected || (claim === undefined && !isExpectedResult(context, event))) return false
  if (!isSentTwice(context, event)) return true
  const replacesOtherGrant = event.kind !== 'refresh' && isAuthorized(context, event.at)
  return event.tokens.refreshToken !== undefined && !replacesOtherGrant
}

/**
 * Whether the sign-in that a code was redeemed for is still pending, although the record does not have its claim. Of
 * other requests nothing in the record says that: it may have been deleted and created again.
 */
function isExpectedResult(context: ConnectionContext, { kind, attemptHash, at }: Sent<'result.late'>): boolean {
  const attempt = attemptOf(context, attemptHash)
  return kind === 'exchange' && attempt !== undefined && isPending(attempt, at)
}

/** Whether a result was submitted after its connection had been disconnected, so that it has to be revoked. */
export function isOrphanedResult(context: ConnectionContext, event: ConnectionEvent): boolean {
  if (event.type !== 'result.late' || revocationOf(context, event.orphanId) !== undefined) return false
  return orphanedClaim(context, event.orphanId)?.disconnected === true
}

/** Whether the client of the request was registered dynamically and was not replaced in this request yet. */
export function mayRegisterAgain({ request }: ConnectionContext): boolean {
  return request?.client?.source === 'dynamic' && !request.registeredAgain
}

/** Whether the claim's client signs with a private key, which is that of a process: another one may have another key. */
export function hasClientKey(context: ConnectionContext): boolean {
  return claimedServer(context)?.client.tokenEndpointAuthMethod === 'private_key_jwt'
}

/** Whether the claim's client was registered dynamically, so that another one may be registered. */
export function isClientDynamic(context: ConnectionContext): boolean {
  return claimedServer(context)?.client.source === 'dynamic'
}
