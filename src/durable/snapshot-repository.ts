import { backoffMs } from '../backoff.ts'
import { randomId } from '../clock.ts'
import { AuthorizationError, isAuthorizationError } from '../errors/authorization-error.ts'
import { failure } from '../errors/failure.ts'
import { type StoredRecord, TooFewReplicasError } from '../stores/snapshot-store.ts'
import type { ChartSnapshot } from './actor.ts'
import { type DurableContext, type RecordView, type Run, type RunnerOptions, sendDeadline } from './chart.ts'
import { ID_BYTES, STORE_RETRY } from './limits.ts'
import { decodeSnapshot, encodeSnapshot, type SnapshotCodec } from './snapshot-codec.ts'

const unavailable = (): AuthorizationError => new AuthorizationError(failure('STORE_UNAVAILABLE'))

/** A snapshot that is about to be stored. */
export interface PendingSave<Context extends DurableContext> {
  readonly snapshot: ChartSnapshot<Context>
  /** The record that it was computed from. */
  readonly current: RecordView<Context> | undefined
  /** The record clock. */
  readonly now: () => number
  /** Whether a request with a single-use credential was sent under this run. */
  readonly isConsumed: boolean
}

/** Loads and stores encrypted snapshots by compare-and-set, and retries what must not be lost. */
export class SnapshotRepository {
  readonly #options: RunnerOptions
  /** Set once `close()` was called: nothing waits for the store any more unless a result depends on it. */
  isClosing = false
  /** Set once `close()` has waited for as long as it may: from then on no retry keeps the process alive. */
  isOver = false

  constructor(options: RunnerOptions) {
    this.#options = options
  }

  /**
   * Reads a record. Starts nothing.
   *
   * @throws {@link AuthorizationError} `STORE_UNAVAILABLE`, `SNAPSHOT_UNREADABLE`, `SNAPSHOT_KEY_UNKNOWN`,
   *   `SNAPSHOT_TOO_NEW`.
   */
  async load<Context extends DurableContext>(
    chart: SnapshotCodec<Context>,
    key: string,
  ): Promise<RecordView<Context> | undefined> {
    const { store, sealer, clock } = this.#options
    const askedAt = clock.monotonic()
    let stored: StoredRecord | undefined
    let text: string
    try {
      stored = await store.load(key)
      if (stored === undefined) return undefined
      text = await sealer.open(stored.value, { key })
    } catch (error) {
      // A key management service that is down says nothing about the record.
      throw stored !== undefined && isAuthorizationError(error) ? error : unavailable()
    }
    const { savedAt, value, context } = decodeSnapshot(chart, text)
    return this.#view({ context, value, version: stored.version }, savedAt, stored.ageMs, askedAt)
  }

  /** Loads the record of a run; a run that carries a result waits for the store, however long that takes. */
  async reload<Context extends DurableContext, Command extends { type: string }>({
    chart,
    key,
    carriesResult,
  }: Run<Context, Command>): Promise<RecordView<Context> | undefined> {
    for (let pauseMs = backoffMs(undefined, STORE_RETRY); ; pauseMs = backoffMs(pauseMs, STORE_RETRY)) {
      try {
        return await this.load(chart, key)
      } catch (error) {
        const isTransient = error instanceof AuthorizationError && error.code === 'STORE_UNAVAILABLE'
        if (!carriesResult || !isTransient) throw error
      }
      await this.pause(pauseMs)
    }
  }

  /**
   * Stores a snapshot. A save whose answer was lost is sent again with the same write id until its outcome is known:
   * before a request leaves, for as long as the claim would still allow it to; after it, for as long as the process
   * lives.
   *
   * @throws {@link AuthorizationError} `STORE_UNAVAILABLE` if nothing was consumed and the store cannot be asked.
   */
  async save<Context extends DurableContext, Command extends { type: string }>(
    run: Run<Context, Command>,
    { snapshot, current, now, isConsumed }: PendingSave<Context>,
  ): Promise<RecordView<Context> | 'conflict'> {
    const { chart, key, lease, carriesResult } = run
    const { store, sealer, clock, requestTimeoutMs } = this.#options
    const { context, value } = snapshot
    const writeId = this.createId()
    const deadline = sendDeadline(clock.monotonic(), lease, requestTimeoutMs)
    for (let pauseMs = backoffMs(undefined, STORE_RETRY); ; pauseMs = backoffMs(pauseMs, STORE_RETRY)) {
      const askedAt = clock.monotonic()
      // Set anew for each attempt: the store counts a record's age from its write, whenever that succeeds.
      // A port counts its own time, so its answer may lie in the next millisecond: record time never goes back.
      const savedAt = Math.max(now(), context.at)
      const viewOf = (version: string): RecordView<Context> =>
        this.#view({ context, value, version }, savedAt, 0, askedAt)
      try {
        const sealed = await sealer.seal(encodeSnapshot(chart, snapshot, savedAt), { key })
        const expectedVersion = current?.version
        const saved = await store.save(key, sealed, { expectedVersion, writeId, ttlMs: chart.ttlMs(context) })
        return saved === 'conflict' ? saved : viewOf(saved.version)
      } catch (error) {
        const isTooLate = clock.monotonic() > deadline
        const written = error instanceof TooFewReplicasError ? error.version : undefined
        // It stands on its master. Only a claim must be on the replicas before a request leaves, and a result should be.
        if (written !== undefined && !snapshot.hasTag('claim') && (isTooLate || !isConsumed)) return viewOf(written)
        if (!isConsumed && !carriesResult && (isTooLate || this.isClosing)) {
          if (written !== undefined) await this.#release(run, current, written, now)
          throw unavailable()
        }
      }
      await this.pause(pauseMs)
    }
  }

  /** Restores what stood before a claim that too few replicas have. Best effort: no request was sent under the claim. */
  async #release<Context extends DurableContext, Command extends { type: string }>(
    { chart, key }: Run<Context, Command>,
    before: RecordView<Context> | undefined,
    claimVersion: string,
    now: () => number,
  ): Promise<void> {
    const { store, sealer } = this.#options
    const write = { expectedVersion: claimVersion, writeId: this.createId() }
    const release = async (): Promise<unknown> => {
      if (before === undefined) return await store.delete(key, write)
      const sealed = await sealer.seal(encodeSnapshot(chart, before, now()), { key })
      return await store.save(key, sealed, { ...write, ttlMs: chart.ttlMs(before.context) })
    }
    // Most likely too few replicas for this as well; whatever else is wrong, the claim's lease ends by itself.
    await release().catch(() => {})
  }

  /** Waits. After `close()` has ended, a wait no longer keeps the process alive. */
  pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms)
      if (this.isOver) timer.unref()
    })
  }

  /** A random id for a claim or a write. */
  createId(): string {
    return randomId(this.#options.clock, ID_BYTES)
  }

  #view<Context>(
    record: { context: Context; value: unknown; version: string },
    savedAt: number,
    ageMs: number,
    askedAt: number,
  ): RecordView<Context> {
    const { clock } = this.#options
    const answeredAt = clock.monotonic()
    // The store read the age between question and answer. A claim must not look older than it is, nor a token younger.
    return {
      ...record,
      ageMs: () => ageMs + clock.monotonic() - answeredAt,
      at: () => Math.round(savedAt + ageMs + clock.monotonic() - askedAt),
    }
  }
}
