import { randomId } from '../clock.ts'
import { AuthorizationError, isAuthorizationError } from '../errors/authorization-error.ts'
import { failure } from '../errors/failure.ts'
import { LruMap } from '../lru-map.ts'
import type { Claim } from '../schemas/connection-context.ts'
import {
  type KeyPage,
  type SaveOptions,
  type StoredRecord,
  StoreRejectedError,
  TooFewReplicasError,
} from '../stores/snapshot-store.ts'
import type { ChartSnapshot } from './actor.ts'
import {
  type Conversion,
  type DurableContext,
  type Lease,
  type RecordView,
  type Run,
  type RunnerOptions,
  sendDeadline,
} from './chart.ts'
import {
  CLOCK_JITTER_MS,
  ID_BYTES,
  MAX_UNSENT_CLAIMS,
  MAX_CLOCK_OFFSETS,
  PROBE_TTL_MS,
  RECONNECT_MS,
  STALL_MS,
} from './limits.ts'
import { Retries } from './retries.ts'
import { decodeSnapshot, encodeSnapshot, type SnapshotCodec } from './snapshot-codec.ts'

/** The failure of an operation for which the store, or the sealer, was not available. */
export const unavailable = (error?: unknown): AuthorizationError => {
  const tooFew = error instanceof TooFewReplicasError ? 'tooFewReplicas' : undefined
  const reason = error instanceof StoreRejectedError ? error.reason : tooFew
  return new AuthorizationError(failure('STORE_UNAVAILABLE', { reason }))
}

/**
 * Runs an operation on the store once.
 *
 * @throws {@link AuthorizationError} `STORE_UNAVAILABLE` for any failure.
 */
export async function whileAvailable<Result>(operation: () => Promise<Result>): Promise<Result> {
  try {
    return await operation()
  } catch (error) {
    throw unavailable(error)
  }
}

/** Moves instants by this many milliseconds. */
export function shiftBy(ms: number): Conversion {
  function shift(instant: number): number
  function shift(instant: number | undefined): number | undefined
  function shift(instant: number | undefined): number | undefined {
    return instant === undefined ? undefined : instant + ms
  }
  return shift
}

/** A snapshot to store. */
export interface PendingSave<Context extends DurableContext> {
  readonly snapshot: ChartSnapshot<Context>
  /** The record that it was computed from. */
  readonly current: RecordView<Context> | undefined
  /** The record clock. */
  readonly now: () => number
  /** Whether a request with a single-use credential was sent under this run. */
  readonly isConsumed: boolean
}

/** When a record was saved, its ages as the store reported them, and when the store was asked, in monotonic time. */
interface ReadTimes extends Pick<StoredRecord, 'ageMs' | 'totalAgeMs'> {
  readonly savedAt: number
  readonly requestedAt: number
}

/** Loads and stores encrypted snapshots by compare-and-set, and retries saves that must not be lost. */
export class SnapshotRepository {
  readonly #options: RunnerOptions
  readonly retries: Retries
  /** By how much the wall clock is ahead of each record. */
  readonly #offsets = new LruMap<string, number>(MAX_CLOCK_OFFSETS)
  readonly #unsentClaims = new LruMap<string, true>(MAX_UNSENT_CLAIMS)
  /** When an operation on the store last failed, or succeeded only after an outage, in monotonic time. */
  #outageAt = -Infinity

  constructor(options: RunnerOptions) {
    this.#options = options
    this.retries = new Retries(options.clock)
  }

