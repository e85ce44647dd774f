import type { Cluster, Redis } from 'ioredis'
import { CLUSTER_SLOTS } from '../limits.ts'

/** Whether the host's client is a Cluster: by its property, since this package never loads ioredis itself. */
export function isCluster(client: Redis | Cluster): client is Cluster {
  return client.isCluster
}

/** The address of a node, as a Cluster names it. */
export const addressOf = ({ options: { host, port } }: Redis): string => `${host}:${port}`

/** The masters, in a fixed order. Waits until a Cluster is connected: until then it lists no node. */
export async function mastersOf(client: Redis | Cluster): Promise<Redis[]> {
  if (!isCluster(client)) return [client]
  if (client.nodes('master').length === 0) await client.ping()
  return client.nodes('master').toSorted((a, b) => addressOf(a).localeCompare(addressOf(b)))
}

/** The master of a key, which includes all prefixes. Rejects if the Cluster has none for it at the moment. */
export async function masterOf(client: Redis | Cluster, key: string): Promise<Redis> {
  const masters = await mastersOf(client)
  if (!isCluster(client)) return client
  const [address] = client.slots[slotOf(key)] ?? []
  const master = masters.find((node) => addressOf(node) === address)
  if (master === undefined) throw new Error('no master has the slot of the key')
  return master
}

/**
 * The slot of a key in a Cluster: the CRC-16 (XMODEM) of its hash tag.
 *
 * @see [Redis cluster specification, key distribution model](https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/#key-distribution-model)
 */
function slotOf(key: string): number {
  const [, tag = key] = /^[^{]*\{([^}]+)\}/.exec(key) ?? []
  let crc = 0
  for (const byte of Buffer.from(tag)) {
    crc ^= byte << 8
    for (let bit = 0; bit < 8; bit += 1) crc = (crc & 0x8000) === 0 ? crc << 1 : (crc << 1) ^ 0x1021
  }
  return (crc & 0xffff) % CLUSTER_SLOTS
}
