import { randomUUID } from 'node:crypto'
import type { AuthorizeResult, CallbackResult } from '../../src/index.ts'
import type { PolicyOptions } from '../../src/options/policy.ts'
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
  /** The process that carries on, and by how much its clock is ahead. */
  readonly b: Caller
  readonly clockOffsetMs: number
  /** Does what comes before a flow, without a time-out that a busy machine exceeds. */
  readonly before: Caller
  readonly deadline: number
  /** Whether a person consented: from then on asking again is a loss. */
  hasConsented: boolean
  /** How often a person was sent to the server with a client that it does not have, and got its error page. */
  errorPages: number
  /** How often `accessToken()` returned a token that the server rejects. */
  deadTokens: number
}

/** What all scenes of a run have in common. */
export interface Setting {
  readonly store: StoreAddress
  /** How far the clock of process A is ahead, and that of process B behind. @defaultValue 0 */
  readonly clockOffsetMs?: number
  /** Whether nothing has to happen within a lease. @defaultValue false */
  readonly isPatient?: boolean
}

/**
 * Opens a scene.
 *
 * @param carrier Its process B.
 * @param policy What is different before the flow.
 */
export async function openScene(
  { store, clockOffsetMs = 0, isPatient = false }: Setting,
  carrier: FaultProcess,
  policy: PolicyOptions = {},
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
  const patient = { ...init, ...PATIENT, policy: { ...PATIENT.policy, ...policy }, clockOffsetMs: -clockOffsetMs }
  const before = carrier.build(`${id} before`, patient)
  return {
    id,
    of,
    init,
    server,
    b,
    clockOffsetMs: -clockOffsetMs,
    before,
    deadline,
    hasConsented: false,
    errorPages: 0,
    deadTokens: 0,
  }
}

export async function closeScene({ server, b, before }: Scene): Promise<void> {
  b.rest()
  before.rest()
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

/** Signs in with one process. */
export async function signIn(
  scene: Scene,
  caller: Caller,
  options: Parameters<Caller['authorize']>[1] = {},
): Promise<CallbackResult> {
  const begun = await persist(scene, () => caller.authorize(scene.of, options))
  const url = await consent(scene, begun)
  return await persist(scene, () => callback(caller, url))
}
