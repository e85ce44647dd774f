/**
 * Kills, stops and disconnects processes at every operation of every flow, and checks what became of the connection
 * against the servers. Then stampedes, outages, clocks that differ, and a soak. By default a part of it, which the seed
 * chooses.
 *
 * `npm run test:faults -- --all` runs everything, `--only refresh` one flow, `--only Redis` the variants with that in
 * their names, `--seed 7` another part, `--report file` writes a report as vitest does.
 */
import { parseArgs } from 'node:util'
import { startRedisServer } from '../support/redis-server.ts'
import { requireNode } from '../support/require-node.ts'
import type { StoreAddress } from '../support/processes/open-store.ts'
import type { Cell } from './cell.ts'
import { within } from './deadline.ts'
import { FLOWS } from './flows.ts'
import { leasesOf } from './points.ts'
import { Report } from './report.ts'
import { everyCell, problemsOf, runCells, sample } from './run-cells.ts'
import { flowTable, totals } from './table.ts'
import { variants } from './variants/index.ts'

/** The share of stops among the points that runs by default: each takes leases. */
const STOP_SHARE = 0.25

/** More than any variant takes, of the selection and with everything. */
const VARIANT_TIMEOUT_MS = 180_000
const ALL_TIMEOUT_MS = 2_700_000

requireNode(process.versions.node)
const { values } = parseArgs({
  options: {
    all: { type: 'boolean', default: false },
    only: { type: 'string' },
    seed: { type: 'string', default: process.env['AUTHCHART_MODEL_SEED'] ?? '1' },
    report: { type: 'string' },
  },
})
const { all, only } = values
const seed = Number(values.seed)
const report = new Report(values.report)

const started = performance.now()
const elapsed = (): string => `${Math.round((performance.now() - started) / 1_000)} s`
const isChosen = ({ name }: { name: string }): boolean => only === undefined || name.includes(only)
const withoutStops = ({ action }: Cell): boolean => leasesOf(action) === 0

async function run(): Promise<void> {
  const redis = await startRedisServer()
  const store: StoreAddress = { kind: 'redis', url: redis.url, prefix: '' }
  const flow = FLOWS.find(({ name }) => name === only)
  const flows = flow === undefined ? FLOWS.filter(isChosen) : [flow]
  let recorded: Promise<Cell[]> | undefined
  /** Every cell, recorded once. */
  const cells = (): Promise<Cell[]> => (recorded ??= everyCell({ store }, flows.length > 0 ? flows : FLOWS))
  const own = flows.length > 0 ? await cells() : []
  const stops = own.filter((cell) => !withoutStops(cell))
  const chosen = all ? own : [...own.filter(withoutStops), ...sample(stops, STOP_SHARE, seed)]
  const results = await runCells({ store }, chosen)
  for (const each of flows) {
    const rows = results.filter(({ cell }) => cell.flow === each)
    console.log(`${flowTable(each.name, rows)}\n`)
    report.add(each.name, rows.length > 0 ? problemsOf(rows) : ['no point was recorded'])
  }
  if (flows.length > 0) console.log(`*: the only copy of new tokens was lost\n${elapsed()}\n`)

  const others = flow === undefined ? variants(store, cells, { all }) : []
  for (const variant of others.filter((each) => (all || !each.isLong) && isChosen(each))) {
    const running = variant
      .run(seed)
      .catch((error: unknown) => ({ summary: 'it did not run', problems: [String(error)] }))
    // What goes on after that would disturb the others: the run ends.
    const { summary, problems } = await within(all ? ALL_TIMEOUT_MS : VARIANT_TIMEOUT_MS, () => variant.name, running)
    console.log(`${variant.name}: ${summary} (${elapsed()})`)
    report.add(variant.name, problems)
  }

  await redis.stop()
  const failed = report.tests.filter(({ problems }) => problems.length > 0)
  console.log(`\n${failed.length} of ${report.tests.length} flows and variants failed; seed ${seed}; ${elapsed()}`)
  if (results.length > 0) console.log(totals(results))
}

await report.complete(run)
