import { readFileSync } from 'node:fs'
import * as v from 'valibot'

const Position = v.object({ line: v.number(), column: v.number() })
const Location = v.object({ start: Position, end: Position })
const Mutant = v.object({
  status: v.picklist(['Killed', 'Timeout', 'Survived', 'NoCoverage', 'RuntimeError']),
  replacement: v.optional(v.string(), ''),
  testsCompleted: v.optional(v.number()),
  location: Location,
})
const Report = v.object({
  files: v.record(v.string(), v.object({ source: v.string(), mutants: v.array(Mutant) })),
})

/** What became of the mutants of one file. */
export interface Result {
  readonly file: string
  readonly killed: number
  /** The mutants that no test noticed, as `original → replacement`. */
  readonly survivors: readonly string[]
  /** How many could not be loaded: they count neither as killed nor as survivors. */
  readonly broken: number
}

/** One line of code without its line breaks, short enough for a list, and without the quotes of that list. */
function shown(code: string): string {
  const line = code.replaceAll(/\s+/g, ' ').replaceAll('`', "'").trim()
  return line.length > 100 ? `${line.slice(0, 99)}…` : line
}

function textAt(source: string, { start, end }: v.InferOutput<typeof Location>): string {
  const lines = source.split('\n').slice(start.line - 1, end.line)
  const last = lines.length - 1
  return lines
    .map((line, index) => line.slice(index === 0 ? start.column - 1 : 0, index === last ? end.column - 1 : undefined))
    .join('\n')
}

/** Reads the report of Stryker; of a mutant that ran too long, a test did notice. */
export function readReport(path: string): Result[] {
  const { files } = v.parse(Report, JSON.parse(readFileSync(path, 'utf8')))
  return Object.entries(files).map(([file, { source, mutants }]) => {
    const having = (...statuses: readonly string[]) => mutants.filter(({ status }) => statuses.includes(status))
    // A survivor that no test was run on says nothing of the tests.
    const untried = having('Survived').filter(({ testsCompleted = 0 }) => testsCompleted === 0)
    if (mutants.length === 0 || untried.length > 0) {
      throw new Error(`${file}: ${untried.length} of ${mutants.length} mutants were tried with no test`)
    }
    return {
      file,
      killed: having('Killed', 'Timeout').length,
      survivors: having('Survived', 'NoCoverage').map(
        ({ location, replacement }) => `\`${shown(textAt(source, location))}\` → \`${shown(replacement)}\``,
      ),
      broken: having('RuntimeError').length,
    }
  })
}

/** How many of a hundred mutants were killed. */
export function killedPercent(results: readonly Result[]): number {
  const killed = results.reduce((sum, each) => sum + each.killed, 0)
  const survived = results.reduce((sum, { survivors }) => sum + survivors.length, 0)
  return (100 * killed) / Math.max(1, killed + survived)
}

/** The elements of a list that are not in the other one, as often as there. */
function without(list: readonly string[], other: readonly string[]): string[] {
  const left = [...other]
  return list.filter((each) => {
    const index = left.indexOf(each)
    if (index >= 0) left.splice(index, 1)
    return index < 0
  })
}

/** The survivors without a reason, and the reasons without a survivor. */
export function unexplained({ file, survivors }: Result, reasons: readonly string[]): string[] {
  return [
    ...without(survivors, reasons).map((each) => `${file}: no reason is given for - ${each}`),
    ...without(reasons, survivors).map((each) => `${file}: a test notices now - ${each}`),
  ]
}
