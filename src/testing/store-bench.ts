import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { ChangeListener, SnapshotStore } from '../stores/snapshot-store.ts'

/** What the contract needs of a store that it checks. */
export interface StoreUnderTest {
  /** Opens another store on the same data, as another process would. The contract closes what it opened. */
  open(): SnapshotStore | Promise<SnapshotStore>
  /** Removes the data. */
  cleanUp(): Promise<void>
}

/** The checks of one chapter of the contract, by their names. */
export type StoreChecks = Readonly<Record<string, (bench: StoreFixture) => Promise<void>>>

/** How long a store may take, in milliseconds. */
export interface StoreTimes {
  /** Any answer. */
  readonly answerWithinMs: number
  /** What has to come by itself: a notice, an expiry. */
  readonly soonMs: number
}

/** How often it is looked for. */
const POLL_INTERVAL_MS = 10

/** Names a key that no other check uses. */
export const freshKey = (): string => `authchart:{${randomUUID()}}:connection`
/** Names a write. */
export const freshId = (): string => randomUUID()

/** The answer of a store that must not be a refusal, nor nothing. */
export function required<T>(value: T | 'conflict' | undefined): T {
  assert.ok(value !== undefined, 'there is no record')
  assert.ok(value !== 'conflict', 'the save was refused')
  return value
}

/** Remembers what a subscriber is told. */
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

/** An empty place for the records of one check, with a store on it and a key of its own. */
export class StoreFixture {
  /** The record that the check is about. */
  key = freshKey()
  readonly #underTest: StoreUnderTest
  readonly #times: StoreTimes
  readonly #opened: SnapshotStore[] = []
  #store: SnapshotStore | undefined

  constructor(underTest: StoreUnderTest, times: StoreTimes) {
    this.#underTest = underTest
    this.#times = times
  }

  /** The store of this process. */
  get store(): SnapshotStore {
    return required(this.#store)
  }

  /** Opens the first store. */
  async begin(): Promise<void> {
    this.#store = await this.open()
  }

  /** Another store on the same data, as another process has it. */
  async open(): Promise<SnapshotStore> {
    const opened = inTime(await this.#underTest.open(), this.#times.answerWithinMs)
    this.#opened.push(opened)
    return opened
  }

  /** Repeats a check until it holds, and for no longer than it may take. */
  async soon(check: () => void | Promise<void>): Promise<void> {
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

  /** Creates the record, and answers its version. */
  async create(value = 'first', ttlMs?: number): Promise<string> {
    const saved = await this.store.save(this.key, value, { expectedVersion: undefined, writeId: freshId(), ttlMs })
    return required(saved).version
  }

  /** The record without its age. */
  async held(): Promise<{ value: string; version: string } | undefined> {
    const record = await this.store.load(this.key)
    return record && { value: record.value, version: record.version }
  }

  /** Whether the record is there with this value. */
  async holds(value: string, store: SnapshotStore = this.store): Promise<void> {
    assert.equal((await store.load(this.key))?.value, value)
  }

  /** Whether there is no record. */
  async holdsNothing(): Promise<void> {
    assert.equal(await this.store.load(this.key), undefined)
  }

  /** How old the record is. */
  async ageMs(): Promise<number> {
    return required(await this.store.load(this.key)).ageMs
  }

  /** Closes what was opened, and removes the data. */
  async end(): Promise<void> {
    for (const store of this.#opened) await store.close()
    await this.#underTest.cleanUp()
  }
}

/** The same store, each of whose answers must come in time. */
function inTime(store: SnapshotStore, answerWithinMs: number): SnapshotStore {
  const answered = async <Answer>(operation: string, answer: Promise<Answer>): Promise<Answer> => {
    const waiting = new AbortController()
    const late = sleep(answerWithinMs, undefined, { signal: waiting.signal }).then(() =>
      assert.fail(`${operation} gave no answer within ${answerWithinMs} ms`),
    )
    try {
      return await Promise.race([answer, late])
    } finally {
      waiting.abort()
      late.catch(() => {})
    }
  }
  return {
    insideProcess: store.insideProcess,
    load: (key) => answered('load', store.load(key)),
    save: (key, value, options) => answered('save', store.save(key, value, options)),
    delete: (key, options) => answered('delete', store.delete(key, options)),
    subscribe: (listener) => answered('subscribe', store.subscribe(listener)),
    close: () => answered('close', store.close()),
  }
}
