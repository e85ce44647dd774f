import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { killedPercent, readReport, type Result, unexplained } from '../mutation/report.ts'
import { readReasons } from '../mutation/survivors.ts'

const source = "const a = '`x`'\nreturn a > 1 &&\n  b\n"
const at = (start: [number, number], end: [number, number]) => ({
  start: { line: start[0], column: start[1] },
  end: { line: end[0], column: end[1] },
})
const mutant = (status: string, testsCompleted = 3) => ({
  status,
  testsCompleted,
  replacement: 'true',
  location: at([2, 8], [3, 4]),
})

/** What is read from a report with these mutants of one file. */
function reading(mutants: readonly object[]): Result[] {
  const folder = mkdtempSync(join(tmpdir(), 'authchart-mutation-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  const path = join(folder, 'report.json')
  writeFileSync(path, JSON.stringify({ files: { 'src/a.ts': { source, mutants } } }))
  return readReport(path)
}

describe('the report of a mutation run', () => {
  test('has killed mutants, survivors in one line each, and those that cannot be loaded', () => {
    const quoted = { ...mutant('NoCoverage'), location: at([1, 11], [1, 16]), replacement: '``' }
    const statuses = ['Killed', 'Timeout', 'Survived', 'RuntimeError'].map((status) => mutant(status))
    expect(reading([...statuses, quoted])).toEqual([
      { file: 'src/a.ts', killed: 2, survivors: ['`a > 1 && b` → `true`', "`''x''` → `''`"], broken: 1 },
    ])
  })

  test.each([
    ['has a survivor that no test was run on', [mutant('Killed'), mutant('Survived', 0)]],
    ['has no mutant', []],
    ['has a status that is not known', [mutant('Ignored')]],
  ])('is refused if it %s', (_what, mutants) => {
    expect(() => reading(mutants)).toThrow()
  })

  test('counts killed mutants among those that could be loaded, over all files', () => {
    const result = (killed: number, survivors: string[]) => ({ file: 'a', killed, survivors, broken: 9 })
    expect(killedPercent([result(8, ['x']), result(0, ['y'])])).toBe(80)
    expect(killedPercent([])).toBe(0)
  })
})

describe('survivors.md', () => {
  const text = ['# Survivors', '', '## src/a.ts', '', '- `a` → `b`: it is the same', '- `a` → `b`: once more', ''].join(
    '\n',
  )

  test('gives reasons by file, each for one survivor', () => {
    const reasons = readReasons(text).get('src/a.ts') ?? []
    const compared = (survivors: string[]) =>
      unexplained({ file: 'src/a.ts', killed: 1, survivors, broken: 0 }, reasons)
    expect(compared(['`a` → `b`', '`a` → `b`'])).toEqual([])
    expect(compared(['`a` → `b`'])).toEqual(['src/a.ts: a test notices now - `a` → `b`'])
    expect(compared(['`a` → `b`', '`a` → `b`', '`c` → `d`'])).toEqual(['src/a.ts: no reason is given for - `c` → `d`'])
  })

  test('is refused with a line that gives no reason', () => {
    expect(() => readReasons(`${text}- \`a\` → \`b\`:\n`)).toThrow('not a survivor with its reason: - `a` → `b`:')
  })
})
