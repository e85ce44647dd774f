import * as fc from 'fast-check'
import { sequenceOf } from '../support/fleet/steps.ts'
import type { StoreAddress } from '../support/processes/open-store.ts'
import type { ProcessCounts } from './process-counts.ts'
import { processStep } from './process-steps.ts'
import { ProcessWorld } from './process-world.ts'
import { SEQUENCE_TIMEOUT_MS } from './times.ts'

/** Half as many on average. */
const MAX_STEPS = 20

/** Runs the sequence of this seed. Answers its steps and why it failed, if it did. */
export async function runSequence(
  seed: number,
  store: StoreAddress,
  counts: ProcessCounts,
): Promise<string | undefined> {
  const property = fc.asyncProperty(sequenceOf(processStep, MAX_STEPS), async (steps) => {
    const world = await ProcessWorld.start(store, counts)
    try {
      await fc.asyncModelRun(() => ({ model: {}, real: world }), steps)
      await world.hasWayOut()
    } finally {
      await world.end()
    }
  })
  // Its first try is the sequence: to shrink it would take as many processes again, and hit other moments.
  const checked = await fc.check(property, { seed, numRuns: 1, endOnFailure: true, timeout: SEQUENCE_TIMEOUT_MS })
  if (!checked.failed) return undefined
  const { errorInstance, counterexample } = checked
  const reason = errorInstance instanceof Error ? (errorInstance.stack ?? errorInstance.message) : String(errorInstance)
  return `${fc.stringify(counterexample)}\n${reason}`
}
