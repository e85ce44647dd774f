import type { CellResult } from './cell.ts'
import { ACTIONS } from './points.ts'
import { pointLabel } from './run-cells.ts'

const COLUMN = 12

/** `*`: the only copy of new tokens was lost. */
function outcomeText({ outcome, problems, unavoidable, reused }: CellResult): string {
  if (problems.length > 0) return 'FAILED'
  return unavoidable && (outcome === 'asked' || reused > 0) ? `${outcome}*` : outcome
}

/** One row for each point of a flow, one column for each action. */
export function flowTable(name: string, results: readonly CellResult[]): string {
  const points = [...new Set(results.map(({ cell }) => cell.point))]
  const width = Math.max(name.length, ...points.map((point) => pointLabel(point).length + 2)) + 2
  const rows = points.map((point) => {
    const cells = ACTIONS.map((action) => {
      const result = results.find(({ cell }) => cell.point === point && cell.action === action)
      return result === undefined ? '' : outcomeText(result)
    })
    return [`  ${pointLabel(point)}`.padEnd(width), ...cells.map((text) => text.padEnd(COLUMN))].join('').trimEnd()
  })
  return [[name.padEnd(width), ...ACTIONS.map((action) => action.padEnd(COLUMN))].join('').trimEnd(), ...rows].join(
    '\n',
  )
}

/** What all cells came to. */
export function totals(results: readonly CellResult[]): string {
  const sum = (member: 'asked' | 'reused', unavoidable: boolean): number =>
    results.filter((each) => each.unavoidable === unavoidable).reduce((total, each) => total + each[member], 0)
  const count = (word: string): number =>
    results.flatMap(({ problems }) => problems).filter((problem) => problem.startsWith(word)).length
  const flows = new Set(results.map(({ cell }) => cell.flow)).size
  const avoidable = `user asked ${sum('asked', false)}, reuse ${sum('reused', false)}, acknowledged lost ${count('lost')}, stuck ${count('stuck')}`
  const unavoidable = `user asked ${sum('asked', true)}, reuse ${sum('reused', true)}`
  return `faults: ${results.length} points of ${flows} flows; avoidable: ${avoidable}; unavoidable: ${unavoidable}`
}
