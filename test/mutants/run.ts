/**
 * Proves that the tests notice when a rule is broken: applies each patch of this folder to a copy of the project, and
 * demands that the tests named in the patch fail there, by assertion. `npm run test:mutants -- name …` runs only
 * these.
 */
import { spawnSync } from 'node:child_process'
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { requireNode } from '../support/require-node.ts'
import { type Mutant, type NamedTest, readMutant, showTest } from './mutant.ts'
import { runTest } from './run-test.ts'

interface Row {
  rule: string
  test: string
  killed: string
}

const here = fileURLToPath(new URL('.', import.meta.url))
const root = fileURLToPath(new URL('../..', import.meta.url))

function git(folder: string, ...args: string[]): string {
  const run = spawnSync('git', args, { cwd: folder, encoding: 'utf8' })
  if (run.error !== undefined) throw run.error
  if (run.status !== 0) throw new Error(`git ${args.join(' ')}: ${run.stderr.trim()}`)
  return run.stdout
}

function chosenMutants(names: readonly string[]): Mutant[] {
  const all = readdirSync(here)
    .filter((file) => file.endsWith('.patch'))
    .sort()
  const wanted = names.map((name) => `${name.replace(/\.patch$/, '')}.patch`)
  const unknown = wanted.filter((file) => !all.includes(file))
  if (unknown.length > 0) throw new Error(`no such mutant: ${unknown.join(', ')}`)
  const chosen = wanted.length === 0 ? all : wanted
  if (chosen.length === 0) throw new Error(`there is no patch in ${here}`)
  return chosen.map((file) => readMutant(join(here, file)))
}

/**
 * Copies what git knows or would add, as it is in the working tree, and calls back with the folder; it is gone
 * afterwards.
 */
function withCopy<Result>(use: (folder: string) => Result): Result {
  const folder = mkdtempSync(join(tmpdir(), 'authchart-mutant-'))
  try {
    for (const file of git(root, 'ls-files', '-z', '--cached', '--others', '--exclude-standard').split('\0')) {
      if (file === '' || !existsSync(join(root, file))) continue
      mkdirSync(dirname(join(folder, file)), { recursive: true })
      copyFileSync(join(root, file), join(folder, file))
    }
    // What is not in git, but is needed and the same for every copy.
    mkdirSync(join(root, '.cache'), { recursive: true })
    for (const shared of ['node_modules', '.cache']) symlinkSync(join(root, shared), join(folder, shared), 'junction')
    return use(folder)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** The patches that do not apply: the code has changed since. */
const staleMutants = (mutants: readonly Mutant[]): Mutant[] =>
  mutants.filter(({ path }) => spawnSync('git', ['apply', '--check', path], { cwd: root }).status !== 0)

/** The tests that do not pass without any patch: with them a mutant would prove nothing. */
function failingUnpatched(mutants: readonly Mutant[]): string[] {
  const tests = new Map<string, NamedTest>(
    mutants.flatMap((mutant) => mutant.tests.map((test) => [showTest(test), test] as const)),
  )
  return withCopy((folder) =>
    [...tests].flatMap(([shown, test]) => {
      console.log(`without a patch: ${shown}`)
      const outcome = runTest(folder, test)
      return outcome.kind === 'passed' ? [] : [`${shown} does not pass without a patch: ${outcome.message}`]
    }),
  )
}

function rowsOf(mutant: Mutant): Row[] {
  console.log(`${mutant.name}: ${mutant.rule}`)
  return withCopy((folder) => {
    git(folder, 'apply', '--whitespace=nowarn', mutant.path)
    return mutant.tests.map((test) => {
      const outcome = runTest(folder, test)
      if (outcome.kind === 'broken') console.log(`  failed, but not by assertion: ${outcome.message}`)
      return {
        rule: mutant.rule,
        test: showTest(test),
        killed: { assertion: 'yes', passed: 'NO', broken: 'NO (failed, but not by assertion)' }[outcome.kind],
      }
    })
  })
}

function showTable(rows: readonly Row[]): string {
  const all: Row[] = [{ rule: 'rule', test: 'test', killed: 'killed' }, ...rows]
  const widthOf = (column: keyof Row): number => Math.max(...all.map((row) => row[column].length))
  const [rule, test] = [widthOf('rule'), widthOf('test')]
  return all.map((row) => `${row.rule.padEnd(rule)}  ${row.test.padEnd(test)}  ${row.killed}`).join('\n')
}

function main(names: readonly string[]): number {
  requireNode(process.versions.node)
  const mutants = chosenMutants(names)
  const stale = staleMutants(mutants)
  if (stale.length > 0) {
    console.error(`these patches do not apply: ${stale.map(({ name }) => name).join(', ')}`)
    return 1
  }
  const failing = failingUnpatched(mutants)
  if (failing.length > 0) {
    console.error(failing.join('\n'))
    return 1
  }
  const rows = mutants.flatMap(rowsOf)
  const killed = rows.filter((row) => row.killed === 'yes')
  console.log(`\n${showTable(rows)}\n\n${mutants.length} mutants; ${killed.length} of ${rows.length} tests noticed`)
  return killed.length === rows.length ? 0 : 1
}

try {
  process.exitCode = main(process.argv.slice(2))
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 1
}
