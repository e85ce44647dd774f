import { Redis } from 'ioredis'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { createAuthOrchestrator } from '../../src/index.ts'
import { RedisStore } from '../../src/stores/redis/index.ts'
import { SimulatedClock } from '../../src/testing/index.ts'
import { type RedisServer, startRedisServer } from '../support/redis-server.ts'

const CACHE_MS = 10_000
/** Long enough for what has to respond, and short enough for a test to wait for what does not. */
const COMMAND_TIMEOUT_MS = 1_000
const secret = new Uint8Array(32).fill(9)
const UNAVAILABLE = expect.objectContaining({ code: 'STORE_UNAVAILABLE', retryable: true })

describe('an outage of Redis', () => {
  let server: RedisServer
  let client: Redis
  let end: () => Promise<unknown>
  const clock = new SimulatedClock()

  /** A connection whose token this process has cached. */
  async function cached() {
    const store = new RedisStore(client, { commandTimeoutMs: COMMAND_TIMEOUT_MS })
    const auth = createAuthOrchestrator({
      client: { name: 'Acme', redirectUri: 'https://app.example/callback' },
      keys: { name: secret, sealing: [{ id: 'k1', secret: new Uint8Array(32).fill(1) }] },
      policy: { cacheMs: CACHE_MS },
      store,
      clock,
    })
    end = async () => await Promise.all([auth.close(), store.close()])
    const connection = auth.connection({ tenant: 't1', user: 'u1', server: 'https://mcp.example/mcp' })
    await connection.import({ tokens: { accessToken: 'token' } })
    await connection.accessToken()
    return connection
  }

  beforeEach(async () => {
    server = await startRedisServer()
    client = new Redis(server.port).on('error', () => {})
  })
  afterEach(async () => {
    await server.stop()
    await end()
    client.disconnect()
  })

  test.each([
    ['is read-only', ['REPLICAOF', '127.0.0.1', '1']],
    ['is full', ['CONFIG', 'SET', 'maxmemory', '1']],
  ] as const)('while it %s, valid tokens are returned, and what has to be written is rejected', async (_, command) => {
    const connection = await cached()
    const [name, ...args] = command
    await client.call(name, ...args)
    clock.advance(CACHE_MS)
    await expect(connection.accessToken()).resolves.toMatchObject({ value: 'token' })
    // A write is attempted until its send deadline, by the same clock.
    const timer = setInterval(() => clock.advance(1_000), 10)
    await expect(connection.import({ tokens: { accessToken: 'another' } })).rejects.toEqual(UNAVAILABLE)
    clearInterval(timer)
  })

  test('while it does not respond, a cached token is returned for cacheMs, and then none', async () => {
    const connection = await cached()
    process.kill(server.pid, 'SIGSTOP')
    clock.advance(CACHE_MS - 1)
    await expect(connection.accessToken()).resolves.toMatchObject({ value: 'token' })
    clock.advance(1)
    await expect(connection.accessToken()).rejects.toEqual(UNAVAILABLE)
  })

  test('once its connections have ended, no cached token is returned', async () => {
    const connection = await cached()
    await server.stop()
    await vi.waitFor(() => expect(connection.accessToken()).rejects.toEqual(UNAVAILABLE), { timeout: 20_000 })
  })
})
