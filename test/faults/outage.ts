import { setTimeout as delay } from 'node:timers/promises'
import type { Fleet } from './fleet.ts'
import { Motion, type MotionResult } from './motion.ts'
import { POLICY, WAY_OUT_MS } from './settings.ts'
import type { VariantResult } from './variant.ts'
import { CallLog } from './call-log.ts'

/** Longer than a lease and its grace period, so that every claim of before could be taken over. */
export const OUTAGE_MS = POLICY.leaseMs + POLICY.graceMs + 1_000

const CONNECTIONS = 24
/** So many calls have succeeded before an outage, and after it. */
const LOAD = 3 * CONNECTIONS
const RECOVERY_MS = 30_000

/** Something that happens to what a fleet depends on. */
export interface Outage {
  readonly begin: () => Promise<unknown>
  readonly end: () => Promise<unknown>
  /** @defaultValue {@link OUTAGE_MS} */
  readonly lastsMs?: number
  /**
   * How often the store itself reports what happened to it; asked at the end. @defaultValue how many calls failed with
   * `STORE_UNAVAILABLE` since it began
   */
  readonly hits?: () => Promise<number>
  /** Why acknowledged writes can be lost in it, which no client can prevent. @defaultValue none are */
  readonly losesWrites?: string
}

/** Lets connections move while something happens to what their fleet depends on. */
export async function inMotion<Result>(
  fleet: Fleet,
  options: ConstructorParameters<typeof Motion>[1],
  happen: () => Promise<Result>,
): Promise<{ result: Result; moved: MotionResult }> {
  const motion = new Motion(fleet, options)
  motion.start()
  try {
    const result = await happen()
    return { result, moved: await motion.stop() }
  } catch (error) {
    await motion.stop().catch(() => {})
    throw error
  }
}

/** Lets connections move before, during and after an outage. */
export async function throughOutage(fleet: Fleet, seed: number, outage: Outage): Promise<VariantResult> {
  const calls = new CallLog(fleet)
  const { result, moved } = await inMotion(calls.fleet, { connections: CONNECTIONS, seed }, async () => {
    const startedAt = performance.now()
    const succeeded = (): number => calls.succeededSince(startedAt)
    if (!(await soon(() => succeeded() >= LOAD, 2 * WAY_OUT_MS)))
      throw new Error(`stuck: ${succeeded()} calls succeeded before the outage, others were ${calls.codes.join(', ')}`)
    const beganAt = performance.now()
    await outage.begin()
    await delay(outage.lastsMs ?? OUTAGE_MS)
    await outage.end()
    const endedAt = performance.now()
    await soon(() => calls.succeededSince(endedAt) > 0, RECOVERY_MS)
    const recoveryMs = Math.round(performance.now() - endedAt)
    await soon(() => calls.succeededSince(endedAt) >= LOAD, RECOVERY_MS)
    return { recoveryMs, hits: (await outage.hits?.()) ?? calls.unavailableSince(beganAt) }
  })
  const { recoveryMs, hits } = result
  const judged = judge(moved.problems, outage.losesWrites)
  const failed = [...moved.errors].map(([kind, count]) => `${count} ${kind}`).join(', ')
  return {
    summary: `hit ${hits} times; ${moved.resolved} of ${moved.calls} calls succeeded, the first one ${recoveryMs} ms after the outage; ${judged.text}; ${failed}`,
    problems: [
      ...judged.problems,
      ...(hits > 0 ? [] : ['the outage did not hit']),
      ...(recoveryMs < RECOVERY_MS ? [] : ['stuck: nothing succeeded after the outage']),
    ],
  }
}

/** Waits until something is so; resolves to whether it was in time. */
async function soon(isSo: () => boolean, timeoutMs: number): Promise<boolean> {
  const deadline = performance.now() + timeoutMs
  while (!isSo() && performance.now() < deadline) await delay(50)
  return isSo()
}

/** What a broken rule means: `user-3: asked: a callback came to …`, `reuse 2`. */
const MEANING = /^(?:user-\d+: )?(asked|reuse|lost|stuck)\b(?: (\d+)$)?/
const MEANINGS = { asked: 'user asked', reuse: 'reuse', lost: 'acknowledged lost', stuck: 'stuck' } as const

/**
 * Counts the broken rules by their meaning. Where acknowledged writes can be lost, what follows from that is counted
 * apart.
 */
export function judge(
  problems: readonly string[],
  losesWrites?: string,
): { text: string; problems: readonly string[] } {
  const counted = (texts: readonly string[]): string =>
    Object.entries(MEANINGS)
      .map(([meaning, name]) => {
        const found = texts.map((text) => MEANING.exec(text)).filter((match) => match?.[1] === meaning)
        return `${name} ${found.reduce((total, match) => total + Number(match?.[2] ?? 1), 0)}`
      })
      .join(', ')
  const isUnavoidable = (text: string): boolean =>
    losesWrites !== undefined && ['asked', 'reuse', 'lost'].includes(MEANING.exec(text)?.[1] ?? '')
  const avoidable = problems.filter((text) => !isUnavoidable(text))
  const unavoidable = problems.filter(isUnavoidable)
  const apart = losesWrites === undefined ? '' : `; unavoidable (${losesWrites}): ${counted(unavoidable)}`
  return { text: `avoidable: ${counted(avoidable)}${apart}`, problems: avoidable }
}