  /**
   * Reads a record. Starts no actor.
   *
   * @throws {@link AuthorizationError} `STORE_UNAVAILABLE`, `SNAPSHOT_UNREADABLE`, `SNAPSHOT_KEY_UNKNOWN`,
   *   `SNAPSHOT_TOO_NEW`.
   */
  async load<Context extends DurableContext>(
    chart: SnapshotCodec<Context>,
    key: string,
  ): Promise<RecordView<Context> | undefined> {
    const { store, sealer, clock } = this.#options
    const requestedAt = clock.monotonic()
    let stored: StoredRecord | undefined
    let text: string
    let isSealedBefore: boolean
    try {
      stored = await store.load(key)
      this.#noticeStall(requestedAt)
      if (stored === undefined) return undefined
      text = await sealer.open(stored.value, { key })
      isSealedBefore = sealer.isCurrent?.(stored.value) === false
    } catch (error) {
      // A key management service that is unavailable does not make the record unreadable.
      throw stored !== undefined && isAuthorizationError(error) ? error : this.#unavailable(error)
    }
    const { version, ageMs, totalAgeMs } = stored
    const { savedAt, value, context, ...envelope } = decodeSnapshot(chart, text)
    // The encryption binds the key as well, but not that of every sealer.
    if (chart.isOf?.(context, key) === false)
      throw new AuthorizationError(failure('SNAPSHOT_UNREADABLE', { reason: 'otherIdentity' }))
    const startedAt = totalAgeMs === undefined ? undefined : (envelope.startedAt ?? savedAt + ageMs - totalAgeMs)
    const view = this.#view(key, { context, value, version, startedAt }, { savedAt, ageMs, totalAgeMs, requestedAt })
    return isSealedBefore ? { ...view, isSealedBefore } : view
  }

  /**
   * One page of the keys of the store; none if it cannot list them.
   *
   * @throws {@link AuthorizationError} `STORE_UNAVAILABLE`.
   */
  async keys(options: { cursor: string | undefined; limit: number }): Promise<KeyPage> {
    const page = await whileAvailable(async () => await this.#options.store.keys?.(options))
    return page ?? { keys: [], cursor: undefined }
  }

  /**
   * The keys of at most `limit` records that are due; none if the store cannot list them.
   *
   * @throws {@link AuthorizationError} `STORE_UNAVAILABLE`.
   */
  async due(limit: number): Promise<string[]> {
    return (await whileAvailable(async () => await this.#options.store.due?.({ limit }))) ?? []
  }

  /** Loads the record of a run. */
  async reload<Context extends DurableContext, Command extends { type: string }>(
    run: Run<Context, Command>,
  ): Promise<RecordView<Context> | undefined> {
    return await this.#untilAvailable(run, () => this.load(run.chart, run.key))
  }

  /**
   * Resolves once the store takes writes: a record that nobody reads, and that expires at once, is written where that
   * of the run would be. A store that only answers loads leaves the holder of a claim with its result in hand.
   */
  async confirmWrites<Context extends DurableContext, Command extends { type: string }>(
    run: Run<Context, Command>,
  ): Promise<void> {
    const write = { expectedVersion: undefined, writeId: this.createId(), ttlMs: PROBE_TTL_MS }
    await this.#untilAvailable(run, async () => {
      try {
        await this.#options.store.save(`${run.key}:probe`, '', write)
      } catch (error) {
        // Without its replicas the master has written it.
        if (!(error instanceof TooFewReplicasError)) throw this.#unavailable(error)
      }
    })
  }

  /** A run that submits a result repeats what it needs the store for until the store is available. */
  async #untilAvailable<Context extends DurableContext, Command extends { type: string }, Result>(
    run: Run<Context, Command>,
    attempt: () => Promise<Result>,
  ): Promise<Result> {
    const { carriesResult } = run
    const retry = this.retries.begin(run, carriesResult)
    for (;;) {
      try {
        if (carriesResult && this.retries.isOver) throw unavailable()
        return await attempt()
      } catch (error) {
        const isTransient = error instanceof AuthorizationError && error.code === 'STORE_UNAVAILABLE'
        if (!carriesResult || !isTransient) throw error
        if (this.retries.isOver) {
          retry.warn()
          throw error
        }
      }
      await retry.pause()
    }
  }

