import { coversScope, permittedScope, selectScope } from '../../src/protocol/scopes.ts'
import { grantOffered, nonInteractiveGrant } from '../../src/protocol/token-endpoint.ts'
import type {
  Account,
  Attempt,
  AuthorizationRequest,
  ConnectionContext,
  ConnectionState,
  ReceivedChallenge,
  Revocation,
  RestingState,
} from '../../src/schemas/connection-context.ts'
import type { AuthorizationServer, Tokens } from '../../src/schemas/credentials.ts'
import type { Grant } from '../../src/schemas/grants.ts'
import { assertDefined } from '../assert.ts'
import { CALLBACK_WAIT_MS, MAX_REPLACEMENTS, REPLACEMENT_TRIAL_MS, SERVER_ANSWER_TTL_MS } from '../limits.ts'
import { isSecretExpired, orphanedClaim } from '../record-rules.ts'
import { isClientSuspect, isOfOneProcess, isSecretFailure, mayPass } from '../rejection.ts'
import type { Sent } from './events.ts'

/** Whether an access token has not expired at `at`, with `minTtlMs` of its lifetime left, although a server rejected it. */
export function isTriable(tokens: Tokens | undefined, at: number, minTtlMs = 0): tokens is Tokens {
  if (tokens === undefined || tokens.unverified) return false
  return tokens.expiresAt === undefined || tokens.expiresAt - at > minTtlMs
}

/**
 * Whether an access token can be used at `at`, with `minTtlMs` of its lifetime left. A token without an expiry is
 * usable until a server rejects it.
 */
export function isUsable(tokens: Tokens | undefined, at: number, minTtlMs = 0): tokens is Tokens {
  return isTriable(tokens, at, minTtlMs) && tokens.rejectedBy === undefined
}

/** Whether the grant can be requested again without a refresh token: every non-interactive one. */
export function isReRequestable({ grant }: Tokens): boolean {
  return nonInteractiveGrant(grant) !== undefined
}

/**
 * Whether callers can obtain new tokens without the user. Not if the last renewal was rejected, or if the server
 * rejected the tokens and no renewal helped: then only `wake()` renews.
 */
export function isRenewable(context: ConnectionContext, at: number): boolean {
  const tokens = tokensOf(context)
  if (!hasRenewal(tokens, at)) return false
  return tokens.rejectedBy === undefined ? !tokens.renewalRejected : isReplacementOwed(context)
}

/**
 * Whether the renewal of rejected tokens failed for a reason that does not pass by itself, and not because it was
 * rejected: once that is corrected, a renewal may replace them.
 */
export function isReplacementOwed({ tokens, failedRenewal }: ConnectionContext): boolean {
  if (tokens?.rejectedBy === undefined || tokens.renewalRejected) return false
  if (failedRenewal === undefined) return false
  const { count, standing, failure } = failedRenewal
  return standing !== undefined || (count === 0 && !mayPass(failure))
}

/** Whether new tokens can be requested without the user: by a refresh token, or by a non-interactive grant. */
export function hasRenewal(tokens: Tokens | undefined, at: number): tokens is Tokens {
  if (tokens === undefined || tokens.refreshTokenRejected) return false
  if (isReRequestable(tokens)) return true
  const { refreshToken, refreshTokenExpiresAt } = tokens
  return refreshToken !== undefined && (refreshTokenExpiresAt === undefined || refreshTokenExpiresAt > at)
}

/** Whether the current operation renews the tokens, other than a sign-in or the grant of an `authorize()` call. */
export function isRenewing({ claim, request }: ConnectionContext): boolean {
  if (claim === undefined) return request?.purpose === 'renew'
  return claim.kind === 'refresh' || (claim.kind === 'requestToken' && request?.purpose !== 'authorize')
}

/**
 * Whether the request of a late result may have been sent twice: its claim was retried, or another process used the
 * same refresh token, which the server has rejected since.
 */
export function isSentTwice(context: ConnectionContext, { orphanId, kind }: Sent<'result.late'>): boolean {
  const { tokens } = context
  const isReplaced = kind === 'refresh' && (tokens === undefined || tokens.refreshTokenRejected === true)
  return isReplaced || orphanedClaim(context, orphanId)?.retried === true
}

/** Whether the tokens have just replaced rejected ones: if the server rejects them as well, renewals do not help. */
export function isOnTrial(tokens: Tokens | undefined, at: number, trialMs = REPLACEMENT_TRIAL_MS): boolean {
  const { replacedRejectedAt } = tokens ?? {}
  return replacedRejectedAt !== undefined && at - replacedRejectedAt < trialMs
}

