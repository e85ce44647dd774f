import { readFileSync } from 'node:fs'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest'
import { RedisStore, TooFewReplicasError } from '../../src/stores/redis/index.ts'
import { type RedisServer, startRedisServer } from '../support/redis-server.ts'
import { projectRoot } from '../support/source-files.ts'

// The user that docs/operating.md shows: a line of an `aclfile`, of a configuration file, or of a command.
const file = `${projectRoot}test/fixtures/redis-acl.txt`
const user = readFileSync(file, 'utf8').trim()
const granted = user.split(' ').filter((word) => word.startsWith('+'))

let server: RedisServer
let admin: Redis
beforeAll(async () => {
  server = await startRedisServer({ config: [`aclfile ${file}`] })
  admin = new Redis(server.port, '127.0.0.1')
})
afterAll(async () => {
  await admin.quit()
  await server.stop()
})

const connect = () =>
  new Redis(server.port, '127.0.0.1', { username: 'authchart', password: 'password', connectionName: 'agents' })

/** The user as Redis prints it; the order of commands is random. */
async function rulesAt(client: Redis): Promise<string[] | undefined> {
  const users = await client.acl('LIST')
  return users.map((line) => line.split(' ').sort()).find((words) => words.includes('authchart'))
}

describe('the Redis permissions of docs/operating.md', () => {
  test('the documented Redis user is the same from an ACL file, a configuration file and ACL SETUSER', async () => {
    const configured = await startRedisServer({ config: [user] })
    onTestFinished(() => configured.stop())
    const client = new Redis(configured.port, '127.0.0.1')
    const expected = await rulesAt(admin)
    expect(expected).toContain('&authchart:changes')
    expect(await rulesAt(client)).toEqual(expected)
    await client.acl('DELUSER', 'authchart')
    await client.call('ACL', 'SETUSER', ...user.split(' ').slice(1))
    expect(await rulesAt(client)).toEqual(expected)
    await client.quit()
  })

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
    const claim = { expectedVersion: undefined, writeId: '4', kind: 'claim' } as const
    await expect(waiting.save(key, 'third', claim)).rejects.toThrow(TooFewReplicasError)
    // The heartbeat of the subscription.
    await vi.waitFor(async () => expect(await admin.info('commandstats')).toContain('cmdstat_ping:'), 10_000)
    await Promise.all([store.close(), waiting.close()])
    await client.quit()

    const ours = new Set(['+config|resetstat', '+quit', '+auth', '+config|get'])
    const stats = await admin.info('commandstats')
    const used = [...stats.matchAll(/^cmdstat_([^:]+):/gm)].map(([, command]) => `+${command}`)
    expect(used.filter((command) => !ours.has(command)).sort()).toEqual(granted.toSorted())
    // Only asked for the sake of a warning.
    expect(await admin.call('ACL', 'LOG')).toEqual([expect.arrayContaining(['object', 'config|get'])])
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
