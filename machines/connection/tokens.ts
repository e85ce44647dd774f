import type { Failure } from '../../src/errors/failure.ts'
import { sameIssuer } from '../../src/protocol/same-issuer.ts'
import type { ConnectionContext, EndedAttempt, Revocation } from '../../src/schemas/connection-context.ts'
import type { AuthorizationServer, ClientInformation, Tokens } from '../../src/schemas/credentials.ts'
import { assertDefined } from '../assert.ts'
import { ENDED_ATTEMPT_TTL_MS, MAX_REPLACEMENTS, REVOCATION_TTL_MS, USER_TRIAL_MS } from '../limits.ts'
import type { TokenResult } from '../ports.ts'
import { isLocal, isSecretFailure, portFailureOf } from '../rejection.ts'
import { denial, end, finishAttempts } from './attempts.ts'
import { nextRetry, portFailureIn, withDeferredCode, withFailedRenewal, withFailedRequest } from './claims.ts'
import type { Change, ConnectionEvent, Sent } from './events.ts'
import { recordChallenge, rejectedClient, withServer } from './request.ts'
import { issuerOfTokens, withIssuerOfLast, withLastIssuer } from './issuers.ts'
import {
  accountOf,
  attemptOf,
  claimedServer,
  currentChallenge,
  isNotRequired,
  isOnTrial,
  isRenewing,
  isReplacementOwed,
  isSentTwice,
  isTokenDoubted,
  isTriable,
  requestedScope,
  retainedUntil,
  serversInUse,
  tokenParameters,
} from './selectors.ts'
import { remainingStepUps, withoutRound } from './step-up.ts'

/** The record clock of an event: commands contain it, and the results and failures of ports. */
export function readClock(context: ConnectionContext, event: ConnectionEvent): number {
  if ('at' in event) return event.at
  return 'output' in event ? event.output.at : (portFailureOf(event).at ?? context.at)
}

/** Stores the tokens of a token response. Without a refresh token in it, the old one is retained (RFC 6749 §6). */
export function storeTokens(context: ConnectionContext, output: TokenResult): Change {
  const { claim, tokens: old } = context
  const attempt = attemptOf(context, claim?.stateHash)
  const isRefresh = claim?.kind === 'refresh'
  const isOwed = isRenewing(context) && isReplacementOwed(context)
  const asked = isRefresh ? old?.requestedScope : (attempt ?? claim)?.scope
  const tokens: Tokens = {
    accessToken: output.accessToken,
    tokenType: output.tokenType,
    scope: output.scope ?? (isRefresh ? old?.scope : asked),
    isScopePartial:
      output.isScopePartial ?? (isRefresh && output.scope === undefined ? old?.isScopePartial : undefined),
    requestedScope: asked,
    parameters: claim?.kind === 'requestToken' ? tokenParameters(context) : undefined,
    // Computed from before the request was sent: `context.at` is when its claim was stored.
    expiresAt: output.expiresInMs === undefined ? undefined : context.at + output.expiresInMs,
    lifetimeMs: output.expiresInMs,
    refreshToken: output.refreshToken ?? (isRefresh ? old?.refreshToken : undefined),
    refreshTokenExpiresAt:
      output.refreshTokenExpiresInMs === undefined
        ? isRefresh && output.refreshToken === undefined
          ? old?.refreshTokenExpiresAt
          : undefined
        : context.at + output.refreshTokenExpiresInMs,
    grant: isRefresh
      ? assertDefined(old, 'tokens').grant
      : attempt
        ? 'authorization_code'
        : (claim?.grant ?? 'client_credentials'),
    serverId: claimedServer(context)?.id,
    subject: output.subject ?? (isRefresh ? old?.subject : undefined),
    ...((claim?.afterRejection || isOwed) && {
      replacedRejectedAt: output.at,
      replacements: replacementsOf(context, output.at),
    }),
    signedInAfterRejection: isRenewing(context)
      ? old?.signedInAfterRejection
      : attempt && rejectionsBefore(context, output.at),
    // After a renewal that did not help, only a success shows that this one did, whoever rejected the tokens before;
    // where a success shows nothing, new tokens are trusted.
    ...(isRenewing(context) &&
      !isOwed &&
      old?.rejectedBy !== undefined &&
      !context.servesWithoutToken && { rejectedBy: 'server' as const, rejectedAt: output.at }),
    dpopKey: output.dpopKey,
  }
  return {
    ...signedIn(context, tokens, output.at),
    ...(output.client && { servers: withClient(context, output.client) }),
    // A renewal says nothing about a code that the server asked to be sent later.
    ...(isRenewing(context) && { retryAt: context.retryAt, retryDelayMs: context.retryDelayMs }),
    ...(attempt && { ...finishAttempts(context, attempt, tokens, output.at), ...withClientOfSignIn(context, output) }),
    ...(attempt && { account: attempt.refuseAccountChange && newAccount(context, tokens) }),
  }
}

