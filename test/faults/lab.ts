import { type Cell, type CellResult, missed, type PreparedCell, runBatch } from './cell.ts'
import { FaultProcess } from './fault-process.ts'
import type { Flow } from './flows.ts'
import { type Operation, type Point, pointsOf } from './points.ts'
import { closeScene, openScene, type Scene, type Setting } from './scene.ts'

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
    return await this.#withScene(async (scene) => {
      const act = await flow.prepare(scene)
      const operations: Operation[] = []
      const add = (name: string, at: bigint): void => void operations.push({ name, at })
      const a = this.#next.build(scene.id, scene.init)
      a.onOperation = add
      scene.server.onRequest = add
      await act(a)
      a.rest()
      return pointsOf(operations)
    })
  }

  /** Runs cells that have one action, at the same time. */
  async run(cells: readonly Cell[]): Promise<CellResult[]> {
    const processA = this.#next
    const scenes = await Promise.all(cells.map(() => openScene(this.#setting, this.#carrier)))
    try {
      const prepared: PreparedCell[] = []
      const unprepared: CellResult[] = []
      await Promise.all(
        cells.map(async (cell, index) => {
          const scene = scenes[index] as Scene
          try {
            prepared.push({ cell, scene, act: await cell.flow.prepare(scene) })
          } catch (error) {
            unprepared.push(missed(cell, `the flow could not begin: ${(error as Error).message}`))
          }
        }),
      )
      return [...(await runBatch(prepared, processA)), ...unprepared]
    } finally {
      await processA.end()
      this.#next = new FaultProcess()
      await Promise.all(scenes.map(closeScene))
    }
  }

  async close(): Promise<void> {
    await Promise.all([this.#carrier.end(), this.#next.end()])
  }

  async #withScene<Result>(work: (scene: Scene) => Promise<Result>): Promise<Result> {
    const scene = await openScene(this.#setting, this.#carrier)
    try {
      return await work(scene)
    } finally {
      await closeScene(scene)
    }
  }
}
