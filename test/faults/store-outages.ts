import type { EndedOperation } from '../support/processes/faulty-store.ts'
import type { WorkerInit } from '../support/processes/worker-protocol.ts'

/** The name of the record is the last thing in it. */
const RESULT_NOT_STORED = /\(record (\S+)\)$/

/** An attempt begins a little after the time that it is given begins. */
const TOLERANCE_MS = 100

/** The records that a process could not store, since when, and for how long it must try. */
export class StoreOutages {
  readonly #failing = new Map<string, { beganAt: number; patienceMs: number }>()

  /** Records how an operation of an orchestrator with this policy came out. */
  ended({ operation, key, hasFailed, beganAt }: EndedOperation, { policy }: WorkerInit): void {
    const name = `${operation} ${key}`
    const { leaseMs = Infinity, graceMs = 0 } = policy ?? {}
    const patienceMs = leaseMs + graceMs - TOLERANCE_MS
    if (!hasFailed) this.#failing.delete(name)
    else if (!this.#failing.has(name)) this.#failing.set(name, { beganAt, patienceMs })
  }

  /** Whether a warning says that a result could not be stored, and so it was: for as long as it has to be tried. */
  explain({ code, message }: { code?: string; message: string }): boolean {
    const [, key] = (code === 'AUTHCHART_RESULT_NOT_STORED' && RESULT_NOT_STORED.exec(message)) || []
    return [`save ${key}`, `load ${key}`, `save ${key}:probe`].some((name) => {
      const { beganAt, patienceMs } = this.#failing.get(name) ?? { beganAt: Infinity, patienceMs: 0 }
      return performance.now() - beganAt >= patienceMs
    })
  }
}
