import { type Clock, systemClock } from '../clock.ts'
import { decideDelete, decideSave, DELETED, type RecordHead, wholeTtl } from './compare-and-set.ts'
import { SWEEP_INTERVAL_MS, TOMBSTONE_MS } from './limits.ts'
import {
  type ChangeListener,
  ChangeListeners,
  type KeyPage,
  type SaveOptions,
  type SnapshotStore,
  type StoredRecord,
} from './snapshot-store.ts'

interface MemoryRecord extends RecordHead {
  value: string
  createdAt: number
  writtenAt: number
  expiresAt: number
  /** Absent from a tombstone. */
  dueAt?: number | undefined
}

/**
 * Stores records in the memory of this process: the default store. Records do not survive a restart and are not visible
 * to other processes, so that encryption keys are not required.
 */
export class MemoryStore implements SnapshotStore {
  readonly insideProcess = true
  readonly #records = new Map<string, MemoryRecord>()
  readonly #listeners = new ChangeListeners()
  #clock: Pick<Clock, 'monotonic'> | undefined
  #nextSweepAt = Number.NEGATIVE_INFINITY

  /** @param options.clock Measures age and expiry, for tests. Only its `monotonic` is used. */
  constructor(options: { clock?: Pick<Clock, 'monotonic'> | undefined } = {}) {
    this.#clock = options.clock
  }

  /**
   * Sets the clock, unless the constructor received one or another was set before. The orchestrator calls it, so that
   * its clock applies to the default store too.
   *
   * @internal
   */
  useClock(clock: Pick<Clock, 'monotonic'>): void {
    this.#clock ??= clock
  }

  /**
   * The number of records and tombstones.
   *
   * @internal
   */
  get size(): number {
    return this.#records.size
  }

  #now(): number {
    return (this.#clock ?? systemClock).monotonic()
  }

  /** The unexpired record or tombstone under this key. */
  #current(key: string, now: number): MemoryRecord | undefined {
    const record = this.#records.get(key)
    return record === undefined || record.expiresAt <= now ? undefined : record
  }

  #put(key: string, record: MemoryRecord): void {
    this.#records.set(key, record)
    if (record.writtenAt >= this.#nextSweepAt) {
      this.#nextSweepAt = record.writtenAt + SWEEP_INTERVAL_MS
      for (const [other, { expiresAt }] of this.#records) {
        if (expiresAt <= record.writtenAt) this.#records.delete(other)
      }
    }
    this.#listeners.onChange(key)
  }

  async load(key: string): Promise<StoredRecord | undefined> {
    const now = this.#now()
    const record = this.#current(key, now)
    if (record?.version === undefined) return undefined
    const { value, version, writtenAt, createdAt } = record
    return { value, version, ageMs: now - writtenAt, totalAgeMs: now - createdAt }
  }

  async save(key: string, value: string, options: SaveOptions): Promise<{ version: string } | 'conflict'> {
    const now = this.#now()
    const before = this.#current(key, now)
    const { result, next } = decideSave(before, options)
    if (next !== undefined) {
      const createdAt = before?.version === undefined ? now : before.createdAt
      const expiresAt = options.ttlMs === undefined ? Number.POSITIVE_INFINITY : now + wholeTtl(options.ttlMs)
      const dueAt = options.dueInMs === undefined ? undefined : now + options.dueInMs
      this.#put(key, { ...next, value, createdAt, writtenAt: now, expiresAt, dueAt })
    }
    return result === 'conflict' ? result : { version: result }
  }

  async delete(key: string, options: { expectedVersion: string; writeId: string }): Promise<boolean> {
    const now = this.#now()
    const { result, next } = decideDelete(this.#current(key, now), options)
    const times = { createdAt: now, writtenAt: now, expiresAt: now + TOMBSTONE_MS }
    if (next !== undefined) this.#put(key, { ...next, value: '', ...times })
    return result === DELETED
  }

  async subscribe(listener: ChangeListener): Promise<() => Promise<void>> {
    const remove = this.#listeners.add(listener)
    return async () => remove()
  }

  async keys({ cursor = '', limit }: { cursor?: string | undefined; limit: number }): Promise<KeyPage> {
    const rest = this.#stored()
      .map(([key]) => key)
      .filter((key) => key > cursor)
      .toSorted()
    return { keys: rest.slice(0, limit), cursor: rest.length > limit ? rest[limit - 1] : undefined }
  }

  async due({ limit }: { limit: number }): Promise<string[]> {
    const now = this.#now()
    return this.#stored()
      .flatMap(([key, { dueAt = Infinity }]) => (dueAt <= now ? [{ key, dueAt }] : []))
      .toSorted((a, b) => a.dueAt - b.dueAt)
      .slice(0, limit)
      .map(({ key }) => key)
  }

  /** The records that are neither expired nor deleted. */
  #stored(): [string, MemoryRecord][] {
    const now = this.#now()
    return [...this.#records].filter(([, { version, expiresAt }]) => version !== undefined && expiresAt > now)
  }

  /** Does nothing: another orchestrator may share this store, and each subscriber unsubscribes itself. */
  async close(): Promise<void> {}
}
