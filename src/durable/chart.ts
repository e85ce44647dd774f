import type { Clock } from '../clock.ts'
import type { Claim, JournalEntry } from '../schemas/connection-context.ts'
import type { SnapshotStore } from '../stores/snapshot-store.ts'
import type { ChartLogic } from './actor.ts'
import type { ChangeWatcher } from './change-watcher.ts'
import type { InspectionRecord } from './inspection.ts'
import type { Sealer } from './sealing.ts'
import type { SnapshotCodec } from './snapshot-codec.ts'
import { SAVE_MARGIN_MS } from './limits.ts'

/** What every durable chart has in its context. */
export interface DurableContext {
  at: number
  claim?: Claim | undefined
  journal: JournalEntry[]
}

/** A chart that the runner can run durably: the machine with its actors provided, and how its context is stored. */
export interface DurableChart<
  Context extends DurableContext,
  Command extends { type: string },
> extends SnapshotCodec<Context> {
  readonly machine: ChartLogic<Context>
  /** How long a record with this context is retained, in milliseconds; `undefined`: until it is replaced. */
  ttlMs(context: Context): number | undefined
  /** The event that offers a claim's result after its save conflicted; `undefined` if the claim brought nothing. */
  lateResult(claimed: Context, settled: Context): Command | undefined
}

/** A record as it was read, with the means to compute its present age. */
export interface RecordView<Context> {
  readonly context: Context
  /** The state value, as XState writes it. */
  readonly value: unknown
  readonly version: string
  /** The record clock: `savedAt`, plus the age that the store reported, plus the time since. */
  at(): number
  /** How long ago it was written, in milliseconds. */
  ageMs(): number
}

/** How long a claim lasts, and how long after that other processes leave it alone, in milliseconds. */
export interface Lease {
  readonly leaseMs: number
  readonly graceMs: number
}

/** One run of a chart on one record. */
export interface Run<Context extends DurableContext, Command extends { type: string }> {
  readonly chart: DurableChart<Context, Command>
  readonly key: string
  /** What a chart without a record begins with; the record time is added. */
  readonly input: object
  readonly lease: Lease
  /** It carries the result of a single-use credential: only the end of the process ends it. */
  readonly carriesResult: boolean
}

/** The outcome of a run. */
export interface RunResult<Context> {
  /** The record as it stands now; `undefined` if there is none. */
  readonly view: RecordView<Context> | undefined
  /** Whether the chart accepted the event. If not, nothing was stored for it. */
  readonly accepted: boolean
  /** Whether this run itself sent a request with a single-use credential. */
  readonly consumed: boolean
  /** What the chart emitted for its caller, in order. */
  readonly emitted: readonly { type: string }[]
}

/** Chooses the event for a record; `undefined` if there is nothing to do, which is an outcome as well. */
export type Step<Context, Command> = (view: RecordView<Context> | undefined) => Command | undefined

/** What the runner needs from its surroundings. */
export interface RunnerOptions {
  readonly store: SnapshotStore
  readonly sealer: Sealer
  readonly clock: Clock
  readonly changes: ChangeWatcher
  /** The time-out of one request, in milliseconds: the deadline of a claim leaves that much time. */
  readonly requestTimeoutMs: number
  /** Called after each save: the new journal entries, and the context that was stored before. */
  readonly onTransitions: (
    context: DurableContext,
    entries: readonly JournalEntry[],
    before: DurableContext | undefined,
  ) => void
  readonly inspect?: ((record: InspectionRecord) => void) | undefined
}

/** The last monotonic instant at which a request may leave under a claim whose save began at `begunAt`. */
export function sendDeadline(begunAt: number, { leaseMs }: Lease, requestTimeoutMs: number): number {
  return begunAt + leaseMs - requestTimeoutMs - saveMarginMs(leaseMs)
}

/** How much of a lease is left for the save of the result, in milliseconds. */
export function saveMarginMs(leaseMs: number): number {
  return Math.min(SAVE_MARGIN_MS, leaseMs / 4)
}
