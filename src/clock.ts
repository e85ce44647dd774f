import { randomFillSync } from 'node:crypto'
import { performance } from 'node:perf_hooks'

/** The source of time and randomness, so that tests control both. */
export interface Clock {
  /**
   * Wall-clock time, epoch milliseconds. Each record reads it once, when it is created; from then on the record has its
   * own clock.
   */
  now(): number
  /** Monotonic time in milliseconds, from any start. */
  monotonic(): number
  /** Cryptographically strong random bytes. */
  random(bytes: number): Uint8Array
}

/** The clock and the random source of the system. */
export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  random: (bytes) => randomFillSync(new Uint8Array(bytes)),
}

/** The longest timer of Node, in milliseconds. */
export const MAX_TIMER_MS = 2_147_483_647

/** Returns a function that returns the record time, `at` plus the time since this call, in whole milliseconds. */
export function stopwatch(clock: Pick<Clock, 'monotonic'>, at: number): () => number {
  const startedAt = clock.monotonic()
  return () => at + Math.ceil(clock.monotonic() - startedAt)
}

/** Base64url (RFC 4648 §5) without padding. */
export function base64url(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64url')
}

/** A random id: base64url of `bytes` random bytes. */
export function randomId(clock: Pick<Clock, 'random'>, bytes: number): string {
  return base64url(clock.random(bytes))
}
