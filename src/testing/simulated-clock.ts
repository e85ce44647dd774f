import { createHash } from 'node:crypto'
import { type Clock, systemClock } from '../clock.ts'

/** How a simulated clock begins. */
export interface SimulatedClockOptions {
  /** What the wall clock shows first, epoch milliseconds. @defaultValue 1_800_000_000_000 */
  startAt?: number | undefined
  /** What the monotonic time begins with, in milliseconds. @defaultValue 0 */
  bootedMs?: number | undefined
  /** Makes random values repeatable: equal seeds, equal values. For tests only. @defaultValue truly random values */
  seed?: string | undefined
}

/** A clock that stands still until a test moves it. Hand the same one to the orchestrator, its store and the servers. */
export class SimulatedClock implements Clock {
  readonly #startAt: number
  readonly #bootedMs: number
  readonly #seed: string | undefined
  #elapsedMs = 0
  #draws = 0

  constructor({ startAt = 1_800_000_000_000, bootedMs = 0, seed }: SimulatedClockOptions = {}) {
    this.#startAt = startAt
    this.#bootedMs = bootedMs
    this.#seed = seed
  }

  /** The wall clock, epoch milliseconds. */
  now(): number {
    return this.#startAt + this.#elapsedMs
  }

  /** Milliseconds that only ever grow. */
  monotonic(): number {
    return this.#bootedMs + this.#elapsedMs
  }

  /** Random bytes; the next ones of the sequence if there is a seed. */
  random(bytes: number): Uint8Array {
    if (this.#seed === undefined) return systemClock.random(bytes)
    this.#draws += 1
    return new Uint8Array(
      createHash('shake256', { outputLength: bytes }).update(`${this.#seed}:${this.#draws}`).digest(),
    )
  }

  /**
   * Lets time pass, in milliseconds. Timers of the process do not notice.
   *
   * @throws `RangeError` for a number below zero: no clock goes back.
   */
  advance(ms: number): void {
    if (!(ms >= 0)) throw new RangeError('a clock only goes forward')
    this.#elapsedMs += ms
  }
}