/** Whether so many tokens in a row were rejected soon after they replaced one another that no other will help. */
export function isReplacedTooOften(tokens: Tokens | undefined, at: number, trialMs?: number): boolean {
  return isOnTrial(tokens, at, trialMs) && (tokens?.replacements ?? 0) >= MAX_REPLACEMENTS
}

/** Whether the stored challenge is about the current token itself, and not about scope or authentication. */
export function isTokenDoubted({ challenge, generation, tokens }: ConnectionContext): boolean {
  if (challenge?.generation !== generation || tokens === undefined) return false
  const { error, scope } = challenge
  if (error === 'insufficient_scope' || error === 'insufficient_user_authentication') return false
  return error === 'invalid_token' || coversScope(tokens.scope, scope)
}

/**
 * The rejection of the tokens that a success of the server clears, by when it was recorded: none where the host
 * rejected them, and none where the server answers requests without a token as well.
 */
export function clearableRejection(context: ConnectionContext): number | undefined {
  const { tokens, challenge, servesWithoutToken } = context
  if (tokens?.rejectedBy === 'host' || servesWithoutToken) return undefined
  if (tokens?.rejectedBy === 'server') return tokens.rejectedAt ?? 0
  return isTokenDoubted(context) ? challenge?.at : undefined
}

/** Whether a callback for this attempt can still be redeemed. */
export function isPending(attempt: Attempt, at: number): boolean {
  return attempt.expiresAt > at
}

/** Until when an attempt is retained: without a code, some time longer than it is pending, for a callback that waits. */
export function retainedUntil({ code, expiresAt }: Attempt): number {
  return code === undefined ? expiresAt + CALLBACK_WAIT_MS : expiresAt
}

/**
 * The resting state that follows from the context alone. The chart settles in it; a reader passes a later `at`, so that
 * what has expired since then counts.
 */
export function restingState(context: ConnectionContext, at: number = context.at): RestingState {
  const { tokens } = context
  if (!tokens?.refreshTokenRejected && isAuthorized(context, at)) return 'authorized'
  if (context.attempts.some((attempt) => isPending(attempt, at))) return 'awaitingCallback'
  // A connection that needs no token needs no sign-in either, whatever failed since that was found.
  if (isTokenless(context, at) && isNotRequired(context, at)) return 'disconnected'
  if (context.reauthorizationRequired || tokens !== undefined) return 'reauthorizationRequired'
  return context.failure === undefined ? 'disconnected' : 'failed'
}

/** The last challenge of the server, if it is not older than a day and no tokens were stored since. */
export function currentChallenge(
  { challenge, generation }: ConnectionContext,
  at: number,
): ReceivedChallenge | undefined {
  const isCurrent = challenge?.generation === generation && at - challenge.at < SERVER_ANSWER_TTL_MS
  return isCurrent ? challenge : undefined
}

/** Whether the server was found to require no authorization within the last day. */
export function isNotRequired({ notRequiredAt = -Infinity }: ConnectionContext, at: number): boolean {
  return at - notRequiredAt < SERVER_ANSWER_TTL_MS
}

/**
 * Whether there are no tokens. Where the server requires no authorization, those that are over, and that no caller can
 * renew, count as none.
 */
export function isTokenless(context: ConnectionContext, at: number): boolean {
  const { tokens } = context
  if (tokens === undefined) return true
  return isNotRequired(context, at) && !isTriable(tokens, at) && !isAuthorized(context, at)
}

/**
 * Whether requests are sent without a token: the connection never had one and is about to obtain none, or the server
 * requires none.
 */
export function isFirstContact(context: ConnectionContext, at: number): boolean {
  const isPossible = context.generation === 0 || isNotRequired(context, at)
  return isPossible && isTokenless(context, at) && !isClaimed(context) && pendingExchange(context, at) === undefined
}

/** The attempt that a `state` belongs to, pending or expired. */
export function attemptOf(context: ConnectionContext, stateHash: string | undefined): Attempt | undefined {
  return context.attempts.find((attempt) => attempt.stateHash === stateHash)
}

/**
 * Whether the attempt that ended last ran out or was denied, or the server rejected its code, and no tokens were
 * obtained since. One that expired may still be among those that await their callback.
 */
