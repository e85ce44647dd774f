import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { Redis, type RedisOptions } from 'ioredis'
import { afterEach, beforeEach, describe, expect, inject, test, vi } from 'vitest'
import { RedisStore, type RedisStoreOptions, TooFewReplicasError } from '../../src/stores/redis/index.ts'
import type { SaveOptions } from '../../src/stores/snapshot-store.ts'
import { processWarnings } from '../support/process-warnings.ts'
import { freePort, type RedisServer, startRedisServer } from '../support/redis-server.ts'
import { describeStore } from './describe-store.ts'

/** For commands that must not time out, whatever else the machine does. */
const PATIENT_MS = 10_000

async function removeAll(client: Redis, prefix: string): Promise<void> {
  const keys = await client.keys(`${prefix}*`)
  if (keys.length > 0) await client.del(...keys)
}

describeStore('RedisStore', async () => {
  const prefix = `test:${randomUUID()}:`
  const client = new Redis(inject('redisUrl'))
  return {
    open: () => new RedisStore(client, { prefix, commandTimeoutMs: PATIENT_MS }),
    cleanUp: async () => {
      await removeAll(client, prefix)
      await client.quit()
    },
  }
})

describeStore('RedisStore on a client with a prefix, automatic pipelining and RESP2', async () => {
  const prefix = `test:${randomUUID()}:`
  const client = new Redis(inject('redisUrl'), { keyPrefix: prefix, enableAutoPipelining: true, protocol: 2 })
  const cleaner = new Redis(inject('redisUrl'))
  return {
    open: () => new RedisStore(client, { commandTimeoutMs: PATIENT_MS }),
    cleanUp: async () => {
      await removeAll(cleaner, prefix)
      await Promise.all([client.quit(), cleaner.quit()])
    },
  }
})

const soon = <T>(check: () => T | Promise<T>) => vi.waitFor(check, { timeout: 10_000, interval: 10 })
const key = 'authchart:{AAAA}:connection'
const creation = () => ({ expectedVersion: undefined, writeId: randomUUID() })
const claim = () => ({ ...creation(), kind: 'claim' as const })
const result = () => ({ ...creation(), kind: 'result' as const })

function recorder() {
  const told: string[] = []
  return { told, onChange: (changed: string) => void told.push(changed), onGap: () => void told.push('gap') }
}

/** What was not handled while a test ran. */
const unhandled: unknown[] = []
const note = (reason: unknown) => void unhandled.push(reason)
beforeEach(() => {
  unhandled.length = 0
  process.on('unhandledRejection', note)
})
afterEach(async () => {
  // Unhandled rejections are told after the microtasks.
  await new Promise(setImmediate)
  process.off('unhandledRejection', note)
  expect(unhandled).toEqual([])
})

describe('RedisStore options', () => {
  const client = new Redis({ lazyConnect: true })
  test.each([
    [{ prefix: 1 }, 'prefix must be of type string'],
    [{ commandTimeoutMs: 0 }, 'commandTimeoutMs must be an integer of at least 1'],
    [{ commandTimeoutMs: 1.5 }, 'commandTimeoutMs must be an integer of at least 1'],
    [{ commandTimeoutMs: 2 ** 31 }, 'commandTimeoutMs must be at most 2147483647'],
    [{ replicas: '1' }, 'replicas must be of type number'],
    [{ replica: 1 }, 'replica is not a known option'],
  ])('new RedisStore(client, %j) throws a TypeError that names the option', (options, message) => {
    expect(() => new RedisStore(client, options as RedisStoreOptions)).toThrow(
      expect.objectContaining({ name: 'TypeError', message }),
    )
  })

  test.each([
    ['nothing', undefined, ''],
    ['options', { host: '127.0.0.1' }, ''],
    ['a URL as a string', 'redis://:password@127.0.0.1', ', not a URL'],
    ['a URL', new URL('redis://:password@127.0.0.1'), ', not a URL'],
    ['a client of node-redis', { sendCommand() {}, duplicate() {}, connect() {} }, ", not one of the package 'redis'"],
  ])('new RedisStore() with %s throws a TypeError that says which client it needs', (_what, wrong, end) => {
    const message = `client must be a client of the package 'ioredis', new Redis(url) or new Cluster(nodes)${end}`
    expect(() => new RedisStore(wrong as never)).toThrow(expect.objectContaining({ name: 'TypeError', message }))
  })
})

