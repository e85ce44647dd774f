import type { Failure } from '../../src/errors/failure.ts'
import { sameIssuer } from '../../src/protocol/same-issuer.ts'
import type { Account, ConnectionContext, Revocation } from '../../src/schemas/connection-context.ts'
import type { AuthorizationServer, Tokens } from '../../src/schemas/credentials.ts'
import { bytesOf } from '../../src/protocol/scopes.ts'
import { assertDefined } from '../assert.ts'
import { MAX_REVOCATION_SERVER_BYTES, MAX_REVOCATIONS, REVOCATION_TTL_MS } from '../limits.ts'
import { isLocal, isRetryLater, portFailureOf } from '../rejection.ts'
import { claim, nextRetry } from './claims.ts'
import type { Change, ConnectionEvent, Done, Sent } from './events.ts'
import {
  accountOf,
  attemptOf,
  claimedRevocation,
  claimedServer,
  hasRenewal,
  isTriable,
  revocationOf,
  serverOf,
} from './selectors.ts'
import type { TokenResult } from '../ports.ts'
import { readClock, reset } from './tokens.ts'

type Pending = NonNullable<Revocation['pending']>

/**
 * Adds a revocation; if there are too many, one that is decided is dropped, or else the oldest. One at a server that
 * takes more than its share of the record gives way to the next such one.
 */
function add(context: ConnectionContext, revocation: Revocation): Change {
  const isLong = ({ pending }: Revocation): boolean => bytesOf(pending?.server) > MAX_REVOCATION_SERVER_BYTES
  const current = claimedRevocation(context)
  const givesWay = (other: Revocation): boolean => isLong(revocation) && isLong(other) && other !== current
  const earlier = (context.revocations ?? []).filter((other) => !givesWay(other))
  const decided = earlier.findIndex(({ pending }) => pending === undefined)
  const dropped = earlier.length < MAX_REVOCATIONS ? -1 : Math.max(decided, 0)
  return { revocations: [...earlier.filter((_, index) => index !== dropped), revocation] }
}

function replace(context: ConnectionContext, revocation: Revocation): Change {
  return { revocations: context.revocations?.map((other) => (other.id === revocation.id ? revocation : other)) }
}

function pendingOf(
  server: AuthorizationServer,
  { accessToken, refreshToken }: Pick<Tokens, 'accessToken' | 'refreshToken'>,
): Pending {
  return { server, accessToken, refreshToken }
}

/** Moves the tokens of a connection that is disconnected to its revocations: from now on they serve nothing else. */
export function withdrawTokens(context: ConnectionContext, { at, id }: Sent<'disconnect.requested'>): Change {
  const { tokens } = context
  if (tokens === undefined) return { at }
  const server = serverOf(context, tokens.serverId)
  const what = server === undefined ? { outcome: 'unsupported' as const } : { pending: pendingOf(server, tokens) }
  return { at, ...add(context, { id, ofDisconnect: true, startedAt: at, ...what }) }
}

/** Adds the late tokens of a connection that was disconnected to its revocations. */
export function withdrawLateTokens(context: ConnectionContext, event: Sent<'result.late'>): Change {
  const { at, orphanId: id, server, tokens } = event
  return { at, ...add(context, { id, startedAt: at, pending: pendingOf(server, tokens) }) }
}

/**
 * Moves the stored tokens to the revocations, which are due at once, if a result of another issuer or client replaces
 * them. Tokens of the same client are not revoked: many servers revoke all tokens that a user granted to it.
 */
export function withdrawReplacedTokens(context: ConnectionContext, event: ConnectionEvent): Change {
  const { tokens, claim: current, at } = context
  const server = serverOf(context, tokens?.serverId)
  if (tokens === undefined || server === undefined) return {}
  const isLate = event.type === 'result.late'
  const next = isLate ? event.server : assertDefined(claimedServer(context), 'a server')
  if (isSameClient(server, next)) return {}
  const id = isLate ? event.orphanId : assertDefined(current, 'a claim').id
  return add(context, { id, startedAt: at, pending: { ...pendingOf(server, tokens), retryAt: at } })
}

const isSameClient = (server: AuthorizationServer, other: AuthorizationServer): boolean =>
  sameIssuer(server.issuer, other.issuer) && server.client.clientId === other.client.clientId

