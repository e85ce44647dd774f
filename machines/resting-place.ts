import type { Attempt, ConnectionContext, Tokens } from '../src/schemas/connection-context.ts'

/** Where a connection can rest. */
export type RestingPlace = 'disconnected' | 'awaitingCallback' | 'authorized' | 'reauthorizationRequired' | 'failed'

/**
 * Whether an access token may still be answered at `at`, with `minTtlMs` of life left. A token without a known end is
 * good until a server refuses it.
 */
export function isUsable(tokens: Tokens | undefined, at: number, minTtlMs = 0): tokens is Tokens {
  if (tokens === undefined || tokens.unproven) return false
  return tokens.expiresAt === undefined || tokens.expiresAt - at > minTtlMs
}

/** Whether new tokens are had by asking for them again: only what a user consented to needs a refresh token for that. */
export function isAskedAgain({ grant }: Tokens): boolean {
  return grant !== 'authorization_code'
}

/** Whether new tokens can be had without the user: by a refresh token, or by a grant that needs nobody. */
export function isRenewable(tokens: Tokens | undefined, at: number): tokens is Tokens {
  if (tokens === undefined || tokens.refreshRefused) return false
  if (isAskedAgain(tokens)) return true
  const { refreshToken, refreshTokenExpiresAt } = tokens
  return refreshToken !== undefined && (refreshTokenExpiresAt === undefined || refreshTokenExpiresAt > at)
}

/** Whether a callback for this attempt can still be redeemed. */
export function isAlive(attempt: Attempt, at: number): boolean {
  return attempt.expiresAt > at
}

/**
 * Where a connection rests, from its facts alone: the chart settles by it, and a reader sees by it what time has
 * changed since.
 */
export function restingPlace(context: ConnectionContext, at: number = context.at): RestingPlace {
  const { tokens } = context
  if (!tokens?.refreshRefused && (isUsable(tokens, at) || isRenewable(tokens, at))) return 'authorized'
  if (context.attempts.some((attempt) => isAlive(attempt, at))) return 'awaitingCallback'
  if (context.lapsed || tokens !== undefined) return 'reauthorizationRequired'
  return context.failure === undefined ? 'disconnected' : 'failed'
}
