import { setTimeout as delay } from 'node:timers/promises'
import { nextWakeAt, renewalDueAt } from '../../machines/connection/schedule.ts'
import {
  exchangeDueAt,
  isClaimed,
  isNotRequired,
  isRenewalScheduled,
  isTokenless,
  pendingExchange,
  retainedUntil,
  serverOf,
  stateOf,
  tokensOf,
} from '../../machines/connection/selectors.ts'
import { AuthorizationError } from '../errors/authorization-error.ts'
import { failure, type Failure, isRetryable, type NextAction, nextActionFor } from '../errors/failure.ts'
import type { ConnectionState, JournalEntry } from '../schemas/connection-context.ts'
import { failureOfRejectedToken, isAuthorizedHere, noteFailure } from './access-token.ts'
import { allowedPart, isDisallowedForGood, violationOf } from './policy-violation.ts'
import { POLL_INTERVAL_MS, WAKE_TOLERANCE_MS } from './limits.ts'
import { abortable, type ConnectionRecord } from './record.ts'
import { revokeDue } from './revoke-due.ts'
import type { View } from './services.ts'

/** The state of a connection, for operators. Contains no secret. */
export interface ConnectionStatus {
  /** The resting state of the chart, or the state of the claim in progress. */
  state: ConnectionState
  /** Whether an access token can be obtained without user interaction. */
  authorized: boolean
  /**
   * Whether the server was found to require no authorization, within the last day. It is not forgotten if the server
   * cannot be asked again: then there is a `failure` beside it.
   */
  notRequired: boolean
  /** As granted; space-separated. */
  scope: string | undefined
  /** Expiry of the access token, epoch milliseconds by the clock of this process; `undefined`: unknown. */
  expiresAt: number | undefined
  /**
   * When `wake()` has work to do, epoch milliseconds by the clock of this process; `undefined`: no work is scheduled.
   * In the past: now.
   */
  nextWakeAt: number | undefined
  /**
   * The last failure, if no operation has succeeded since; or that every token is rejected which a grant that needs no
   * user obtains (`everyTokenRejected`).
   */
  failure: Failure | undefined
  /** What the host can do now. */
  nextAction: NextAction
  /** The last transitions, oldest first. `at` is epoch milliseconds by the clock of this process. */
  journal: readonly JournalEntry[]
  /**
   * What authchart or the host knows of the authorization server beyond its metadata: `server` of the rows that are in
   * use, the host's first; empty before the first authorization.
   */
  facts: readonly string[]
}

const NOTHING_STORED: ConnectionStatus = {
  state: 'disconnected',
  authorized: false,
  notRequired: false,
  scope: undefined,
  expiresAt: undefined,
  nextWakeAt: undefined,
  failure: undefined,
  nextAction: 'authorize',
  journal: [],
  facts: [],
}

/**
 * The status of a connection, from one load of its record.
 *
 * @internal
 */
export async function status(record: ConnectionRecord): Promise<ConnectionStatus> {
  const view = await record.load()
  if (view !== undefined) return statusOf(record, view)
  const violation = violationOf(record, undefined)
  return violation ? { ...NOTHING_STORED, failure: violation, nextAction: nextActionFor(violation) } : NOTHING_STORED
}

/**
 * The status of a connection whose record was loaded.
 *
 * @internal
 */
export function statusOf(record: ConnectionRecord, view: View): ConnectionStatus {
  const { context } = view
  const at = view.at()
  const tokens = tokensOf(context)
  const violation = violationOf(record, context)
  // An authorization that began since removes its own failure, but not that of the renewals.
  const reason =
    (isDisallowedForGood(violation, context.failure) ? undefined : violation) ??
    context.failure ??
    (isTokenless(context, at) ? undefined : context.failedRenewal?.failure) ??
    failureOfRejectedToken(view)
  const authorized = isAuthorizedHere(record, view)
  const state = stateOf(context, at)
  const notRequired = isNotRequired(context, at)
  const isWorkPending =
    isClaimed(context) || pendingExchange(context, at) !== undefined || isRenewalScheduled(context, at)
  // What failed is not tried again, so that only a sign-in helps.
  const isOver = !authorized && !notRequired && !isWorkPending && reason !== undefined && isRetryable(reason)
  const fallback: NextAction = authorized || notRequired ? 'none' : 'authorize'
  const action = reason === undefined || isOver ? fallback : nextActionFor(reason)
  // A sign-in that failed beside tokens which last: authorize() would only return them.
  const isBeside = authorized && context.failedRenewal === undefined && tokens?.refreshTokenRejected !== true
  const server = serverOf(context, tokens?.serverId ?? context.attempts.at(-1)?.serverId)
  return {
    state: state === 'authorized' && !authorized ? 'reauthorizationRequired' : state,
    authorized,
    notRequired,
    scope: tokens?.scope,
    expiresAt: view.toLocal(tokens?.expiresAt),
    nextWakeAt: view.toLocal(wakeAt(record, view)),
    failure: reason,
    nextAction: action === 'authorize' && isBeside ? 'none' : action,
    journal: context.journal.map((entry) => ({ ...entry, at: view.toLocal(entry.at) })),
    facts: server === undefined ? [] : record.services.facts(server.issuer).names,
  }
}