/** Whether a response has tokens that must not be stored. */
export function isDiscarded(context: ConnectionContext, { output }: TokensReceived): boolean {
  return reasonToDiscard(context, output) !== undefined
}

type TokensReceived = Done<'exchangeCode'> | Done<'refreshTokens'> | Done<'requestToken'>

/**
 * Why tokens must not be stored: the policy does not allow their type or their scope; or a renewal has those of another
 * account, or a sign-in those of another account than the only one that the host allows, or of one that it does not
 * name.
 *
 * @see [OpenID Connect Core §12.2](https://openid.net/specs/openid-connect-core-1_0.html#RefreshTokenResponse)
 */
function reasonToDiscard(context: ConnectionContext, { discarded, subject }: TokenResult): Failure | undefined {
  if (discarded !== undefined) return discarded
  const { claim: current, tokens } = context
  const { issuer } = assertDefined(claimedServer(context), 'a server')
  if (current?.kind === 'refresh') {
    const isOther = subject !== undefined && tokens?.subject !== undefined && subject !== tokens.subject
    return isOther ? { code: 'ACCOUNT_CHANGED' } : undefined
  }
  const allowed = attemptOf(context, current?.stateHash)?.refuseAccountChange && accountOf(context)
  const isOther = isOtherAccount(allowed, { issuer, subject })
  return isOther ? { code: 'ACCOUNT_CHANGED', details: { reason: 'refuseAccountChange' } } : undefined
}

function isOtherAccount(
  account: Account | undefined,
  { issuer, subject }: { issuer: string; subject: string | undefined },
): boolean {
  return account !== undefined && !(sameIssuer(account.issuer, issuer) && account.subject === subject)
}

/**
 * Adds such tokens to the revocations, which are due at once, instead of storing them. Those that are not of another
 * account are not revoked beside usable tokens of the same client: that may revoke the others as well.
 */
export function discardTokens(context: ConnectionContext, { output }: TokensReceived): Change {
  const { id, kind } = assertDefined(context.claim, 'a claim')
  const server = assertDefined(claimedServer(context), 'a server')
  const failure = reasonToDiscard(context, output)
  const { at } = output
  const { tokens } = context
  const current = serverOf(context, tokens?.serverId)
  const isUsed = isTriable(tokens, at) || (kind === 'exchange' && hasRenewal(tokens, at))
  const isRetained = isUsed && current !== undefined && isSameClient(current, server)
  const isOfOther = output.discarded === undefined && output.subject !== undefined
  // After a refresh, what was refreshed serves nothing else any more.
  const refreshed = kind === 'refresh' ? assertDefined(tokens, 'tokens') : undefined
  const refreshToken = output.refreshToken ?? refreshed?.refreshToken
  if (isRetained && !isOfOther) return { at, failure, ...(refreshed && { tokens: { ...refreshed, refreshToken } }) }
  const revoked = { id, server, ...output, refreshToken: isRetained ? output.refreshToken : refreshToken }
  return { failure, ...discarded(context, revoked) }
}

/** Adds the tokens of another account to the revocations, after the claim of their exchange had expired. */
export function discardLateTokens(context: ConnectionContext, event: Sent<'tokens.discarded'>): Change {
  return discarded(context, event)
}

function discarded(
  context: ConnectionContext,
  {
    at,
    id,
    server,
    ...tokens
  }: Pick<Sent<'tokens.discarded'>, 'at' | 'id' | 'server' | 'accessToken' | 'refreshToken'>,
): Change {
  return { at, ...add(context, { id, startedAt: at, pending: { ...pendingOf(server, tokens), retryAt: at } }) }
}

/** Whether the event names tokens that are not among the revocations yet. */
export function isNewlyDiscarded(context: ConnectionContext, event: ConnectionEvent): boolean {
  return event.type === 'tokens.discarded' && revocationOf(context, event.id) === undefined
}

/** Claims the revocation that the event names. */
export function claimRevocation(
  event: Sent<'disconnect.requested'> | Sent<'revocation.resumed'> | Sent<'result.late'>,
): Change {
  return claim(event, { kind: 'disconnect', revocationId: event.type === 'result.late' ? event.orphanId : event.id })
}

