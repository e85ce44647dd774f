import { randomFillSync } from 'node:crypto'
import { performance } from 'node:perf_hooks'

/** Where time and randomness come from, so that a test controls both. */
export interface Clock {
  /**
   * Wall clock, epoch milliseconds. Read once for each record, by its first writer; from then on the record has its own
   * clock.
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

/** Node's timers count no further, in milliseconds. */
export const MAX_TIMER_MS = 2_147_483_647

/** Record time from `at` on, counted by the monotonic clock, in whole milliseconds. */
export function stopwatch(clock: Pick<Clock, 'monotonic'>, at: number): () => number {
  const startedAt = clock.monotonic()
  return () => at + Math.ceil(clock.monotonic() - startedAt)
}

/** RFC 4648 §5, without padding. */
export function base64url(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64url')
}

/** A random id, as base64url of so many bytes. */
export function randomId(clock: Pick<Clock, 'random'>, bytes: number): string {
  return base64url(clock.random(bytes))
}
