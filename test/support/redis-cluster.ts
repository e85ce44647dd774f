import { setTimeout as delay } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { freePort, type RedisServer, startRedisServer } from './redis-server.ts'

const SLOTS = 16_384

/** A node of a Cluster that was started here. */
export interface ClusterNode extends RedisServer {
  id: string
  /** A connection to this node alone. */
  client: Redis
}

/** A Redis Cluster on loopback. */
export interface RedisCluster {
  masters: ClusterNode[]
  replicas: ClusterNode[]
  stop(): Promise<void>
}

/** Repeats a check until it no longer throws. */
async function soon(check: () => Promise<void>): Promise<void> {
  for (const until = performance.now() + 30_000; ;) {
    try {
      return await check()
    } catch (error) {
      if (performance.now() > until) throw error
    }
    await delay(50)
  }
}

function facts(info: unknown): Map<string, string> {
  return new Map(
    String(info)
      .split('\r\n')
      .map((line) => line.split(':', 2) as [string, string]),
  )
}

async function expectFact(
  client: Redis,
  section: 'cluster' | 'replication',
  name: string,
  value: string,
): Promise<void> {
  const info = section === 'cluster' ? await client.cluster('INFO') : await client.info('replication')
  const found = facts(info).get(name)
  if (found !== value) throw new Error(`${name} is ${found}`)
}

/**
 * Starts masters that share the slots, each with replicas, and waits until every node says that the Cluster works.
 *
 * @param config More lines for the configuration file of each node.
 * @param replicaCount How many replicas each master has.
 */
export async function startCluster(
  masterCount: number,
  config: readonly string[] = [],
  replicaCount = 1,
): Promise<RedisCluster> {
  const nodes: ClusterNode[] = []
  const stop = async () => {
    for (const { client } of nodes) client.disconnect()
    await Promise.all(nodes.map((node) => node.stop()))
  }
  try {
    const busPorts: number[] = []
    for (let index = 0; index < (1 + replicaCount) * masterCount; index += 1) {
      const busPort = await freePort()
      // Unless a test asks for it nothing fails over here, and a machine that is busy must not either.
      const nodeConfig = [
        'cluster-enabled yes',
        'cluster-replica-no-failover yes',
        'cluster-node-timeout 30000',
        `cluster-port ${busPort}`,
        ...config,
      ]
      const server = await startRedisServer({ config: nodeConfig })
      const client = new Redis(server.port)
      busPorts.push(busPort)
      nodes.push({ ...server, client, id: String(await client.call('CLUSTER', 'MYID')) })
    }
    const masters = nodes.slice(0, masterCount)
    const replicas = nodes.slice(masterCount)
    for (const [index, { client }] of nodes.entries()) await client.call('CLUSTER', 'SET-CONFIG-EPOCH', index + 1)
    for (const [index, { client }] of masters.entries()) {
      const from = Math.ceil((index * SLOTS) / masterCount)
      const to = Math.ceil(((index + 1) * SLOTS) / masterCount) - 1
      await client.call('CLUSTER', 'ADDSLOTSRANGE', from, to)
    }
    for (const [index, node] of nodes.entries()) {
      if (index > 0) await nodes[0]?.client.call('CLUSTER', 'MEET', '127.0.0.1', node.port, busPorts[index] ?? 0)
    }
    for (const { client } of nodes)
      await soon(() => expectFact(client, 'cluster', 'cluster_known_nodes', `${nodes.length}`))
    for (const [index, { client }] of replicas.entries()) {
      const master = masters[index % masterCount]?.id ?? ''
      await soon(async () => void (await client.call('CLUSTER', 'REPLICATE', master)))
    }
    for (const { client } of nodes) await soon(() => expectFact(client, 'cluster', 'cluster_state', 'ok'))
    for (const { client } of replicas) await soon(() => expectFact(client, 'replication', 'master_link_status', 'up'))
    return { masters, replicas, stop }
  } catch (error) {
    await stop()
    throw error
  }
}
