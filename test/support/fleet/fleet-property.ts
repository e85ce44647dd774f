import * as fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { AuthorizationServerSwitches } from '../../../src/testing/index.ts'
import { FleetWorld, noCounts, type Step } from './fleet-world.ts'
import { printModel } from './print-model.ts'
import type { Mishap } from './simulated-process.ts'
import { SimulatedTime } from './simulated-time.ts'

const { AUTHCHART_MODEL_SEQUENCES = '200', AUTHCHART_MODEL_SEED, AUTHCHART_MODEL_PATH } = process.env
/** Half of them in each of the two files, which run side by side. */
const numRuns = Math.ceil(Number(AUTHCHART_MODEL_SEQUENCES) / 2)
const seed = AUTHCHART_MODEL_SEED === undefined ? Date.now() % 2 ** 31 : Number(AUTHCHART_MODEL_SEED)
const MAX_STEPS = 16
const TIMEOUT_MS = 20 * 60_000

const when = fc.constantFrom('before' as const, 'after' as const)
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
const by = fc.nat(2)
const user = fc.nat(1)
const which = fc.nat(5)
const fault = fc.record({
  endpoint: fc.constantFrom(
    'token' as const,
    'token' as const,
    'token' as const,
    'registration' as const,
    'serverMetadata' as const,
  ),
  when,
  answer: fc.constantFrom(500, 503, 429, 'reset' as const, 'hold' as const),
  times: fc.integer({ min: 1, max: 3 }),
})
const named = <Name extends Step['do']>(...names: Name[]): fc.Arbitrary<Name> => fc.constantFrom(...names)
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 5, arbitrary: fc.record({ do: named('signIn'), by, user, mishap }) },
  { weight: 2, arbitrary: fc.record({ do: named('authorize'), by, user, mishap }) },
  { weight: 3, arbitrary: fc.record({ do: named('callback'), by, which, mishap }) },
  { weight: 1, arbitrary: fc.record({ do: named('deny'), by, which, mishap }) },
  { weight: 1, arbitrary: fc.record({ do: named('twoCallbacks'), which }) },
  { weight: 6, arbitrary: fc.record({ do: named('token', 'refresh', 'refresh', 'tool', 'wake'), by, user, mishap }) },
  { weight: 1, arbitrary: fc.record({ do: named('disconnect'), by, user, mishap }) },
  { weight: 2, arbitrary: fc.record({ do: named('tokensEverywhere'), user }) },
  {
    weight: 3,
    arbitrary: fc.record({
      do: named('wait'),
      ms: fc.constantFrom(1_000, 36_000, 61_000, 301_000, 3_590_000, 90_000_000),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: named('fault'), fault }) },
  { weight: 2, arbitrary: fc.record({ do: named('mend', 'expireTokens', 'resume', 'resume') }) },
  { weight: 1, arbitrary: fc.record({ do: named('revokeEverything', 'changeIssuer') }) },
  { weight: 1, arbitrary: fc.record({ do: named('restart'), by }) },
)

/** One step as a command of fast-check. */
class Command implements fc.AsyncCommand<object, FleetWorld> {
  readonly #step: Step

  constructor(taken: Step) {
    this.#step = taken
  }

  check(): boolean {
    return true
  }

  async run(_model: object, world: FleetWorld): Promise<void> {
    await world.take(this.#step)
  }

  toString(): string {
    return JSON.stringify(this.#step)
  }
}

/**
 * Sequences of what users, servers, stores and processes do, with all that must hold after each step. Prints its seed;
 * `AUTHCHART_MODEL_SEED` and `AUTHCHART_MODEL_PATH` repeat what failed, `AUTHCHART_MODEL_SEQUENCES` asks for more.
 */
export function testFleet(servers: string, switches: AuthorizationServerSwitches): void {
  const counts = noCounts()
  beforeAll(() => SimulatedTime.begin())
  afterAll(() => {
    SimulatedTime.end()
    printModel({ servers, seed, ...counts })
  })

  test(
    'no credential is sent more often than allowed or to another server, nothing secret is emitted, and every user can sign in again',
    async () => {
      const commands = fc.commands([step.map((taken) => new Command(taken))], { maxCommands: MAX_STEPS, size: 'max' })
      const checked = await fc.check(
        fc.asyncProperty(commands, async (sequence) => {
          const world = new FleetWorld(counts, switches)
          await fc.asyncModelRun(() => ({ model: {}, real: world }), sequence)
          await world.hasWayOut()
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
