import { AuthorizationError } from '../errors/authorization-error.ts'
import { failure } from '../errors/failure.ts'

/**
 * Lets a caller go as soon as its signal says so; what it asked for goes on to its rest. Nothing is begun for a signal
 * that has gone off already.
 *
 * @throws {@link AuthorizationError} `ABORTED`.
 */
export async function abortable<T>(start: () => Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return await start()
  if (signal.aborted) throw new AuthorizationError(failure('ABORTED'))
  return await new Promise<T>((resolve, reject) => {
    const abort = (): void => reject(new AuthorizationError(failure('ABORTED')))
    signal.addEventListener('abort', abort, { once: true })
    start()
      .then(resolve, reject)
      .finally(() => signal.removeEventListener('abort', abort))
  })
}
