import { randomUUID } from 'node:crypto'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { RedisStore } from '../../src/stores/redis/index.ts'
import { type RedisServer, startRedisServer } from '../support/redis-server.ts'
import { describeStore } from './describe-store.ts'

const soon = <T>(check: () => T | Promise<T>) => vi.waitFor(check, { timeout: 25_000, interval: 50 })

let master: RedisServer
let replica: RedisServer
let sentinel: RedisServer
const connect = () =>
  new Redis({ sentinels: [{ host: '127.0.0.1', port: sentinel.port }], name: 'authchart' }).on('error', () => {})

beforeAll(async () => {
  master = await startRedisServer()
  replica = await startRedisServer({ config: [`replicaof 127.0.0.1 ${master.port}`] })
  sentinel = await startRedisServer({
    sentinel: true,
    config: [
      `sentinel monitor authchart 127.0.0.1 ${master.port} 1`,
      'sentinel down-after-milliseconds authchart 2000',
      'sentinel failover-timeout authchart 1000',
    ],
  })
  const watcher = new Redis(sentinel.port)
  await soon(async () => expect(await watcher.call('SENTINEL', 'REPLICAS', 'authchart')).toHaveLength(1))
  watcher.disconnect()
}, 60_000)
afterAll(() => Promise.all([sentinel.stop(), replica.stop(), master.stop()]))

describeStore('RedisStore behind Sentinel', async () => {
  const client = connect()
  const prefix = `contract:${randomUUID()}:`
  return {
    open: () => new RedisStore(client, { prefix, commandTimeoutMs: 10_000 }),
    cleanUp: async () => void (await client.quit()),
  }
})

test('after a Sentinel failover the RedisStore still has its records and its subscription delivers changes again', async () => {
  const client = connect()
  const store = new RedisStore(client, { replicas: 1, commandTimeoutMs: 10_000 })
  const key = `authchart:{${randomUUID()}}:connection`
  const told: string[] = []
  await store.subscribe({ onChange: (changed) => void told.push(changed), onGap: () => void told.push('gap') })
  const written = await store.save(key, 'before', { expectedVersion: undefined, writeId: randomUUID(), kind: 'claim' })
  const version = written === 'conflict' ? expect.unreachable() : written.version
  await soon(() => expect(told).toEqual([key]))

  await master.stop()
  const survivor = new RedisStore(client, { commandTimeoutMs: 1_000 })
  await soon(async () => expect(await survivor.load(key)).toMatchObject({ value: 'before', version }))
  await soon(() => expect(told).toEqual([key, 'gap', 'gap']))
  await soon(async () => {
    const write = { expectedVersion: version, writeId: 'after the failover' }
    expect(await survivor.save(key, 'after', write)).toEqual({ version: expect.any(String) })
  })
  await soon(() => expect(told).toEqual([key, 'gap', 'gap', key]))
  await Promise.all([store.close(), survivor.close()])
  client.disconnect()
})
