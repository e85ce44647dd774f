import * as v from 'valibot'
import { KEYS_PER_PAGE, WAKE_DUE } from './limits.ts'
import { ConnectionRecord } from './record.ts'
import { isConnectionKey } from './routing.ts'
import type { OrchestratorServices } from './services.ts'
import { wake } from './status.ts'

/** The options of `wakeDue()`. */
export interface WakeDueOptions {
  /**
   * How many due connections one call handles at most, besides those without work and records that cannot be read.
   * Integer from 1 to 10_000.
   *
   * @defaultValue 1_000
   */
  limit?: number | undefined
  /** How many of them at the same time. Integer from 1 to 100. @defaultValue 8 */
  concurrency?: number | undefined
}

const upTo = (longest: number) =>
  v.pipe(
    v.number(),
    v.check(
      (value) => Number.isInteger(value) && value >= 1 && value <= longest,
      `must be an integer from 1 to ${longest}`,
    ),
  )

/** The options of `wakeDue()`, with their bounds. */
export const WakeDueOptionsSchema = v.strictObject({
  limit: v.optional(upTo(WAKE_DUE.maxLimit), WAKE_DUE.limit),
  concurrency: v.optional(upTo(WAKE_DUE.maxConcurrency), WAKE_DUE.concurrency),
})

/** The result of `wakeDue()`. */
export interface WakeDueResult {
  /** How many connections something was done for, such as a refresh, whether it succeeded or not. */
  woken: number
  /**
   * How many could not be woken: their record cannot be read, or their `wake()`, or the function `policy`, threw. They
   * remain due.
   */
  failed: number
  /** How many more are due, because of `limit`; above 100, at least so many. */
  remaining: number
}

/**
 * Calls `wake()` on every connection that is due, the longest due first, each once.
 *
 * @internal
 */
export async function wakeDue(
  services: OrchestratorServices,
  { limit, concurrency }: v.InferOutput<typeof WakeDueOptionsSchema>,
): Promise<WakeDueResult> {
  const seen = new Set<string>()
  const count = { woken: 0, failed: 0 }
  let handled = 0
  const wakeEach = async (keys: Iterable<string>): Promise<void> => {
    for (const key of keys) {
      try {
        const view = await services.runner.load(services.chart, key)
        if (view === undefined) continue
        // One without work does not count towards the limit: it remains due.
        handled += 1
        if (await wake(new ConnectionRecord(services, view.context.identity, key), view)) count.woken += 1
        else handled -= 1
      } catch {
        count.failed += 1
      }
    }
  }
  for (;;) {
    services.assertOpen()
    // Those that were seen may still be due, at the top of the list. Twice as many are requested, so that each round can
    // wake as many as all before it: a long list is not requested from its top for every hundred.
    const due = await services.runner.due(2 * seen.size + KEYS_PER_PAGE)
    const next = due.filter((key) => isConnectionKey(key) && !seen.has(key))
    // Records without work, or that cannot be read, remain due, at the top of the list: they must not keep others from
    // their turn.
    const left = Math.min(limit - handled, WAKE_DUE.maxUnreadable - (seen.size - handled))
    if (next.length === 0 || left <= 0) return { ...count, remaining: next.length }
    const batch = next.slice(0, left)
    for (const key of batch) seen.add(key)
    // All take their next key from the same iterator.
    const keys = batch.values()
    await Promise.all(Array.from({ length: concurrency }, () => wakeEach(keys)))
  }
}
