import type { Clock } from '../clock.ts'
import type { Claim, JournalEntry } from '../schemas/connection-context.ts'
import type { SnapshotStore } from '../stores/snapshot-store.ts'
import type { ChartLogic } from './actor.ts'
import type { ChangeWatcher } from './change-watcher.ts'
import type { InspectionRecord } from './inspection.ts'
import type { Sealer } from './sealing.ts'
import type { SnapshotCodec } from './snapshot-codec.ts'
import { SAVE_MARGIN_MS } from './limits.ts'

/** Members of every durable chart's context. */
export interface DurableContext {
  at: number
  /** Changes with each result that is stored. */
  generation: number
  claim?: Claim | undefined
  journal: JournalEntry[]
}

/** A chart that the runner executes durably: the machine with its actors provided, and the codec of its snapshots. */
export interface DurableChart<
  Context extends DurableContext,
  Command extends { type: string },
> extends SnapshotCodec<Context> {
  readonly machine: ChartLogic<Context>
  /** How long a record with this context is retained, in milliseconds; `undefined`: until it is replaced. */
  ttlMs(context: Context): number | undefined
  /** Whether any other event may take this claim over at once, whatever its age; without it, none may. */
  yields?(claim: Claim): boolean
  /** Whether an event that claimed nothing left only what the record says already: then nothing is stored. */
  isSameFailure?(stored: Context, context: Context): boolean
  /** The event that submits a claim's result after its save was a conflict; `undefined` without a result to submit. */
  lateResult(claimed: Context, settled: Context): Command | undefined
}

/** Moves an instant from one clock to another; `undefined` remains so. */
export interface Conversion {
  (instant: number): number
  (instant: number | undefined): number | undefined
}

/** A loaded record, with functions that compute its current age. */
export interface RecordView<Context> {
  readonly context: Context
  /** The XState state value. */
  readonly value: unknown
  readonly version: string
  /** The monotonic instant at which it was requested: it has what was stored before. */
  readonly requestedAt: number
  /** It was loaded, and is encrypted with another key than new records are. */
  readonly isSealedBefore?: true
  /** It was just stored, and too few replicas confirmed it: no request may be sent under its claim. */
  readonly isUnconfirmed?: true
  /** The record clock: `savedAt`, plus the age that the store reported, plus the time since; or by `startedAt`. */
  at(): number
  /** Record time when the store created the record; `undefined`: not determined yet. */
  readonly startedAt: number | undefined
  /** An instant of the record, for a caller: on the wall clock of this process. */
  readonly toLocal: Conversion
  /** An instant of a caller, on the wall clock of this process, for the record. */
  readonly toRecord: Conversion
  /** Time since the record was written, in milliseconds. */
  ageMs(): number
}

/** The lease of a claim, and the grace period before another process takes the claim over, in milliseconds. */
export interface Lease {
  readonly leaseMs: number
  readonly graceMs: number
}

/** When a record with this context, written at this instant of its own clock, has to be woken; `undefined`: never. */
export type DueInMs<Context> = (context: Context, at: number) => number | undefined

/** One run of a chart on one record. */
export interface Run<Context extends DurableContext, Command extends { type: string }> {
  readonly chart: DurableChart<Context, Command>
  readonly key: string
  /** The chart's input if the record is absent; the record time is added. */
  readonly input: object
  readonly lease: Lease
  readonly dueInMs: DueInMs<Context> | undefined
  /** The run submits the result of a single-use credential, and is retried as long as the process lives. */
  readonly carriesResult: boolean
  /** Called once the run has stored a claim that any other event takes over: no other run has to wait for it. */
  readonly onYield: () => void
  /** Called once its result could not be stored in time: its caller, and those of the next runs, wait no longer. */
  readonly onLate: () => void
}

/** The outcome of a run. */
export interface RunResult<Context> {
  /** The record after the run; `undefined` if absent. */
  readonly view: RecordView<Context> | undefined
  /** Whether the chart accepted the event. Otherwise nothing was stored for it. */
  readonly accepted: boolean
  /** Whether this run itself sent a request with a single-use credential. */
  readonly consumed: boolean
  /** The events that the chart emitted, in order. */
  readonly emitted: readonly { type: string }[]
}

/** Chooses the event for a record; `undefined` ends the run without an event. */
export type Step<Context, Command> = (view: RecordView<Context> | undefined) => Command | undefined

/** Dependencies and settings of the runner. */
export interface RunnerOptions {
  readonly store: SnapshotStore
  readonly sealer: Sealer
  readonly clock: Clock
  readonly changes: ChangeWatcher
  /** The time-out of one request, in milliseconds; the send deadline of a claim leaves this much time. */
  readonly requestTimeoutMs: number
  /** Called after each save: the record, its new journal entries, and the context that was stored before. */
  readonly onTransitions: (
    view: Pick<RecordView<DurableContext>, 'context' | 'toLocal'>,
    entries: readonly JournalEntry[],
    before: DurableContext | undefined,
  ) => void
  readonly inspect?: ((record: InspectionRecord) => void) | undefined
}

/** The last monotonic instant at which a request may be sent under a claim whose save started at `saveStartedAt`. */
export function sendDeadline(saveStartedAt: number, { leaseMs }: Lease, requestTimeoutMs: number): number {
  return saveStartedAt + leaseMs - requestTimeoutMs - saveMarginMs(leaseMs)
}

/** The part of a lease that is reserved for saving the result, in milliseconds. */
function saveMarginMs(leaseMs: number): number {
  return Math.min(SAVE_MARGIN_MS, leaseMs / 4)
}

/** The shortest lease, in whole milliseconds, in which a request and then {@link saveMarginMs} have room. */
export function leastLeaseMs(requestTimeoutMs: number): number {
  return Math.floor(Math.min(requestTimeoutMs + SAVE_MARGIN_MS, (requestTimeoutMs * 4) / 3)) + 1
}
