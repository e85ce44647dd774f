import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'

/** Bundlers and other runtimes, apart from the other tests: installing them takes a minute and most of a gigabyte. */
export default defineConfig({
  root: fileURLToPath(new URL('../../..', import.meta.url)),
  test: {
    name: 'bundlers',
    include: ['test/packaging/bundlers/*.test.ts'],
    globalSetup: ['test/packaging/bundlers/global-toolchain.ts'],
    testTimeout: 300_000,
    fileParallelism: false,
  },
})
