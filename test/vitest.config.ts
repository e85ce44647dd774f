import { availableParallelism } from 'node:os'
import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'
import { requireNode } from './support/require-node.ts'

requireNode(process.versions.node)

const root = fileURLToPath(new URL('..', import.meta.url))
const withRedis = { globalSetup: ['test/support/global-redis.ts'] }

const onSqlite = process.env['AUTHCHART_TEST_STORE'] === 'sqlite'

/**
 * For what starts servers and processes of its own, which stay for the next file of the same worker, and mostly waits
 * for leases and time-outs to end: apart from all others, four files at a time, even on two cores. On SQLite two, since
 * every process writes to the disk itself: beside three other files a request exceeded its time-out of 1.5 seconds.
 */
const beside = { isolate: false, maxWorkers: onSqlite ? 2 : 4, sequence: { groupOrder: 1 } }

/** Nothing may fall below this. */
const all = { lines: 100, branches: 100 }

export default defineConfig({
  root,
  test: {
    // By default vitest leaves one core idle, which is half of a machine with two; and some files wait for timers.
    maxWorkers: availableParallelism() + 1,
    projects: [
      {
        extends: true,
        // Hundreds of small files share what they load: a third of the time that isolated ones take.
        test: {
          name: 'unit',
          include: ['test/unit/**/*.test.ts'],
          isolate: false,
          pool: 'threads',
          // Far more than any of them takes: a busy machine must not fail one.
          testTimeout: 30_000,
        },
      },
      {
        extends: true,
        test: {
          name: 'servers',
          include: ['test/servers/**/*.test.ts'],
          isolate: false,
          pool: 'threads',
          testTimeout: 30_000,
        },
      },
      {
        extends: true,
        test: { name: 'docs', include: ['test/docs/**/*.test.ts'], isolate: false, testTimeout: 60_000 },
      },
      {
        extends: true,
        test: {
          name: 'fuzz',
          include: ['test/fuzz/**/*.test.ts'],
          // Each file configures fast-check with the seed that the global setup has chosen.
          setupFiles: ['test/fuzz/support/runs.ts'],
          globalSetup: [...withRedis.globalSetup, 'test/fuzz/support/global-seed.ts'],
          isolate: false,
          testTimeout: 240_000,
        },
      },
      {
        extends: true,
        test: {
          name: 'model',
          include: ['test/model/**/*.test.ts', 'test/examples/model-based.test.ts'],
          testTimeout: 60_000,
          // The graph of a chart takes seconds to build, and is the same for every file.
          isolate: false,
        },
      },
      {
        extends: true,
        test: {
          name: 'contract',
          include: ['test/contract/**/*.test.ts'],
          ...beside,
          testTimeout: 60_000,
          ...withRedis,
        },
      },
      {
        extends: true,
        test: {
          name: 'e2e',
          include: ['test/e2e/**/*.test.ts'],
          testTimeout: 240_000,
          hookTimeout: 120_000,
          ...beside,
          ...withRedis,
        },
      },
      {
        extends: true,
        // Each file has a process of its own, since some replace Node's resolver and output.
        test: {
          name: 'attack',
          include: ['test/attack/**/*.test.ts'],
          testTimeout: 1_200_000,
          hookTimeout: 120_000,
          disableConsoleIntercept: true,
          ...withRedis,
        },
      },
      {
        extends: true,
        test: { name: 'schedulers', include: ['test/schedulers/**/*.test.ts'], testTimeout: 240_000, ...withRedis },
      },
      {
        extends: true,
        test: {
          name: 'upgrade',
          include: ['test/upgrade/**/*.test.ts'],
          ...beside,
          testTimeout: 240_000,
          hookTimeout: 120_000,
          globalSetup: [...withRedis.globalSetup, 'test/upgrade/global-releases.ts'],
        },
      },
      {
        extends: true,
        test: {
          name: 'packaging',
          include: ['test/packaging/*.test.ts'],
          testTimeout: 120_000,
          globalSetup: ['test/packaging/support/global-package.ts'],
        },
      },
      {
        extends: true,
        test: {
          name: 'types',
          include: [],
          typecheck: {
            enabled: true,
            only: true,
            checker: 'tsc',
            tsconfig: 'test/types/tsconfig.json',
            include: ['test/types/**/*.test-d.ts'],
          },
        },
      },
    ],
    coverage: {
      provider: 'v8',
      include: ['src/**/*.ts', 'machines/**/*.ts'],
      reportsDirectory: 'coverage',
      reporter: ['json', 'json-summary'],
      thresholds: {
        'machines/**': all,
        'src/durable/**': all,
        'src/schemas/**': all,
        'src/errors/**': all,
        'src/**': { lines: 95, branches: 90 },
      },
    },
  },
})
