import { setTimeout as delay } from 'node:timers/promises'
import type { Fleet } from './fleet.ts'
import { Motion } from './motion.ts'
import { POLICY } from './settings.ts'
import type { VariantResult } from './variant.ts'

/** Longer than a lease and its grace period, so that every claim of before could be taken over. */
export const OUTAGE_MS = POLICY.leaseMs + POLICY.graceMs + 1_000

const CONNECTIONS = 24
const BEFORE_MS = 2_500
const RECOVERY_MS = 30_000
const AFTERWARDS_MS = 2_500

/** Lets connections move before, during and after an outage of what the fleet depends on. */
export async function throughOutage(
  fleet: Fleet,
  seed: number,
  outage: { begin: () => Promise<unknown>; end: () => Promise<unknown>; lastsMs?: number },
): Promise<VariantResult> {
  const motion = new Motion(fleet, { connections: CONNECTIONS, seed })
  motion.start()
  await delay(BEFORE_MS)
  await outage.begin()
  await delay(outage.lastsMs ?? OUTAGE_MS)
  await outage.end()
  const endedAt = performance.now()
  const resolved = motion.resolved
  while (motion.resolved === resolved && performance.now() - endedAt < RECOVERY_MS) await delay(50)
  const recoveryMs = Math.round(performance.now() - endedAt)
  await delay(AFTERWARDS_MS)
  const result = await motion.stop()
  const errors = [...result.errors].map(([kind, count]) => `${count} ${kind}`).join(', ')
  return {
    summary: `${result.resolved} of ${result.calls} calls succeeded, the first one ${recoveryMs} ms after the outage; ${errors}`,
    problems: [...result.problems, ...(recoveryMs > RECOVERY_MS ? ['stuck: nothing succeeded after the outage'] : [])],
  }
}
