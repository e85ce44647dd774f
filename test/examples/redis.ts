import { Redis } from 'ioredis'
import { createAuthOrchestrator } from '../../src/index.ts'
import { RedisStore } from '../../src/stores/redis/index.ts'

const key = (name: string): Uint8Array => Buffer.from(process.env[name] ?? '', 'base64')
const redis = new Redis(process.env['REDIS_URL'] ?? 'redis://127.0.0.1:6379')
const auth = createAuthOrchestrator({
  client: { name: 'Acme Agents', redirectUri: 'https://agents.acme.example/oauth/callback' },
  keys: { name: key('AUTHCHART_NAME_KEY'), sealing: [{ id: '2026-11', secret: key('AUTHCHART_SEALING_KEY') }] },
  store: new RedisStore(redis, { prefix: 'agents:' }),
})

export async function shutDown(): Promise<void> {
  await auth.close() // drains in-flight operations; your Redis client is not closed
  await redis.quit()
}