  /**
   * Stores a snapshot. A save whose response was lost is sent again with the same write id until its outcome is
   * determined: before a request is sent, until its send deadline; after it, as long as the process lives.
   *
   * A write that takes a claim over is tried again only after another grace period: the holder of the claim saves
   * first.
   *
   * @throws {@link AuthorizationError} `STORE_UNAVAILABLE` if the store does not respond, and nothing was consumed or
   *   `close()` does not wait any longer. `SNAPSHOT_INCOMPATIBLE` if the record could not be read again: a claim then
   *   stays, as if its process had ended, so that its request is repeated once after the lease.
   */
  async save<Context extends DurableContext, Command extends { type: string }>(
    run: Run<Context, Command>,
    pending: PendingSave<Context>,
  ): Promise<RecordView<Context> | 'conflict'> {
    const { chart, lease } = run
    const { clock, requestTimeoutMs } = this.#options
    const { snapshot, current, now, isConsumed } = pending
    const deadline = sendDeadline(clock.monotonic(), lease, requestTimeoutMs)
    const isResult = isConsumed || run.carriesResult
    const isGuarded = (guarded: Claim | undefined): boolean => guarded !== undefined && !chart.yields?.(guarded)
    const { claim } = snapshot.context
    const isClaim = snapshot.hasTag('claim') && isGuarded(claim)
    const kind = isResult ? 'result' : isClaim ? 'claim' : undefined
    const takesOver = !isConsumed && isGuarded(current?.context.claim)
    const write = { writeId: this.createId(), kind, isClaim } as const
    const retry = this.retries.begin(run, isResult)
    let isHolderFirst = false
    for (;;) {
      try {
        if (isHolderFirst) {
          await this.confirmWrites(run)
          await this.retries.pause(this.graceMs(lease))
          isHolderFirst = false
        }
        return await this.#write(run, pending, write)
      } catch (error) {
        // Another attempt would not make the context valid.
        if (isAuthorizationError(error) && error.code === 'SNAPSHOT_INCOMPATIBLE') throw error
        this.#outageAt = clock.monotonic()
        const isTooLate = this.#outageAt > deadline
        const isTooFew = error instanceof TooFewReplicasError
        if (isResult ? this.retries.isOver : isTooFew || isTooLate || this.retries.isClosing) {
          retry.warn()
          if (claim !== undefined && kind === 'claim') this.#unsentClaims.set(claim.id, true)
          if (isTooFew && error.version !== undefined) await this.#release(run, current, error.version, now)
          throw unavailable(error)
        }
        isHolderFirst = takesOver
      }
      await retry.pause()
    }
  }

  /** How long a claim past its lease is left to its holder, in milliseconds: longer if the store was not available. */
  graceMs({ leaseMs, graceMs }: Lease): number {
    const isAfterOutage = this.#options.clock.monotonic() - this.#outageAt < leaseMs + graceMs + RECONNECT_MS
    return isAfterOutage ? Math.max(graceMs, RECONNECT_MS) : graceMs
  }

