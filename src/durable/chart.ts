import type { Clock } from '../clock.ts'
import type { Claim, JournalEntry } from '../schemas/connection-context.ts'
import type { SnapshotStore } from '../stores/snapshot-store.ts'
import type { ChangeWatcher } from './change-watcher.ts'
import type { ChartLogic } from './actor.ts'
import type { InspectionRecord } from './inspection.ts'
import type { Sealer } from './sealing.ts'
import type { SnapshotCodec } from './snapshot-codec.ts'

/** Room that the fence of a claim leaves for the save of the result, in milliseconds. */
export const SAVE_MARGIN_MS = 5_000
/** What every durable chart keeps in its context. */
export interface DurableContext {
  at: number
  claim?: Claim | undefined
  journal: JournalEntry[]
}

/** A chart that the runner can run durably: the machine with its actors provided, and how its context is read and kept. */
export interface DurableChart<
  Context extends DurableContext,
  Command extends { type: string },
> extends SnapshotCodec<Context> {
  readonly machine: ChartLogic<Context>
  /** How long a record with this context is worth keeping, in milliseconds; `undefined`: until it is replaced. */
  ttlMs(context: Context): number | undefined
  /** What a claim's holder has to tell if its result could not be saved; `undefined` if nothing was won by it. */
  lateResult(claimed: Context, rested: Context): Command | undefined
}

/** A record as it was read, with the means to tell how old it is by now. */
export interface RecordView<Context> {
  readonly context: Context
  /** The state value, as XState writes it. */
  readonly value: unknown
  readonly version: string
  /** Record time: `savedAt`, plus the age that the store told, plus what has passed here since. */
  at(): number
  /** How long ago it was written, in milliseconds. */
  ageMs(): number
}

/** How long a claim holds, and how long after that others leave it alone, in milliseconds. */
export interface Lease {
  readonly leaseMs: number
  readonly graceMs: number
}

/** What a run came to. */
export interface RunResult<Context> {
  /** The record as it stands now; `undefined` if there is none. */
  readonly view: RecordView<Context> | undefined
  /** Whether the chart took the event. If not, nothing was saved for it. */
  readonly taken: boolean
  /** Whether this very run sent a request that spends something. */
  readonly spent: boolean
  /** What the chart told its caller, in order. */
  readonly emitted: readonly { type: string }[]
}

/** The event for a record, or `undefined` if there is nothing to do: that is an outcome as well. */
export type Step<Context, Command> = (view: RecordView<Context> | undefined) => Command | undefined

/** What the runner needs of its surroundings. */
export interface RunnerOptions {
  readonly store: SnapshotStore
  readonly sealer: Sealer
  readonly clock: Clock
  readonly changes: ChangeWatcher
  /** The time-out of one request, in milliseconds: the fence of a claim leaves that much room. */
  readonly requestTimeoutMs: number
  /** Called after each save: what was added to the journal, and what was stored before. */
  readonly onTransitions: (
    context: DurableContext,
    entries: readonly JournalEntry[],
    before: DurableContext | undefined,
  ) => void
  readonly inspect?: ((record: InspectionRecord) => void) | undefined
}
