import { randomFillSync } from 'node:crypto'
import { performance } from 'node:perf_hooks'

/** Where time and randomness come from, so that a test controls both. */
export interface Clock {
  /**
   * Wall clock, epoch milliseconds. Used once for each record, by its first writer; everything after is the record's
   * own time.
   */
  now(): number
  /** Milliseconds that only ever grow, from any start. */
  monotonic(): number
  /** Cryptographically strong random bytes. */
  random(bytes: number): Uint8Array
}

/** The machine's own clock and random source. */
export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  random: (bytes) => randomFillSync(new Uint8Array(bytes)),
}

/** Record time as it goes on from `at`, by the monotonic clock, in whole milliseconds. */
export function stopwatch(clock: Pick<Clock, 'monotonic'>, at: number): () => number {
  const start = clock.monotonic()
  return () => at + Math.ceil(clock.monotonic() - start)
}
