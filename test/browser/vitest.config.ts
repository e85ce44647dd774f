import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'

/** What only a real browser shows, apart from the other tests: it needs Chromium. */
export default defineConfig({
  root: fileURLToPath(new URL('../..', import.meta.url)),
  test: {
    name: 'browser',
    include: ['test/browser/*.test.ts'],
    globalSetup: ['test/support/global-redis.ts'],
    testTimeout: 240_000,
    hookTimeout: 120_000,
    maxWorkers: 2,
  },
})
