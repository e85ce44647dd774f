import { setTimeout as delay } from 'node:timers/promises'
import { mayFail } from './expectations.ts'
import { CallError } from './fault-process.ts'

const PAUSE_MS = 250

/** Nothing led on within the time in which something has to. */
export class StuckError extends Error {}

/**
 * Repeats a call as a host does: while its error says `retry`, after the time that the error names.
 *
 * @throws What is no reason to repeat it, and what no store and no server can lead to.
 */
export async function persist<Result>(
  { deadline }: { deadline: number },
  work: () => Promise<Result>,
): Promise<Result> {
  for (;;) {
    try {
      return await work()
    } catch (error) {
      if (!(error instanceof CallError) || error.nextAction !== 'retry' || !mayFail(error)) throw error
      const pauseMs = Math.max(PAUSE_MS, error.details?.retryAfterMs ?? 0)
      if (performance.now() + pauseMs > deadline) throw new StuckError(`still ${error.code}`, { cause: error })
      await delay(pauseMs)
    }
  }
}
