import type { Cell, CellResult } from './cell.ts'
import { FLOWS, type Flow } from './flows.ts'
import { Lab } from './lab.ts'
import { sumOf } from './losses.ts'
import { ACTIONS, cellLabel, leasesOf } from './points.ts'
import { randomSequence } from './random.ts'
import type { Setting } from './scene.ts'

/** How many cells one process meets at the same time. */
const BATCH = 24
/** How often a cell is tried whose fault did not happen as it was meant to, because the machine was too busy. */
const MAX_ATTEMPTS = 3

/** Every action at every point of these flows. */
export async function everyCell(setting: Setting, flows: readonly Flow[] = FLOWS): Promise<Cell[]> {
  const lab = new Lab({ ...setting, isPatient: true })
  try {
    const cells: Cell[] = []
    for (const flow of flows)
      for (const point of await lab.record(flow)) for (const action of ACTIONS) cells.push({ flow, point, action })
    return cells
  } finally {
    await lab.close()
  }
}

/** Some of these, the same for the same seed. */
export function sample<Item>(items: readonly Item[], share: number, seed: number): Item[] {
  const random = randomSequence(seed)
  return items.filter(() => random() < share)
}

/** Runs cells in batches of one action. A cell whose fault did not happen as it was meant to is tried again. */
export async function runCells(setting: Setting, cells: readonly Cell[]): Promise<CellResult[]> {
  const lab = new Lab(setting)
  const results = new Map<Cell, CellResult>()
  try {
    for (const action of ACTIONS) {
      let left = cells.filter((cell) => cell.action === action)
      for (let attempt = 1; attempt <= MAX_ATTEMPTS && left.length > 0; attempt += 1) {
        // A short stop must not be longer than a lease because many cells begin.
        const size = BATCH / (leasesOf(action) === 1 ? 2 : 1) / attempt ** 2
        for (const batch of chunks(left, Math.max(1, Math.floor(size))))
          for (const result of await lab.run(batch))
            results.set(result.cell, withAttempt(results.get(result.cell), result))
        left = left.filter((cell) => results.get(cell)?.missed !== undefined)
      }
    }
  } finally {
    await lab.close()
  }
  return cells.flatMap((cell) => results.get(cell) ?? []).map(complete)
}

/** The result of a cell with that of an attempt before, whose fault did not happen: what it broke is broken. */
const withAttempt = (before: CellResult | undefined, result: CellResult): CellResult =>
  before === undefined
    ? result
    : {
        ...result,
        avoidable: sumOf([before.avoidable, result.avoidable]),
        unavoidable: sumOf([before.unavoidable, result.unavoidable]),
        problems: [...before.problems, ...result.problems],
      }

/** A cell about which nothing is known in the end is a failure. */
const complete = (result: CellResult): CellResult =>
  result.missed === undefined ? result : { ...result, problems: [...result.problems, `missed: ${result.missed}`] }

const chunks = <Item>(items: readonly Item[], size: number): Item[][] =>
  Array.from({ length: Math.ceil(items.length / size) }, (_, index) => items.slice(index * size, (index + 1) * size))

/** One line for each broken rule. */
export const problemsOf = (results: readonly CellResult[]): string[] =>
  results.flatMap(({ cell, problems }) => problems.map((problem) => `${cellLabel(cell)}: ${problem}`))
