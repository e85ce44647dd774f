import * as fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { AuthorizationServerSwitches } from '../../../src/testing/index.ts'
import { noCounts } from './fleet-counts.ts'
import type { Variant } from './fleet-servers.ts'
import { FleetWorld } from './fleet-world.ts'
import { printModel } from './print-model.ts'
import type { Mishap } from './simulated-process.ts'
import { simulateSqlite } from './simulated-sqlite.ts'
import { SimulatedTime } from './simulated-time.ts'
import { commonSteps, sequenceOf, when } from './steps.ts'

const { AUTHCHART_MODEL_SEQUENCES = '200', AUTHCHART_MODEL_SEED, AUTHCHART_MODEL_PATH } = process.env
/** Half of them in each of the two files on memory, which run side by side; a tenth on SQLite, which writes to the disk. */
const shareOf = { memory: 2, sqlite: 10 }
const seed = AUTHCHART_MODEL_SEED === undefined ? Date.now() % 2 ** 31 : Number(AUTHCHART_MODEL_SEED)
const MAX_STEPS = 16
const TIMEOUT_MS = 20 * 60_000

/** A fifth of the sequences uses DPoP, and in a fifth one of the connections has no user. */
const variant = fc.constantFrom<Variant[]>('bearer', 'bearer', 'bearer', 'dpop', 'clientCredentials')

const skip = fc.nat(2)
const mishap: fc.Arbitrary<Mishap> = fc.oneof(
  { weight: 4, arbitrary: fc.constant({ kind: 'none' as const }) },
  fc.record({ kind: fc.constant('lostAnswer' as const), skip }),
  fc.record({ kind: fc.constant('storeDown' as const), skip, times: fc.constantFrom(1, 3, 60) }),
  fc.record({
    kind: fc.constant('crash' as const),
    at: fc.constantFrom('save' as const, 'token' as const),
    when,
    skip: fc.nat(1),
  }),
  fc.record({ kind: fc.constant('pause' as const), when, skip }),
)
/**
 * Sequences of what users, servers, stores and processes do, with all that must hold after each step. Prints its seed;
 * `AUTHCHART_MODEL_SEED` and `AUTHCHART_MODEL_PATH` repeat what failed, `AUTHCHART_MODEL_SEQUENCES` asks for more.
 */
export function testFleet(
  servers: string,
  switches: AuthorizationServerSwitches,
  store: keyof typeof shareOf = 'memory',
): void {
  const counts = noCounts()
  const numRuns = Math.ceil(Number(AUTHCHART_MODEL_SEQUENCES) / shareOf[store])
  beforeAll(() => {
    SimulatedTime.begin()
    simulateSqlite()
  })
  afterAll(() => {
    SimulatedTime.end()
    printModel({ servers, store, seed, ...counts })
  })

  test(
    'no credential is sent more often than allowed or to another server, nothing secret is emitted, and every user can sign in again',
    async () => {
      const checked = await fc.check(
        fc.asyncProperty(variant, sequenceOf(fc.oneof(...commonSteps(mishap)), MAX_STEPS), async (chosen, sequence) => {
          const world = new FleetWorld(counts, { switches, store, variant: chosen })
          try {
            await fc.asyncModelRun(() => ({ model: {}, real: world }), sequence)
            await world.hasWayOut()
          } finally {
            await world.end()
          }
        }),
        { numRuns, seed, ...(AUTHCHART_MODEL_PATH !== undefined && { path: AUTHCHART_MODEL_PATH }) },
      )
      const report = await fc.asyncDefaultReportMessage(checked)
      // What does not hold is an assertion; what breaks down is an error.
      if (checked.failed && checked.errorInstance instanceof Error && checked.errorInstance.name === 'AssertionError')
        expect.fail(`${report}\n${checked.errorInstance.message}`)
      if (checked.failed) throw new Error(report, { cause: checked.errorInstance })
      expect(counts.sequences).toBeGreaterThanOrEqual(AUTHCHART_MODEL_PATH === undefined ? numRuns : 1)
    },
    TIMEOUT_MS,
  )
}
