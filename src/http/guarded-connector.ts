import type { Socket } from 'node:net'
import type { buildConnector } from 'undici/index.js'
import { portError } from '../errors/index.ts'
import { type AddressGuard, destinationOf } from './address-guard.ts'
import { untilAborted } from './deadline.ts'
import type { Undici } from './undici.ts'

/**
 * Makes connections for undici that go where the guard has looked and nowhere else: it resolves the name once, connects
 * to those addresses only, and looks at the one that was reached. undici asks its own `lookup` for names but never for
 * addresses, so this stands before it for both.
 */
export function createGuardedConnector(
  undici: Undici,
  guard: AddressGuard,
  timeoutMs: number,
): buildConnector.connector {
  async function connect(options: buildConnector.Options): Promise<Socket> {
    const destination = destinationOf(options)
    const timeout = AbortSignal.timeout(timeoutMs)
    const addresses = await untilAborted(guard.resolve(destination), timeout).catch((error: unknown) => {
      throw timeout.aborted ? portError('HTTP_TIMEOUT', 'notSent', { reason: 'nameNotResolved' }) : error
    })
    const connector = undici.buildConnector({
      allowH2: false,
      // Always asks for all addresses at once.
      autoSelectFamily: true,
      lookup: (_name, _options, done) => done(null, [...addresses]),
      timeout: timeoutMs,
    })
    const socket = await new Promise<Socket>((resolve, reject) => {
      connector(options, (error, connected) => (error === null ? resolve(connected) : reject(error)))
    })
    try {
      guard.vet(destination, socket.remoteAddress ?? '0.0.0.0')
    } catch (error) {
      socket.destroy()
      throw error
    }
    return socket
  }
  return (options, callback) => {
    connect(options).then(
      (socket) => callback(null, socket),
      (error: unknown) =>
        callback(error instanceof Error ? error : new Error('the resolver failed', { cause: error }), null),
    )
  }
}
