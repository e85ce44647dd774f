import type { TestProject } from 'vitest/node'
import { startRedis } from './redis-server.ts'

declare module 'vitest' {
  interface ProvidedContext {
    /** The Redis of this run; shared, so every test picks a prefix of its own. */
    redisUrl: string
  }
}

/** Gives a run of tests one real Redis; `inject('redisUrl')` or `AUTHCHART_TEST_REDIS_URL` tells where. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const redis = await startRedis()
  project.provide('redisUrl', redis.url)
  process.env['AUTHCHART_TEST_REDIS_URL'] = redis.url
  return () => redis.stop()
}
