import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { type RedisServer, startRedisServer } from '../../support/redis-server.ts'
import { openFleet } from '../fleet.ts'
import { OUTAGE_MS, throughOutage } from '../outage.ts'
import { TcpProxy } from '../tcp-proxy.ts'
import type { Variant } from '../variant.ts'

const PROCESSES = 4

/** A Redis whose data survive, an administrator's connection to it, and the network before it. */
class Instance {
  readonly #folder: string
  #server: RedisServer
  #admin: Redis
  readonly proxy: TcpProxy

  private constructor(folder: string, server: RedisServer, proxy: TcpProxy) {
    this.#folder = folder
    this.#server = server
    this.#admin = Instance.#connect(server)
    this.proxy = proxy
  }

  static async start(): Promise<Instance> {
    const folder = await mkdtemp(join(tmpdir(), 'authchart-outage-'))
    const server = await startRedisServer({ config: Instance.#config(folder) })
    return new Instance(folder, server, await TcpProxy.listen(server.port))
  }

  static #config = (folder: string): string[] => [`dir ${folder}`, 'appendonly yes', 'appendfsync always']

  static #connect({ port }: RedisServer): Redis {
    return new Redis(port).on('error', () => {})
  }

  async command(name: string, ...args: (string | number)[]): Promise<unknown> {
    return await this.#admin.call(name, ...args)
  }

  signal(signal: NodeJS.Signals): void {
    process.kill(this.#server.pid, signal)
  }

  async kill(): Promise<void> {
    this.#admin.disconnect()
    await this.#server.stop()
  }

  /** Starts it again on its port, with its data. `loadDelayUs` for each key makes the loading last. */
  async restart(loadDelayUs = 0): Promise<void> {
    const { port } = this.#server
    const config = [...Instance.#config(this.#folder), ...(loadDelayUs > 0 ? [`key-load-delay ${loadDelayUs}`] : [])]
    this.#server = await startRedisServer({ port, config })
    this.#admin = Instance.#connect(this.#server)
  }

  async close(): Promise<void> {
    await this.kill()
    await this.proxy.close()
    await rm(this.#folder, { recursive: true, force: true })
  }
}

interface Outage {
  readonly name: string
  readonly isLong?: true
  readonly begin: (redis: Instance) => Promise<unknown>
  readonly end: (redis: Instance) => Promise<unknown>
  readonly lastsMs?: number
}

const nothing = async (): Promise<void> => {}

/** Does something again and again for as long as an outage lasts. */
async function again(work: () => Promise<unknown>): Promise<void> {
  const until = performance.now() + OUTAGE_MS
  while (performance.now() < until) {
    await work()
    await delay(100)
  }
}

const OUTAGES: readonly Outage[] = [
  { name: 'is killed and restarted', begin: (redis) => redis.kill(), end: (redis) => redis.restart() },
  { name: 'is restarted at once', begin: (redis) => redis.kill(), end: (redis) => redis.restart(), lastsMs: 0 },
  {
    name: 'loses its scripts',
    begin: (redis) => again(() => redis.command('SCRIPT', 'FLUSH')),
    end: nothing,
    lastsMs: 0,
  },
  {
    name: 'cuts its connections',
    begin: (redis) => again(() => redis.command('CLIENT', 'KILL', 'TYPE', 'normal')),
    end: nothing,
    lastsMs: 0,
  },
  {
    name: 'accepts no writes (READONLY)',
    begin: (redis) => redis.command('REPLICAOF', '127.0.0.1', 1),
    end: (redis) => redis.command('REPLICAOF', 'NO', 'ONE'),
  },
  {
    name: 'is out of memory (OOM)',
    begin: (redis) => redis.command('CONFIG', 'SET', 'maxmemory', 1),
    end: (redis) => redis.command('CONFIG', 'SET', 'maxmemory', 0),
  },
  {
    name: 'loads its data (LOADING)',
    isLong: true,
    begin: (redis) => redis.kill(),
    // Until it has loaded 2,000 keys.
    end: (redis) => redis.restart(2_000),
    lastsMs: 0,
  },
  {
    name: 'is paused',
    begin: async (redis) => redis.signal('SIGSTOP'),
    end: async (redis) => redis.signal('SIGCONT'),
  },
  {
    name: 'is partitioned',
    begin: async ({ proxy }) => void (proxy.isPartitioned = true),
    end: async ({ proxy }) => void (proxy.isPartitioned = false),
  },
]

export const redisOutages: readonly Variant[] = OUTAGES.map(({ name, isLong, begin, end, lastsMs }) => ({
  name: `Redis ${name} under load`,
  ...(isLong && { isLong }),
  run: async (seed) => {
    const redis = await Instance.start()
    const fleet = await openFleet(
      { kind: 'redis', url: `redis://127.0.0.1:${redis.proxy.port}`, prefix: '' },
      PROCESSES,
    )
    try {
      if (isLong) for (let key = 0; key < 2_000; key += 1) await redis.command('SET', `filler:${key}`, 'x')
      return await throughOutage(fleet, seed, {
        begin: () => begin(redis),
        end: () => end(redis),
        ...(lastsMs !== undefined && { lastsMs }),
      })
    } finally {
      await fleet.close()
      await redis.close()
    }
  },
}))
