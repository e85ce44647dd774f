import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'

/**
 * The unit tests that have to notice, from `run.ts`. Not Stryker's own `testFiles`: with these it activates a mutant of
 * a module's constants after the module was loaded, so that each of them survives (stryker-js, issue 6144).
 */
const tests = JSON.parse(process.env['AUTHCHART_MUTATION_TESTS'] ?? '[]') as string[]

export default defineConfig({
  root: fileURLToPath(new URL('../..', import.meta.url)),
  test: {
    name: 'mutation',
    include: tests,
    isolate: false,
    pool: 'threads',
    maxWorkers: 1,
    testTimeout: 30_000,
  },
})
