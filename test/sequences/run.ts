/**
 * Random sequences of what users, servers and real processes do, with kills: `npm run test:sequences` takes 40, `--all`
 * takes 500. Prints its seed; `--seed n --only i` repeats one sequence. With `--state file` a run that was interrupted
 * goes on where it stopped. `AUTHCHART_SEQUENCES_SLOW=3` is for a busy machine. `--at-once n` sequences run beside each
 * other, `--report file` writes a report as vitest does.
 */
import { randomInt, randomUUID } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { printModel } from '../support/fleet/print-model.ts'
import { endIdleWorkers } from '../support/processes/fleet.ts'
import { startRedis } from '../support/redis-server.ts'
import { requireNode } from '../support/require-node.ts'
import { addCounts, noCounts } from './process-counts.ts'
import { runSequence } from './run-sequence.ts'
import { openState, saveState, writeReport } from './run-state.ts'

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

// One that is repeated says nothing of the run that it belongs to.
const stateFile = values.only === undefined ? values.state : undefined
const state = openState(stateFile, Number(values.seed ?? randomInt(2 ** 30)))
const all = Array.from({ length: values.all ? 500 : 40 }, (_, index) => index)
const chosen = values.only === undefined ? all.filter((index) => !state.done.includes(index)) : [Number(values.only)]
console.log(`seed ${state.seed} · ${chosen.length} sequences · ${state.done.length} done before`)

const redis = await startRedis()
const folder = mkdtempSync(join(tmpdir(), 'authchart-sequences-'))

async function takeTurns(): Promise<void> {
  for (let index = chosen.shift(); index !== undefined; index = chosen.shift()) {
    const counts = noCounts()
    const id = randomUUID()
    // Every second one runs on SQLite.
    const problem = await runSequence(
      state.seed + index,
      index % 2 === 0
        ? { kind: 'redis', url: redis.url, prefix: `sequences-${id}:` }
        : { kind: 'sqlite', path: join(folder, `${id}.sqlite`) },
      counts,
    )
    state.done.push(index)
    addCounts(state.counts, counts)
    if (problem !== undefined) {
      const described = `sequence ${index} (--seed ${state.seed} --only ${index}): ${problem}`
      state.failed.push({ index, problem: described })
      console.log(`FAILED ${described}`)
    }
    saveState(stateFile, state)
  }
}
await Promise.all(Array.from({ length: Number(values['at-once']) }, takeTurns))

const { kills, stops, tokenRequests } = state.counts
if (values.only === undefined && Math.min(kills, stops, tokenRequests) === 0)
  state.failed.push({ index: -1, problem: 'nothing was killed, or stopped, or sent: that proves nothing' })

await endIdleWorkers()
await redis.stop()
rmSync(folder, { recursive: true, force: true })
printModel({ seed: state.seed, ...state.counts, failed: state.failed.length })
writeReport(values.report, state)
// What a sequence that is stuck has started would go on.
process.exit(state.failed.length === 0 ? 0 : 1)