/** The client that the host provided for a sign-in that succeeded is that of the next one. */
function withClientOfSignIn(context: ConnectionContext, output: TokenResult): Change {
  const client = output.client ?? assertDefined(claimedServer(context), 'a server').client
  if (client.source !== 'provided') return {}
  return { imported: { clientInformation: client, issuer: client.issuer, discovered: true } }
}

/** The servers, with another client at the server of the claim. */
function withClient(context: ConnectionContext, client: ClientInformation): AuthorizationServer[] {
  const id = claimedServer(context)?.id
  return context.servers.map((server) => (server.id === id ? { ...server, client } : server))
}

/**
 * How many tokens in a row, with the new ones, replaced rejected ones. If a renewal did not help, and neither does the
 * request of `authorize()`, whose server was discovered anew, no other request will.
 */
function replacementsOf(context: ConnectionContext, at: number): number {
  if (!isOnTrial(context.tokens, at)) return 1
  const { replacements = 0 } = assertDefined(context.tokens, 'tokens')
  return isRenewing(context) ? replacements + 1 : MAX_REPLACEMENTS
}

/** How many tokens in a row were rejected up to a sign-in, each soon after the one before; none if it replaces no such. */
function rejectionsBefore({ tokens: old }: ConnectionContext, at: number): Tokens['signedInAfterRejection'] {
  if (old?.rejectedBy === undefined) return undefined
  const { signedInAfterRejection: last, rejectedAt = at } = old
  const before = last !== undefined && rejectedAt - last.at < USER_TRIAL_MS ? last.rejections : 0
  // A renewal did not help either.
  return { at, rejections: before + (isOnTrial(old, rejectedAt) ? 2 : 1) }
}

/** The account is stored separately from its tokens only for `refuseAccountChange`. */
function newAccount(context: ConnectionContext, tokens: Tokens): ConnectionContext['account'] {
  return accountOf({ ...context, account: undefined, tokens }) ?? accountOf(context)
}

/** The changes whenever tokens are stored. */
function signedIn(context: ConnectionContext, tokens: Tokens, at: number): Change {
  return {
    at,
    tokens,
    generation: context.generation + 1,
    ...withIssuerOfLast(context, context.generation + 1),
    failure: undefined,
    retryAt: undefined,
    retryDelayMs: undefined,
    failedRenewal: undefined,
    failedRequest: undefined,
    reauthorizationRequired: undefined,
    challenge: undefined,
    notRequiredAt: undefined,
    invalidScope: undefined,
    stepUps: remainingStepUps(context, tokens),
  }
}

/** Stores tokens submitted without a claim. If their request may have been sent twice, a refresh has to verify them. */
export function acceptLateResult(context: ConnectionContext, event: Sent<'result.late'>): Change {
  const { id: _, ...entry } = event.server
  const servers = withServer(context.servers, entry)
  const { unverified: _old, ...tokens } = event.tokens
  const taken: Tokens = {
    ...tokens,
    serverId: servers.at(-1)?.id,
    ...(isSentTwice(context, event) && { unverified: true as const }),
  }
  return { servers, ...signedIn(context, taken, event.at), ...finishLate(context, event, taken) }
}

/** Ends the attempt of a late exchange as authorized, so that its code is not sent again. */
function finishLate(context: ConnectionContext, { attemptHash, at }: Sent<'result.late'>, tokens: Tokens): Change {
  const attempt = attemptOf(context, attemptHash)
  if (attempt !== undefined) return finishAttempts(context, attempt, tokens, at)
  const succeeded = (ended: EndedAttempt): EndedAttempt =>
    ended.stateHash === attemptHash ? { ...ended, outcome: 'authorized', failure: undefined } : ended
  return { endedAttempts: context.endedAttempts.map(succeeded) }
}

/**
 * Stores imported credentials; without an issuer, that of the stored tokens or the first discovery binds them to one. A
 * client that is bound has its new secret everywhere: the old one may be what the last failure is about.
 */
export function importCredentials(context: ConnectionContext, event: Sent<'credentials.imported'>): Change {
  const { at, tokens } = event
  // A client and its tokens may be imported one after the other, and belong to the issuer of what they replace.
  const { imported: before } = context
  const { clientInformation: client = before?.clientInformation } = event
  const issuer = event.issuer ?? issuerOfTokens(context) ?? before?.issuer ?? (client?.issuer || undefined)
  const clientInformation = client?.issuer === '' && issuer !== undefined ? { ...client, issuer } : client
  const isSame =
    event.clientInformation === undefined ||
    (client?.clientId === before?.clientInformation?.clientId && issuer === before?.issuer)
  const imported = { clientInformation, issuer, ...(isSame && { discovered: before?.discovered }) }
  const renewed = event.clientInformation &&
    clientInformation && { failedRequest: undefined, ...withSecretOf(context, clientInformation, at) }
  return tokens === undefined
    ? { at, imported, ...renewed }
    : { ...renewed, ...signedIn(context, tokens, at), imported, importedToken: event.importedToken }
}

