import { setTimeout as delay } from 'node:timers/promises'
import { openFleet } from '../fleet.ts'
import { OUTAGE_MS, throughOutage } from '../outage.ts'
import { RedisInstance } from '../redis-instance.ts'
import type { Variant } from '../variant.ts'

const PROCESSES = 4
/** With {@link LOAD_DELAY_US} each, Redis loads them for longer than an outage lasts. */
const FILLERS = 16_000
const LOAD_DELAY_US = 400

interface RedisOutage {
  readonly name: string
  readonly isLong?: true
  readonly begin: (redis: RedisInstance) => Promise<unknown>
  readonly end: (redis: RedisInstance) => Promise<unknown>
  readonly lastsMs?: number
  readonly hits?: (redis: RedisInstance) => Promise<number>
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

/** Starts it with so much data that it loads for a while, and waits until it has said that it loads. */
async function restartSlowly(redis: RedisInstance): Promise<void> {
  const loading = { isDone: false, wasSeen: false }
  const restarted = redis.restart(LOAD_DELAY_US).finally(() => (loading.isDone = true))
  while (!loading.isDone && !loading.wasSeen) {
    await delay(20)
    loading.wasSeen = await redis.isLoading()
  }
  await restarted
  if (!loading.wasSeen) throw new Error('the outage did not hit: Redis never said that it is loading')
}

const OUTAGES: readonly RedisOutage[] = [
  { name: 'is killed and restarted', begin: (redis) => redis.kill(), end: (redis) => redis.restart() },
  {
    name: 'is restarted at once',
    begin: (redis) => redis.kill(),
    end: (redis) => redis.restart(),
    lastsMs: 0,
    // All of them lost their connections.
    hits: (redis) => redis.clientCount(),
  },
  {
    name: 'loses its scripts',
    begin: async (redis) => {
      await redis.command('CONFIG', 'RESETSTAT')
      await again(() => redis.command('SCRIPT', 'FLUSH'))
    },
    end: nothing,
    lastsMs: 0,
    hits: (redis) => redis.errorCount('NOSCRIPT'),
  },
  {
    name: 'cuts its connections',
    begin: async (redis) => {
      await redis.command('CONFIG', 'RESETSTAT')
      await again(async () => {
        for (const type of ['normal', 'pubsub']) await redis.command('CLIENT', 'KILL', 'TYPE', type)
      })
    },
    end: nothing,
    lastsMs: 0,
    // Whoever was cut off connects again.
    hits: (redis) => redis.connectionsReceived(),
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
    begin: async (redis) => {
      const fill = `for i = 1, ${FILLERS} do redis.call('SET', 'filler:' .. i, '') end`
      await redis.command('EVAL', fill, 0)
      await redis.kill()
    },
    end: restartSlowly,
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

export const redisOutages: readonly Variant[] = OUTAGES.map(({ name, isLong, begin, end, lastsMs, hits }) => ({
  name: `Redis ${name} under load`,
  ...(isLong && { isLong }),
  run: async (seed) => {
    const redis = await RedisInstance.start()
    const url = `redis://127.0.0.1:${redis.proxy.port}`
    const fleet = await openFleet({ kind: 'redis', url, prefix: '' }, PROCESSES)
    try {
      return await throughOutage(fleet, seed, {
        begin: () => begin(redis),
        end: () => end(redis),
        ...(lastsMs !== undefined && { lastsMs }),
        ...(hits && { hits: () => hits(redis) }),
      })
    } finally {
      await fleet.close()
      await redis.close()
    }
  },
}))
