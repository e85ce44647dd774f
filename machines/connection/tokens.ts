import { backoffMs } from '../../src/backoff.ts'
import { coversScope } from '../../src/protocol/scopes.ts'
import type { ConnectionContext, EndedAttempt } from '../../src/schemas/connection-context.ts'
import type { Tokens } from '../../src/schemas/credentials.ts'
import { assertDefined } from '../assert.ts'
import { ENDED_ATTEMPT_TTL_MS, REFRESH_BACKOFF } from '../limits.ts'
import type { TokenResult } from '../ports.ts'
import { isSecretExpired, portFailureOf } from '../rejection.ts'
import { end, finishAttempts } from './attempts.ts'
import type { Change, ConnectionEvent, Sent } from './events.ts'
import { withServer } from './request.ts'
import { accountOf, attemptOf, claimedServer, isPending } from './selectors.ts'
import { withoutRound } from './step-up.ts'

/** Record time moves on with every event; the answers of ports bring theirs. */
export function readClock(context: ConnectionContext, event: ConnectionEvent): number {
  if ('at' in event) return event.at
  return 'output' in event ? event.output.at : context.at
}

/** Tokens as a token response gave them; a response without a refresh token keeps the old one (RFC 6749 §6). */
export function storeTokens(context: ConnectionContext, output: TokenResult): Change {
  const { claim: held, tokens: old } = context
  const attempt = attemptOf(context, held?.stateHash)
  const isRefresh = held?.kind === 'refresh'
  const asked = isRefresh ? old?.requestedScope : (attempt ?? held)?.scope
  const tokens: Tokens = {
    accessToken: output.accessToken,
    tokenType: output.tokenType,
    scope: output.scope ?? (isRefresh ? old?.scope : asked),
    requestedScope: asked,
    // Counted from before the request left: `context.at` is when its claim was stored.
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
        : (held?.grant ?? 'client_credentials'),
    serverId: claimedServer(context)?.id,
    subject: output.subject ?? (isRefresh ? old?.subject : undefined),
    renewedAfterRejection: held?.afterRejection,
    dpopKey: output.dpopKey,
  }
  return {
    ...signedIn(context, tokens, output.at),
    ...(attempt && finishAttempts(context, attempt, tokens, output.at)),
    ...(attempt && { account: attempt.refuseAccountChange && newAccount(context, tokens) }),
  }
}

/** The account is kept beyond its tokens only where that decides something. */
function newAccount(context: ConnectionContext, tokens: Tokens): ConnectionContext['account'] {
  return accountOf({ ...context, account: undefined, tokens }) ?? accountOf(context)
}

/** What changes whenever tokens are stored, wherever they come from. */
function signedIn(context: ConnectionContext, tokens: Tokens, at: number): Change {
  return {
    at,
    tokens,
    generation: context.generation + 1,
    failure: undefined,
    retryAt: undefined,
    retryDelayMs: undefined,
    reauthorizationRequired: undefined,
    stepUps: context.stepUps?.filter(({ scope }) => !coversScope(tokens.scope, scope)),
  }
}

/** Tokens that come after their claim was given up. If it was repeated, the first refresh has to prove them. */
export function acceptLateResult(context: ConnectionContext, event: Sent<'result.late'>): Change {
  const { id: _, ...entry } = event.server
  const servers = withServer(context.servers, entry)
  const retried = context.orphanedClaims.some(({ id, retried: again }) => id === event.orphanId && again)
  const { unverified: _old, ...tokens } = event.tokens
  const taken: Tokens = { ...tokens, serverId: servers.at(-1)?.id, ...(retried && { unverified: true as const }) }
  return { servers, ...signedIn(context, taken, event.at), ...finishLate(context, event, taken) }
}

/**
 * The attempt of a late exchange has succeeded after all, whatever was thought of it meanwhile: its code must not be
 * sent again.
 */
