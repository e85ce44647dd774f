import {
  isFresh,
  isRenewable,
  isUsable,
  pendingExchange,
  marginMs,
  tokensOf,
} from '../../machines/connection/selectors.ts'
import { AuthorizationError } from '../errors/authorization-error.ts'
import { failure, type Failure } from '../errors/failure.ts'
import type { Tokens } from '../schemas/credentials.ts'
import type { ConnectionRecord } from './record.ts'
import type { View } from './services.ts'
import type { IssuedToken, Ticket } from './token-cache.ts'

/** What a caller of `accessToken()` wants beyond the default. */
interface TokenParameters {
  minTtlMs?: number | undefined
  rejectedToken?: string | undefined
}

/** The stored token, or after at most one renewal the new one. */
export async function accessToken(record: ConnectionRecord, params: TokenParameters): Promise<IssuedToken> {
  const { cache } = record.services
  const ticket = await cache.begin(record.key)
  try {
    const view = await record.load()
    if (view === undefined) throw authorizationRequired(undefined)
    const tokens = tokensOf(view.context)
    if (isGoodEnough(record, view, tokens, params)) {
      await record.redeliverActions(view)
      return cacheToken(record, view, tokens, ticket)
    }
    const after = await renew(record, view, params)
    const token = answer(view, after, params.rejectedToken)
    record.services.issuedGenerations.set(record.key, after.context.generation)
    return token
  } finally {
    cache.end(ticket)
  }
}

/**
 * Whether the token may be answered without a renewal. A good one is answered at once while others renew it, or while
 * renewing it has just failed.
 */
function isGoodEnough(
  { policy }: ConnectionRecord,
  view: View,
  tokens: Tokens | undefined,
  { minTtlMs, rejectedToken }: TokenParameters,
): tokens is Tokens {
  if (tokens === undefined) return false
  const at = view.at()
  const { claim, retryAt } = view.context
  const isHeld = minTtlMs === undefined && (claim !== undefined || (retryAt ?? 0) > at)
  return isFresh(tokens, at, isHeld ? 0 : (minTtlMs ?? marginMs(tokens, policy.minTokenTtlMs)), rejectedToken)
}

function cacheToken({ services, policy }: ConnectionRecord, view: View, tokens: Tokens, ticket: Ticket): IssuedToken {
  const token = toIssuedToken(tokens)
  const ttlMs = (tokens.expiresAt ?? Infinity) - view.at()
  const margin = marginMs(tokens, policy.minTokenTtlMs)
  services.cache.end(ticket, { token, ttlMs, marginMs: margin, trustMs: policy.cacheMs })
  services.issuedGenerations.set(ticket.key, view.context.generation)
  return token
}

/** What a caller gets after its one renewal: the new token, the old one if it is still good, or why there is none. */
function answer(before: View, after: View, rejectedToken: string | undefined): IssuedToken {
  const { context } = after
  const at = after.at()
  const tokens = tokensOf(context)
  // A token that was just issued is answered even if it is said to live for no time at all.
  const isNew = context.generation > before.context.generation && !tokens?.unverified
  if (tokens !== undefined && tokens.accessToken !== rejectedToken && (isNew || isUsable(tokens, at)))
    return toIssuedToken(tokens)
  if (context.claim?.outcomeUnknown) throw new AuthorizationError(failure('TOKEN_OUTCOME_UNKNOWN'))
  const canBeTriedAgain = isRenewable(tokens, at) || pendingExchange(context, at) !== undefined
  throw canBeTriedAgain && context.failure !== undefined
    ? new AuthorizationError(context.failure)
    : authorizationRequired(context.failure)
}

/**
 * Does what can be done without the user, if the tokens are still those of `view`: a refresh, or the exchange of a code
 * that was kept. Waits for a claim in progress. Callers of the same generation share one run.
 */
export async function renew(
  record: ConnectionRecord,
  view: View,
  { minTtlMs, rejectedToken }: TokenParameters,
): Promise<View> {
  const { context } = view
  const { generation } = context
  const kept = pendingExchange(context, view.at())
  if (context.claim === undefined && kept === undefined && !isRenewable(tokensOf(context), view.at())) return view
  return await record.singleFlight(
    record.services.renewing,
    `${generation} ${minTtlMs ?? ''} ${rejectedToken ?? ''}`,
    async () => {
      const result = await record.run(
        (now) => {
          if (now === undefined) return undefined
          const isSame = now === view
          const tokens = tokensOf(now.context)
          if (!isSame && isGoodEnough(record, now, tokens, { minTtlMs, rejectedToken })) return undefined
          // It was tried since, by whoever held the claim, and failed: everyone who waited adopts that as well.
          const { retryAt } = now.context
          if (retryAt !== undefined && retryAt !== context.retryAt) return undefined
          // What came late under this very run has to be proven before it can be answered.
          const current = tokens?.unverified ? now.context.generation : generation
          if (isRenewable(tokens, now.at()))
            return {
              type: 'refresh.requested',
              generation: current,
              ...(tokens.accessToken === rejectedToken && { rejectedToken: true }),
            }
          const attempt = pendingExchange(now.context, now.at())
          return attempt && { type: 'exchange.resumed', stateHash: attempt.stateHash }
        },
        { view },
      )
      return result.view ?? view
    },
  )
}

/** The user is needed; the details say what came before, if anything. */
function authorizationRequired(reason: Failure | undefined): AuthorizationError {
  return new AuthorizationError(failure('AUTHORIZATION_REQUIRED', { ...reason?.details, reason: reason?.code }))
}

function toIssuedToken({ accessToken: value, tokenType: type, scope, expiresAt, dpopKey }: Tokens): IssuedToken {
  return { value, type, scope, expiresAt, dpopKey }
}
