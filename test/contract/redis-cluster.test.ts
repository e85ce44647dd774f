import { randomUUID } from 'node:crypto'
import { Cluster } from 'ioredis'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { RedisStore, TooFewReplicasError } from '../../src/stores/redis/index.ts'
import { type RedisCluster, startCluster } from '../support/redis-cluster.ts'
import { processWarnings } from '../support/process-warnings.ts'
import { describeStore } from './describe-store.ts'

const soon = <T>(check: () => T | Promise<T>) => vi.waitFor(check, { timeout: 20_000, interval: 20 })
/** For commands that must not time out, whatever else the machine does. */
const PATIENT_MS = 10_000
const creation = () => ({ expectedVersion: undefined, writeId: randomUUID() })

let cluster: RedisCluster
const connect = () => {
  const client = new Cluster(cluster.masters.map(({ port }) => ({ host: '127.0.0.1', port })))
  return client.on('error', () => {})
}
beforeAll(async () => {
  cluster = await startCluster(2)
}, 60_000)
afterAll(() => cluster.stop())

describeStore('RedisStore on a Cluster', async () => {
  const prefix = `test:${randomUUID()}:`
  const client = connect()
  return {
    open: () => new RedisStore(client, { prefix, commandTimeoutMs: PATIENT_MS }),
    cleanUp: async () => void (await client.quit()),
  }
})

describeStore('RedisStore on a Cluster with replicas, reading from them, with automatic pipelining', async () => {
  const client = new Cluster(
    cluster.masters.map(({ port }) => ({ host: '127.0.0.1', port })),
    { scaleReads: 'slave', enableAutoPipelining: true, keyPrefix: `test:${randomUUID()}:`, lazyConnect: true },
  )
  return {
    open: () => new RedisStore(client, { replicas: 1, commandTimeoutMs: PATIENT_MS }),
    cleanUp: async () => void (await client.quit()),
  }
})