function finishLate(context: ConnectionContext, { attemptHash, at }: Sent<'result.late'>, tokens: Tokens): Change {
  const attempt = attemptOf(context, attemptHash)
  if (attempt !== undefined) return finishAttempts(context, attempt, tokens, at)
  const succeeded = (endedAttempts: EndedAttempt): EndedAttempt =>
    endedAttempts.stateHash === attemptHash ? { ...endedAttempts, outcome: 'authorized' } : endedAttempts
  return { endedAttempts: context.endedAttempts.map(succeeded) }
}

/** Credentials that the host held before; they are bound to an issuer by the first discovery. */
export function importCredentials(context: ConnectionContext, event: Sent<'credentials.imported'>): Change {
  const { at, tokens } = event
  // A client and its tokens may come one after the other.
  const { clientInformation = context.imported?.clientInformation, issuer = context.imported?.issuer } = event
  const imported = { clientInformation, issuer }
  return tokens === undefined ? { at, imported } : { ...signedIn(context, tokens, at), imported }
}

/** What a port failed with becomes the connection's failure. Nothing is deleted by it. */
export function recordFailure(context: ConnectionContext, event: ConnectionEvent): Change {
  const { failure } = portFailureOf(event)
  const retryDelayMs = backoffMs(context.retryDelayMs, REFRESH_BACKOFF)
  const retryAt = context.at + (failure.details?.retryAfterMs ?? retryDelayMs)
  return { failure, retryDelayMs, retryAt, ...(context.claim === undefined && { stepUps: withoutRound(context) }) }
}

/**
 * The server refused the refresh token: the user is needed. If it may have been sent before, that may have had the
 * whole family revoked.
 */
export function dropRefreshToken({ tokens }: ConnectionContext): Change {
  if (tokens === undefined || tokens.refreshTokenMayBeConsumed || tokens.unverified)
    return { reauthorizationRequired: true, tokens: undefined }
  const { refreshToken: _, refreshTokenExpiresAt: _end, ...rest } = tokens
  return { reauthorizationRequired: true, tokens: { ...rest, refreshTokenRejected: true } }
}

/** The server no longer knows our client: what it issued to it is worth nothing either. */
export function forgetClient(context: ConnectionContext): Change {
  const server = claimedServer(context)
  const ofServer = context.tokens?.serverId === server?.id
  return {
    rejectedClient: server && { issuer: server.issuer, clientId: server.client.clientId },
    // Without its secret the client can refresh no more, but the access token is as good as it was.
    ...(ofServer &&
      (isSecretExpired(context.failure)
        ? dropRefreshToken(context)
        : { tokens: undefined, reauthorizationRequired: true })),
  }
}

/** Everything that the connection held is forgotten but its generation, its journal, and how its attempts ended. */
export function reset(context: ConnectionContext): Change {
  return {
    generation: context.generation + 1,
    tokens: undefined,
    attempts: [],
    ...end(context, context.attempts, 'superseded', context.at),
    imported: undefined,
    reauthorizationRequired: undefined,
    failure: undefined,
    retryAt: undefined,
    retryDelayMs: undefined,
    rejectedClient: undefined,
    stepUps: undefined,
    account: undefined,
  }
}

/** At rest: what only a working state needed goes, and so does what time has ended. */
export function pruneExpired(context: ConnectionContext): Change {
  const { at } = context
  const expired = context.attempts.filter((attempt) => !isPending(attempt, at))
  const attempts = context.attempts.filter((attempt) => isPending(attempt, at))
  const { endedAttempts, historyTruncatedAt } = end(context, expired, 'expired', at)
  const used = new Set([context.tokens?.serverId, ...attempts.map(({ serverId }) => serverId)])
  return {
    request: undefined,
    claim: undefined,
    attempts,
    endedAttempts: endedAttempts.filter(({ endedAt }) => at - endedAt < ENDED_ATTEMPT_TTL_MS),
    historyTruncatedAt:
      historyTruncatedAt !== undefined && at - historyTruncatedAt < ENDED_ATTEMPT_TTL_MS
        ? historyTruncatedAt
        : undefined,
    servers: context.servers.filter(({ id }) => used.has(id)),
  }
}
