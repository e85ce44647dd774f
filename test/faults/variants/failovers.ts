import { setTimeout as delay } from 'node:timers/promises'
import { type RedisCluster, startCluster } from '../../support/redis-cluster.ts'
import { startRedisServer } from '../../support/redis-server.ts'
import type { StoreAddress } from '../../support/processes/open-store.ts'
import { openFleet } from '../fleet.ts'
import { throughOutage } from '../outage.ts'
import type { Variant, VariantResult } from '../variant.ts'

const PROCESSES = 4

async function loaded(store: StoreAddress, seed: number, fail: () => Promise<unknown>): Promise<VariantResult> {
  const fleet = await openFleet(store, PROCESSES)
  try {
    return await throughOutage(fleet, seed, { begin: fail, end: async () => {}, lastsMs: 0 })
  } finally {
    await fleet.close()
  }
}

/** A master with two replicas, of which one becomes the master; every write is on two of the three. */
async function sentinelFailover(seed: number): Promise<VariantResult> {
  const master = await startRedisServer()
  const replicaOf = [`replicaof 127.0.0.1 ${master.port}`]
  const replicas = [await startRedisServer({ config: replicaOf }), await startRedisServer({ config: replicaOf })]
  const sentinel = await startRedisServer({
    sentinel: true,
    config: [
      `sentinel monitor authchart 127.0.0.1 ${master.port} 1`,
      'sentinel down-after-milliseconds authchart 2000',
      'sentinel failover-timeout authchart 3000',
    ],
  })
  try {
    // Sentinel asks the master for its replicas every ten seconds.
    await delay(11_000)
    return await loaded({ kind: 'sentinel', port: sentinel.port, prefix: '', replicas: 1 }, seed, () => master.stop())
  } finally {
    await Promise.all([sentinel, master, ...replicas].map((each) => each.stop()))
  }
}

async function withCluster(seed: number, fail: (cluster: RedisCluster) => Promise<unknown>): Promise<VariantResult> {
  const cluster = await startCluster(2)
  try {
    const ports = cluster.masters.map(({ port }) => port)
    return await loaded({ kind: 'cluster', ports, prefix: '' }, seed, () => fail(cluster))
  } finally {
    await cluster.stop()
  }
}

/** Moves every slot that has keys from the first master to the second one. */
async function moveSlots({ masters: [from, to] }: RedisCluster): Promise<void> {
  if (from === undefined || to === undefined) return
  const slots = new Set<number>()
  for (const key of await from.client.keys('*')) slots.add(await from.client.cluster('KEYSLOT', key))
  for (const slot of slots) {
    await to.client.call('CLUSTER', 'SETSLOT', slot, 'IMPORTING', from.id)
    await from.client.call('CLUSTER', 'SETSLOT', slot, 'MIGRATING', to.id)
    for (const key of (await from.client.call('CLUSTER', 'GETKEYSINSLOT', slot, 1_000)) as string[])
      await from.client.call('MIGRATE', '127.0.0.1', to.port, key, 0, 5_000)
    await to.client.call('CLUSTER', 'SETSLOT', slot, 'NODE', to.id)
    await from.client.call('CLUSTER', 'SETSLOT', slot, 'NODE', to.id)
  }
}

export const failovers: readonly Variant[] = [
  { name: 'Sentinel failover under load, with replicas: 1', isLong: true, run: sentinelFailover },
  {
    name: 'Cluster failover under load',
    isLong: true,
    run: (seed) =>
      withCluster(seed, async ({ replicas: [replica] }) => await replica?.client.call('CLUSTER', 'FAILOVER')),
  },
  { name: 'Cluster slots move under load', isLong: true, run: (seed) => withCluster(seed, moveSlots) },
]
