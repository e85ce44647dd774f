import { grantOffered, grantWithoutUser } from '../src/protocol/grants.ts'
import { issuerVerdict } from '../src/protocol/callback.ts'
import { challengedScope, coversScope, isTooMuchScope, permittedScope, unionScopes } from '../src/protocol/scopes.ts'
import type {
  Account,
  Attempt,
  AuthorizationRequest,
  AuthorizationServer,
  ConnectionContext,
  Grant,
} from '../src/schemas/connection-context.ts'
import type { Callback, ConnectionEvent } from './connection-events.ts'
import { isAlive, isRenewable } from './resting-place.ts'

/** How often an exchange or a refresh is repeated when nobody knows what became of it. */
const MAX_REPEATS = 1

/** The attempt that a `state` belongs to, alive or not. */
export function attemptOf(context: ConnectionContext, stateHash: string | undefined): Attempt | undefined {
  return context.attempts.find((attempt) => attempt.stateHash === stateHash)
}

/** The authorization server that an attempt or tokens belong to. */
function serverOf(context: ConnectionContext, serverId: number | undefined): AuthorizationServer | undefined {
  return context.servers.find(({ id }) => id === serverId)
}

/** What is to be said of a callback, before anything in it is believed (RFC 9207 §2.4, RFC 6749 §10.12). */
export type CallbackVerdict = 'acceptable' | 'unknown' | 'expired' | 'bindingMismatch' | 'issuerMismatch'

/** Judges a callback by the attempt that it names: is it alive, from the same browser, from the issuer that was asked? */
export function judgeCallback(context: ConnectionContext, callback: Callback, at: number): CallbackVerdict {
  const attempt = attemptOf(context, callback.stateHash)
  const server = serverOf(context, attempt?.serverId)
  if (attempt === undefined || server === undefined) return 'unknown'
  if (!isAlive(attempt, at)) return 'expired'
  if (!callback.bindingProven && attempt.bindingHash !== undefined && attempt.bindingHash !== callback.bindingHash)
    return 'bindingMismatch'
  return issuerVerdict(server, callback.iss) ? 'acceptable' : 'issuerMismatch'
}

export function isAcceptableCallback(context: ConnectionContext, event: ConnectionEvent): boolean {
  return 'stateHash' in event && 'at' in event && judgeCallback(context, event, event.at) === 'acceptable'
}

/** A code that was kept because nothing had been spent. */
export function hasKeptCode(context: ConnectionContext, event: ConnectionEvent): boolean {
  if (event.type !== 'exchange.resumed') return false
  const attempt = attemptOf(context, event.stateHash)
  return attempt?.code !== undefined && isAlive(attempt, event.at)
}

/** Whether a refresh still starts from the tokens that its asker saw. */
export function isCurrentGeneration(context: ConnectionContext, event: ConnectionEvent): boolean {
  return (
    event.type === 'refresh.requested' &&
    event.generation === context.generation &&
    isRenewable(context.tokens, event.at)
  )
}

/** Whose tokens the connection holds or held; records of older releases know it of the tokens alone. */
export function accountOf({ account, tokens, servers }: ConnectionContext): Account | undefined {
  const issuer = servers.find(({ id }) => id === tokens?.serverId)?.issuer
  const { subject } = tokens ?? {}
  return account ?? (subject !== undefined && issuer !== undefined ? { issuer, subject } : undefined)
}

/** Imported tokens whose authorization server nobody has looked for yet. */
export function needsDiscovery(context: ConnectionContext): boolean {
  return serverOf(context, context.tokens?.serverId) === undefined
}

/**
 * The grant that this authorization goes by: the caller's, or else the first of ours that the server offers (RFC 8414
 * §2: authorization code where it says nothing).
 */
export function wantedGrant(request: AuthorizationRequest): Grant {
  if (request.grant !== undefined) return request.grant
  const { metadata = {} } = request
  return grantOffered(metadata, 'authorization_code') || !grantOffered(metadata, 'client_credentials')
    ? 'authorization_code'
    : 'client_credentials'
}

/**
 * Whether this is the wanted grant, the policy allows it, and the server offers it or, where the host insists, says
 * nothing against it. Grants by assertion are never chosen by us: for a host that names one, what a server lists is
 * advice.
 */
export function canUseGrant(context: ConnectionContext, grant: Grant): boolean {
  const { request } = context
  if (request === undefined || wantedGrant(request) !== grant || !isGrantAllowed(request)) return false
  if (grant === 'jwt_bearer' || grant === 'identity_assertion') return true
  const isAskedForInSilence = request.grant === grant && request.metadata?.grantTypesSupported === undefined
  return isAskedForInSilence || grantOffered(request.metadata ?? {}, grant)
}

