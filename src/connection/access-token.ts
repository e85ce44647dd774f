import { isFresh, isRenewable, isUsable, keptAttempt, marginMs, tokensOf } from '../../machines/connection/selectors.ts'
import { AuthorizationError } from '../errors/authorization-error.ts'
import { failure, type Failure } from '../errors/failure.ts'
import type { Tokens } from '../schemas/credentials.ts'
import type { ConnectionCore } from './record.ts'
import type { View } from './services.ts'
import type { HeldToken, Ticket } from './token-cache.ts'

/** What a caller of `accessToken()` wants beyond the default. */
interface TokenWish {
  minTtlMs?: number | undefined
  refused?: string | undefined
}

/** The stored token, or after at most one renewal the new one. */
export async function accessToken(core: ConnectionCore, wish: TokenWish): Promise<HeldToken> {
  const { cache } = core.kernel
  const ticket = await cache.begin(core.key)
  try {
    const view = await core.load()
    if (view === undefined) throw authorizationRequired(undefined)
    const tokens = tokensOf(view.context)
    if (isGoodEnough(core, view, tokens, wish)) return keep(core, view, tokens, ticket)
    const after = await renew(core, view, wish)
    const token = answer(view, after, wish.refused)
    core.kernel.answered.note(core.key, after.context.generation)
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
  { policy }: ConnectionCore,
  view: View,
  tokens: Tokens | undefined,
  { minTtlMs, refused }: TokenWish,
): tokens is Tokens {
  if (tokens === undefined) return false
  const at = view.at()
  const { claim, retryAt } = view.context
  const isHeld = minTtlMs === undefined && (claim !== undefined || (retryAt ?? 0) > at)
  return isFresh(tokens, at, isHeld ? 0 : (minTtlMs ?? marginMs(tokens, policy.minTokenTtlMs)), refused)
}

function keep({ kernel, policy }: ConnectionCore, view: View, tokens: Tokens, ticket: Ticket): HeldToken {
  const token = answered(tokens)
  const ttlMs = (tokens.expiresAt ?? Infinity) - view.at()
  const margin = marginMs(tokens, policy.minTokenTtlMs)
  kernel.cache.end(ticket, { token, ttlMs, marginMs: margin, trustMs: policy.cacheMs })
  kernel.answered.note(ticket.key, view.context.generation)
  return token
}

/** What a caller gets after its one renewal: the new token, the old one if it is still good, or why there is none. */
function answer(before: View, after: View, refused: string | undefined): HeldToken {
  const { context } = after
  const at = after.at()
  const tokens = tokensOf(context)
  // A token that was just issued is answered even if it is said to live for no time at all.
  const isNew = context.generation > before.context.generation && !tokens?.unproven
  if (tokens !== undefined && tokens.accessToken !== refused && (isNew || isUsable(tokens, at))) return answered(tokens)
  if (context.claim?.outcomeUnknown) throw new AuthorizationError(failure('TOKEN_OUTCOME_UNKNOWN'))
  const canBeTriedAgain = isRenewable(tokens, at) || keptAttempt(context, at) !== undefined
  throw canBeTriedAgain && context.failure !== undefined
    ? new AuthorizationError(context.failure)
    : authorizationRequired(context.failure)
}

/**
 * Does what can be done without the user, if the tokens are still those of `view`: a refresh, or the exchange of a code
 * that was kept. Waits for a claim in progress. Callers of the same generation share one run.
 */
export async function renew(core: ConnectionCore, view: View, { minTtlMs, refused }: TokenWish): Promise<View> {
  const { context } = view
  const { generation } = context
  const kept = keptAttempt(context, view.at())
  if (context.claim === undefined && kept === undefined && !isRenewable(tokensOf(context), view.at())) return view
  return await core.joined(core.kernel.renewing, `${generation} ${minTtlMs ?? ''} ${refused ?? ''}`, async () => {
    const result = await core.run(
      (now) => {
        if (now === undefined) return undefined
        const isSame = now === view
        const tokens = tokensOf(now.context)
        if (!isSame && isGoodEnough(core, now, tokens, { minTtlMs, refused })) return undefined
        // It was tried since, by whoever held the claim, and failed: everyone who waited adopts that as well.
        const { retryAt } = now.context
        if (retryAt !== undefined && retryAt !== context.retryAt) return undefined
        // What came late under this very run has to be proven before it can be answered.
        const current = tokens?.unproven ? now.context.generation : generation
        if (isRenewable(tokens, now.at()))
          return {
            type: 'refresh.requested',
            generation: current,
            ...(tokens.accessToken === refused && { refused: true }),
          }
        const attempt = keptAttempt(now.context, now.at())
        return attempt && { type: 'exchange.resumed', stateHash: attempt.stateHash }
      },
      { view },
    )
    return result.view ?? view
  })
}

/** The user is needed; the details say what came before, if anything. */
function authorizationRequired(reason: Failure | undefined): AuthorizationError {
  return new AuthorizationError(failure('AUTHORIZATION_REQUIRED', { ...reason?.details, reason: reason?.code }))
}

function answered({ accessToken: value, tokenType: type, scope, expiresAt, dpopKey }: Tokens): HeldToken {
  return { value, type, scope, expiresAt, dpopKey }
}
