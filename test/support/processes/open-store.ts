import { Cluster, Redis } from 'ioredis'
import { RedisStore } from '../../../src/stores/redis/index.ts'
import type { SnapshotStore } from '../../../src/stores/snapshot-store.ts'
import { SqliteStore } from '../../../src/stores/sqlite.ts'

/** A store outside the process, as it is named to another process. */
export type StoreAddress =
  | { kind: 'redis'; url: string; prefix: string; replicas?: number }
  /** A master of the name `authchart`, which the Sentinel at this port knows. */
  | { kind: 'sentinel'; port: number; prefix: string; replicas?: number }
  | { kind: 'cluster'; ports: number[]; prefix: string; replicas?: number }
  | { kind: 'sqlite'; path: string; busyTimeoutMs?: number }

const host = '127.0.0.1'

function connect(address: Exclude<StoreAddress, { kind: 'sqlite' }>): Redis | Cluster {
  switch (address.kind) {
    case 'redis':
      return new Redis(address.url)
    case 'sentinel':
      return new Redis({ sentinels: [{ host, port: address.port }], name: 'authchart' })
    default:
      return new Cluster(address.ports.map((port) => ({ host, port })))
  }
}

/** Opens a store; `end` closes what the store itself leaves open, since it belongs to the host. */
export function openStore(address: StoreAddress): { store: SnapshotStore; end: () => Promise<void> } {
  if (address.kind === 'sqlite') {
    const { kind: _, ...options } = address
    return { store: new SqliteStore(options), end: () => Promise.resolve() }
  }
  const { prefix, replicas } = address
  const client = connect(address)
  // A server that is down is told by what fails; ioredis would print it as well.
  client.on('error', () => {})
  return { store: new RedisStore(client, { prefix, replicas }), end: async () => void (await client.quit()) }
}
