import { grantWithoutUser } from '../../src/protocol/grants.ts'
import type { Attempt, Claim, ConnectionContext } from '../../src/schemas/connection-context.ts'
import { known } from '../assert.ts'
import { portFailureOf } from '../rejection.ts'
import type { Change, ConnectionEvent, Sent, Stamp } from './events.ts'
import { isRenewal, mayRepeat } from './guards.ts'
import { requestedScope, wantedGrant } from './selectors.ts'

/** How many abandoned claims are remembered. */
const MAX_ABANDONED_CLAIMS = 4

/** The intent, stored before the request leaves. */
export function claim(
  { at, claimId, leaseMs }: Stamp,
  what: Pick<Claim, 'kind' | 'stateHash' | 'serverId' | 'scope' | 'grant' | 'afterRefusal'>,
): Change {
  return { at, claim: { id: claimId, leaseMs, repeats: 0, ...what } }
}

/** The code is kept before it is spent; from then on the attempt lives as long as the code. A kept one is claimed again. */
export function claimExchange(
  context: ConnectionContext,
  event: Sent<'callback.received'> | Sent<'exchange.resumed'>,
): Change {
  const { stateHash, at } = event
  const claimed = claim(event, { kind: 'exchange', stateHash })
  if (event.type === 'exchange.resumed') return claimed
  const { code, codeTtlMs, refuseAccountChange } = event
  const keepCode = (attempt: Attempt): Attempt =>
    attempt.stateHash === stateHash && attempt.code === undefined
      ? { ...attempt, code, expiresAt: at + codeTtlMs, refuseAccountChange }
      : attempt
  return { ...claimed, attempts: context.attempts.map(keepCode) }
}

/**
 * A grant without a user spends under the ids that its request brought along; from here on the claim knows all it
 * needs.
 */
export function claimTokenRequest(context: ConnectionContext): Change {
  const request = known(context.request, 'a request')
  const { claimId, leaseMs } = request
  const serverId = context.servers.at(-1)?.id
  return claim(
    { at: context.at, claimId, leaseMs },
    isRenewal(context)
      ? { kind: 'refresh', serverId }
      : {
          kind: 'requestToken',
          serverId,
          scope: requestedScope(context),
          grant: grantWithoutUser(wantedGrant(request)),
        },
  )
}

export function claimRefresh(event: Sent<'refresh.requested'>): Change {
  return claim(event, { kind: 'refresh', afterRefusal: event.refused })
}

/** A renewal without a refresh token asks for the same again. */
export function claimRenewal(context: ConnectionContext, event: Sent<'refresh.requested'>): Change {
  const { tokens } = context
  const { serverId, requestedScope: scope, grant } = tokens ?? {}
  const what = { serverId, scope, grant: grantWithoutUser(grant), afterRefusal: event.refused }
  return claim(event, { kind: 'requestToken', ...what })
}

/** The claim's request was sent and nobody knows what became of it: nothing more happens until its lease is over. */
export function suspectClaim(context: ConnectionContext, event: ConnectionEvent): Change {
  const { failure } = portFailureOf(event)
  return { failure, claim: context.claim && { ...context.claim, outcomeUnknown: true }, ...doubted(context) }
}

/**
 * The refresh token of this claim may be spent: if the server ever refuses it, it may have revoked the access token
 * along with it.
 */
function doubted({ claim: held, tokens }: ConnectionContext): Change {
  return held?.kind === 'refresh' ? { tokens: { ...known(tokens, 'tokens'), doubted: true } } : {}
}

/** The claim is given up. If the same may be sent once more, a new claim stands in its place. */
export function abandonClaim(context: ConnectionContext, event: Sent<'claim.abandoned'>): Change {
  const { at, claimId, leaseMs, abandonedId } = event
  const { claim: held } = context
  const again =
    held && mayRepeat(context, at)
      ? { ...held, outcomeUnknown: undefined, id: claimId, leaseMs, repeats: held.repeats + 1 }
      : undefined
  const repeated = again !== undefined
  return {
    at,
    abandoned: [...context.abandoned, { id: abandonedId, repeated }].slice(-MAX_ABANDONED_CLAIMS),
    claim: again,
    failure: repeated ? context.failure : { code: 'TOKEN_OUTCOME_UNKNOWN' },
    retryAt: at + leaseMs,
    ...doubted(context),
  }
}
