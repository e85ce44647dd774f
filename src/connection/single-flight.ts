import { AuthorizationError } from '../errors/authorization-error.ts'
import { failure } from '../errors/failure.ts'
import { untilAborted } from '../http/deadline.ts'

/** Callers with equal intents share one operation and its result. */
export function singleFlight<T>(running: Map<string, Promise<T>>, intent: string, start: () => Promise<T>): Promise<T> {
  const inFlight = running.get(intent)
  if (inFlight !== undefined) return inFlight
  const started = start().finally(() => running.delete(intent))
  running.set(intent, started)
  return started
}

/**
 * Stops the caller's wait when its signal aborts; the operation itself continues. Nothing is started for a signal that
 * has aborted already.
 *
 * @throws {@link AuthorizationError} `ABORTED`.
 */
export async function abortable<T>(start: () => Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return await start()
  const aborted = new AuthorizationError(failure('ABORTED'))
  if (signal.aborted) throw aborted
  return await untilAborted(start(), signal, aborted)
}
