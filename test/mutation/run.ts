/**
 * Mutates the rules of {@link TARGETS} with Stryker, file by file, and demands that the unit tests notice
 * {@link MIN_KILLED} percent of the mutants of each file, and that `survivors.md` gives the reason of each other one. By
 * default a part of the files, which the seed chooses.
 *
 * `npm run test:mutation -- --all` takes every file, `-- name …` those whose path contains a name, `--seed 7` another
 * part, `--at-once n` tries n mutants beside each other.
 */
import { readFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { sequenceAt } from '../faults/random.ts'
import { requireNode } from '../support/require-node.ts'
import { mutate } from './mutate.ts'
import { killedPercent, unexplained } from './report.ts'
import { readReasons } from './survivors.ts'
import { TARGETS } from './targets.ts'

const MIN_KILLED = 85

/** As many lines of code as are mutated in about a minute and a half on two cores. */
const LINES_OF_A_PART = 250

function linesOf(file: string): number {
  return readFileSync(fileURLToPath(new URL(`../../${file}`, import.meta.url)), 'utf8').split('\n').length
}

/** Files in the order of the seed, as long as they fit. */
function partOf(files: readonly string[], seed: number): string[] {
  const random = sequenceAt(seed)
  const shuffled = files.map((file) => ({ file, at: random() })).sort((one, other) => one.at - other.at)
  let left = LINES_OF_A_PART
  return shuffled.flatMap(({ file }) => {
    const lines = linesOf(file)
    if (lines > left) return []
    left -= lines
    return [file]
  })
}

requireNode(process.versions.node)
const { values, positionals } = parseArgs({
  options: {
    all: { type: 'boolean', default: false },
    seed: { type: 'string', default: process.env['AUTHCHART_MODEL_SEED'] ?? '1' },
    'at-once': { type: 'string', default: String(availableParallelism()) },
  },
  allowPositionals: true,
})
const files = Object.keys(TARGETS)
const named = files.filter((file) => positionals.some((name) => file.includes(name)))
if (positionals.length > 0 && named.length === 0) throw new Error(`no such file: ${positionals.join(', ')}`)
const part = values.all ? files : partOf(files, Number(values.seed))
const chosen = positionals.length > 0 ? named : part
console.log(`mutation: ${chosen.length} of ${files.length} files${chosen === part ? `, seed ${values.seed}` : ''}`)

const reasons = readReasons(readFileSync(fileURLToPath(new URL('survivors.md', import.meta.url)), 'utf8'))
const unknown = [...reasons.keys()].filter((file) => !(file in TARGETS))
const problems = unknown.map((file) => `${file} has survivors, but is not mutated`)
const results = chosen.map((file) => {
  const startedAt = Date.now()
  const result = mutate(file, TARGETS[file] ?? [], Number(values['at-once']))
  const { killed, survivors, broken } = result
  const seconds = Math.round((Date.now() - startedAt) / 1_000)
  const counts = `${killed} killed, ${survivors.length} survived, ${broken} broke the module`
  const percent = killedPercent([result])
  console.log(`${file}: ${counts}: ${percent.toFixed(1)} % (${seconds} s)`)
  if (percent < MIN_KILLED) problems.push(`${file}: only ${percent.toFixed(1)} % of the mutants killed`)
  problems.push(...unexplained(result, reasons.get(file) ?? []))
  return result
})
const total = `${killedPercent(results).toFixed(1)} % of the mutants of ${results.length} files killed`
console.log(`mutation: ${total}, at least ${MIN_KILLED} % of each file required`)
for (const problem of problems) console.log(problem)
process.exitCode = problems.length === 0 ? 0 : 1
