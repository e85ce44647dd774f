import { Redis } from 'ioredis'
import { RedisStore } from '../../../src/stores/redis/index.ts'
import type { SnapshotStore } from '../../../src/stores/snapshot-store.ts'
import { SqliteStore } from '../../../src/stores/sqlite.ts'

/** A store outside the process, as it is named to another process. */
export type StoreAddress = { kind: 'redis'; url: string; prefix: string } | { kind: 'sqlite'; path: string }

/** Opens a store; `end` closes what the store itself leaves open, since it belongs to the host. */
export function openStore(address: StoreAddress): { store: SnapshotStore; end: () => Promise<void> } {
  if (address.kind === 'sqlite') return { store: new SqliteStore({ path: address.path }), end: () => Promise.resolve() }
  const client = new Redis(address.url)
  // A server that is down is told by what fails; ioredis would print it as well.
  client.on('error', () => {})
  return { store: new RedisStore(client, { prefix: address.prefix }), end: async () => void (await client.quit()) }
}