export function hasUnfinishedAttempt({ at, attempts, endedAttempts, tokens }: ConnectionContext): boolean {
  const { outcome, endedAt = 0, failure } = endedAttempts.at(-1) ?? {}
  const isUnfinished = outcome === 'expired' || outcome === 'denied' || isClientSuspect(failure)
  const expired = attempts.filter((attempt) => attempt.code === undefined && !isPending(attempt, at))
  const expiredAt = expired.map(({ expiresAt }) => expiresAt)
  const unfinishedAt = isUnfinished ? endedAt : -Infinity
  const lastAt = Math.max(unfinishedAt, ...expiredAt)
  const { expiresAt = 0, lifetimeMs = expiresAt } = tokens ?? {}
  return lastAt >= endedAt && lastAt > expiresAt - lifetimeMs
}

/** The authorization server that an attempt or tokens belong to. */
export function serverOf(context: ConnectionContext, serverId: number | undefined): AuthorizationServer | undefined {
  return context.servers.find(({ id }) => id === serverId)
}

/** Whether tokens are stored that were imported, and whose authorization server was not discovered yet. */
export function isUndiscovered({ tokens }: ConnectionContext): boolean {
  return tokens !== undefined && tokens.serverId === undefined
}

/** The authorization server that receives the request of the current claim. */
export function claimedServer(context: ConnectionContext): AuthorizationServer | undefined {
  const { claim, tokens } = context
  return serverOf(context, claim?.serverId ?? attemptOf(context, claim?.stateHash)?.serverId ?? tokens?.serverId)
}

/** The authorization servers that the tokens, the attempts or the claim refer to. */
export function serversInUse({ servers, tokens, attempts, claim }: ConnectionContext): AuthorizationServer[] {
  const used = new Set([tokens?.serverId, claim?.serverId, ...attempts.map(({ serverId }) => serverId)])
  return servers.filter(({ id }) => used.has(id))
}

/** The revocation with this id. */
export function revocationOf({ revocations }: ConnectionContext, id: string | undefined): Revocation | undefined {
  return revocations?.find((revocation) => revocation.id === id)
}

/** The revocation that the current claim attempts. */
export function claimedRevocation(context: ConnectionContext): Revocation | undefined {
  return revocationOf(context, context.claim?.revocationId)
}

/** Whether a process has claimed a request that callers wait for. A revocation concerns none of them. */
export function isClaimed({ claim }: ConnectionContext): boolean {
  return claim !== undefined && claim.kind !== 'disconnect'
}

/** The account of the current or last tokens. */
export function accountOf({ account, tokens, servers }: ConnectionContext): Account | undefined {
  const issuer = servers.find(({ id }) => id === tokens?.serverId)?.issuer
  const { subject } = tokens ?? {}
  return account ?? (subject !== undefined && issuer !== undefined ? { issuer, subject } : undefined)
}

/**
 * The grant of this authorization: the caller's, or the first of ours that the server offers (RFC 8414 §2:
 * authorization code where it publishes no list).
 */
export function wantedGrant(request: AuthorizationRequest): Grant {
  if (request.grant !== undefined) return request.grant
  const { metadata = {} } = request
  return grantOffered(metadata, 'authorization_code') || !grantOffered(metadata, 'client_credentials')
    ? 'authorization_code'
    : 'client_credentials'
}

/** The scope to request. */
export function requestedScope(context: ConnectionContext): string | undefined {
  const request = assertDefined(context.request, 'a request')
  const { allowedScopes } = request
  const scope = selectScope({
    requested: request.scope,
    challenge: request.challengeScope,
    client: request.client?.scope,
    resource: request.resource?.scopesSupported,
    fallback: request.defaultScope,
    server: request.metadata?.scopesSupported,
    offlineScope: request.metadata?.facts?.offlineScope,
    grant: wantedGrant(request),
  })
  return permittedScope(scope, allowedScopes)
}

/** The further parameters of a non-interactive token request: the caller's, or at a renewal those of the last one. */
export function tokenParameters({ request, tokens }: ConnectionContext): Record<string, string> | undefined {
  return request === undefined ? tokens?.parameters : request.parameters
}

const CLAIM_STATES = {
  exchange: 'exchanging',
  refresh: 'refreshing',
  requestToken: 'requestingToken',
  disconnect: 'disconnecting',
} as const

/**
 * The state of a connection at `at`: that of its claim, or else its resting state. A revocation beside a new sign-in is
 * none of its states.
 */
export function stateOf(context: ConnectionContext, at: number): ConnectionState {
  const kind = context.claim?.kind
  const resting = restingState(context, at)
  const isBeside = kind === 'disconnect' && resting !== 'disconnected'
  return kind === undefined || kind === 'register' || isBeside ? resting : CLAIM_STATES[kind]
}

