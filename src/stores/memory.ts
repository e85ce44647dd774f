import { type Clock, systemClock } from '../clock.ts'
import { ChangeListeners } from './change-listeners.ts'
import { DELETED, type Fence, ruleDelete, ruleSave, wholeTtl } from './compare-and-set.ts'
import { SWEEP_INTERVAL_MS, TOMBSTONE_MS } from './limits.ts'
import type { ChangeListener, SaveOptions, SnapshotStore, StoredRecord } from './snapshot-store.ts'

interface MemoryRecord extends Fence {
  value: string
  writtenAt: number
  expiresAt: number
}

/**
 * Keeps records in this process: the default store. Nothing survives a restart and no other process sees it, so it
 * needs no sealing keys.
 */
export class MemoryStore implements SnapshotStore {
  readonly insideProcess = true
  readonly #records = new Map<string, MemoryRecord>()
  readonly #listeners = new ChangeListeners()
  #clock: Pick<Clock, 'monotonic'> | undefined
  #nextSweepAt = Number.NEGATIVE_INFINITY

  /** @param options.clock Counts age and expiry, for tests. Only its `monotonic` is used. */
  constructor(options: { clock?: Pick<Clock, 'monotonic'> | undefined } = {}) {
    this.#clock = options.clock
  }

  /**
   * Adopts a clock, unless the constructor was given one or another was adopted before. The orchestrator calls it, so
   * that its clock governs the default store too.
   *
   * @internal
   */
  useClock(clock: Pick<Clock, 'monotonic'>): void {
    this.#clock ??= clock
  }

  /**
   * How many records and tombstones it holds.
   *
   * @internal
   */
  get size(): number {
    return this.#records.size
  }

  #now(): number {
    return (this.#clock ?? systemClock).monotonic()
  }

  /** The record or tombstone under this key that has not expired. */
  #held(key: string, now: number): MemoryRecord | undefined {
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
    const record = this.#held(key, now)
    if (record?.version === undefined) return undefined
    return { value: record.value, version: record.version, ageMs: now - record.writtenAt }
  }

  async save(key: string, value: string, options: SaveOptions): Promise<{ version: string } | 'conflict'> {
    const now = this.#now()
    const { answer, next } = ruleSave(this.#held(key, now), options)
    if (next !== undefined) {
      const expiresAt = options.ttlMs === undefined ? Number.POSITIVE_INFINITY : now + wholeTtl(options.ttlMs)
      this.#put(key, { ...next, value, writtenAt: now, expiresAt })
    }
    return answer === 'conflict' ? answer : { version: answer }
  }

  async delete(key: string, options: { expectedVersion: string; writeId: string }): Promise<boolean> {
    const now = this.#now()
    const { answer, next } = ruleDelete(this.#held(key, now), options)
    if (next !== undefined) this.#put(key, { ...next, value: '', writtenAt: now, expiresAt: now + TOMBSTONE_MS })
    return answer === DELETED
  }

  async subscribe(listener: ChangeListener): Promise<() => Promise<void>> {
    const remove = this.#listeners.add(listener)
    return async () => remove()
  }

  /** Releases nothing: another orchestrator may share this store, and each unsubscribes by itself. */
  async close(): Promise<void> {}
}
