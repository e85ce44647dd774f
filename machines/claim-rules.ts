import type { Claim, ConnectionContext } from '../src/schemas/connection-context.ts'
import type { RegistrationContext } from '../src/schemas/registration.ts'
import { MAX_ORPHANED_CLAIMS, MAX_RETRIES } from './limits.ts'
import { portFailureOf } from './rejection.ts'

/** What both charts have in their contexts. */
type ClaimContext = Pick<ConnectionContext | RegistrationContext, 'claim' | 'orphanedClaims' | 'failure'>

/** A `claim.expired` with what the runner adds. */
interface ClaimExpired {
  at: number
  claimId: string
  leaseMs: number
  orphanId: string
}

/** Whether a `claim.expired` names the claim that stands. */
export function isCurrentClaim(
  { claim }: ClaimContext,
  event: { type: string; orphanId?: string | undefined },
): boolean {
  return event.type === 'claim.expired' && event.orphanId === claim?.id
}

/** Whether the request of this claim may be sent once more, as far as its earlier repeats are concerned. */
export function hasRetriesLeft(claim: Claim | undefined): claim is Claim {
  return claim !== undefined && claim.retries < MAX_RETRIES
}

/** The claim that an event names among those that other processes took over. */
export function orphanedClaim({ orphanedClaims }: ClaimContext, orphanId: string) {
  return orphanedClaims.find(({ id }) => id === orphanId)
}

/** The request was sent and its outcome is unknown: nothing more happens under this claim until its lease is over. */
export function withUnknownOutcome(
  { claim }: ClaimContext,
  event: { type: string; error?: unknown },
): Pick<ClaimContext, 'claim' | 'failure'> {
  const { failure } = portFailureOf(event)
  return { failure, claim: claim && { ...claim, outcomeUnknown: true } }
}

/**
 * The claim expires and is orphaned. If its request may be sent once more, a new claim stands in its place.
 *
 * @param failureCode What the connection fails with otherwise.
 */
export function withExpiredClaim(
  { claim, orphanedClaims, failure }: ClaimContext,
  { claimId, leaseMs, orphanId }: ClaimExpired,
  mayRetry: boolean,
  failureCode: 'TOKEN_OUTCOME_UNKNOWN' | 'REGISTRATION_UNAVAILABLE',
): Required<ClaimContext> & { retried: boolean } {
  const next =
    claim && mayRetry
      ? { ...claim, outcomeUnknown: undefined, id: claimId, leaseMs, retries: claim.retries + 1 }
      : undefined
  const retried = next !== undefined
  return {
    claim: next,
    orphanedClaims: [...orphanedClaims, { id: orphanId, retried }].slice(-MAX_ORPHANED_CLAIMS),
    failure: retried ? failure : { code: failureCode },
    retried,
  }
}