describe('RedisStore in a Redis Cluster', () => {
  let client: Cluster
  let store: RedisStore
  let key: string

  beforeEach(async () => {
    // A slot that a key of another test is in as well cannot be counted or moved.
    await Promise.all(cluster.masters.map((node) => node.client.flushall()))
    client = connect()
    store = new RedisStore(client, { replicas: 1, commandTimeoutMs: PATIENT_MS })
    key = `authchart:{${randomUUID()}}:connection`
  })
  afterEach(async () => {
    await store.close()
    client.disconnect()
  })

  const save = async (expectedVersion: string | undefined) => {
    const answer = await store.save(key, 'value', { expectedVersion, writeId: randomUUID(), kind: 'claim' })
    return answer === 'conflict' ? expect.unreachable() : answer.version
  }
  /** The master that holds the key, and another one. */
  const owners = async () => {
    const slot = await cluster.masters[0]?.client.cluster('KEYSLOT', key)
    const held = await Promise.all(
      cluster.masters.map(async (node) => (await node.client.call('CLUSTER', 'COUNTKEYSINSLOT', Number(slot))) === 1),
    )
    const [owner, other] = held[0] === true ? cluster.masters : cluster.masters.toReversed()
    if (slot === undefined || owner === undefined || other === undefined) return expect.unreachable()
    return { slot, owner, other }
  }

  test("RedisStore.save in a Cluster resolves when the replica of the key's master has the write", async () => {
    for (let round = 0; round < 10; round += 1) {
      key = `authchart:{${randomUUID()}}:connection`
      const version = await save(undefined)
      const { owner } = await owners()
      const replica = cluster.replicas[cluster.masters.indexOf(owner)]
      await replica?.client.readonly()
      expect(await replica?.client.hget(key, 'version')).toBe(version)
    }
  })

  test('RedisStore.save in a Cluster rejects with TooFewReplicasError when too few replicas confirm the write', async () => {
    const many = new RedisStore(client, { replicas: 2, commandTimeoutMs: 2_000 })
    const result = { ...creation(), kind: 'result' } as const
    const error = await many.save(key, 'value', result).catch((reason: unknown) => reason)
    expect(error).toEqual(new TooFewReplicasError(1, 2, (await store.load(key))?.version))
    await many.close()
  })

  test("RedisStore.save follows a slot that moved to another node and still waits for that node's replica", async () => {
    const version = await save(undefined)
    const { slot, owner, other } = await owners()
    await other.client.call('CLUSTER', 'SETSLOT', slot, 'IMPORTING', owner.id)
    await owner.client.call('CLUSTER', 'SETSLOT', slot, 'MIGRATING', other.id)
    await owner.client.call('MIGRATE', '127.0.0.1', other.port, key, 0, 5_000)
    await other.client.call('CLUSTER', 'SETSLOT', slot, 'NODE', other.id)
    await owner.client.call('CLUSTER', 'SETSLOT', slot, 'NODE', other.id)
    const second = await save(version)
    const replica = cluster.replicas[cluster.masters.indexOf(other)]
    await replica?.client.readonly()
    expect(await replica?.client.hget(key, 'version')).toBe(second)
    expect(await store.load(key)).toMatchObject({ version: second })
  })

  test('a RedisStore on a Cluster warns once if a master evicts records', async () => {
    const [, second] = cluster.masters
    await second?.client.config('SET', 'maxmemory-policy', 'allkeys-lru')
    const warnings = await processWarnings(async () => {
      expect([await store.load(key), await store.load(key)]).toEqual([undefined, undefined])
      await Promise.all(client.nodes('master').map((node) => node.ping()))
    })
    await second?.client.config('SET', 'maxmemory-policy', 'noeviction')
    expect(warnings.map(({ code }) => code)).toEqual(['AUTHCHART_RECORDS_EVICTED'])
  })

  test('a RedisStore subscription that its Cluster node drops reports a gap, reconnects, reports another, and delivers changes again', async () => {
    const told: string[] = []
    await store.subscribe({ onChange: (changed) => void told.push(changed), onGap: () => void told.push('gap') })
    for (const node of [...cluster.masters, ...cluster.replicas]) {
      const killed = await node.client.call('CLIENT', 'KILL', 'TYPE', 'pubsub')
      // Once only: the next link may be made at a node that was not asked yet.
      if (killed !== 0) break
    }
    await soon(() => expect(told).toEqual(['gap', 'gap']))
    await save(undefined)
    await soon(() => expect(told).toContain(key))
  })

  test('RedisStore.keys lists the records of every master, also as the first operation of a lazily connected Cluster', async () => {
    const keys = Array.from({ length: 20 }, (_, index) => `authchart:{${index}}:connection`)
    for (const each of keys) await store.save(each, 'value', { ...creation(), dueInMs: 1 })
    const sizes = await Promise.all(cluster.masters.map((node) => node.client.dbsize()))
    expect(Math.min(...sizes)).toBeGreaterThan(0)
    const lazy = new Cluster(
      cluster.masters.map(({ port }) => ({ host: '127.0.0.1', port })),
      { lazyConnect: true },
    )
    const reader = new RedisStore(lazy, { commandTimeoutMs: PATIENT_MS })
    const found: string[] = []
    let cursor: string | undefined
    do {
      const page = await reader.keys({ cursor, limit: 1_000 })
      found.push(...page.keys)
      cursor = page.cursor
    } while (cursor !== undefined)
    expect(found.toSorted()).toEqual(keys.toSorted())
    await soon(async () => expect((await reader.due({ limit: 100 })).toSorted()).toEqual(keys.toSorted()))
    lazy.disconnect()
  })

  test('RedisStore.subscribe rejects within its time limit when no Cluster node is reachable', async () => {
    const nowhere = new Cluster([{ host: '127.0.0.1', port: 1 }], {
      clusterRetryStrategy: () => null,
      lazyConnect: true,
    })
    nowhere.on('error', () => {})
    const lonely = new RedisStore(nowhere, { commandTimeoutMs: 300 })
    await expect(lonely.subscribe({ onChange() {}, onGap() {} })).rejects.toEqual(
      new Error('redis subscribe failed: no response within 300 ms'),
    )
    await lonely.close()
    nowhere.disconnect()
  })
})
