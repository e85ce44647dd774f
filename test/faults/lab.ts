import { type Cell, type CellResult, type PreparedCell, runBatch, unbegun } from './cell.ts'
import { within } from './deadline.ts'
import { FaultProcess } from './fault-process.ts'
import type { Flow } from './flows.ts'
import { cellLabel, type Operation, type Point, pointsOf } from './points.ts'
import { closeScene, openScene, type Scene, type Setting } from './scene.ts'

/** More than any batch takes: a call without a result fails before. */
const BATCH_TIMEOUT_MS = 300_000

/** The processes and the store that cells share. */
export class Lab {
  readonly #setting: Setting
  readonly #carrier = new FaultProcess()
  /** A process that survived its cells is used for the next ones. */
  #next = new FaultProcess()

  constructor(setting: Setting) {
    this.#setting = setting
  }

  /** The points of a flow, from one run without a fault. */
  async record(flow: Flow): Promise<Point[]> {
    const scene = await openScene(this.#setting, this.#carrier, flow.policy)
    const record = async (): Promise<Point[]> => {
      const act = await flow.prepare(scene)
      const operations: Operation[] = []
      const add = (name: string, at: bigint): void => void operations.push({ name, at })
      const a = this.#next.build(scene.id, scene.init)
      a.onOperation = add
      scene.server.onRequest = add
      await act(a)
      a.rest()
      return pointsOf(operations)
    }
    try {
      return await within(BATCH_TIMEOUT_MS, () => flow.name, record())
    } finally {
      await closeScene(scene)
    }
  }

  /**
   * Runs cells that have one action, at the same time.
   *
   * @throws If they do not end in time, with those that have not.
   */
  async run(cells: readonly Cell[]): Promise<CellResult[]> {
    const processA = this.#next
    const printedBefore = this.#carrier.output().length
    const scenes = await Promise.all(cells.map(({ flow }) => openScene(this.#setting, this.#carrier, flow.policy)))
    const open = new Set(cells)
    let results: CellResult[]
    try {
      const openCells = (): string => [...open].map(cellLabel).join('; ')
      results = await within(BATCH_TIMEOUT_MS, openCells, this.#runIn(scenes, cells, processA, open))
    } finally {
      await processA.end()
      this.#next = new FaultProcess()
      await Promise.all(scenes.map(closeScene))
    }
    const printed = processA.output() + this.#carrier.output().slice(printedBefore)
    if (printed === '') return results
    // It shows not which cell it belongs to.
    return results.map((result, index) =>
      index > 0 ? result : { ...result, problems: [...result.problems, `a process printed ${printed}`] },
    )
  }

  async #runIn(
    scenes: readonly Scene[],
    cells: readonly Cell[],
    processA: FaultProcess,
    open: Set<Cell>,
  ): Promise<CellResult[]> {
    const prepared: PreparedCell[] = []
    const failed: CellResult[] = []
    await Promise.all(
      cells.map(async (cell, index) => {
        const scene = scenes[index] as Scene
        try {
          prepared.push({ cell, scene, act: await cell.flow.prepare(scene) })
        } catch (error) {
          failed.push(unbegun(cell, `the flow could not begin: ${(error as Error).message}`))
          open.delete(cell)
        }
      }),
    )
    return [...(await runBatch(prepared, processA, open)), ...failed]
  }

  async close(): Promise<void> {
    await Promise.all([this.#carrier.end(), this.#next.end()])
  }
}
