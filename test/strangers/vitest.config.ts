import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'

/** Servers that others wrote, apart from the other tests: installing them takes a minute and 300 MB. */
export default defineConfig({
  root: fileURLToPath(new URL('../..', import.meta.url)),
  test: {
    name: 'strangers',
    include: ['test/strangers/*.test.ts'],
    globalSetup: ['test/strangers/global-install.ts'],
    testTimeout: 120_000,
    hookTimeout: 120_000,
    maxWorkers: 2,
  },
})
