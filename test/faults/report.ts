import { writeFileSync } from 'node:fs'

/** One test of a report. */
export interface Reported {
  readonly name: string
  readonly problems: readonly string[]
}

/** Writes what the closing line of `.ci/run` reads: the members of vitest's JSON report. */
function write(path: string, tests: readonly Reported[]): void {
  const assertionResults = tests.map(({ name, problems }) => ({
    title: name,
    status: problems.length === 0 ? 'passed' : 'failed',
    failureMessages: problems,
  }))
  const success = tests.length > 0 && tests.every(({ problems }) => problems.length === 0)
  const status = success ? 'passed' : 'failed'
  writeFileSync(
    path,
    JSON.stringify({ success, testResults: [{ name: 'test/faults/run.ts', status, assertionResults }] }),
  )
}

/** The tests of a run, which are written to a file however the run ends. */
export class Report {
  readonly #tests: Reported[] = []
  #isComplete = false

  constructor(path: string | undefined) {
    process.once('exit', () => {
      if (!this.#isComplete) this.add('the run comes to its end', ['it was interrupted'])
      if (path !== undefined) write(path, this.#tests)
    })
    // What is started here ends with this process, whatever ends it.
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1))
  }

  get tests(): readonly Reported[] {
    return this.#tests
  }

  /** Counts a test, and prints the rules that it broke. */
  add(name: string, problems: readonly string[]): void {
    for (const problem of problems) console.log(`  FAILED ${problem}`)
    this.#tests.push({ name, problems })
  }

  /** Does the work of a run, and ends the process: also if something of it is still open. */
  async complete(work: () => Promise<void>): Promise<void> {
    await work().catch((error: unknown) => this.add('the run comes to its end', [String(error)]))
    this.#isComplete = true
    const failed = this.#tests.filter(({ problems }) => problems.length > 0)
    process.exit(failed.length > 0 || this.#tests.length === 0 ? 1 : 0)
  }
}