/** Whether the event names a revocation that is pending. */
export function isPendingRevocation(context: ConnectionContext, event: ConnectionEvent): boolean {
  if (event.type !== 'revocation.resumed' && event.type !== 'revocation.late') return false
  return revocationOf(context, event.id)?.pending !== undefined
}

/** Ends the revocation of the current claim: the tokens were revoked, or the server revokes no such tokens. */
export function endRevocation(context: ConnectionContext, { output }: Done<'revokeTokens'>): Change {
  return { at: output.at, ...decide(context, claimed(context), output.revoked) }
}

/** Ends a revocation whose decision could not be saved under its claim. */
export function endLateRevocation(context: ConnectionContext, { at, id, outcome }: Sent<'revocation.late'>): Change {
  return { at, ...decide(context, assertDefined(revocationOf(context, id), 'a revocation'), outcome) }
}

/** Ends the revocation of the current claim, which the server rejected, or has not carried out within a day. */
export function failRevocation(context: ConnectionContext, event: ConnectionEvent): Change {
  const at = readClock(context, event)
  return { at, ...decide(context, claimed(context), 'failed', portFailureOf(event).failure) }
}

const claimed = (context: ConnectionContext): Revocation => assertDefined(claimedRevocation(context), 'a revocation')

function decide(
  context: ConnectionContext,
  { id, ofDisconnect, startedAt }: Revocation,
  outcome: NonNullable<Revocation['outcome']>,
  failure?: Failure,
): Change {
  return { notes: [noteOf(outcome, failure)], ...replace(context, { id, ofDisconnect, startedAt, outcome }) }
}

/** For the journal. */
function noteOf(revoked: string, failure: Failure | undefined): string {
  const { code, details } = failure ?? {}
  return [`revoked: ${revoked}`, code, details?.error].filter((part) => part !== undefined).join(', ')
}

/** Whether a failed revocation is attempted again: the server has not decided it, for less than a day. */
export function canRetryRevocation(context: ConnectionContext, event: ConnectionEvent): boolean {
  const portFailure = portFailureOf(event)
  const isUndecided = portFailure.outcome === 'unknown' || isRetryLater(portFailure)
  return isUndecided && readClock(context, event) - claimed(context).startedAt < REVOCATION_TTL_MS
}

/** Schedules the next attempt of the revocation of the current claim. */
export function postponeRevocation(context: ConnectionContext, event: ConnectionEvent): Change {
  const at = readClock(context, event)
  const { failure } = portFailureOf(event)
  const pending = pendingIn(context)
  const isRefreshTokenRevoked = failure.details?.reason === 'accessTokenLeft'
  const left = isRefreshTokenRevoked ? { ...pending, refreshToken: undefined } : pending
  // What delayed this process says nothing about the server.
  const next = isLocal(failure) ? { retryAt: at } : nextRetry(failure, pending.retryDelayMs, at)
  return { at, ...postpone(context, { ...left, ...next }, failure) }
}

/**
 * Expires the claim of a revocation, which is attempted again: at once if the process that claimed it has not decided
 * it within the lease, since a revocation may be repeated (RFC 7009 §2.2). Within the lease its request may be in
 * progress.
 */
export function expireRevocation(context: ConnectionContext, { at }: Sent<'claim.expired'>): Change {
  // A process that was replaced by this release was revoking the tokens themselves.
  if (claimedRevocation(context) === undefined) return { at, ...reset({ ...context, at }) }
  const failure: Failure = { code: 'TOKEN_OUTCOME_UNKNOWN' }
  const pending = pendingIn(context)
  const isOver = at >= context.at + assertDefined(context.claim, 'a claim').leaseMs
  const next = isOver ? { retryAt: at } : nextRetry(failure, pending.retryDelayMs, at)
  return { at, ...postpone(context, { ...pending, ...next }, failure) }
}

const pendingIn = (context: ConnectionContext): Pending => assertDefined(claimed(context).pending, 'tokens to revoke')

function postpone(context: ConnectionContext, pending: Pending & { retryAt: number }, failure: Failure): Change {
  const revocation = claimed(context)
  const retryAt = Math.min(pending.retryAt, revocation.startedAt + REVOCATION_TTL_MS)
  return {
    notes: [noteOf('pending', failure)],
    ...replace(context, { ...revocation, pending: { ...pending, retryAt } }),
  }
}
