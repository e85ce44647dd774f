import { backoffMs } from '../backoff.ts'
import type { Clock } from '../clock.ts'
import { warnOfUnstoredResult } from '../errors/warn-on-failure.ts'
import type { Lease } from './chart.ts'
import { STORE_RETRY } from './limits.ts'

/** The run whose operation on the store is retried: the key of its record, its lease, and what rejects its caller. */
interface Retried {
  readonly key: string
  readonly lease: Lease
  readonly onLate: () => void
}

/** The attempts of one operation on the store. */
export interface Retry {
  /** Waits before the next attempt. Once lease and grace period have passed, the caller of the run is rejected first. */
  pause(): Promise<void>
  /** Says that the result was not stored, if it is one. */
  warn(): void
}

/** Pauses between attempts on the store, which end with the orchestrator. */
export class Retries {
  /** Set once `close()` was called: from then on only the result of a single-use credential is retried. */
  isClosing = false
  /** Set once `close()` has waited for its maximum time: from then on nothing is retried. */
  isOver = false
  readonly #clock: Clock
  readonly #pending = new Set<() => void>()
  /** The runs whose result is known to be lost, by what rejects their callers: a run that submits it late is the same. */
  readonly #warned = new WeakSet<() => void>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Says, once for a run, that the result of a single-use credential was not stored. */
  warn(run: Retried, reason?: unknown): void {
    if (!this.#warned.has(run.onLate)) warnOfUnstoredResult(run.key, reason)
    this.#warned.add(run.onLate)
  }

  /** Begins the attempts of one operation; `isResult`: it stores the result of a single-use credential. */
  begin(run: Retried, isResult: boolean): Retry {
    const { lease } = run
    const { firstMs } = STORE_RETRY
    // After an outage the holder of a claim has the grace period to save its result.
    const longestMs = Math.max(firstMs, Math.min(STORE_RETRY.longestMs, lease.graceMs / 4))
    const lateAt = this.#clock.monotonic() + lease.leaseMs + lease.graceMs
    let pauseMs: number | undefined
    const warn = (): void => {
      if (isResult) this.warn(run)
    }
    return {
      warn,
      pause: async () => {
        pauseMs = backoffMs(pauseMs, { firstMs, longestMs })
        // The store may be closed for good: as long as `close()` would wait, and no longer, a result keeps the process alive.
        const isLate = this.#clock.monotonic() > lateAt
        if (isLate) {
          warn()
          run.onLate()
        }
        await this.pause(pauseMs, !isLate)
      },
    }
  }

  /** Waits, at most until `end()`. */
  pause(ms: number, keepsAlive = true): Promise<void> {
    return new Promise((resolve) => {
      const end = (): void => {
        clearTimeout(timer)
        this.#pending.delete(end)
        resolve()
      }
      const timer = setTimeout(end, ms)
      if (!keepsAlive) timer.unref()
      this.#pending.add(end)
    })
  }

  /** Ends all pauses: each operation is attempted once more, and not again. */
  end(): void {
    this.isOver = true
    for (const end of this.#pending) end()
  }
}
