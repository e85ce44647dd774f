import { randomBytes } from 'node:crypto'
import { Redis } from 'ioredis'
import { expect, inject, onTestFinished, test } from 'vitest'
import { type AuthOrchestratorOptions, createAuthOrchestrator } from '../../src/index.ts'
import { RedisStore } from '../../src/stores/redis/index.ts'
import { TestAuthorizationServer, TestMcpServer } from '../../src/testing/index.ts'
import { startWaking } from '../examples/bullmq.ts'

const CONNECTIONS = 100
const LIFE_SECONDS = 12
/** `nextWakeAt` is a quarter of the life before its end. */
const WAKE_AFTER_MS = LIFE_SECONDS * 750
const LIVES = 3
const EVERY_MS = 500

async function twoProcesses() {
  const as = new TestAuthorizationServer({ accessTokenTtlSeconds: LIFE_SECONDS })
  const mcp = new TestMcpServer({ authorizationServers: [as] })
  await Promise.all([as.listen(), mcp.listen()])
  const url = inject('redisUrl')
  const prefix = `bullmq-${randomBytes(6).toString('hex')}:`
  const keys = { name: randomBytes(32), sealing: [{ id: '1', secret: randomBytes(32) }] }
  const orchestrate = (network: AuthOrchestratorOptions['network'] = {}) => {
    const redis = new Redis(url)
    const auth = createAuthOrchestrator({
      client: { name: 'Acme', redirectUri: 'https://agents.acme.example/oauth/callback' },
      keys,
      store: new RedisStore(redis, { prefix }),
      network: { allow: ['127.0.0.1'], ...network },
      policy: { cacheMs: 1 },
    })
    onTestFinished(async () => {
      await auth.close()
      await redis.quit()
    })
    return auth
  }
  onTestFinished(() => Promise.all([as.close(), mcp.close()]).then(() => {}))
  return { as, mcp, url, orchestrate }
}

test('a BullMQ worker keeps a hundred connections with short-lived tokens fresh, each renewed once in every life', async () => {
  const { as, mcp, url, orchestrate } = await twoProcesses()
  const waker = orchestrate()
  const sent: unknown[] = []
  const reader = orchestrate({
    fetch: async (request) => {
      sent.push(request)
      throw new Error('a reader sends nothing')
    },
  })
  const users = Array.from({ length: CONNECTIONS }, (_, index) => `u${index}`)
  const connectionOf = (auth: typeof waker, user: string) => auth.connection({ tenant: 't', user, server: mcp.url })
  const renewedAt = new Map<string | undefined, number[]>(users.map((user) => [user, []]))
  waker.on('refreshed', ({ connection }) => renewedAt.get(connection.user)?.push(Date.now()))

  const stop = await startWaking(waker, url, EVERY_MS)
  onTestFinished(stop)
  for (const user of users) {
    const result = await connectionOf(waker, user).authorize()
    if (result.status !== 'redirect') throw new Error(result.status)
    const { status } = await waker.completeCallback(await as.approve(result.authorizationUrl))
    expect(status).toBe('authorized')
  }
  const isDone = (): boolean => [...renewedAt.values()].every(({ length }) => length >= LIVES)
  for (let turn = 0; !isDone(); turn += 1) {
    const read = await Promise.allSettled(users.map((user) => connectionOf(reader, user).accessToken({ minTtlMs: 0 })))
    const fresh = read.filter((token) => token.status === 'fulfilled' && (token.value.expiresAt ?? 0) > Date.now())
    expect({ turn, fresh: fresh.length, sent }).toEqual({ turn, fresh: CONNECTIONS, sent: [] })
    await new Promise((resolve) => setTimeout(resolve, EVERY_MS))
  }
  await stop()

  // No token was renewed before its time: once in each life.
  const lives = [...renewedAt.values()].flatMap((at) => at.slice(1).map((each, index) => each - (at[index] ?? 0)))
  expect(lives.filter((ms) => ms < WAKE_AFTER_MS - EVERY_MS)).toEqual([])
  const refreshes = as.requestLog.entries.filter(
    ({ endpoint, grantType }) => endpoint === 'token' && grantType === 'refresh_token',
  )
  expect(refreshes).toHaveLength([...renewedAt.values()].flat().length)
})
