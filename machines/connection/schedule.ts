import type { ConnectionContext, Revocation } from '../../src/schemas/connection-context.ts'
import type { Tokens } from '../../src/schemas/credentials.ts'
import { MIN_RENEWAL_INTERVAL_MS } from '../limits.ts'
import {
  exchangeDueAt,
  hasRenewal,
  isRenewalScheduled,
  isReRequestable,
  marginMs,
  retainedUntil,
  tokensOf,
} from './selectors.ts'

/**
 * When a revocation is attempted; `undefined` once it is decided, and while an attempt is in progress. An earlier
 * release, which knows no revocations, may have ended the claim of the first one.
 */
function revocationDueAt({ claim }: ConnectionContext, { id, pending, startedAt }: Revocation): number | undefined {
  return pending === undefined || claim?.revocationId === id ? undefined : (pending.retryAt ?? startedAt)
}

/** The pending revocations that `wake()` attempts at `at`. */
export function dueRevocations(context: ConnectionContext, at: number): Revocation[] {
  const { revocations = [] } = context
  return revocations.filter((revocation) => (revocationDueAt(context, revocation) ?? Infinity) <= at)
}

/**
 * When `wake()` renews the tokens: before they expire, or once the backoff after a failed renewal has elapsed. Never at
 * an instant at which the refresh token has expired.
 */
export function renewalDueAt(context: ConnectionContext, at: number, minTokenTtlMs: number): number | undefined {
  const tokens = tokensOf(context)
  if (tokens === undefined || !isRenewalScheduled(context, at)) return undefined
  const dueAt = context.failedRenewal?.retryAt ?? renewalPlannedAt(tokens, minTokenTtlMs)
  return dueAt !== undefined && hasRenewal(tokens, dueAt) ? dueAt : undefined
}

/**
 * When tokens whose last renewal did not fail are renewed: with a margin before the first of both expires, and some
 * time after they were issued, whatever their lifetime.
 */
function renewalPlannedAt(tokens: Tokens, minTokenTtlMs: number): number | undefined {
  const { expiresAt, lifetimeMs, refreshTokenExpiresAt = Infinity } = tokens
  if (expiresAt === undefined) return undefined
  const dueAt = expiresAt - marginMs(tokens, minTokenTtlMs)
  if (lifetimeMs === undefined) return dueAt
  const issuedAt = expiresAt - lifetimeMs
  const earliest = issuedAt + MIN_RENEWAL_INTERVAL_MS
  if (isReRequestable(tokens)) return Math.max(dueAt, earliest)
  const refreshable = { ...tokens, lifetimeMs: refreshTokenExpiresAt - issuedAt }
  return Math.max(Math.min(dueAt, refreshTokenExpiresAt - marginMs(refreshable, minTokenTtlMs)), earliest)
}

/** The next instant at which `wake()` has something to do; `undefined` if nothing is scheduled. */
export function nextWakeAt(
  context: ConnectionContext,
  at: number,
  claimEndsAt: number | undefined,
  minTokenTtlMs: number,
): number | undefined {
  const { attempts, claim, revocations = [] } = context
  const due = attempts.map(retainedUntil)
  if (claimEndsAt !== undefined) {
    if (claim?.revocationId === undefined) return claimEndsAt
    // Nothing else waits for a revocation.
    due.push(claimEndsAt)
  }
  for (const dueAt of [
    renewalDueAt(context, at, minTokenTtlMs),
    exchangeDueAt(context, at),
    ...revocations.map((revocation) => revocationDueAt(context, revocation)),
  ])
    if (dueAt !== undefined) due.push(dueAt)
  return due.length === 0 ? undefined : Math.min(...due)
}
