import { expect } from 'vitest'
import { isAuthorizationError } from '../../../src/index.ts'
import type { FleetCounts } from './fleet-counts.ts'
import type { Outcome } from './outcome.ts'
import { type Mishap, SimulatedProcess, type Surroundings } from './simulated-process.ts'

const PROCESSES = 3
/** Wall clocks are wrong, and machines were not booted together. */
const CLOCKS = [{ bootedMs: 5 }, { wrongByMs: 120_000, bootedMs: 9_999 }, { wrongByMs: -45_000 }]
const NOTHING: Mishap = { kind: 'none' }

/** Several processes on one store, in simulated time. One that crashes or is paused is replaced. */
export class SimulatedFleet {
  readonly #surroundings: Surroundings
  readonly #counts: FleetCounts
  readonly #processes: SimulatedProcess[] = []
  readonly #paused: SimulatedProcess[] = []

  constructor(surroundings: Surroundings, counts: FleetCounts) {
    this.#surroundings = surroundings
    this.#counts = counts
    for (let index = 0; index < PROCESSES; index += 1) this.#processes.push(this.#start(index))
  }

  process(index: number): SimulatedProcess {
    const process = this.#processes[index % PROCESSES]
    if (process === undefined) throw new Error('no such process')
    return process
  }

  /** Lets one of them do something while something goes wrong. */
  async perform<T>(index: number, mishap: Mishap, work: (by: SimulatedProcess) => Promise<T>): Promise<Outcome<T>> {
    const by = this.process(index)
    const outcome = await by.perform(mishap, () => work(by))
    if (outcome.kind === 'failed' && !isAuthorizationError(outcome.error)) throw outcome.error
    if (outcome.kind === 'failed') this.#surroundings.told.push(JSON.stringify(outcome.error))
    if (outcome.kind === 'ended') {
      this.#counts.crashes += 1
      this.#replace(by)
    }
    if (outcome.kind === 'stopped') {
      this.#counts.pauses += 1
      this.#paused.push(by)
      this.#replace(by)
    }
    return outcome
  }

  /** All of them at the same moment. */
  async everywhere(work: (by: SimulatedProcess) => Promise<unknown>): Promise<void> {
    await Promise.all(this.#processes.map((_, index) => this.perform(index, NOTHING, work)))
  }

  /** Those that were paused go on where they stood, and end what they had begun. */
  async resume(): Promise<void> {
    for (const process of this.#paused.splice(0)) {
      process.resume()
      const outcome = await process.perform(NOTHING, () => process.auth.close())
      expect(outcome.kind).toBe('done')
    }
  }

  async restart(index: number): Promise<void> {
    const by = this.process(index)
    await this.perform(index, NOTHING, () => by.auth.close())
    this.#replace(by)
  }

  /** Closes those that run. */
  async close(): Promise<void> {
    let isClosed = false
    void Promise.all(this.#processes.map((each) => each.auth.close())).then(() => (isClosed = true))
    await this.#surroundings.time.until(() => isClosed)
  }

  #start(index: number): SimulatedProcess {
    return new SimulatedProcess(this.#surroundings, this.#surroundings.time.clock(CLOCKS[index]))
  }

  #replace(process: SimulatedProcess): void {
    const index = this.#processes.indexOf(process)
    if (index >= 0) this.#processes[index] = this.#start(index)
  }
}
