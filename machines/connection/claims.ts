import { nonInteractiveGrant } from '../../src/protocol/grants.ts'
import type { Attempt, Claim, ConnectionContext } from '../../src/schemas/connection-context.ts'
import { assertDefined } from '../assert.ts'
import { portFailureOf } from '../rejection.ts'
import type { Change, ConnectionEvent, Sent, Stamp } from './events.ts'
import { isRenewal, canRetry } from './guards.ts'
import { requestedScope, wantedGrant } from './selectors.ts'

/** How many abandoned claims are remembered. */
const MAX_ORPHANED_CLAIMS = 4

/** The intent, stored before the request leaves. */
export function claim(
  { at, claimId, leaseMs }: Stamp,
  what: Pick<Claim, 'kind' | 'stateHash' | 'serverId' | 'scope' | 'grant' | 'afterRejection'>,
): Change {
  return { at, claim: { id: claimId, leaseMs, retries: 0, ...what } }
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
  const retainCode = (attempt: Attempt): Attempt =>
    attempt.stateHash === stateHash && attempt.code === undefined
      ? { ...attempt, code, expiresAt: at + codeTtlMs, refuseAccountChange }
      : attempt
  return { ...claimed, attempts: context.attempts.map(retainCode) }
}

/**
 * A grant without a user spends under the ids that its request brought along; from here on the claim knows all it
 * needs.
 */
export function claimTokenRequest(context: ConnectionContext): Change {
  const request = assertDefined(context.request, 'a request')
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
          grant: nonInteractiveGrant(wantedGrant(request)),
        },
  )
}

export function claimRefresh(event: Sent<'refresh.requested'>): Change {
  return claim(event, { kind: 'refresh', afterRejection: event.rejectedToken })
}

/** A renewal without a refresh token asks for the same again. */
export function claimRenewal(context: ConnectionContext, event: Sent<'refresh.requested'>): Change {
  const { tokens } = context
  const { serverId, requestedScope: scope, grant } = tokens ?? {}
  const what = { serverId, scope, grant: nonInteractiveGrant(grant), afterRejection: event.rejectedToken }
  return claim(event, { kind: 'requestToken', ...what })
}

/** The claim's request was sent and nobody knows what became of it: nothing more happens until its lease is over. */
export function markOutcomeUnknown(context: ConnectionContext, event: ConnectionEvent): Change {
  const { failure } = portFailureOf(event)
  return {
    failure,
    claim: context.claim && { ...context.claim, outcomeUnknown: true },
    ...withConsumptionDoubt(context),
  }
}

/**
 * The refresh token of this claim may be spent: if the server ever refuses it, it may have revoked the access token
 * along with it.
 */
function withConsumptionDoubt({ claim: held, tokens }: ConnectionContext): Change {
  return held?.kind === 'refresh'
    ? { tokens: { ...assertDefined(tokens, 'tokens'), refreshTokenMayBeConsumed: true } }
    : {}
}

/** The claim is given up. If the same may be sent once more, a new claim stands in its place. */
export function expireClaim(context: ConnectionContext, event: Sent<'claim.expired'>): Change {
  const { at, claimId, leaseMs, orphanId } = event
  const { claim: held } = context
  const again =
    held && canRetry(context, at)
      ? { ...held, outcomeUnknown: undefined, id: claimId, leaseMs, retries: held.retries + 1 }
      : undefined
  const retried = again !== undefined
  return {
    at,
    orphanedClaims: [...context.orphanedClaims, { id: orphanId, retried }].slice(-MAX_ORPHANED_CLAIMS),
    claim: again,
    failure: retried ? context.failure : { code: 'TOKEN_OUTCOME_UNKNOWN' },
    retryAt: at + leaseMs,
    ...withConsumptionDoubt(context),
  }
}
