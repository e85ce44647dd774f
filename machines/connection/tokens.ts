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

/** The record clock as this event brings it: commands carry it, and so do the results of ports. */
export function readClock(context: ConnectionContext, event: ConnectionEvent): number {
  if ('at' in event) return event.at
  return 'output' in event ? event.output.at : context.at
}

/** Stores the tokens of a token response; one without a refresh token keeps the old one (RFC 6749 §6). */
export function storeTokens(context: ConnectionContext, output: TokenResult): Change {
  const { claim, tokens: old } = context
  const attempt = attemptOf(context, claim?.stateHash)
  const isRefresh = claim?.kind === 'refresh'
  const asked = isRefresh ? old?.requestedScope : (attempt ?? claim)?.scope
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
        : (claim?.grant ?? 'client_credentials'),
    serverId: claimedServer(context)?.id,
    subject: output.subject ?? (isRefresh ? old?.subject : undefined),
    renewedAfterRejection: claim?.afterRejection,
    dpopKey: output.dpopKey,
  }
  return {
    ...signedIn(context, tokens, output.at),
    ...(attempt && finishAttempts(context, attempt, tokens, output.at)),
    ...(attempt && { account: attempt.refuseAccountChange && newAccount(context, tokens) }),
  }
}

/** The account outlives its tokens only where `refuseAccountChange` depends on it. */
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

/** Stores tokens that came after their claim had expired. If the request was repeated, a refresh has to verify them. */
export function acceptLateResult(context: ConnectionContext, event: Sent<'result.late'>): Change {
  const { id: _, ...entry } = event.server
  const servers = withServer(context.servers, entry)
  const retried = context.orphanedClaims.some(({ id, retried: again }) => id === event.orphanId && again)
  const { unverified: _old, ...tokens } = event.tokens
  const taken: Tokens = { ...tokens, serverId: servers.at(-1)?.id, ...(retried && { unverified: true as const }) }
  return { servers, ...signedIn(context, taken, event.at), ...finishLate(context, event, taken) }
}

/** The attempt of a late exchange has succeeded after all: its code must not be sent again. */
function finishLate(context: ConnectionContext, { attemptHash, at }: Sent<'result.late'>, tokens: Tokens): Change {
  const attempt = attemptOf(context, attemptHash)
  if (attempt !== undefined) return finishAttempts(context, attempt, tokens, at)
  const succeeded = (ended: EndedAttempt): EndedAttempt =>
    ended.stateHash === attemptHash ? { ...ended, outcome: 'authorized' } : ended
  return { endedAttempts: context.endedAttempts.map(succeeded) }
}

/** Stores credentials that the host has; without an issuer, the first discovery binds them to one. */
export function importCredentials(context: ConnectionContext, event: Sent<'credentials.imported'>): Change {
  const { at, tokens } = event
  // A client and its tokens may be imported one after the other.
  const { clientInformation = context.imported?.clientInformation, issuer = context.imported?.issuer } = event
  const imported = { clientInformation, issuer }
  return tokens === undefined ? { at, imported } : { ...signedIn(context, tokens, at), imported }
}

/** Records the failure of a port. Nothing is deleted by it. */
export function recordFailure(context: ConnectionContext, event: ConnectionEvent): Change {
  const { failure } = portFailureOf(event)
  const retryDelayMs = backoffMs(context.retryDelayMs, REFRESH_BACKOFF)
  const retryAt = context.at + (failure.details?.retryAfterMs ?? retryDelayMs)
  return { failure, retryDelayMs, retryAt, ...(context.claim === undefined && { stepUps: withoutRound(context) }) }
}

/**
 * The server rejected the refresh token: the user is needed. If the token may have been consumed before, its reuse may
 * have revoked the access token as well.
 */
export function dropRefreshToken({ tokens }: ConnectionContext): Change {
  if (tokens === undefined || tokens.refreshTokenMayBeConsumed || tokens.unverified)
    return { reauthorizationRequired: true, tokens: undefined }
  const { refreshToken: _, refreshTokenExpiresAt: _end, ...rest } = tokens
  return { reauthorizationRequired: true, tokens: { ...rest, refreshTokenRejected: true } }
}

/** The server no longer knows our client: the tokens that it issued to it are void as well. */
export function forgetClient(context: ConnectionContext): Change {
  const server = claimedServer(context)
  const ofServer = context.tokens?.serverId === server?.id
  return {
    rejectedClient: server && { issuer: server.issuer, clientId: server.client.clientId },
    // Without its secret the client cannot refresh, but the access token remains valid.
    ...(ofServer &&
      (isSecretExpired(context.failure)
        ? dropRefreshToken(context)
        : { tokens: undefined, reauthorizationRequired: true })),
  }
}

/** Forgets everything but the generation, the journal, and how the attempts ended. */
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

/** Drops what only a working state needs, and what has expired. */
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
