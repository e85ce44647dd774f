import { readFileSync } from 'node:fs'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { RedisStore, TooFewReplicasError } from '../../src/stores/redis/index.ts'
import { type RedisServer, startRedisServer } from '../support/redis-server.ts'
import { projectRoot } from '../support/source-files.ts'

// The user that docs/operating.md shows, on one line, as a configuration file wants it.
const user = readFileSync(`${projectRoot}test/fixtures/redis-acl.txt`, 'utf8').trim().replaceAll(/\s+/g, ' ')
const granted = user.split(' ').filter((word) => word.startsWith('+'))

let server: RedisServer
let admin: Redis
beforeAll(async () => {
  server = await startRedisServer({ config: [user] })
  admin = new Redis(server.port, '127.0.0.1')
})
afterAll(async () => {
  await admin.quit()
  await server.stop()
})

const connect = () =>
  new Redis(server.port, '127.0.0.1', { username: 'authchart', password: 'password', connectionName: 'agents' })

describe('the Redis permissions of docs/operating.md', () => {
  test('the documented Redis permissions are exactly the commands that RedisStore uses, and Redis denies none of them', async () => {
    await admin.script('FLUSH')
    await admin.call('ACL', 'LOG', 'RESET')
    await admin.config('RESETSTAT')
    const client = connect()
    const store = new RedisStore(client, { commandTimeoutMs: 1_000 })
    const changes: string[] = []
    await store.subscribe({ onChange: (key) => void changes.push(key), onGap: () => {} })
    const key = 'authchart:{AAAA}:connection'
    const saved = await store.save(key, 'first', { expectedVersion: undefined, writeId: '1' })
    const version = saved === 'conflict' ? expect.unreachable() : saved.version
    expect(await store.load(key)).toMatchObject({ value: 'first', version })
    expect(await store.keys({ limit: 100 })).toEqual({ keys: [key], cursor: undefined })
    const kept = await store.save(key, 'second', { expectedVersion: version, writeId: '2', ttlMs: 60_000, dueInMs: 1 })
    await vi.waitFor(async () => expect(await store.due({ limit: 100 })).toEqual([key]))
    expect(await store.delete(key, { expectedVersion: Reflect.get(Object(kept), 'version'), writeId: '3' })).toBe(true)
    expect(changes).toEqual([key, key, key])
    // Its entry in the index is removed.
    expect(await store.due({ limit: 100 })).toEqual([])
    const waiting = new RedisStore(client, { commandTimeoutMs: 1_000, replicas: 1 })
    await expect(waiting.save(key, 'third', { expectedVersion: undefined, writeId: '4' })).rejects.toThrow(
      TooFewReplicasError,
    )
    // The heartbeat of the subscription.
    await vi.waitFor(async () => expect(await admin.info('commandstats')).toContain('cmdstat_ping:'), 10_000)
    await Promise.all([store.close(), waiting.close()])
    await client.quit()

    const ours = new Set(['+config|resetstat', '+quit', '+auth'])
    const stats = await admin.info('commandstats')
    const used = [...stats.matchAll(/^cmdstat_([^:]+):/gm)].map(([, command]) => `+${command}`)
    expect(used.filter((command) => !ours.has(command)).sort()).toEqual(granted.toSorted())
    expect(await admin.call('ACL', 'LOG')).toEqual([])
  })

  test('the documented Redis user cannot reach other keys or channels', async () => {
    const client = connect()
    const store = new RedisStore(client, { prefix: 'other:' })
    const write = { expectedVersion: undefined, writeId: '1' }
    await expect(store.save('authchart:{AAAA}:connection', 'value', write)).rejects.toThrow('redis save failed: NOPERM')
    await expect(client.subscribe('other')).rejects.toThrow(/^NOPERM/)
    await expect(client.get('authchart:{AAAA}:connection')).rejects.toThrow(/^NOPERM/)
    await store.close()
    await client.quit()
  })
})
