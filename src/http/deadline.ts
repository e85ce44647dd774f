import { startTimeout, type Timeout } from '../clock.ts'

/** Aborts one exchange: after its time-out, or when the caller's signal aborts. */
export interface Deadline {
  readonly signal: AbortSignal
  /** What aborted the exchange, if anything did. */
  readonly endedBy: 'HTTP_TIMEOUT' | 'ABORTED' | undefined
  /** Whether the time has elapsed: nothing may be sent any more, but what has arrived is still read. */
  readonly isElapsed: boolean
  /** Reports that a part of the response was read. */
  readonly progressed: () => void
  /** Starts the time again, unless the timer was stopped. */
  readonly restart: () => void
  /** Stops the timer: from now on it only follows the caller's signal. */
  readonly stopTimer: () => void
  /** Stops the timer and removes the listener from the caller's signal. */
  readonly clear: () => void
}

/** Why the signal of a deadline aborts after its time-out. */
export const TIMED_OUT = new DOMException('the time-out has elapsed', 'TimeoutError')

/** Starts a deadline; without a time-out it only follows the caller's signal. */
export function startDeadline(timeoutMs: number | undefined, callerSignal: AbortSignal | undefined): Deadline {
  const controller = new AbortController()
  let endedBy: Deadline['endedBy']
  const end = (by: Deadline['endedBy'], reason?: unknown): void => {
    endedBy ??= by
    controller.abort(reason)
  }
  const onAbort = (): void => end('ABORTED', callerSignal?.reason)
  const start = (): Timeout | undefined =>
    timeoutMs === undefined ? undefined : startTimeout(timeoutMs, () => end('HTTP_TIMEOUT', TIMED_OUT))
  let timeout = start()
  const stopTimer = (): void => {
    timeout?.clear()
    timeout = undefined
  }
  if (callerSignal?.aborted === true) onAbort()
  callerSignal?.addEventListener('abort', onAbort, { once: true })
  return {
    signal: controller.signal,
    get endedBy() {
      return endedBy
    },
    get isElapsed() {
      return timeout?.isElapsed ?? false
    },
    progressed: () => timeout?.progressed(),
    restart() {
      if (timeout === undefined) return
      timeout.clear()
      timeout = start()
    },
    stopTimer,
    clear() {
      stopTimer()
      callerSignal?.removeEventListener('abort', onAbort)
    },
  }
}

/** Settles like the promise, or rejects with `reason` when the signal aborts, whichever happens first. */
export async function untilAborted<T>(
  promise: Promise<T>,
  signal: AbortSignal,
  reason: unknown = signal.reason,
): Promise<T> {
  const { promise: aborted, reject } = Promise.withResolvers<never>()
  const onAbort = (): void => reject(reason)
  signal.addEventListener('abort', onAbort, { once: true })
  if (signal.aborted) onAbort()
  try {
    return await Promise.race([promise, aborted])
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}
