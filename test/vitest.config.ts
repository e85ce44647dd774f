import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'
import { requireNode } from './support/require-node.ts'

requireNode(process.versions.node)

const root = fileURLToPath(new URL('..', import.meta.url))
const withRedis = { globalSetup: ['test/support/global-redis.ts'] }

/** Nothing may fall below this. */
const all = { lines: 100, branches: 100 }

export default defineConfig({
  root,
  test: {
    projects: [
      { extends: true, test: { name: 'unit', include: ['test/unit/**/*.test.ts'] } },
      {
        extends: true,
        test: {
          name: 'model',
          include: ['test/model/**/*.test.ts', 'test/examples/model-based.test.ts'],
          testTimeout: 60_000,
        },
      },
      {
        extends: true,
        test: { name: 'contract', include: ['test/contract/**/*.test.ts'], testTimeout: 30_000, ...withRedis },
      },
      {
        extends: true,
        test: {
          name: 'e2e',
          include: ['test/e2e/**/*.test.ts'],
          testTimeout: 120_000,
          hookTimeout: 60_000,
          // These start servers and processes of their own, and mostly wait for leases to end: apart from all others.
          maxWorkers: 3,
          sequence: { groupOrder: 1 },
          ...withRedis,
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
            tsconfig: 'test/tsconfig.json',
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
        'src/runner.ts': all,
        'src/schemas/**': all,
        'src/errors/**': all,
        'src/**': { lines: 95, branches: 90 },
      },
    },
  },
})
