import assert from 'node:assert/strict'
import { setTimeout as delay } from 'node:timers/promises'
import { type Outcome, settled } from '../support/fleet/outcome.ts'
import type { WorkerError } from '../support/processes/worker-process.ts'
import { STUCK_MS } from './times.ts'

/** How often a host, or a person, tries something. */
export const TRIES = 5
const PAUSE_MS = 1_000

/** What takes longer is stuck. */
export async function inTime<T>(work: Promise<T>): Promise<T> {
  const over = new AbortController()
  const late = delay(STUCK_MS, undefined, { signal: over.signal }).then(() => assert.fail(`stuck for ${STUCK_MS} ms`))
  late.catch(() => {})
  try {
    return await Promise.race([work, late])
  } finally {
    over.abort()
  }
}

/** What a host repeats because the error says so: a slow machine has time-outs that nobody planned. */
export async function again<T>(work: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries += 1) {
    const outcome: Outcome<T, WorkerError> = await settled(inTime(work()))
    if (outcome.kind === 'done') return outcome.value
    if (outcome.kind === 'failed' && (outcome.error.retryable !== true || tries === TRIES)) throw outcome.error
    await delay(PAUSE_MS)
  }
}