/** The changes for the new secret of a client of the host: wherever the record has that client at its issuer. */
function withSecretOf(
  context: ConnectionContext,
  { issuer, clientId, clientSecret, clientSecretExpiresAt }: ClientInformation,
  at: number,
): Change {
  if (clientSecret === undefined) return {}
  const isSame = ({ client, ...server }: Omit<AuthorizationServer, 'id'>): boolean =>
    client.clientId === clientId &&
    (client.source === 'provided' || client.source === 'configured') &&
    (sameIssuer(server.issuer, issuer) || server.announcedIssuer === issuer)
  const renew = <Server extends Omit<AuthorizationServer, 'id'>>(server: Server): Server =>
    isSame(server) ? { ...server, client: { ...server.client, clientSecret, clientSecretExpiresAt } } : server
  const renewPending = (revocation: Revocation): Revocation =>
    revocation.pending
      ? { ...revocation, pending: { ...revocation.pending, server: renew(revocation.pending.server) } }
      : revocation
  const { servers, revocations, failure } = context
  return {
    servers: servers.map(renew),
    revocations: revocations?.map(renewPending),
    ...(servers.some(isSame) && {
      failure: isOfClient(failure) ? undefined : failure,
      failedRenewal: withoutClientFailure(context, at),
    }),
  }
}

/** The failed renewal without what is about the client; tokens that a server rejected still have to be replaced. */
function withoutClientFailure({ tokens, failedRenewal }: ConnectionContext, at: number): Change['failedRenewal'] {
  if (failedRenewal === undefined) return undefined
  const { standing, ...rest } = failedRenewal
  const isEnded = isOfClient(rest.failure)
  if (tokens?.rejectedBy !== undefined) return isEnded ? { ...rest, retryAt: at } : failedRenewal
  if (isEnded) return undefined
  return isOfClient(standing) ? rest : failedRenewal
}

/** Whether a failure is about the client, so that another secret may resolve it. */
function isOfClient(failure: Failure | undefined): boolean {
  return failure?.code === 'CLIENT_REJECTED' || failure?.code === 'CLIENT_INFORMATION_REQUIRED'
}

/** Records the failure of a port. Deletes nothing. */
export function recordFailure(context: ConnectionContext, event: ConnectionEvent): Change {
  const portFailure = portFailureIn(context, event)
  const { failure } = portFailure
  // A request may have taken as long as its time-out: the backoff begins after it.
  const at = readClock(context, event)
  const lastDelayMs = attemptOf(context, context.claim?.stateHash)?.retryDelayMs
  return {
    at,
    failure,
    ...withDenial(context, failure),
    // A code that is still valid is sent again.
    ...withDeferredCode(context, { failure, ...(!isLocal(failure) && nextRetry(failure, lastDelayMs, at)) }),
    ...withFailedRenewal(context, portFailure, at),
    ...withFailedRequest(context, portFailure, at),
    ...(context.claim === undefined && { stepUps: withoutRound(context) }),
  }
}

/** A pushed authorization request may be denied before the user is redirected. */
function withDenial(context: ConnectionContext, failure: Failure): Change {
  if (failure.code !== 'AUTHORIZATION_DENIED') return {}
  const { client } = assertDefined(context.request, 'a request')
  return denial(context, failure, client, requestedScope(context))
}

/** Records that the server rejected the renewal; the credential it used is retained, and only `wake()` tries it again. */
export function markRenewalRejected({ tokens }: ConnectionContext): Change {
  return { tokens: { ...assertDefined(tokens, 'tokens'), renewalRejected: true } }
}

/** Ends the renewals of tokens whose last one had more scope than the policy allows. Another token would as well. */
export function endRenewal(context: ConnectionContext): Change {
  const failure = assertDefined(context.failure, 'a failure')
  return {
    ...withFailedRenewal(context, { failure, outcome: 'rejected' }, context.at),
    ...(isRenewing(context) && markRenewalRejected(context)),
  }
}

/** Records that the access token was rejected and that no renewal helped, with the challenge of the server. */
export function recordRejection({ tokens }: ConnectionContext, event: Sent<'token.rejected'>): Change {
  const { at, by } = event
  const rejected = { ...assertDefined(tokens, 'tokens'), rejectedBy: by, rejectedAt: at }
  return { ...recordChallenge(event), tokens: rejected }
}

