import { setTimeout as delay } from 'node:timers/promises'
import { Redis } from 'ioredis'
import type { StoreAddress } from '../../support/processes/open-store.ts'
import { type RedisCluster, startCluster } from '../../support/redis-cluster.ts'
import { startRedisServer } from '../../support/redis-server.ts'
import { openFleet } from '../fleet.ts'
import { type Outage, throughOutage } from '../outage.ts'
import { errorCount } from '../redis-instance.ts'
import type { Variant, VariantResult } from '../variant.ts'

const PROCESSES = 4
const PATIENCE_MS = 30_000

/** Without `replicas` nothing makes sure that a replica has what was acknowledged. */
const lossOf = (replicas: number | undefined): Pick<Outage, 'losesWrites'> =>
  replicas === undefined ? { losesWrites: 'writes that no replica had' } : {}

async function loaded(store: StoreAddress, seed: number, outage: Outage): Promise<VariantResult> {
  const fleet = await openFleet(store, PROCESSES)
  try {
    return await throughOutage(fleet, seed, outage)
  } finally {
    await fleet.close()
  }
}

/** Waits for something that Redis does by itself. */
async function until(what: string, isSo: () => Promise<boolean>): Promise<void> {
  for (const deadline = performance.now() + PATIENCE_MS; !(await isSo());) {
    if (performance.now() > deadline) throw new Error(`the outage did not hit: ${what} did not happen`)
    await delay(50)
  }
}

/** The master of two replicas dies, and Sentinel makes one of them the master. */
async function sentinelFailover(seed: number, replicas?: number): Promise<VariantResult> {
  const master = await startRedisServer()
  const replicaOf = [`replicaof 127.0.0.1 ${master.port}`]
  const others = [await startRedisServer({ config: replicaOf }), await startRedisServer({ config: replicaOf })]
  const sentinel = await startRedisServer({
    sentinel: true,
    config: [
      `sentinel monitor authchart 127.0.0.1 ${master.port} 1`,
      'sentinel down-after-milliseconds authchart 2000',
      'sentinel failover-timeout authchart 3000',
    ],
  })
  const admin = new Redis(sentinel.port)
  const ask = async (...args: string[]): Promise<unknown[]> =>
    (await admin.call('SENTINEL', ...args, 'authchart')) as unknown[]
  try {
    await until('Sentinel finds the replicas', async () => (await ask('REPLICAS')).length === others.length)
    const store: StoreAddress = { kind: 'sentinel', port: sentinel.port, prefix: '', ...(replicas && { replicas }) }
    return await loaded(store, seed, {
      begin: () => master.stop(),
      end: () => until('another master', async () => Number((await ask('GET-MASTER-ADDR-BY-NAME'))[1]) !== master.port),
      lastsMs: 0,
      ...lossOf(replicas),
    })
  } finally {
    admin.disconnect()
    await Promise.all([sentinel, master, ...others].map((each) => each.stop()))
  }
}

async function withCluster(
  cluster: RedisCluster,
  seed: number,
  outage: Omit<Outage, 'lastsMs'>,
  replicas?: number,
): Promise<VariantResult> {
  const ports = cluster.masters.map(({ port }) => port)
  try {
    const store: StoreAddress = { kind: 'cluster', ports, prefix: '', ...(replicas && { replicas }) }
    return await loaded(store, seed, { ...outage, lastsMs: 0 })
  } finally {
    await cluster.stop()
  }
}

const isMaster = async ({ client }: { client: Redis }): Promise<boolean> => (await client.role())[0] === 'master'

/** The dead are a minority of three masters: the others elect one of its two replicas. */
async function deadMaster(seed: number, replicas?: number): Promise<VariantResult> {
  const cluster = await startCluster(3, ['cluster-replica-no-failover no', 'cluster-node-timeout 2000'], 2)
  const { masters, replicas: others } = cluster
  const heirs = others.filter((_, index) => index % masters.length === 0)
  const outage: Outage = {
    begin: async () => {
      masters[0]?.client.disconnect()
      await masters[0]?.stop()
    },
    end: () => until('an election', async () => (await Promise.all(heirs.map(isMaster))).includes(true)),
    ...lossOf(replicas),
  }
  return await withCluster(cluster, seed, outage, replicas)
}

/** A replica takes the place of its master, which stops writing meanwhile: nothing is lost. */
async function clusterFailover(seed: number): Promise<VariantResult> {
  const cluster = await startCluster(2)
  const [master, replica] = [cluster.masters[0], cluster.replicas[0]]
  if (master === undefined || replica === undefined) throw new Error('the Cluster has no replica')
  return await withCluster(cluster, seed, {
    begin: async () => {
      await master.client.config('RESETSTAT')
      await replica.client.call('CLUSTER', 'FAILOVER')
    },
    end: () => until('the failover', () => isMaster(replica)),
    hits: () => errorCount(master.client, 'MOVED'),
  })
}

/** Every slot that has keys moves from the first master to the second one. */
async function slotsMove(seed: number): Promise<VariantResult> {
  const cluster = await startCluster(2)
  const [from, to] = cluster.masters
  if (from === undefined || to === undefined) throw new Error('the Cluster has one master')
  const move = async (slot: number): Promise<void> => {
    await to.client.call('CLUSTER', 'SETSLOT', slot, 'IMPORTING', from.id)
    await from.client.call('CLUSTER', 'SETSLOT', slot, 'MIGRATING', to.id)
    for (const key of (await from.client.call('CLUSTER', 'GETKEYSINSLOT', slot, 1_000)) as string[])
      await from.client.call('MIGRATE', '127.0.0.1', to.port, key, 0, 5_000)
    await to.client.call('CLUSTER', 'SETSLOT', slot, 'NODE', to.id)
    await from.client.call('CLUSTER', 'SETSLOT', slot, 'NODE', to.id)
  }
  return await withCluster(cluster, seed, {
    begin: async () => {
      await from.client.config('RESETSTAT')
      const slots = new Set<number>()
      for (const key of await from.client.keys('*')) slots.add(await from.client.cluster('KEYSLOT', key))
      for (const slot of slots) await move(slot)
    },
    end: async () => {},
    hits: () => errorCount(from.client, 'MOVED', 'ASK'),
  })
}

export const failovers: readonly Variant[] = [
  { name: 'Sentinel failover under load', isLong: true, run: (seed) => sentinelFailover(seed) },
  { name: 'Sentinel failover under load, with replicas: 1', isLong: true, run: (seed) => sentinelFailover(seed, 1) },
  { name: 'Cluster failover with a dead master under load', isLong: true, run: (seed) => deadMaster(seed) },
  {
    name: 'Cluster failover with a dead master under load, with replicas: 1',
    isLong: true,
    run: (seed) => deadMaster(seed, 1),
  },
  { name: 'Cluster failover under load', isLong: true, run: clusterFailover },
  { name: 'Cluster slots move under load', isLong: true, run: slotsMove },
]
