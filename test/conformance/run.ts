/**
 * Runs every authorization scenario of the MCP conformance suite against authchart, strictly: the exit code counts, and
 * a warning is a failure. `npm run test:conformance -- dpop` runs those whose name has that in it.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { REQUIREMENTS, SCENARIOS } from './scenarios.ts'
import { installSuite, listScenarios, runScenario, type Outcome } from './suite.ts'

const AT_ONCE = 2

/** A scenario at one revision of MCP, or, outside the sets of requirements, at the one that the suite picks. */
interface Run {
  scenario: string
  revision: string | undefined
}

const [filter = ''] = process.argv.slice(2)
await installSuite()

const complaints: string[] = []
function demandSame(what: string, listed: readonly string[], expected: readonly string[]): void {
  for (const name of expected) if (!listed.includes(name)) complaints.push(`${what} has no ${name}`)
  for (const name of listed) if (!expected.includes(name)) complaints.push(`${what} has a new ${name}`)
}
demandSame('the suite', await listScenarios(), SCENARIOS)

const runs: Run[] = []
for (const [revision, count] of Object.entries(REQUIREMENTS)) {
  const listed = await listScenarios(revision)
  if (listed.length !== count) complaints.push(`${revision} has ${listed.length} scenarios instead of ${count}`)
  runs.push(...listed.map((scenario) => ({ scenario, revision })))
}
for (const scenario of SCENARIOS)
  if (!runs.some((run) => run.scenario === scenario)) runs.push({ scenario, revision: undefined })

const chosen = runs.filter(({ scenario }) => scenario.includes(filter))
const waiting = chosen.entries()
const outcomes = new Map<Run, Outcome>()
const scratch = await mkdtemp(join(tmpdir(), 'authchart-conformance-'))

async function work(): Promise<void> {
  for (const [index, run] of waiting) {
    const outcome = await runScenario(run.scenario, join(scratch, String(index)), run.revision)
    outcomes.set(run, outcome)
    const name = run.revision === undefined ? run.scenario : `${run.scenario} at ${run.revision}`
    console.log(`${outcome.passed ? 'passed' : 'FAILED'}  ${name}  ${outcome.checks} checks`)
    for (const complaint of outcome.complaints)
      console.log(`        ${complaint.trim().replaceAll('\n', '\n        ')}`)
  }
}

try {
  await Promise.all(Array.from({ length: AT_ONCE }, work))
} finally {
  await rm(scratch, { recursive: true, force: true })
}

const hasPassed = (scenario: string): boolean => {
  const own = chosen.filter((run) => run.scenario === scenario)
  return own.length > 0 && own.every((run) => outcomes.get(run)?.passed)
}
const wanted = SCENARIOS.filter((scenario) => scenario.includes(filter))
const passed = wanted.filter(hasPassed)
const checks = [...outcomes.values()].reduce((sum, outcome) => sum + outcome.checks, 0)
console.log('')
for (const complaint of complaints) console.log(complaint)
console.log(`${passed.length} of ${wanted.length} scenarios, ${checks} checks`)
for (const revision of Object.keys(REQUIREMENTS)) {
  const own = chosen.filter((run) => run.revision === revision)
  console.log(`${revision}: ${own.filter((run) => outcomes.get(run)?.passed).length}/${own.length}`)
}
process.exitCode = complaints.length === 0 && wanted.length > 0 && passed.length === wanted.length ? 0 : 1
