import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { ChangeListener, SnapshotStore } from '../stores/snapshot-store.ts'

/** A store to check, as the contract needs it. */
export interface StoreUnderTest {
  /** Opens another store on the same data, as another process would. The contract closes all opened stores. */
  open(): SnapshotStore | Promise<SnapshotStore>
  /** Deletes the data. */
  cleanUp(): Promise<void>
}

/** The checks of one chapter of the contract, by name. */
export type StoreChecks = Readonly<Record<string, (fixture: StoreFixture) => Promise<void>>>

/** Time limits for a store, in milliseconds. */
export interface StoreTimes {
  /** For each operation. */
  readonly answerWithinMs: number
  /** For a notice, or for the expiry of a record. */
  readonly soonMs: number
}

/** How often `eventually` repeats its check. */
const POLL_INTERVAL_MS = 10

/** A key that no other check uses. */
export const freshKey = (): string => `authchart:{${randomUUID()}}:connection`
/** A unique write id. */
export const freshId = (): string => randomUUID()

/** Asserts that a store operation returned neither a conflict nor `undefined`. */
export function required<T>(value: T | 'conflict' | undefined): T {
  assert.ok(value !== undefined, 'the record is absent')
  assert.ok(value !== 'conflict', 'the save was a conflict')
  return value
}

/** A subscriber that records its notices. */
export function recorder(): ChangeListener & { readonly changes: string[]; readonly gaps: number[] } {
  const changes: string[] = []
  const gaps: number[] = []
  return {
    changes,
    gaps,
    onChange: (key) => void changes.push(key),
    onGap: () => void gaps.push(changes.length),
  }
}

/** Empty storage for one check, with a store on it and a unique key. */
export class StoreFixture {
  /** The key of the record under test. */
  key = freshKey()
  readonly #underTest: StoreUnderTest
  readonly #times: StoreTimes
  readonly #opened: SnapshotStore[] = []
  #store: SnapshotStore | undefined

  constructor(underTest: StoreUnderTest, times: StoreTimes) {
    this.#underTest = underTest
    this.#times = times
  }

  /** The first store. */
  get store(): SnapshotStore {
    return required(this.#store)
  }

  /** Opens the first store. */
  async start(): Promise<void> {
    this.#store = await this.open()
  }

  /** Opens another store on the same data, as another process would. */
  async open(): Promise<SnapshotStore> {
    const opened = withTimeout(await this.#underTest.open(), this.#times.answerWithinMs)
    this.#opened.push(opened)
    return opened
  }

  /** Repeats a check until it passes, or fails with its last error after `soonMs`. */
  async eventually(check: () => void | Promise<void>): Promise<void> {
    const until = performance.now() + this.#times.soonMs
    for (;;) {
      try {
        return await check()
      } catch (error) {
        if (performance.now() > until) throw error
      }
      await sleep(POLL_INTERVAL_MS)
    }
  }

  /** Creates the record and returns its version. */
  async create(value = 'first', ttlMs?: number): Promise<string> {
    const saved = await this.store.save(this.key, value, { expectedVersion: undefined, writeId: freshId(), ttlMs })
    return required(saved).version
  }

  /** The record without its age. */
  async record(): Promise<{ value: string; version: string } | undefined> {
    const record = await this.store.load(this.key)
    return record && { value: record.value, version: record.version }
  }

  /** Asserts that the record has this value. */
  async expectValue(value: string, store: SnapshotStore = this.store): Promise<void> {
    assert.equal((await store.load(this.key))?.value, value)
  }

  /** Asserts that the record is absent. */
  async expectAbsent(): Promise<void> {
    assert.equal(await this.store.load(this.key), undefined)
  }

  /** The age of the record. */
  async ageMs(): Promise<number> {
    return required(await this.store.load(this.key)).ageMs
  }

  /** Closes all opened stores and deletes the data. */
  async stop(): Promise<void> {
    for (const store of this.#opened) await store.close()
    await this.#underTest.cleanUp()
  }
}

/** Wraps a store so that an operation fails if it takes too long. */
function withTimeout(store: SnapshotStore, answerWithinMs: number): SnapshotStore {
  const timed = async <Result>(operation: string, result: Promise<Result>): Promise<Result> => {
    const waiting = new AbortController()
    const late = sleep(answerWithinMs, undefined, { signal: waiting.signal }).then(() =>
      assert.fail(`${operation} did not settle within ${answerWithinMs} ms`),
    )
    try {
      return await Promise.race([result, late])
    } finally {
      waiting.abort()
      late.catch(() => {})
    }
  }
  const keys = store.keys?.bind(store)
  const due = store.due?.bind(store)
  return {
    insideProcess: store.insideProcess,
    load: (key) => timed('load', store.load(key)),
    save: (key, value, options) => timed('save', store.save(key, value, options)),
    delete: (key, options) => timed('delete', store.delete(key, options)),
    subscribe: (listener) => timed('subscribe', store.subscribe(listener)),
    ...(keys && { keys: (options) => timed('keys', keys(options)) }),
    ...(due && { due: (options) => timed('due', due(options)) }),
    close: () => timed('close', store.close()),
  }
}