/** The stored tokens, unless a process that was replaced by this release was revoking them. */
export function tokensOf(context: ConnectionContext | undefined): Tokens | undefined {
  const { kind, revocationId } = context?.claim ?? {}
  return kind === 'disconnect' && revocationId === undefined ? undefined : context?.tokens
}

/**
 * The remaining lifetime below which a token is refreshed: the policy's `minTokenTtlMs`, at most a quarter of the
 * token's lifetime.
 */
export function marginMs(tokens: Tokens, minTokenTtlMs: number): number {
  return Math.min(minTokenTtlMs, (tokens.lifetimeMs ?? Infinity) / 4)
}

/**
 * The remaining lifetime below which a token is refreshed for a caller that requires `minTtlMs`. No token has as much
 * left as its whole lifetime: for a caller that requires that or more, a token is refreshed after a quarter of it, and
 * not by each call.
 */
export function requiredTtlMs(lifetimeMs: number | undefined, minTtlMs: number): number {
  return lifetimeMs !== undefined && minTtlMs >= lifetimeMs ? (lifetimeMs / 4) * 3 : minTtlMs
}

/** Whether the access token may be used without a refresh. */
export function isFresh(
  tokens: Tokens | undefined,
  at: number,
  minTtlMs: number,
  rejectedToken: string | undefined,
): tokens is Tokens {
  return tokens !== undefined && tokens.accessToken !== rejectedToken && isUsable(tokens, at, minTtlMs)
}

/** Whether the code of an attempt is stored and can still be redeemed. */
export function isExchangePending(attempt: Attempt, at: number): boolean {
  return attempt.code !== undefined && isPending(attempt, at)
}

/** When a retained code may be sent again; 0: at once. Earlier releases stored that once for all codes. */
function resumableAt(context: ConnectionContext, { retryAt = 0 }: Attempt): number {
  return Math.max(retryAt, context.retryAt ?? 0)
}

/** The attempt whose code is stored and can still be redeemed; of several, the one that may be sent again first. */
export function pendingExchange(context: ConnectionContext, at: number): Attempt | undefined {
  const pending = context.attempts.filter((attempt) => isExchangePending(attempt, at))
  return pending.toSorted((a, b) => resumableAt(context, a) - resumableAt(context, b))[0]
}

/** When a retained code is sent again: once the backoff after its last failure has elapsed; `undefined` without one. */
export function exchangeDueAt(context: ConnectionContext, at: number): number | undefined {
  const attempt = pendingExchange(context, at)
  return attempt && (resumableAt(context, attempt) || at)
}

/** Whether an access token can be obtained without the user, by what the last renewal found. */
export function isAuthorized(context: ConnectionContext, at: number): boolean {
  const isHindered = isClientExpired(context, at) || isRenewalHindered(context)
  return isUsable(tokensOf(context), at) || (isRenewable(context, at) && !isHindered)
}

/**
 * Whether the last renewal was rejected, or could not be sent, for a reason that does not pass by itself, and that
 * stands in every process. Callers may renew nevertheless: the host may have corrected it.
 */
function isRenewalHindered({ tokens, failedRenewal }: ConnectionContext): boolean {
  if (failedRenewal === undefined) return false
  const { failure, standing = failure, count } = failedRenewal
  if (mayPass(standing) || isOfOneProcess(standing)) return false
  return count === 0 || standing.code === 'CLIENT_REJECTED' || tokens?.rejectedBy !== undefined
}

/** Whether callers renew the tokens now. */
export function canRenew(context: ConnectionContext, at: number): boolean {
  return isRenewable(context, at) && isRenewalScheduled(context, at)
}

/** Whether tokens are renewed: not once a renewal found that the secret of their client, in the record, has expired. */
export function isRenewalScheduled(context: ConnectionContext, at: number): boolean {
  if (!hasRenewal(tokensOf(context), at)) return false
  return !(isClientExpired(context, at) && isSecretFailure(context.failedRenewal?.failure))
}

/** Whether the secret of the client that the tokens were issued to has expired, so that no renewal can be sent. */
function isClientExpired(context: ConnectionContext, at: number): boolean {
  const server = serverOf(context, context.tokens?.serverId)
  return server !== undefined && isSecretExpired(server.client, at)
}

/**
 * How long callers must not renew again after a failed renewal, in milliseconds: as long as the server said in
 * `Retry-After`, or else with backoff.
 *
 * @see [RFC 9110 §10.2.3](https://www.rfc-editor.org/rfc/rfc9110.html#section-10.2.3)
 */
export function backoffLeftMs({ failedRenewal }: ConnectionContext, at: number): number {
  return Math.max(0, (failedRenewal?.retryAt ?? 0) - at)
}
