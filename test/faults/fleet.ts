import { randomUUID } from 'node:crypto'
import type { ConnectionIdentity } from '../../src/schemas/credentials.ts'
import { randomKeys } from '../support/processes/fleet.ts'
import type { StoreAddress } from '../support/processes/open-store.ts'
import type { WorkerInit } from '../support/processes/worker-protocol.ts'
import { type Caller, FaultProcess } from './fault-process.ts'
import { FaultyServer } from './faulty-server.ts'
import { NETWORK, POLICY, REDIRECT_URI } from './settings.ts'

/** A process of a fleet, with its orchestrator. */
export interface Member {
  readonly process: FaultProcess
  readonly caller: Caller
}

/** Several processes on one store, and the servers that they talk to. */
export interface Fleet {
  readonly server: FaultyServer
  readonly members: readonly Member[]
  of(user: string): ConnectionIdentity
  /** Starts one more process, which is not among the members. It ends with the fleet at the latest. */
  start(): Member
  close(): Promise<void>
}

/** Starts a fleet. `changes` differ for each process, by its number. */
export async function openFleet(
  store: StoreAddress,
  size: number,
  changes: (index: number) => Partial<WorkerInit> = () => ({}),
): Promise<Fleet> {
  const id = randomUUID()
  const server = await FaultyServer.listen()
  const init: WorkerInit = {
    store: store.kind === 'sqlite' ? store : { ...store, prefix: `${id}:` },
    keys: randomKeys(),
    client: { name: 'Faults', redirectUri: REDIRECT_URI },
    network: NETWORK,
    policy: POLICY,
  }
  const started: Member[] = []
  const start = (changed: Partial<WorkerInit> = {}): Member => {
    const process = new FaultProcess()
    const member = { process, caller: process.build(id, { ...init, ...changed }) }
    started.push(member)
    return member
  }
  const members = Array.from({ length: size }, (_, index) => start(changes(index)))
  return {
    server,
    members,
    of: (user) => ({ tenant: 'acme', user, server: server.mcp.url }),
    start: () => start(),
    close: async () => {
      await Promise.all(started.map((each) => each.process.end()))
      await server.close()
    },
  }
}
