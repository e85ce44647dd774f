import { isRenewable, isUsable, restingPlace, type RestingPlace } from '../machines/resting-place.ts'
import type { Attempt, ConnectionContext, Tokens } from './schemas/connection-context.ts'

/** Where a connection is, as an operator reads it. */
export type ConnectionState = RestingPlace | 'exchanging' | 'refreshing' | 'requestingToken' | 'disconnecting'

const CLAIM_STATES = {
  exchange: 'exchanging',
  refresh: 'refreshing',
  requestToken: 'requestingToken',
  disconnect: 'disconnecting',
} as const

/** Where a connection is at `at`: in a claim, or where time has brought it since it was stored. */
export function stateOf(context: ConnectionContext, at: number): ConnectionState {
  const kind = context.claim?.kind
  return kind === undefined || kind === 'register' ? restingPlace(context, at) : CLAIM_STATES[kind]
}

/** The stored tokens, unless they are being revoked. */
export function tokensOf(context: ConnectionContext | undefined): Tokens | undefined {
  return context?.claim?.kind === 'disconnect' ? undefined : context?.tokens
}

/**
 * How much life a token must have left to be answered without a refresh: the policy's margin, and at most a quarter of
 * its lifetime.
 */
export function marginMs(tokens: Tokens, minTokenTtlMs: number): number {
  return Math.min(minTokenTtlMs, (tokens.lifetimeMs ?? Infinity) / 4)
}

/** Whether the access token may be answered as it is. */
export function isFresh(
  tokens: Tokens | undefined,
  at: number,
  minTtlMs: number,
  refused: string | undefined,
): tokens is Tokens {
  return tokens !== undefined && tokens.accessToken !== refused && isUsable(tokens, at, minTtlMs)
}

/** An attempt whose code was kept because nothing had been spent, and which is still alive. */
export function keptAttempt(context: ConnectionContext, at: number): Attempt | undefined {
  return context.attempts.find(({ code, expiresAt }) => code !== undefined && expiresAt > at)
}

/** Whether a token can be had without the user. */
export function isAuthorized(context: ConnectionContext, at: number): boolean {
  const tokens = tokensOf(context)
  return isUsable(tokens, at) || isRenewable(tokens, at)
}

/** The next instant at which something is due, or `undefined`: then only its user or host can change anything. */
export function nextWakeAt(
  context: ConnectionContext,
  at: number,
  claimEndsAt: number | undefined,
  minTokenTtlMs: number,
): number | undefined {
  if (claimEndsAt !== undefined) return claimEndsAt
  const { tokens, attempts, retryAt } = context
  const due = attempts.map(({ expiresAt }) => expiresAt)
  if (tokens?.expiresAt !== undefined && isRenewable(tokens, at))
    due.push(Math.max(tokens.expiresAt - marginMs(tokens, minTokenTtlMs), retryAt ?? 0))
  if (keptAttempt(context, at)) due.push(retryAt ?? at)
  return due.length === 0 ? undefined : Math.min(...due)
}
