import { createHash } from 'node:crypto'
import * as v from 'valibot'
import { type Clock, systemClock } from '../clock.ts'
import { maybe } from '../schemas/credentials.ts'
import { parseOptions } from '../schemas/parse-options.ts'

/** Options of a simulated clock. */
export interface SimulatedClockOptions {
  /** Initial wall-clock time, epoch milliseconds. @defaultValue 1_800_000_000_000 */
  startAt?: number | undefined
  /** Initial monotonic time, in milliseconds. @defaultValue 0 */
  bootedMs?: number | undefined
  /** Makes random values reproducible: equal seeds, equal values. For tests only. @defaultValue secure random values */
  seed?: string | undefined
}

const OptionsSchema = v.strictObject({
  startAt: maybe(v.number()),
  bootedMs: maybe(v.number()),
  seed: maybe(v.string()),
})

/** A clock that only a test advances. Pass the same instance to the orchestrator, its store and the test servers. */
export class SimulatedClock implements Clock {
  readonly #startAt: number
  readonly #bootedMs: number
  readonly #seed: string | undefined
  #elapsedMs = 0
  #draws = 0

  /** @throws `TypeError` that names the invalid option. */
  constructor(options: SimulatedClockOptions = {}) {
    parseOptions(OptionsSchema, options, 'SimulatedClock()')
    const { startAt = 1_800_000_000_000, bootedMs = 0, seed } = options
    this.#startAt = startAt
    this.#bootedMs = bootedMs
    this.#seed = seed
  }

  /** Wall-clock time, epoch milliseconds. */
  now(): number {
    return this.#startAt + this.#elapsedMs
  }

  /** Monotonic time, in milliseconds. */
  monotonic(): number {
    return this.#bootedMs + this.#elapsedMs
  }

  /** Random bytes; with a seed, the next ones of its sequence. */
  random(bytes: number): Uint8Array {
    if (this.#seed === undefined) return systemClock.random(bytes)
    this.#draws += 1
    return new Uint8Array(
      createHash('shake256', { outputLength: bytes }).update(`${this.#seed}:${this.#draws}`).digest(),
    )
  }

  /**
   * Advances both times by `ms` milliseconds. Timers of the process are not affected.
   *
   * @throws `RangeError` if `ms` is negative.
   */
  advance(ms: number): void {
    if (!(ms >= 0)) throw new RangeError('SimulatedClock.advance: ms must not be negative')
    this.#elapsedMs += ms
  }
}