function wakeAt(record: ConnectionRecord, view: View): number | undefined {
  const context = allowedPart(record, view.context)
  const claimEndsAt = context.claim && record.claimEndsAt(view)
  return nextWakeAt(context, view.at(), claimEndsAt, record.policy.minTokenTtlMs)
}

/**
 * Performs the work that is due by `nextWakeAt`. The run itself takes over an orphaned claim.
 *
 * @param loaded The record, if it was just loaded.
 * @returns Whether something was done.
 * @internal
 */
export async function wake(record: ConnectionRecord, loaded?: View): Promise<boolean> {
  const view = loaded ?? (await record.load())
  if (view === undefined) return false
  // What it stores is encrypted with the current key.
  return (await doDue(record, view)) || (view.isSealedBefore === true && (await record.reseal()))
}

/** Does what is due; resolves to whether that was anything. */
async function doDue(record: ConnectionRecord, view: View): Promise<boolean> {
  const { minTokenTtlMs } = record.policy
  const dueInMs = (now: View): number => (wakeAt(record, now) ?? Infinity) - now.at()
  const isDue = (now: View): boolean => dueInMs(now) <= 0
  const earlyMs = dueInMs(view)
  // Never before it is due: a server may have said when it is to be asked again.
  if (earlyMs > 0 && earlyMs <= WAKE_TOLERANCE_MS) await delay(earlyMs + 1)
  if (!isDue(view)) return false
  const { claim, generation } = view.context
  const {
    accepted,
    consumed,
    view: after,
  } = await record.run(
    (now) => {
      // Another process may have completed the work, or failed, since the load.
      if (now === undefined || !isDue(now)) return undefined
      const at = now.at()
      const allowed = allowedPart(record, now.context)
      const attempt = pendingExchange(allowed, at)
      const isExchangeDue = (exchangeDueAt(allowed, at) ?? Infinity) <= at
      if (attempt !== undefined && isExchangeDue) return { type: 'exchange.resumed', stateHash: attempt.stateHash }
      const isRenewalDue = (renewalDueAt(allowed, at, minTokenTtlMs) ?? Infinity) <= at
      if (isRenewalDue) return { type: 'refresh.requested', generation }
      return now.context.attempts.some((attempt) => retainedUntil(attempt) <= at)
        ? { type: 'attempt.expired' }
        : undefined
    },
    { view },
  )
  const hasFailed = after?.context.failedRenewal?.retryAt !== view.context.failedRenewal?.retryAt
  if (accepted && after !== undefined && hasFailed) noteFailure(record, after)
  const isRevoked = after !== undefined && (await revokeDue(record, after))
  return accepted || consumed || isRevoked || claim !== undefined
}

/** Whether requests need no user interaction: a token can be obtained, or none is required. */
function isReady(record: ConnectionRecord, view: View): boolean {
  return isAuthorizedHere(record, view) || isNotRequired(view.context, view.at())
}

/**
 * Waits until no user interaction is needed. Loads the record on each change notice, and at an interval.
 *
 * @internal
 */
export async function awaitAuthorized(
  record: ConnectionRecord,
  { timeoutMs, signal }: { timeoutMs: number; signal: AbortSignal | undefined },
): Promise<void> {
  const { changes, clock } = record.services
  const until = clock.monotonic() + timeoutMs
  await changes.ready()
  const watch = changes.watch(record.key)
  try {
    for (;;) {
      // After a pause of the process the record is loaded once more.
      const isLast = clock.monotonic() >= until
      const view = await abortable(() => {
        record.services.assertOpen()
        return record.load()
      }, signal)
      if (view !== undefined && isReady(record, view)) return
      if (isLast) throw new AuthorizationError(failure('TIMED_OUT'))
      const leftMs = Math.max(until - clock.monotonic(), 0)
      await abortable(() => watch.changed(Math.min(leftMs, POLL_INTERVAL_MS)), signal)
    }
  } finally {
    watch.stop()
  }
}
