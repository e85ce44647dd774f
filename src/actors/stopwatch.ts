import type { Clock } from '../clock.ts'

/** Record time as it goes on from `at`, by the monotonic clock, in whole milliseconds. */
export function stopwatch(clock: Pick<Clock, 'monotonic'>, at: number): () => number {
  const start = clock.monotonic()
  return () => at + Math.ceil(clock.monotonic() - start)
}