/** Records that the server accepts the access token again: its challenge no longer counts, unless it is for scope. */
export function clearRejection(context: ConnectionContext, { at }: Sent<'token.accepted'>): Change {
  const { tokens, challenge } = context
  return {
    at,
    challenge: isTokenDoubted(context) ? undefined : challenge,
    tokens: { ...assertDefined(tokens, 'tokens'), rejectedBy: undefined, rejectedAt: undefined },
  }
}

/**
 * Removes a refresh token that the server rejected; the user has to sign in again. If the token may have been consumed
 * before, its reuse may have revoked the access token as well.
 */
export function dropRefreshToken({ tokens }: ConnectionContext): Change {
  if (tokens === undefined || tokens.refreshTokenMayBeConsumed || tokens.unverified)
    return { reauthorizationRequired: true, tokens: undefined }
  const { refreshToken: _, refreshTokenExpiresAt: _end, ...rest } = tokens
  return { reauthorizationRequired: true, tokens: { ...rest, refreshTokenRejected: true } }
}

/**
 * Ends the refreshes of tokens whose last one was not stored. Beside a usable access token the refresh token remains,
 * to be revoked with it.
 */
export function endRefreshes(context: ConnectionContext): Change {
  const { at, tokens } = context
  if (!isTriable(tokens, at)) return dropRefreshToken(context)
  const { refreshTokenExpiresAt: _, ...rest } = tokens
  return { reauthorizationRequired: true, tokens: { ...rest, refreshTokenRejected: true } }
}

/** Records that the server rejected its dynamic client: the tokens issued to the client are invalid as well. */
export function forgetClient(context: ConnectionContext): Change {
  const server = claimedServer(context)
  const ofServer = context.tokens?.serverId === server?.id
  return {
    rejectedClient: server && rejectedClient(context, server, context.failure),
    // Without its secret the client cannot refresh, but the access token remains valid.
    ...(ofServer &&
      (isSecretFailure(context.failure)
        ? dropRefreshToken(context)
        : { tokens: undefined, reauthorizationRequired: true })),
  }
}

/**
 * Removes everything but the generation, the journal, the outcomes of attempts, revocations, and what is known of the
 * server. A connection that never had tokens still never had any.
 */
export function reset(context: ConnectionContext): Change {
  const { at, generation, tokens } = context
  return {
    generation: generation === 0 && tokens === undefined ? 0 : generation + 1,
    orphanedClaims: context.orphanedClaims.map((claim) => ({ ...claim, disconnected: true })),
    tokens: undefined,
    attempts: [],
    ...end(context, context.attempts, 'superseded', at),
    imported: undefined,
    importedToken: undefined,
    reauthorizationRequired: undefined,
    challenge: undefined,
    notRequiredAt: undefined,
    failure: undefined,
    retryAt: undefined,
    retryDelayMs: undefined,
    failedRenewal: undefined,
    failedRequest: undefined,
    rejectedClient: undefined,
    invalidScope: undefined,
    stepUps: undefined,
    account: undefined,
    issuer: undefined,
    issuerGeneration: undefined,
  }
}

/** Removes what only working states need, and what has expired. */
export function pruneExpired(context: ConnectionContext): Change {
  const { at } = context
  const expired = context.attempts.filter((attempt) => retainedUntil(attempt) <= at)
  const attempts = context.attempts.filter((attempt) => !expired.includes(attempt))
  // A user who came back in time did not take too long: the code could not be redeemed while it was valid.
  const [dead, late] = [
    expired.filter(({ code }) => code !== undefined),
    expired.filter(({ code }) => code === undefined),
  ]
  const failed = end(context, dead, 'failed', at)
  const { endedAttempts, historyTruncatedAt } = end({ ...context, ...failed }, late, 'expired', at)
  return {
    request: undefined,
    claim: undefined,
    attempts,
    endedAttempts: endedAttempts.filter(({ endedAt }) => at - endedAt < ENDED_ATTEMPT_TTL_MS),
    historyTruncatedAt:
      historyTruncatedAt !== undefined && at - historyTruncatedAt < ENDED_ATTEMPT_TTL_MS
        ? historyTruncatedAt
        : undefined,
    servers: serversInUse({ ...context, attempts, claim: undefined }),
    ...withLastIssuer(context),
    // A decided one is retained for a day after its last attempt at least.
    revocations: context.revocations?.filter(
      ({ pending, startedAt }) => pending !== undefined || at - startedAt < 2 * REVOCATION_TTL_MS,
    ),
    challenge: currentChallenge(context, at),
    notRequiredAt: isNotRequired(context, at) ? context.notRequiredAt : undefined,
  }
}