  #noticeStall(requestedAt: number): void {
    const now = this.#options.clock.monotonic()
    if (now - requestedAt > STALL_MS) this.#outageAt = now
  }

  #unavailable(error: unknown): AuthorizationError {
    this.#outageAt = this.#options.clock.monotonic()
    return unavailable(error)
  }

  /**
   * Whether the save of this claim failed in this process, and the store carried it out later: no request was sent
   * under it, and none will be.
   */
  isUnsent({ id }: Claim): boolean {
    return this.#unsentClaims.get(id) === true
  }

  /**
   * Attempts a save once. What is written on the master alone is accepted, unless it is a claim, whose request must not
   * be sent yet; one that is stored with a result stays, and is unconfirmed.
   */
  async #write<Context extends DurableContext, Command extends { type: string }>(
    { chart, key, dueInMs }: Run<Context, Command>,
    { snapshot, current, now }: PendingSave<Context>,
    { writeId, kind, isClaim }: Pick<SaveOptions, 'writeId' | 'kind'> & { readonly isClaim: boolean },
  ): Promise<RecordView<Context> | 'conflict'> {
    const { store, sealer, clock } = this.#options
    const { context, value } = snapshot
    const startedAt = current?.startedAt
    const requestedAt = clock.monotonic()
    // Computed for each attempt: the store measures a record's age from the write that succeeds.
    // A port measures its own time, so its result may be in the next millisecond: record time never decreases.
    const savedAt = Math.max(now(), context.at)
    const viewOf = (version: string): RecordView<Context> =>
      this.#view(key, { context, value, version, startedAt }, { savedAt, ageMs: 0, totalAgeMs: undefined, requestedAt })
    const sealed = await sealer.seal(encodeSnapshot(chart, snapshot, savedAt, startedAt), { key })
    const expectedVersion = current?.version
    const times = { ttlMs: chart.ttlMs(context), dueInMs: dueInMs?.(context, savedAt) }
    try {
      const saved = await store.save(key, sealed, { expectedVersion, writeId, kind, ...times })
      this.#noticeStall(requestedAt)
      return saved === 'conflict' ? saved : viewOf(saved.version)
    } catch (error) {
      const written = error instanceof TooFewReplicasError ? error.version : undefined
      if (written === undefined || kind === 'claim') throw error
      return isClaim ? { ...viewOf(written), isUnconfirmed: true } : viewOf(written)
    }
  }

  /**
   * Restores the record before a claim that too few replicas confirmed. Best effort: no request was sent under the
   * claim.
   */
  async #release<Context extends DurableContext, Command extends { type: string }>(
    { chart, key, dueInMs }: Run<Context, Command>,
    before: RecordView<Context> | undefined,
    claimVersion: string,
    now: () => number,
  ): Promise<void> {
    const { store, sealer } = this.#options
    const write = { expectedVersion: claimVersion, writeId: this.createId() }
    const release = async (): Promise<unknown> => {
      if (before === undefined) return await store.delete(key, write)
      const { context } = before
      const savedAt = now()
      const sealed = await sealer.seal(encodeSnapshot(chart, before, savedAt, before.startedAt), { key })
      const times = { ttlMs: chart.ttlMs(context), dueInMs: dueInMs?.(context, savedAt) }
      return await store.save(key, sealed, { ...write, ...times })
    }
    // If it fails, the claim expires after its lease.
    await release().catch(() => {})
  }

  /** A random id for a claim or a write. */
  createId(): string {
    return randomId(this.#options.clock, ID_BYTES)
  }

  #view<Context>(
    key: string,
    record: Pick<RecordView<Context>, 'context' | 'value' | 'version' | 'startedAt'>,
    { savedAt, ageMs, totalAgeMs, requestedAt }: ReadTimes,
  ): RecordView<Context> {
    const { clock } = this.#options
    const respondedAt = clock.monotonic()
    // The store read the ages between request and response. A claim must not appear too old, nor a token too young.
    // `savedAt` was computed before the save reached the store: alone it would let the record lose that time with each
    // save. `startedAt` never changes, but the store's clock may have been set back since: `at` never precedes a save.
    const base =
      record.startedAt === undefined || totalAgeMs === undefined
        ? savedAt + ageMs - requestedAt
        : Math.max(record.startedAt + totalAgeMs - requestedAt, savedAt + ageMs - respondedAt)
    const at = (): number => Math.round(base + clock.monotonic())
    const aheadMs = this.#aheadMs(key, Math.round(clock.now()) - at())
    return {
      ...record,
      requestedAt,
      ageMs: () => ageMs + clock.monotonic() - respondedAt,
      at,
      toLocal: shiftBy(aheadMs),
      toRecord: shiftBy(-aheadMs),
    }
  }

  /** By how much the wall clock is ahead of a record, so that its instants do not change with each load. */
  #aheadMs(key: string, measuredMs: number): number {
    const earlier = this.#offsets.get(key)
    const aheadMs = earlier !== undefined && Math.abs(measuredMs - earlier) <= CLOCK_JITTER_MS ? earlier : measuredMs
    this.#offsets.set(key, aheadMs)
    return aheadMs
  }
}
