import { setTimeout as delay } from 'node:timers/promises'
import type { FaultProcess } from './fault-process.ts'
import type { Act, Flow } from './flows.ts'
import { type Losses, NOTHING } from './losses.ts'
import { type Action, leasesOf, type Point } from './points.ts'
import { RunningCell } from './running-cell.ts'
import type { Scene } from './scene.ts'
import { POLICY } from './settings.ts'

/** One fault at one point of one flow. */
export interface Cell {
  readonly flow: Flow
  readonly point: Point
  readonly action: Action
}

/** What became of it. */
export interface CellResult {
  readonly cell: Cell
  /** `unnoticed`: the call itself succeeded. `repeated`: it was repeated. `asked`: a person had to sign in. */
  readonly outcome: 'unnoticed' | 'repeated' | 'asked'
  /** Why the fault did not happen as it was meant to: then nothing is known of this cell. `undefined`: it happened. */
  readonly missed: string | undefined
  /** What could have been prevented: each is a problem as well. */
  readonly avoidable: Losses
  /** What no client could have prevented: the only copy of new tokens was lost, and the server shows it. */
  readonly unavoidable: Losses
  /** The rules that were broken. */
  readonly problems: readonly string[]
}

/** A cell whose flow can begin. */
export interface PreparedCell {
  readonly cell: Cell
  readonly scene: Scene
  readonly act: Act
}

/** The result of a cell whose flow could not begin. */
export const unbegun = (cell: Cell, problem: string): CellResult => ({
  cell,
  outcome: 'repeated',
  missed: problem,
  avoidable: NOTHING,
  unavoidable: NOTHING,
  problems: [problem],
})

/**
 * Runs cells with one action, all at the same time: one signal meets the process of all of them.
 *
 * @param open Cells that have not ended; each is removed when it has.
 */
export async function runBatch(
  cells: readonly PreparedCell[],
  processA: FaultProcess,
  open: Set<Cell>,
): Promise<CellResult[]> {
  const running = cells.map((prepared) => new RunningCell(prepared, processA))
  await Promise.all(running.map(({ reached }) => reached))
  const [action] = cells.map(({ cell }) => cell.action)
  if (action === 'kill before' || action === 'kill after') {
    for (const each of running) each.meet()
    await processA.end()
    for (const each of running) each.killed()
  }
  const leases = action === undefined ? 0 : leasesOf(action)
  if (leases > 0) {
    for (const each of running) each.meet()
    processA.signal('SIGSTOP')
    for (const each of running) each.stopped()
    await delay(leases * POLICY.leaseMs)
    processA.signal('SIGCONT')
    for (const each of running) each.continued()
  }
  return await Promise.all(
    running.map(async (each) => {
      const result = await each.finish()
      open.delete(result.cell)
      return result
    }),
  )
}
