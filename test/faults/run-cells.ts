import type { Cell, CellResult } from './cell.ts'
import { FLOWS, type Flow } from './flows.ts'
import { Lab } from './lab.ts'
import { ACTIONS, leasesOf, type Point } from './points.ts'
import { randomSequence } from './random.ts'
import type { Setting } from './scene.ts'

/** How many cells one process meets at the same time. */
const BATCH = 24
/** How often a cell is tried whose call failed before its point, because the machine was too busy. */
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

/** Runs cells in batches of one action. */
export async function runCells(setting: Setting, cells: readonly Cell[]): Promise<CellResult[]> {
  const lab = new Lab(setting)
  const results: CellResult[] = []
  try {
    for (const action of ACTIONS) {
      let left = cells.filter((cell) => cell.action === action)
      for (let attempt = 1; left.length > 0; attempt += 1) {
        // A short stop must not be longer than a lease because many cells begin.
        const size = BATCH / (leasesOf(action) === 1 ? 2 : 1) / attempt ** 2
        const batches = chunks(left, Math.max(1, Math.floor(size)))
        left = []
        for (const batch of batches)
          for (const result of await lab.run(batch))
            if (result.wasReached || attempt === MAX_ATTEMPTS) results.push(result)
            else left.push(result.cell)
      }
    }
  } finally {
    await lab.close()
  }
  return cells.flatMap((cell) => results.filter((result) => result.cell === cell))
}

const chunks = <Item>(items: readonly Item[], size: number): Item[][] =>
  Array.from({ length: Math.ceil(items.length / size) }, (_, index) => items.slice(index * size, (index + 1) * size))

/** `save connection 2` */
export const pointLabel = ({ name, nth }: Point): string => (nth === 1 ? name : `${name} ${nth}`)

/** One line for each broken rule. */
export const problemsOf = (results: readonly CellResult[]): string[] =>
  results.flatMap(({ cell, problems }) =>
    problems.map((problem) => `${cell.flow.name}, ${pointLabel(cell.point)}, ${cell.action}: ${problem}`),
  )
