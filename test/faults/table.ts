import type { CellResult } from './cell.ts'
import { type Losses, sumOf } from './losses.ts'
import { ACTIONS, pointLabel } from './points.ts'

const COLUMN = 12

/** `*`: the only copy of new tokens was lost. */
function outcomeText({ outcome, problems, unavoidable }: CellResult): string {
  if (problems.length > 0) return 'FAILED'
  return unavoidable.reused > 0 ? `${outcome}*` : outcome
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

const lossText = ({ asked, reused, lost }: Losses): string =>
  `user asked ${asked}, reuse ${reused}, acknowledged lost ${lost}`

/** What all cells came to. */
export function totals(results: readonly CellResult[]): string {
  const avoidable = sumOf(results.map((each) => each.avoidable))
  const unavoidable = sumOf(results.map((each) => each.unavoidable))
  const flows = new Set(results.map(({ cell }) => cell.flow)).size
  const stuck = results.flatMap(({ problems }) => problems).filter((problem) => problem.startsWith('stuck')).length
  const left = `stuck ${stuck}, live orphans ${avoidable.orphans}`
  return `faults: ${results.length} points of ${flows} flows; avoidable: ${lossText(avoidable)}, ${left}; unavoidable: ${lossText(unavoidable)}`
}