describe('RedisStore on a dedicated server', () => {
  let server: RedisServer
  let client: Redis
  let opened: { disconnect(): void }[]
  let stores: RedisStore[]

  const connect = (options: Omit<RedisOptions, 'replyMapping'> = {}) => {
    const another = new Redis(options.port ?? server.port, '127.0.0.1', options)
    another.on('error', () => {})
    opened.push(another)
    return another
  }
  const make = (options?: RedisStoreOptions, on = client) => {
    const store = new RedisStore(on, options)
    stores.push(store)
    return store
  }
  const create = async (store: RedisStore, value = 'value', ttlMs?: number) => {
    const saved = await store.save(key, value, { ...creation(), ttlMs })
    return saved === 'conflict' ? expect.unreachable() : saved.version
  }
  const subscribers = async () => {
    const list = String(await client.client('LIST'))
    return list.split('\n').filter((line) => / sub=[1-9]/.test(line)).length
  }

  beforeEach(async () => {
    opened = []
    stores = []
    server = await startRedisServer()
    client = connect()
  })
  afterEach(async () => {
    process.kill(server.pid, 'SIGCONT')
    for (const store of stores) await store.close()
    for (const each of opened) each.disconnect()
    await server.stop()
  })

  test('each RedisStore operation sends one command on the host’s client, and one more when Redis has lost the script', async () => {
    const store = make()
    // ioredis takes what a connection that opens at the same time sends for an answer to MONITOR.
    await client.ping()
    const monitor = await client.monitor()
    opened.push(monitor)
    const commands: string[] = []
    monitor.on('monitor', (_time: string, [name]: [string, ...string[]], source: string) => {
      if (source !== 'lua') commands.push(name.toLowerCase())
    })
    // MONITOR tells of a command in its own time, on another connection: what has been sent so far is known only when it
    // has told of a mark that was sent after it.
    const upToMark = async () => {
      await client.echo('mark')
      await soon(() => expect(commands.at(-1)).toBe('echo'))
      return commands.splice(0).slice(0, -1)
    }
    const run = async () => {
      await upToMark()
      await store.load(key)
      const version = await create(store)
      await store.delete(key, { expectedVersion: version, writeId: randomUUID() })
      return await upToMark()
    }
    expect(await run()).toEqual(['eval', 'eval', 'eval'])
    expect(await run()).toEqual(['evalsha', 'evalsha', 'evalsha'])
    // Another store on the same client finds the scripts defined.
    make()
    expect(await run()).toEqual(['evalsha', 'evalsha', 'evalsha'])
    await client.script('FLUSH')
    expect((await run()).toSorted()).toEqual([...Array(3).fill('eval'), ...Array(3).fill('evalsha')])
    expect(await run()).toEqual(['evalsha', 'evalsha', 'evalsha'])
  })

  test('RedisStore keeps a record as one hash under prefix and key, with an expiry if it has a time to live', async () => {
    const prefixed = connect({ keyPrefix: 'host:' })
    const store = make({ prefix: 'app:' }, prefixed)
    const version = await create(store, 'value', 60_000)
    expect(await client.keys('*')).toEqual([`host:app:${key}`])
    expect(await client.hgetall(`host:app:${key}`)).toEqual({
      value: 'value',
      version,
      writtenAt: expect.stringMatching(/^\d{16}$/),
      createdAt: expect.stringMatching(/^\d{16}$/),
      writes: expect.stringContaining(version),
    })
    const left = await client.pttl(`host:app:${key}`)
    expect(left).toBeGreaterThan(50_000)
    expect(left).toBeLessThanOrEqual(60_000)
    expect(await store.delete(key, { expectedVersion: version, writeId: randomUUID() })).toBe(true)
    expect(Object.keys(await client.hgetall(`host:app:${key}`))).toEqual(['writes'])
    expect(await client.pttl(`host:app:${key}`)).toBeLessThanOrEqual(600_000)
    expect(await client.pttl(`host:app:${key}`)).toBeGreaterThan(500_000)
  })

  test('RedisStores with different prefixes receive no notices of each other', async () => {
    const [a, b] = [make({ prefix: 'a:' }), make({ prefix: 'b:' })]
    const heard = recorder()
    await b.subscribe(heard)
    await create(a)
    await b.save('last', '', creation())
    await soon(() => expect(heard.told).toContain('last'))
    expect(heard.told).toEqual(['last'])
  })

  test('RedisStore computes the age of a record from the time of the Redis server', async () => {
    const store = make()
    await create(store)
    const [seconds = 0] = await client.time()
    await client.hset(key, 'writtenAt', `${(seconds - 3600) * 1_000_000}`)
    expect(Math.round(((await store.load(key))?.ageMs ?? 0) / 60_000)).toBe(60)
    await client.hset(key, 'writtenAt', `${(seconds + 3600) * 1_000_000}`)
    expect((await store.load(key))?.ageMs).toBe(0)
  })

  test('a RedisStore command without an answer in time rejects, and repeating the save with the same write id succeeds once', async () => {
    const [store, patient] = [make({ commandTimeoutMs: 100 }), make()]
    const version = await create(patient)
    process.kill(server.pid, 'SIGSTOP')
    const write = { expectedVersion: version, writeId: randomUUID() }
    await expect(store.load(key)).rejects.toEqual(new Error('redis load failed: no response within 100 ms'))
    await expect(store.save(key, 'secret', write)).rejects.toEqual(
      new Error('redis save failed: no response within 100 ms'),
    )
    process.kill(server.pid, 'SIGCONT')
    await client.ping()
    // It ran meanwhile; asked again it says so, and whoever knew the version before is refused.
    const record = await patient.load(key)
    expect(record).toMatchObject({ value: 'secret' })
    expect(await patient.save(key, 'secret', write)).toEqual({ version: record?.version })
    expect(await patient.save(key, 'late', { ...write, writeId: randomUUID() })).toBe('conflict')
  })

  test('◆9 a response of Redis that arrived during a pause of the process is not a timeout', async () => {
    const store = make({ commandTimeoutMs: 500 })
    await make().load(key)
    const [loading, saving] = [store.load(key), store.save(key, 'value', creation())]
    const until = performance.now() + 700
    while (performance.now() < until);
    await expect(loading).resolves.toBeUndefined()
    await expect(saving).resolves.toEqual({ version: expect.any(String) })
  })

  test('a RedisStore error contains the kind of the Redis error and nothing of the record', async () => {
    await client.set(key, 'something else')
    const store = make()
    const error = await store.save(key, 'secret', creation()).catch((reason: unknown) => reason)
    expect(error).toEqual(new Error('redis save failed: WRONGTYPE'))
    expect(Object.keys(error as object)).toEqual([])
    expect((error as Error).cause).toBeUndefined()
    await expect(store.load(key)).rejects.toEqual(new Error('redis load failed: WRONGTYPE'))
    await expect(store.delete(key, { expectedVersion: 'a.1', writeId: 'w' })).rejects.toEqual(
      new Error('redis delete failed: WRONGTYPE'),
    )
  })

  test('a RedisStore error without a Redis error kind contains the name of the error', async () => {
    const offline = connect({ lazyConnect: true, enableOfflineQueue: false })
    await expect(make({}, offline).load(key)).rejects.toEqual(new Error('redis load failed: Error'))
    await client.hset(key, { version: 'a.1', writtenAt: '1' })
    await expect(make().load(key)).rejects.toEqual(new Error('redis load failed: ValiError'))
  })

  test('a RedisStore rejects a record whose times are not finite', async () => {
    for (const times of [{ createdAt: 'inf' }, { createdAt: '1', writtenAt: '-inf' }]) {
      await client.hset(key, { value: 'v', version: 'a.1', writtenAt: '1', ...times })
      await expect(make().load(key)).rejects.toEqual(new Error('redis load failed: ValiError'))
    }
  })

  test('a RedisStore subscription that is lost reports a gap, reconnects, reports another, and delivers changes again', async () => {
    const store = make()
    const heard = recorder()
    await store.subscribe(heard)
    await client.call('CLIENT', 'KILL', 'TYPE', 'pubsub')
    await soon(() => expect(heard.told).toEqual(['gap', 'gap']))
    await create(store)
    await soon(() => expect(heard.told).toEqual(['gap', 'gap', key]))
    expect(await subscribers()).toBe(1)
  })

  test('a RedisStore subscriber that subscribes during a reconnect waits for it and receives later changes', async () => {
    const store = make()
    const [first, second] = [recorder(), recorder()]
    await store.subscribe(first)
    await client.call('CLIENT', 'KILL', 'TYPE', 'pubsub')
    await soon(() => expect(first.told).toEqual(['gap']))
    await store.subscribe(second)
    await create(store)
    await soon(() => expect(second.told).toContain(key))
    expect(await subscribers()).toBe(1)
  })

  test('a RedisStore subscription detects a connection that died silently, and reconnects', async () => {
    const store = make({ commandTimeoutMs: 600 })
    const heard = recorder()
    await store.subscribe(heard)
    process.kill(server.pid, 'SIGSTOP')
    await soon(() => expect(heard.told).toEqual(['gap']))
    process.kill(server.pid, 'SIGCONT')
    await soon(() => expect(heard.told).toEqual(['gap', 'gap']))
    await create(store)
    await soon(() => expect(heard.told).toContain(key))
  })

  test('RedisStore.subscribe rejects within its time limit without a server, and succeeds once there is one', async () => {
    const port = await freePort()
    const store = make({ commandTimeoutMs: 600 }, connect({ port, lazyConnect: true }))
    await expect(store.subscribe(recorder())).rejects.toEqual(
      new Error('redis subscribe failed: no response within 600 ms'),
    )
    const late = await startRedisServer({ port })
    try {
      const heard = recorder()
      await store.subscribe(heard)
      await store.save(key, '', creation())
      await soon(() => expect(heard.told).toEqual([key]))
    } finally {
      await late.stop()
    }
  })

  test('a RedisStore subscriber receives changes again after the server was away for a while', async () => {
    const store = make({ commandTimeoutMs: 500 })
    const heard = recorder()
    await store.subscribe(heard)
    await server.stop()
    await soon(() => expect(heard.told).toEqual(['gap']))
    server = await startRedisServer({ port: server.port })
    await soon(() => expect(heard.told).toEqual(['gap', 'gap']))
    await create(store)
    await soon(() => expect(heard.told).toContain(key))
  })

  test('RedisStore closes its subscription connection when the last subscriber unsubscribes', async () => {
    const store = make()
    const [one, two] = [await store.subscribe(recorder()), await store.subscribe(recorder())]
    expect(await subscribers()).toBe(1)
    await one()
    expect(await subscribers()).toBe(1)
    await two()
    await soon(async () => expect(await subscribers()).toBe(0))
  })

  test('RedisStore.close closes the connections it opened and leaves the host’s client connected', async () => {
    const store = make({ replicas: 1, commandTimeoutMs: 600 })
    const heard = recorder()
    await store.subscribe(heard)
    await expect(store.save(key, 'value', claim())).rejects.toThrow(TooFewReplicasError)
    await store.close()
    await store.close()
    await soon(async () =>
      expect(
        String(await client.client('LIST'))
          .trim()
          .split('\n'),
      ).toHaveLength(1),
    )
    expect(await client.ping()).toBe('PONG')
    expect(heard.told).toContain('gap')
    const closed = (operation: string) => new Error(`redis ${operation} failed: the store is closed`)
    await expect(store.load(key)).rejects.toEqual(closed('load'))
    await expect(store.save(key, '', creation())).rejects.toEqual(closed('save'))
    await expect(store.subscribe(recorder())).rejects.toEqual(closed('subscribe'))
  })

  test('RedisStore.close during subscribe leaves no subscription behind', async () => {
    for (const turns of [0, 1, 2, 5, 20]) {
      const store = make()
      const subscribing = store.subscribe(recorder()).catch((error: unknown) => error)
      for (let turn = 0; turn < turns; turn += 1) await new Promise(setImmediate)
      await store.close()
      await subscribing
    }
    await soon(async () => expect(await subscribers()).toBe(0))
  })

  test('RedisStore.keys returns the keys of records only, without the prefixes, whose characters have no meaning in a pattern', async () => {
    const store = make({ prefix: 'a*[b]?^-\\:' }, connect({ keyPrefix: 'host*:' }))
    await create(store)
    await store.save('authchart:{BBBB}:registration', 'value', { ...creation(), dueInMs: 1 })
    const others = ['host*:axb:authchart:{CCCC}:connection', key, 'session:1', 'host*:a*[b]?^-\\:authchart:other']
    for (const other of others) await client.set(other, '')
    const { keys, cursor } = await store.keys({ limit: 1_000 })
    expect({ keys: keys.toSorted(), cursor }).toEqual({
      keys: [key, 'authchart:{BBBB}:registration'],
      cursor: undefined,
    })
    await expect(store.keys({ cursor: 'x', limit: 1 })).rejects.toThrow('redis keys failed: ValiError')
    expect(await store.keys({ cursor: '5 0', limit: 1 })).toEqual({ keys: [], cursor: undefined })
  })

  /** The entries of the index, with their scores. */
  const indexEntries = async (): Promise<Record<string, number>> => {
    const sets = await client.keys('authchart:due:*')
    const found = await Promise.all(sets.map((set) => client.zrange(set, '0', '-1', 'WITHSCORES')))
    const flat = found.flat()
    return Object.fromEntries(
      flat.flatMap((name, index) => (index % 2 === 0 ? [[name, Number(flat[index + 1])] as const] : [])),
    )
  }

  test('RedisStore.due corrects entries that a write has outdated, and finds what is due behind a page of them', async () => {
    const store = make()
    const names = Array.from({ length: 40 }, (_, index) => `authchart:{${index}}:connection`)
    const gone = names.slice(0, -1)
    for (const name of gone) {
      const saved = await store.save(name, 'value', { ...creation(), dueInMs: 1 })
      const expectedVersion = saved === 'conflict' ? expect.unreachable() : saved.version
      await store.delete(name, { expectedVersion, writeId: randomUUID() })
    }
    const last = names.at(-1) ?? ''
    const saved = await store.save(last, 'value', { ...creation(), dueInMs: 1 })
    await soon(async () => expect(Object.keys(await indexEntries())).toHaveLength(40))
    await soon(async () => expect(await store.due({ limit: 1 })).toEqual([last]))
    const expectedVersion = saved === 'conflict' ? expect.unreachable() : saved.version
    await store.save(last, 'value', { expectedVersion, writeId: randomUUID(), dueInMs: 3_600_000 })
    const later = Number(await client.hget(last, 'dueAt'))
    await soon(async () => expect((await indexEntries())[last]).toBeGreaterThanOrEqual(later))
    // As if that entry had never arrived.
    for (const set of await client.keys('authchart:due:*')) await client.zadd(set, 'XX', 1, last)
    expect(await store.due({ limit: 100 })).toEqual([])
    expect(await indexEntries()).toEqual({ [last]: later })
  })

  test('RedisStore.keys restores the entries of due records that the index has lost, or has too late', async () => {
    const store = make()
    const [lost, late] = [`authchart:{${randomUUID()}}:connection`, `authchart:{${randomUUID()}}:connection`]
    for (const name of [lost, late]) await store.save(name, 'value', { ...creation(), dueInMs: 1 })
    await soon(async () => expect((await store.due({ limit: 100 })).toSorted()).toEqual([lost, late].toSorted()))
    for (const set of await client.keys('authchart:due:*')) {
      await client.zrem(set, lost)
      await client.zadd(set, 'XX', Date.now() + 3_600_000, late)
    }
    expect(await store.due({ limit: 100 })).toEqual([])
    let cursor: string | undefined
    do cursor = (await store.keys({ cursor, limit: 100 })).cursor
    while (cursor !== undefined)
    expect((await store.due({ limit: 100 })).toSorted()).toEqual([lost, late].toSorted())
  })

  test('RedisStore drops an entry of the index 30 days after it was due, with a later write', async () => {
    const store = make()
    await store.save(key, 'value', { ...creation(), dueInMs: 1 })
    await soon(async () => expect(await indexEntries()).toEqual({ [key]: expect.any(Number) as number }))
    const [set = ''] = await client.keys('authchart:due:*')
    const old = Date.now() - 30 * 86_400_000
    await client.zadd(set, old - 60_000, 'too old')
    await client.zadd(set, old + 60_000, 'old')
    const version = (await store.load(key))?.version
    await store.save(key, 'value', { expectedVersion: version, writeId: randomUUID(), dueInMs: 1 })
    await soon(async () => expect(Object.keys(await indexEntries()).toSorted()).toEqual([key, 'old']))
  })

  test('RedisStore.save does not wait for the index, and resolves although it cannot be written', async () => {
    for (let index = 0; index < 8; index += 1) await client.set(`authchart:due:{${index}}`, 'something else')
    const store = make()
    expect(await store.save(key, 'value', { ...creation(), dueInMs: 1 })).toEqual({
      version: expect.any(String) as string,
    })
    expect(await store.load(key)).toMatchObject({ value: 'value' })
    await expect(store.due({ limit: 1 })).rejects.toThrow(/^redis due failed: \w+$/)
  })

  describe('a RedisStore on a server that evicts records', () => {
    const warned = async (policy: string, on = client) => {
      await client.config('SET', 'maxmemory-policy', policy)
      const store = make({}, on)
      return await processWarnings(async () => {
        expect([await store.load(key), await store.load(key)]).toEqual([undefined, undefined])
        // Answered after CONFIG GET.
        await on.ping()
      })
    }
    const warning = (message: string) => [{ name: 'AuthchartWarning', code: 'AUTHCHART_RECORDS_EVICTED', message }]

    test('warns once, after its first operation, that every record can be lost', async () => {
      expect(await warned('allkeys-lru')).toEqual(
        warning(
          'Redis may evict every record: users have to sign in again, and if a claim is evicted, its code or refresh token can be sent twice, since its maxmemory-policy is allkeys-lru: set it to noeviction',
        ),
      )
    })

    test('warns of the records that expire with a policy for those', async () => {
      expect(await warned('volatile-ttl')).toEqual(
        warning(
          'Redis may evict every record that expires: sign-ins, registrations and requests in progress, the outcomes of past sign-ins, connections whose refresh token expires, and what prevents a deleted record from being written again, since its maxmemory-policy is volatile-ttl: set it to noeviction',
        ),
      )
    })

    test('does not warn with noeviction, nor where CONFIG GET is not allowed', async () => {
      expect(await warned('noeviction')).toEqual([])
      await client.call('ACL', 'SETUSER', 'limited', 'on', 'nopass', '~*', '&*', '+@all', '-config')
      const limited = connect({ username: 'limited', password: 'any' })
      expect(await warned('allkeys-lru', limited)).toEqual([])
    })
  })

  describe('RedisStore with replicas', () => {
    let replica: RedisServer
    beforeEach(async () => {
      replica = await startRedisServer({ config: [`replicaof 127.0.0.1 ${server.port}`] })
      await client.set('warm', '')
      await soon(async () => expect(await client.wait(1, 100)).toBe(1))
      await client.del('warm')
    })
    afterEach(async () => {
      process.kill(replica.pid, 'SIGCONT')
      await replica.stop()
    })

    test('a claim and a result wait until the replicas have them', async () => {
      const store = make({ replicas: 1 }, connect({ keyPrefix: 'host:' }))
      const reader = connect({ port: replica.port })
      const claimed = await store.save(key, 'claim', claim())
      const version = claimed === 'conflict' ? expect.unreachable() : claimed.version
      expect(await reader.hget(`host:${key}`, 'version')).toBe(version)
      const saved = await store.save(key, 'result', { ...result(), expectedVersion: version })
      expect(saved).toEqual({ version: await reader.hget(`host:${key}`, 'version') })
      expect(await store.save(key, 'late', claim())).toBe('conflict')
    })

    test('without replicas no claim is written, and a result is', async () => {
      const [many, plain] = [make({ replicas: 2, commandTimeoutMs: 2_000 }), make()]
      const failed = (write: SaveOptions) => many.save(key, 'value', write).catch((reason: unknown) => reason)
      expect(await failed(claim())).toEqual(new TooFewReplicasError(1, 2, undefined))
      expect(await plain.load(key)).toBeUndefined()
      const unconfirmed = await failed(result())
      const written = await plain.load(key)
      expect([unconfirmed, written?.value]).toEqual([new TooFewReplicasError(1, 2, written?.version), 'value'])
    })

    test('while replicas are missing, other writes do not wait, and all claims share a few WAITs', async () => {
      const store = make({ replicas: 1, commandTimeoutMs: 2_000 })
      process.kill(replica.pid, 'SIGSTOP')
      // The replica must not have received what is waited for.
      await client.set('late', '')
      await client.config('RESETSTAT')
      let failures = 0
      const claims: Promise<unknown>[] = []
      for (let index = 0; index < 40; index += 1) {
        const claimed = `authchart:{claim ${index}}:connection`
        await expect(store.save(claimed, 'value', creation())).resolves.not.toBe('conflict')
        claims.push(store.save(claimed, 'claim', claim()).catch((reason: unknown) => ((failures += 1), reason)))
        await store.save(`authchart:{other ${index}}:connection`, 'value', creation())
      }
      expect(failures).toBe(0)
      const tooFew = new TooFewReplicasError(0, 1, undefined)
      expect(await Promise.all(claims)).toEqual(claims.map(() => tooFew))
      const [, waits] = /cmdstat_wait:calls=(\d+)/.exec(await client.info('commandstats')) ?? []
      expect(Number(waits)).toBeLessThanOrEqual(10)
    })

    test('a subscriber receives one notice per replicated write, whether the notice or the answer arrives first', async () => {
      const store = make({ replicas: 1, commandTimeoutMs: 20_000 })
      const { told, ...listener } = recorder()
      await store.subscribe(listener)
      process.kill(replica.pid, 'SIGSTOP')
      const saving = store.save(key, 'waits for the replica', result())
      await soon(() => expect(told).toEqual([key]))
      process.kill(replica.pid, 'SIGCONT')
      const first = await saving
      expect(told).toEqual([key])
      const expectedVersion = first === 'conflict' ? expect.unreachable() : first.version
      await make().save(key, 'by another process', { expectedVersion, writeId: randomUUID() })
      await soon(() => expect(told).toEqual([key, key]))
    })

    test('a write that too few replicas confirm is in the index of due records', async () => {
      const store = make({ replicas: 2, commandTimeoutMs: 1_000 })
      await expect(store.save(key, 'result', { ...result(), dueInMs: 1 })).rejects.toThrow(TooFewReplicasError)
      await soon(async () => expect(await store.due({ limit: 1 })).toEqual([key]))
    })

    test('RedisStore.save with the same write id waits for the replicas again', async () => {
      const store = make({ replicas: 1, commandTimeoutMs: 600 })
      const write = result()
      process.kill(replica.pid, 'SIGSTOP')
      await expect(store.save(key, 'result', write)).rejects.toThrow('0 of 1 replicas confirmed the write')
      await expect(store.save(key, 'result', write)).rejects.toThrow('0 of 1 replicas confirmed the write')
      process.kill(replica.pid, 'SIGCONT')
      await soon(async () => expect(await store.save(key, 'result', write)).toEqual({ version: expect.any(String) }))
      expect(await connect({ port: replica.port }).hget(key, 'value')).toBe('result')
    })

    test('a replicated RedisStore write that fails rejects with the kind of the Redis error', async () => {
      await client.set(key, 'something else')
      const store = make({ replicas: 1 })
      await expect(store.save(key, 'secret', claim())).rejects.toEqual(new Error('redis save failed: WRONGTYPE'))
    })

    test('the save of a result whose connection to wait for replicas is lost rejects, and the same write waits again', async () => {
      const store = make({ replicas: 1, commandTimeoutMs: 20_000 })
      const write = { ...result(), expectedVersion: await create(store) }
      process.kill(replica.pid, 'SIGSTOP')
      const saving = store.save(key, 'result', write).catch((reason: unknown) => reason)
      const waiting = await soon(async () => {
        const id = /^id=(\d+) .* cmd=wait /m.exec(String(await client.client('LIST')))?.[1]
        return id ?? expect.unreachable()
      })
      await client.call('CLIENT', 'KILL', 'ID', waiting)
      const version = (await store.load(key))?.version
      expect(await saving).not.toBeInstanceOf(TooFewReplicasError)
      process.kill(replica.pid, 'SIGCONT')
      expect(await store.save(key, 'result', write)).toEqual({ version })
    })

    test('RedisStore reconnects for replicated writes after its connection was lost', async () => {
      const store = make({ replicas: 1 })
      const claimed = await store.save(key, 'first', claim())
      const version = claimed === 'conflict' ? expect.unreachable() : claimed.version
      const lost = once(client, 'close')
      await client.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'no')
      await lost
      expect(await store.save(key, 'second', { ...claim(), expectedVersion: version })).not.toBe('conflict')
    })
  })
})