/** Whether the wanted grant needs no user, and can be used. */
export function canUseGrantWithoutUser(context: ConnectionContext): boolean {
  const grant = grantWithoutUser(context.request && wantedGrant(context.request))
  return grant !== undefined && canUseGrant(context, grant)
}

/** How long a round of asking for more scope counts, in milliseconds. */
export const STEP_UP_TTL_MS = 86_400_000

/**
 * Whether a server insists on scope that was granted already, or does not say on which: the same authorization once
 * more cannot help.
 */
export function asksForNothingNew(context: ConnectionContext, event: ConnectionEvent): boolean {
  if (event.type !== 'challenge.insufficientScope') return false
  const { scope, challengeScope, allowedScopes } = event.request
  const wanted = permittedScope(unionScopes(scope, challengedScope(challengeScope)), allowedScopes)
  return coversScope(context.tokens?.scope, wanted)
}

/**
 * Which round of asking for this scope comes next. An attempt for it that still waits is the same round: many callers
 * may have met the same challenge.
 */
export function stepUpRound(context: ConnectionContext, scope: string, at: number): number {
  const before = context.stepUps?.find((round) => round.scope === scope && at - round.at < STEP_UP_TTL_MS)
  if (before === undefined) return 1
  const isWaitedFor = context.attempts.some((attempt) => isAlive(attempt, at) && coversScope(attempt.scope, scope))
  return isWaitedFor ? before.rounds : before.rounds + 1
}

/** Whether the same scope was asked for as often as the policy allows, or it would be more than anybody means. */
export function isStepUpExhausted(context: ConnectionContext, event: ConnectionEvent): boolean {
  if (event.type !== 'challenge.insufficientScope') return false
  const { scope, challengeScope, maxStepUps = Infinity } = event.request
  const wanted = challengedScope(challengeScope) ?? ''
  const { requestedScope, scope: granted } = context.tokens ?? {}
  if (isTooMuchScope(unionScopes(unionScopes(scope, wanted), unionScopes(requestedScope, granted)))) return true
  return stepUpRound(context, wanted, event.at) > maxStepUps
}

/** Whether the policy of the deployment allows the wanted grant. */
export function isGrantAllowed(request: AuthorizationRequest): boolean {
  return request.allowedGrants?.includes(wantedGrant(request)) ?? true
}

/** A renewal of imported tokens, by the refresh token that came with them. */
export function isRenewal(context: ConnectionContext): boolean {
  return context.request?.purpose === 'renew' && context.tokens?.refreshToken !== undefined
}

/** Whether a `claim.abandoned` names the claim that stands. */
export function isThisClaim(context: ConnectionContext, event: ConnectionEvent): boolean {
  return event.type === 'claim.abandoned' && event.abandonedId === context.claim?.id
}

/** Whether what the claim spends may be tried once more. */
export function mayRepeat(context: ConnectionContext, at: number): boolean {
  const { claim } = context
  if (claim === undefined || claim.repeats >= MAX_REPEATS) return false
  if (claim.kind !== 'exchange') return true
  const attempt = attemptOf(context, claim.stateHash)
  return attempt !== undefined && isAlive(attempt, at)
}

/**
 * Whether a result that came after its claim was given up is still wanted: no newer tokens stand. If the claim was
 * repeated, the server may have answered the repeat by revoking this very result, so it must be possible to prove it.
 */
export function isWantedResult(context: ConnectionContext, event: ConnectionEvent): boolean {
  if (event.type !== 'result.late' || event.generation !== context.generation) return false
  const claim = context.abandoned.find(({ id }) => id === event.abandonedId)
  return claim !== undefined && (!claim.repeated || event.tokens.refreshToken !== undefined)
}

/** A result that came after its claim was given up and the connection disconnected: it has to be revoked as well. */
export function isOrphanedResult(context: ConnectionContext, event: ConnectionEvent): boolean {
  if (event.type !== 'result.late' || context.tokens !== undefined || context.lapsed) return false
  return event.generation < context.generation && context.abandoned.some(({ id }) => id === event.abandonedId)
}

/** Whether the client of the request was registered by us, and was not registered anew under this request already. */
export function mayRegisterAgain({ request }: ConnectionContext): boolean {
  return request?.client?.source === 'dynamic' && !request.registeredAgain
}

/** Whether the claim's client was registered by us, so that we may register again. */
export function isClientDynamic(context: ConnectionContext): boolean {
  return claimedServer(context)?.client.source === 'dynamic'
}

/** The authorization server that the claim in progress spends at. */
export function claimedServer(context: ConnectionContext): AuthorizationServer | undefined {
  const { claim, tokens } = context
  return serverOf(context, claim?.serverId ?? attemptOf(context, claim?.stateHash)?.serverId ?? tokens?.serverId)
}
