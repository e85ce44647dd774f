import { randomUUID } from 'node:crypto'
import type { AuthorizeResult, CallbackResult } from '../../src/index.ts'
import type { ConnectionIdentity } from '../../src/schemas/credentials.ts'
import { randomKeys } from '../support/processes/fleet.ts'
import type { StoreAddress } from '../support/processes/open-store.ts'
import type { WorkerInit } from '../support/processes/worker-protocol.ts'
import { CallError, type Caller, type FaultProcess } from './fault-process.ts'
import { FaultyServer } from './faulty-server.ts'
import { NETWORK, PATIENT, POLICY, REDIRECT_URI, WAY_OUT_MS } from './settings.ts'
import { persist } from './persist.ts'

/** The pre-registered client of every authorization server here. */
export const STATIC_CLIENT = { clientId: 'fleet', clientSecret: 'fleet-secret' }

/** One connection of one cell, with servers of its own, and a process that nothing happens to. */
export interface Scene {
  readonly id: string
  readonly of: ConnectionIdentity
  /** How process A builds its orchestrator. */
  readonly init: WorkerInit
  readonly server: FaultyServer
  /** The process that carries on. */
  readonly b: Caller
  readonly deadline: number
  /** Whether a person consented: from then on asking again is a loss. */
  hasConsented: boolean
}

/** What all scenes of a run have in common. */
export interface Setting {
  readonly store: StoreAddress
  /** How far the clock of process A is ahead, and that of process B behind. @defaultValue 0 */
  readonly clockOffsetMs?: number
  /** Whether nothing has to happen within a lease. @defaultValue false */
  readonly isPatient?: boolean
}

/** Opens a scene whose process B is this one. */
export async function openScene(
  { store, clockOffsetMs = 0, isPatient = false }: Setting,
  carrier: FaultProcess,
): Promise<Scene> {
  const id = randomUUID()
  const server = await FaultyServer.listen([STATIC_CLIENT])
  const init: WorkerInit = {
    store: store.kind === 'redis' ? { ...store, prefix: `${id}:` } : store,
    keys: randomKeys(),
    client: { name: 'Faults', redirectUri: REDIRECT_URI },
    network: NETWORK,
    policy: POLICY,
    ...(isPatient && PATIENT),
    clockOffsetMs,
  }
  const of = { tenant: 'acme', user: id, server: server.mcp.url }
  const deadline = performance.now() + WAY_OUT_MS
  const b = carrier.build(id, { ...init, clockOffsetMs: -clockOffsetMs })
  return { id, of, init, server, b, deadline, hasConsented: false }
}

export async function closeScene({ server, b }: Scene): Promise<void> {
  b.rest()
  await server.close()
}

/** Opens the authorization URL as a person who consents, and returns the callback URL. */
export async function consent(scene: Scene, begun: AuthorizeResult): Promise<string> {
  if (begun.status !== 'redirect') throw new Error(`authorize() came to ${begun.status}`)
  scene.hasConsented = true
  return await scene.server.as.approve(begun.authorizationUrl)
}

/** A callback that fails throws: `retry` while the page can be loaded again, otherwise `authorize`. */
export async function callback(caller: Caller, url: string): Promise<CallbackResult> {
  const result = await caller.completeCallback(url)
  if (result.status === 'authorized' || result.status === 'alreadyAuthorized') return result
  const { status, failure, retryable } = result
  const code = failure?.code ?? status
  throw new CallError({
    name: 'Callback',
    code,
    message: `the callback is ${status}: ${code}`,
    nextAction: retryable ? 'retry' : 'authorize',
    failure,
  })
}

/** Signs in with process B. */
export async function signIn(scene: Scene, options: Parameters<Caller['authorize']>[1] = {}): Promise<CallbackResult> {
  const begun = await persist(scene, () => scene.b.authorize(scene.of, options))
  const url = await consent(scene, begun)
  return await persist(scene, () => callback(scene.b, url))
}
