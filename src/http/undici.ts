import type { Socket } from 'node:net'
import type * as undiciModule from 'undici/index.js'
import type { buildConnector } from 'undici/index.js'
import { portError } from '../errors/port-error.ts'
import { type AddressGuard, destinationOf } from './address-guard.ts'
import { startDeadline, untilAborted } from './deadline.ts'

/** The part of undici that the transport uses. */
export type Undici = Pick<typeof undiciModule, 'Agent' | 'buildConnector' | 'Client' | 'Pool' | 'ProxyAgent'>

/** The property in which Node's bundled undici and the package both store the agent of the global `fetch`. */
const GLOBAL_AGENT = Symbol.for('undici.globalDispatcher.1')

/**
 * Loads undici, which replaces the agent of Node's global `fetch`, and restores Node's agent.
 *
 * Imports the file instead of the package name, which Bun replaces with a stub that cannot send requests.
 *
 * @throws `PortError` `HTTP_NETWORK` with reason `undiciNotLoaded`; a process warning has the cause.
 */
export async function loadUndici(): Promise<Undici> {
  // Reading `Response` makes Node load its bundled undici, so that there is an agent to restore.
  Reflect.get(globalThis, 'Response')
  const agent: unknown = Reflect.get(globalThis, GLOBAL_AGENT)
  const undici = await import('undici/index.js').catch(throwNotLoaded)
  // Any other value was set by the host in the meantime.
  if (Reflect.get(globalThis, GLOBAL_AGENT) instanceof undici.Dispatcher1Wrapper)
    Reflect.set(globalThis, GLOBAL_AGENT, agent)
  return undici
}

function throwNotLoaded(error: unknown): never {
  process.emitWarning(
    `authchart cannot send requests because undici could not be loaded: ${error instanceof Error ? error.message : String(error)}. ` +
      'In an ES module bundle, mark undici as external or define `require`: see docs/platforms.md of the package',
  )
  throw portError('HTTP_NETWORK', 'notSent', { reason: 'undiciNotLoaded' })
}

/**
 * A connector for undici that pins the addresses that the guard has checked: it resolves the name once, connects to
 * those addresses only, and checks the address of the established connection. undici calls `lookup` for names but not
 * for addresses, so the guard runs before the connector for both.
 */
export function createGuardedConnector(
  undici: Undici,
  guard: AddressGuard,
  timeoutMs: number,
): buildConnector.connector {
  async function connect(options: buildConnector.Options): Promise<Socket> {
    const destination = destinationOf(options)
    const deadline = startDeadline(timeoutMs, undefined)
    const addresses = await untilAborted(guard.resolve(destination), deadline.signal)
      .catch((error: unknown) => {
        const isLate = deadline.endedBy === 'HTTP_TIMEOUT'
        throw isLate ? portError('HTTP_TIMEOUT', 'notSent', { reason: 'nameNotResolved' }) : error
      })
      .finally(() => deadline.clear())
    const connector = undici.buildConnector({
      allowH2: false,
      // undici then calls `lookup` for all addresses at once.
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
