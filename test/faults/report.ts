import { writeFileSync } from 'node:fs'

/** One test of a report. */
export interface Reported {
  readonly name: string
  readonly problems: readonly string[]
}

/** Writes what the closing line of `.ci/run` reads: the members of vitest's JSON report. */
export function writeReport(path: string, tests: readonly Reported[]): void {
  const assertionResults = tests.map(({ name, problems }) => ({
    title: name,
    status: problems.length === 0 ? 'passed' : 'failed',
    failureMessages: problems,
  }))
  const success = tests.every(({ problems }) => problems.length === 0)
  const status = success ? 'passed' : 'failed'
  writeFileSync(
    path,
    JSON.stringify({ success, testResults: [{ name: 'test/faults/run.ts', status, assertionResults }] }),
  )
}
