import type * as undiciModule from 'undici/index.js'
import { portError } from '../errors/port-error.ts'

/** The part of undici that sends our requests. */
export type Undici = Pick<typeof undiciModule, 'Agent' | 'buildConnector' | 'Pool' | 'ProxyAgent'>

/** Where Node's own undici and the package both keep the agent of the global `fetch`. */
const GLOBAL_AGENT = Symbol.for('undici.globalDispatcher.1')

/**
 * Loads undici, which replaces the agent of Node's global `fetch`, and puts Node's agent back.
 *
 * Imports the file and not the package by its name, which Bun replaces with a stub that cannot send.
 *
 * @throws `PortError` `HTTP_NETWORK` with reason `undiciNotLoaded`; a warning of the process says why.
 */
export async function loadUndici(): Promise<Undici> {
  // Reading `Response` makes Node load its own undici, if it has not, so that the agent is there to be put back.
  Reflect.get(globalThis, 'Response')
  const agent: unknown = Reflect.get(globalThis, GLOBAL_AGENT)
  const undici = await import('undici/index.js').catch(refuse)
  // Anything else was set by the host in the meantime.
  if (Reflect.get(globalThis, GLOBAL_AGENT) instanceof undici.Dispatcher1Wrapper)
    Reflect.set(globalThis, GLOBAL_AGENT, agent)
  return undici
}

function refuse(error: unknown): never {
  process.emitWarning(
    `authchart cannot send requests, because undici could not be loaded: ${error instanceof Error ? error.message : String(error)}. ` +
      'A bundle in the format of ES modules needs undici outside of it, or a `require` of its own: see docs/platforms.md of the package',
  )
  throw portError('HTTP_NETWORK', 'notSent', { reason: 'undiciNotLoaded' })
}
