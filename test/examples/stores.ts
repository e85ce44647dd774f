import { Redis } from 'ioredis'
import { createAuthOrchestrator, MemoryStore } from '../../src/index.ts'
import { RedisStore } from '../../src/stores/redis/index.ts'
import { SqliteStore } from '../../src/stores/sqlite.ts'

const client = { name: 'Acme Agents', redirectUri: 'https://agents.acme.example/oauth/callback' }

// #region keys
const bytes = (name: string): Uint8Array => Buffer.from(process.env[name] ?? '', 'base64')

const keys = {
  name: bytes('AUTHCHART_NAME_KEY'),
  sealing: [{ id: '2026-11', secret: bytes('AUTHCHART_SEALING_KEY') }],
}
// #endregion

/** One process, and tests. */
export function onMemory() {
  return createAuthOrchestrator({ client, store: new MemoryStore() })
}

/** One machine. */
export function onSqlite(path: string) {
  return createAuthOrchestrator({ client, keys, store: new SqliteStore({ path }) })
}

/** A fleet. */
export function onRedis(url: string) {
  // #region redis
  const redis = new Redis(url)
  const auth = createAuthOrchestrator({ client, keys, store: new RedisStore(redis, { prefix: 'agents:' }) })

  async function shutDown(): Promise<void> {
    await auth.close() // lets what runs come to rest; the client stays yours
    await redis.quit()
  }
  // #endregion
  return { auth, shutDown }
}
