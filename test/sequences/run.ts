/**
 * Random sequences of what users, servers and real processes do, with kills: `npm run test:sequences` takes 40, `--all`
 * takes 500. Prints its seed; `--seed n --only i` repeats one sequence. With `--state file` a run that was interrupted
 * goes on where it stopped. `--at-once n` sequences run beside each other, `--report file` writes a report as vitest
 * does.
 */
import { randomInt, randomUUID } from 'node:crypto'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import * as fc from 'fast-check'
import * as v from 'valibot'
import { sequenceOf } from '../support/fleet/steps.ts'
import { printModel } from '../support/fleet/print-model.ts'
import { endIdleWorkers } from '../support/processes/fleet.ts'
import { startRedis } from '../support/redis-server.ts'
import { requireNode } from '../support/require-node.ts'
import { processStep } from './process-steps.ts'
import { type ProcessCounts, ProcessWorld } from './process-world.ts'

requireNode(process.versions.node)
const { values } = parseArgs({
  options: {
    all: { type: 'boolean', default: false },
    seed: { type: 'string', default: process.env['AUTHCHART_MODEL_SEED'] },
    only: { type: 'string' },
    state: { type: 'string' },
    'at-once': { type: 'string', default: '4' },
    report: { type: 'string' },
  },
})
// What is started here ends with this process, whatever ends it.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1))

/** Half as many on average. */
const MAX_STEPS = 20
const StateSchema = v.object({ seed: v.number(), done: v.array(v.number()), failed: v.array(v.number()) })
type State = v.InferOutput<typeof StateSchema>

const count = values.all ? 500 : 40
const startState = (): State => ({ seed: Number(values.seed ?? randomInt(2 ** 30)), done: [], failed: [] })
const isInterrupted = values.state !== undefined && existsSync(values.state)
const state: State = isInterrupted
  ? v.parse(StateSchema, JSON.parse(readFileSync(values.state ?? '', 'utf8')))
  : startState()
const saveState = (): void => {
  if (values.state !== undefined) writeFileSync(values.state, JSON.stringify(state))
}

const counts: ProcessCounts = { sequences: 0, steps: 0, tokenRequests: 0, kills: 0, stops: 0, sentTwice: 0 }
const redis = await startRedis()
const folder = mkdtempSync(join(tmpdir(), 'authchart-sequences-'))

/** What a sequence came to: nothing, or why it failed. Every second one runs on SQLite. */
async function problemOf(index: number): Promise<string | undefined> {
  const id = randomUUID()
  const sequence = sequenceOf(processStep, MAX_STEPS)
  const property = fc.asyncProperty(sequence, async (steps) => {
    const world = await ProcessWorld.start(
      index % 2 === 0
        ? { kind: 'redis', url: redis.url, prefix: `sequences-${id}:` }
        : { kind: 'sqlite', path: join(folder, `${id}.sqlite`) },
      counts,
    )
    try {
      await fc.asyncModelRun(() => ({ model: {}, real: world }), steps)
      await world.hasWayOut()
    } finally {
      await world.end()
    }
  })
  // Its first try is the sequence: to shrink it would take as many processes again, and hit other moments.
  const checked = await fc.check(property, { seed: state.seed + index, numRuns: 1, endOnFailure: true })
  if (!checked.failed) return undefined
  const { errorInstance, counterexample } = checked
  const reason = errorInstance instanceof Error ? (errorInstance.stack ?? errorInstance.message) : String(errorInstance)
  return `sequence ${index} (--seed ${state.seed} --only ${index}): ${fc.stringify(counterexample)}\n${reason}`
}

const all = Array.from({ length: count }, (_, index) => index)
const chosen = values.only === undefined ? all.filter((index) => !state.done.includes(index)) : [Number(values.only)]
console.log(
  `seed ${state.seed} · ${chosen.length} sequences${isInterrupted ? `, ${state.done.length} done before` : ''}`,
)
const problems: { index: number; problem: string }[] = []

async function takeTurns(): Promise<void> {
  for (let index = chosen.shift(); index !== undefined; index = chosen.shift()) {
    const problem = await problemOf(index)
    state.done.push(index)
    if (problem !== undefined) {
      problems.push({ index, problem })
      state.failed.push(index)
      console.log(`FAILED ${problem}`)
    }
    saveState()
  }
}
await Promise.all(Array.from({ length: Number(values['at-once']) }, takeTurns))

await endIdleWorkers()
await redis.stop()
rmSync(folder, { recursive: true, force: true })
printModel({ seed: state.seed, ...counts, failed: state.failed.length })
if (values.report !== undefined) {
  const success = state.failed.length === 0
  const status = success ? 'passed' : 'failed'
  const title = 'every sequence of real processes and kills leaves a way out, and no credential is sent in excess'
  const assertionResults = [{ title, status, failureMessages: problems.map(({ problem }) => problem) }]
  writeFileSync(
    values.report,
    JSON.stringify({ success, testResults: [{ name: 'test/sequences', status, assertionResults }] }),
  )
}
process.exitCode = state.failed.length === 0 ? 0 : 1
