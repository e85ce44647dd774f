import type { ChangeListener, SaveOptions, SnapshotStore, StoredRecord } from '../../../src/stores/snapshot-store.ts'

/** Something that shall happen at one of the next operations of a store. */
export interface StoreFault {
  /** Names the point; the worker reports it when it is reached. */
  name: string
  operation: 'load' | 'save' | 'delete'
  /** `before` the store is asked, or `after` it has done what it was asked. */
  when: 'before' | 'after'
  /** `pause` until resumed. `fail`: before, the request never arrives; after, only its answer is lost. */
  action: 'pause' | 'fail'
  /** Which records it concerns. @defaultValue all */
  record?: 'connection' | 'registration'
  /** How many such operations pass unharmed first. @defaultValue 0 */
  skip?: number
  /** How many operations it meets then. @defaultValue 1 */
  times?: number
}

/** An operation of a store that has ended. `beganAt` in monotonic milliseconds. */
export interface EndedOperation {
  readonly operation: StoreFault['operation']
  readonly key: string
  readonly hasFailed: boolean
  readonly beganAt: number
}

/** What a store reports of its operations. */
export interface StoreReport {
  /** The point of an armed fault is reached. */
  reached: (point: string) => void
  /** An operation begins: `save connection`. */
  began?: (operation: string) => void
  ended?: (operation: EndedOperation) => void
}

/** A store that does what a test says: stops at a point, loses an answer, is down for a while. The store inside is real. */
export class FaultyStore implements SnapshotStore {
  /** While true, nothing arrives. */
  down = false
  readonly #inner: SnapshotStore
  readonly #report: StoreReport
  readonly #armed: (StoreFault & { skip: number; times: number })[] = []
  readonly #paused = new Map<string, () => void>()

  constructor(inner: SnapshotStore, report: StoreReport) {
    this.#inner = inner
    this.#report = report
  }

  get insideProcess(): boolean {
    return this.#inner.insideProcess
  }

  /** Whether an operation is paused. */
  get isPaused(): boolean {
    return this.#paused.size > 0
  }

  arm(fault: StoreFault): void {
    this.#armed.push({ ...fault, skip: fault.skip ?? 0, times: fault.times ?? 1 })
  }

  /** Lets nothing happen any more that has not begun. */
  disarm(): void {
    this.#armed.length = 0
  }

  /** Lets an operation go on that is paused at this point. */
  resume(name: string): void {
    this.#paused.get(name)?.()
    this.#paused.delete(name)
  }

  load(key: string): Promise<StoredRecord | undefined> {
    return this.#through('load', key, () => this.#inner.load(key))
  }

  save(key: string, value: string, options: SaveOptions): Promise<{ version: string } | 'conflict'> {
    return this.#through('save', key, () => this.#inner.save(key, value, options))
  }

  delete(key: string, options: { expectedVersion: string; writeId: string }): Promise<boolean> {
    return this.#through('delete', key, () => this.#inner.delete(key, options))
  }

  subscribe(listener: ChangeListener): Promise<() => Promise<void>> {
    return this.#inner.subscribe(listener)
  }

  close(): Promise<void> {
    return this.#inner.close()
  }

  async #through<Answer>(operation: StoreFault['operation'], key: string, ask: () => Promise<Answer>): Promise<Answer> {
    const { began, ended } = this.#report
    began?.(`${operation} ${key.slice(key.lastIndexOf(':') + 1)}`)
    const beganAt = performance.now()
    let hasFailed = true
    try {
      if (this.down) throw new Error('the store is down')
      // Taken together, so that `skip` counts operations and not moments.
      const faults = this.#armed.filter((fault) => this.#meets(fault, operation, key))
      await this.#happen(faults, 'before')
      const answer = await ask()
      await this.#happen(faults, 'after')
      hasFailed = false
      return answer
    } finally {
      ended?.({ operation, key, hasFailed, beganAt })
    }
  }

  #meets(fault: StoreFault & { skip: number; times: number }, operation: string, key: string): boolean {
    if (fault.operation !== operation || fault.times === 0) return false
    if (fault.record !== undefined && !key.endsWith(`:${fault.record}`)) return false
    if (fault.skip > 0) {
      fault.skip -= 1
      return false
    }
    fault.times -= 1
    return true
  }

  async #happen(faults: readonly StoreFault[], when: StoreFault['when']): Promise<void> {
    for (const fault of faults.filter((each) => each.when === when)) {
      const isFailure = fault.action === 'fail'
      const resumed = isFailure || new Promise<void>((resolve) => this.#paused.set(fault.name, resolve))
      this.#report.reached(fault.name)
      if (isFailure) throw new Error(`the store lost the ${when === 'before' ? 'request' : 'answer'}`)
      await resumed
    }
  }
}
