import type { Failure } from '../src/errors/failure.ts'
import type { Claim, ConnectionContext, JournalEntry } from '../src/schemas/connection-context.ts'
import type { ClientInformation } from '../src/schemas/credentials.ts'
import { textBytesOf } from '../src/protocol/scopes.ts'
import type { RegistrationContext } from '../src/schemas/registration.ts'
import { MAX_JOURNAL_ENTRIES, MAX_ORPHANED_CLAIMS, MAX_RETRIES, MAX_TOTAL_SCOPE_LENGTH } from './limits.ts'
import { portFailureOf } from './rejection.ts'

/** The members of both charts' contexts that the rules for claims read and change. */
type ClaimContext = Pick<ConnectionContext | RegistrationContext, 'claim' | 'orphanedClaims' | 'failure'>

/** A `claim.expired` with the stamp of the runner. */
interface ClaimExpired {
  at: number
  claimId: string
  leaseMs: number
  orphanId: string
}

/** Whether the client's secret has expired (RFC 7591 §3.2.1, `client_secret_expires_at`). */
export function isSecretExpired({ clientSecretExpiresAt = Infinity }: ClientInformation, at: number): boolean {
  return clientSecretExpiresAt <= at
}

/** Whether a `claim.expired` names the current claim. */
export function isCurrentClaim(
  { claim }: ClaimContext,
  event: { type: string; orphanId?: string | undefined },
): boolean {
  return event.type === 'claim.expired' && event.orphanId === claim?.id
}

/** Whether the request of this claim was retried less often than {@link MAX_RETRIES} allows. */
export function hasRetriesLeft(claim: Claim | undefined): claim is Claim {
  return claim !== undefined && claim.retries < MAX_RETRIES
}

/** Whether the server of a claim with an unknown outcome asked that its request is not sent again yet. */
export function isDeferred(claim: Claim | undefined, at: number): claim is Claim & { retryAt: number } {
  return claim?.retryAt !== undefined && claim.retryAt > at
}

/** The orphaned claim that an event names: one that expired and was taken over by another process. */
export function orphanedClaim({ orphanedClaims }: ClaimContext, orphanId: string) {
  return orphanedClaims.find(({ id }) => id === orphanId)
}

/**
 * Marks the current claim: its request was sent with an unknown outcome, and the claim rests until it expires. If the
 * server asked for a later request, it is not repeated before (RFC 9110 §10.2.3).
 */
export function withUnknownOutcome(
  context: ClaimContext & { at: number },
  event: { type: string; error?: unknown },
): Pick<ClaimContext, 'claim' | 'failure'> {
  const { claim } = context
  const { failure, at = context.at } = portFailureOf(event)
  const { retryAfterMs } = failure.details ?? {}
  const retryAt = retryAfterMs === undefined ? undefined : at + retryAfterMs
  return { failure, claim: claim && { ...claim, outcomeUnknown: true, retryAt } }
}

/**
 * Expires the current claim and records it as orphaned. If its request may be sent once more, a new claim replaces it.
 *
 * @param failureCode The failure otherwise.
 */
export function withExpiredClaim(
  { claim, orphanedClaims, failure }: ClaimContext,
  { claimId, leaseMs, orphanId }: ClaimExpired,
  mayRetry: boolean,
  failureCode: 'TOKEN_OUTCOME_UNKNOWN' | 'SERVER_UNAVAILABLE',
): Required<ClaimContext> & { retried: boolean } {
  const next =
    claim && mayRetry
      ? { ...claim, outcomeUnknown: undefined, retryAt: undefined, id: claimId, leaseMs, retries: claim.retries + 1 }
      : undefined
  const retried = next !== undefined
  return {
    claim: next,
    orphanedClaims: [...orphanedClaims, { id: orphanId, retried }].slice(-MAX_ORPHANED_CLAIMS),
    failure: retried ? failure : { code: failureCode },
    retried,
  }
}

const REVOCATION_FAILED = 'revokeTokens.failed'

/** The reason of a transition: a failure code, the result of a port (`refreshTokens.done`), or the event. */
function reasonOf(event: { type: string }, failure: Failure | undefined): string {
  // A revocation says nothing about the connection, whose failure is another one.
  if (event.type === 'xstate.done.actor.revokeTokens') return 'revokeTokens.done'
  if (event.type === 'xstate.error.actor.revokeTokens') return REVOCATION_FAILED
  if (event.type.startsWith('xstate.error.')) return portFailureOf(event).failure.code
  if (!event.type.startsWith('xstate.done.actor.')) return event.type
  return failure?.code ?? `${event.type.slice('xstate.done.actor.'.length)}.done`
}

/** Adds a transition with the current notes to the journal, and drops the oldest one if the journal is full. */
export function appendToJournal(
  context: { at: number; journal: JournalEntry[]; failure?: Failure | undefined; notes?: string[] | undefined },
  event: { type: string },
  to: string,
  start: string,
): JournalEntry[] {
  const { at, journal, failure, notes } = context
  const last = journal.at(-1)
  const from = last?.to ?? start
  const reason = reasonOf(event, failure)
  // A server may send one with each response, which must not displace what explains the state.
  if (event.type === 'challenge.received' && from === to) return journal
  // Nor must a disconnect that finds nothing more to end, since an earlier one did.
  if (event.type === 'disconnect.requested' && from === to && last?.reason === reason) return journal
  // Nor must a revocation that is attempted for a day.
  if (event.type === 'revocation.resumed') return journal
  if (reason === REVOCATION_FAILED && last?.reason === reason && String(last.notes) === String(notes)) return journal
  const entry = { at, from, to, reason, ...(notes && { notes }) }
  return [...journal, entry].slice(-MAX_JOURNAL_ENTRIES)
}

/**
 * The newest entries: at most `count`, and no more than {@link MAX_TOTAL_SCOPE_LENGTH} bytes of scope, or of what else
 * `bytesIn` counts; the newest in any case.
 */
export function newestWithin<Entry extends { scope?: string | undefined }>(
  entries: Entry[],
  count: number,
  bytesIn: (entry: Entry) => number = ({ scope }) => textBytesOf(scope),
): Entry[] {
  const newest = entries.slice(-count).toReversed()
  let left = MAX_TOTAL_SCOPE_LENGTH
  const first = newest.findIndex((entry, index) => (left -= bytesIn(entry)) < 0 && index > 0)
  return newest.slice(0, first === -1 ? count : first).toReversed()
}
