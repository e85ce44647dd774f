import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { StoreAddress } from '../../support/processes/open-store.ts'
import type { Cell } from '../cell.ts'
import { problemsOf, runCells, sample } from '../run-cells.ts'
import type { Setting } from '../scene.ts'
import { totals } from '../table.ts'
import type { Variant } from '../variant.ts'
import { failovers } from './failovers.ts'
import { lossyFailovers } from './lossy-failovers.ts'
import { redisOutages } from './redis-outages.ts'
import { soak } from './soak.ts'
import { sqliteKilled } from './sqlite-killed.ts'
import { sqliteOutages } from './sqlite-outages.ts'
import { stampedes } from './stampedes.ts'

const HOUR_MS = 3_600_000

/** A part of the cells, in another setting. */
async function someCells(setting: Setting, cells: () => Promise<readonly Cell[]>, share: number, seed: number) {
  const results = await runCells(setting, sample(await cells(), share, seed))
  return {
    summary: totals(results),
    problems: [...problemsOf(results), ...(results.length > 0 ? [] : ['no cell ran'])],
  }
}

/** The situations beyond a single fault. */
export function variants(
  redis: StoreAddress,
  cells: () => Promise<readonly Cell[]>,
  { all }: { all: boolean },
): Variant[] {
  return [
    {
      name: 'processes whose clocks are two hours apart',
      run: (seed) => someCells({ store: redis, clockOffsetMs: HOUR_MS }, cells, all ? 1 : 0.05, seed + 2),
    },
    {
      name: 'the same faults on SQLite',
      run: async (seed) => {
        const folder = await mkdtemp(join(tmpdir(), 'authchart-faults-'))
        const store: StoreAddress = { kind: 'sqlite', path: join(folder, 'records.sqlite') }
        try {
          return await someCells({ store }, cells, all ? 1 : 0.05, seed + 3)
        } finally {
          await rm(folder, { recursive: true, force: true })
        }
      },
    },
    ...stampedes(redis),
    ...redisOutages,
    ...lossyFailovers,
    ...failovers,
    ...sqliteOutages,
    sqliteKilled,
    soak(redis, all ? 20_000 : 1_000),
  ]
}
