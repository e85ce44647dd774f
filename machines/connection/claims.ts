import { nonInteractiveGrant } from '../../src/protocol/token-endpoint.ts'
import type { Attempt, Claim, ConnectionContext } from '../../src/schemas/connection-context.ts'
import { assertDefined } from '../assert.ts'
import { withExpiredClaim, withUnknownOutcome } from '../claim-rules.ts'
import type { Change, ConnectionEvent, Sent, Stamp } from './events.ts'
import { canRetry, isRenewal } from './guards.ts'
import { requestedScope, wantedGrant } from './selectors.ts'

/** The intent, which is stored before the request is sent. */
export function claim(
  { at, claimId, leaseMs }: Stamp,
  what: Pick<Claim, 'kind' | 'stateHash' | 'serverId' | 'scope' | 'grant' | 'afterRejection'>,
): Change {
  return { at, claim: { id: claimId, leaseMs, retries: 0, ...what } }
}

/**
 * The code is stored before it is redeemed; from then on the attempt lives as long as the code. A stored one is claimed
 * again.
 */
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

/** A non-interactive grant is claimed under the ids that its request brought along; the claim holds all it needs. */
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

/** A renewal without a refresh token requests the same scope again. */
export function claimRenewal(context: ConnectionContext, event: Sent<'refresh.requested'>): Change {
  const { tokens } = context
  const { serverId, requestedScope: scope, grant } = tokens ?? {}
  const what = { serverId, scope, grant: nonInteractiveGrant(grant), afterRejection: event.rejectedToken }
  return claim(event, { kind: 'requestToken', ...what })
}

/** The outcome of the claim's request is unknown; its refresh token may have been consumed. */
export function markOutcomeUnknown(context: ConnectionContext, event: ConnectionEvent): Change {
  return { ...withUnknownOutcome(context, event), ...withConsumptionDoubt(context) }
}

/**
 * The refresh token of this claim may have been consumed: if the server rejects it later, it may have revoked the
 * access token along with it.
 */
function withConsumptionDoubt({ claim: current, tokens }: ConnectionContext): Change {
  return current?.kind === 'refresh'
    ? { tokens: { ...assertDefined(tokens, 'tokens'), refreshTokenMayBeConsumed: true } }
    : {}
}

/** The claim expires; its request is repeated under a new claim where that is allowed. */
export function expireClaim(context: ConnectionContext, event: Sent<'claim.expired'>): Change {
  const { at, leaseMs } = event
  const {
    claim: next,
    orphanedClaims,
    failure,
  } = withExpiredClaim(context, event, canRetry(context, at), 'TOKEN_OUTCOME_UNKNOWN')
  return { at, claim: next, orphanedClaims, failure, retryAt: at + leaseMs, ...withConsumptionDoubt(context) }
}
