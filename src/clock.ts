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

/**
 * How long nothing may arrive after a time-out has elapsed before it fires, in milliseconds. A process that was paused
 * finds its timer elapsed before it has read what lies in its sockets; decompression and name resolution take a moment
 * in another thread.
 */
const QUIET_MS = 25

/** How often what arrives postpones a time-out that has elapsed. Answers a server that sends a byte now and then. */
const MAX_POSTPONEMENTS = 10

/** A time-out that does not fire before everything that has arrived is read. */
export interface Timeout {
  /** Whether the time has elapsed. The time-out fires a little later. */
  readonly isElapsed: boolean
  /** Reports that something was read: more may be there. */
  progressed(): void
  /** Stops it. */
  clear(): void
}

/**
 * Starts a time-out. After a pause of the process (garbage collection, a frozen container, long synchronous work) Node
 * runs timers first: so once the time has elapsed, sockets are read, and it fires when nothing more arrives.
 */
export function startTimeout(timeoutMs: number, onTimeout: () => void): Timeout {
  const endsAt = performance.now() + timeoutMs
  let isCleared = false
  let hasProgressed = false
  let timer: NodeJS.Timeout
  // An immediate runs after the event loop has read its sockets, a timer perhaps right after another one.
  const afterReading = (work: () => void): void => {
    setImmediate(() => {
      if (!isCleared) work()
    })
  }
  const elapse = (left: number): void => {
    hasProgressed = false
    afterReading(() => {
      timer = setTimeout(afterReading, QUIET_MS, () => {
        if (hasProgressed && left > 0) elapse(left - 1)
        else onTimeout()
      })
    })
  }
  timer = setTimeout(elapse, timeoutMs, MAX_POSTPONEMENTS)
  return {
    get isElapsed() {
      return performance.now() >= endsAt
    },
    progressed() {
      hasProgressed = true
    },
    clear() {
      isCleared = true
      clearTimeout(timer)
    },
  }
}

/** Rejects if the promise does not settle in time. Its later result is ignored, a rejection too. */
export async function within<T>(timeoutMs: number, promise: Promise<T>): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<never>()
  const timeout = startTimeout(timeoutMs, () => reject(new Error(`no response within ${timeoutMs} ms`)))
  try {
    return await Promise.race([promise, late])
  } finally {
    timeout.clear()
  }
}

/** Returns a function that returns the record time, `at` plus the time since this call, in whole milliseconds. */
export function stopwatch(clock: Pick<Clock, 'monotonic'>, at: number): () => number {
  const startedAt = clock.monotonic()
  return () => at + Math.ceil(clock.monotonic() - startedAt)
}

/** An instant of the wall clock of this process, in the time of a record whose time is now `at`. */
export function toRecordTime(instant: number, at: number, clock: Pick<Clock, 'now'>): number {
  return Math.round(instant - clock.now() + at)
}

/** Base64url (RFC 4648 §5) without padding. */
export function base64url(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64url')
}

/** A random id: base64url of `bytes` random bytes. */
export function randomId(clock: Pick<Clock, 'random'>, bytes: number): string {
  return base64url(clock.random(bytes))
}
