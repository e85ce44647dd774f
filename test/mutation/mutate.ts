import { spawnSync } from 'node:child_process'
import { globSync, rmSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { readReport, type Result } from './report.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const REPORT = fileURLToPath(new URL('../../.cache/mutation.json', import.meta.url))

/** Runs Stryker on one file, in a copy of the project below `.cache`. */
export function mutate(file: string, tests: readonly string[], atOnce: number): Result {
  rmSync(REPORT, { force: true })
  const unmatched = tests.filter((pattern) => globSync(pattern, { cwd: root }).length === 0)
  if (unmatched.length > 0) throw new Error(`there is no test ${unmatched.join(', ')}`)
  const options = ['--mutate', file, '--concurrency', String(atOnce), '--logLevel', 'error']
  const { status, error } = spawnSync('stryker', ['run', 'test/mutation/stryker.config.json', ...options], {
    cwd: root,
    stdio: ['ignore', 'inherit', 'inherit'],
    env: { ...process.env, AUTHCHART_MUTATION_TESTS: JSON.stringify(tests) },
  })
  if (error !== undefined) throw error
  const [result] = status === 0 ? readReport(REPORT) : []
  if (result === undefined) throw new Error(`Stryker ended with ${String(status)} and no report of ${file}`)
  return result
}
