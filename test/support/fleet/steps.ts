import * as fc from 'fast-check'
import type { ServerStep } from './server-steps.ts'

/** What a secret of ours, or of the test servers, looks like; the last one is the private half of a DPoP key. */
export const SECRET = /\b(?:code|access|refresh|secret)-[\w-]{32}|[\w-]{22}\.[\w-]{43}|"d\\*":\\*"[\w-]{43}/

/** What one step of a sequence does. `by` names a process, `user` a user, `which` one of the links that were sent out. */
export type Step<Mishap> =
  | { readonly do: 'signIn' | 'authorize'; readonly by: number; readonly user: number; readonly mishap: Mishap }
  | { readonly do: 'callback' | 'deny'; readonly by: number; readonly which: number; readonly mishap: Mishap }
  | { readonly do: 'twoCallbacks'; readonly which: number }
  | {
      readonly do: 'token' | 'refresh' | 'tool' | 'wake' | 'disconnect'
      readonly by: number
      readonly user: number
      readonly mishap: Mishap
    }
  | { readonly do: 'tokensEverywhere'; readonly user: number }
  | { readonly do: 'wait'; readonly ms: number }
  | { readonly do: 'resume' }
  | { readonly do: 'restart'; readonly by: number }
  | ServerStep

type Weighted<Value> = fc.WeightedArbitrary<Value>

export const when = fc.constantFrom('before' as const, 'after' as const)
export const by = fc.nat(2)
export const user = fc.nat(1)
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
/** Simulated time; real processes wait for a moment only. */
const LONG_WAITS_MS = [1_000, 36_000, 61_000, 301_000, 3_590_000, 90_000_000]

/** One of the names of a step. */
export const named = <Name extends string>(...names: Name[]): fc.Arbitrary<Name> => fc.constantFrom(...names)

/** The steps of every fleet, with what goes wrong with the process that takes one. */
export function commonSteps<Mishap>(
  mishap: fc.Arbitrary<Mishap>,
  waitsMs: readonly number[] = LONG_WAITS_MS,
): Weighted<Step<Mishap>>[] {
  return [
    { weight: 5, arbitrary: fc.record({ do: named('signIn'), by, user, mishap }) },
    { weight: 2, arbitrary: fc.record({ do: named('authorize'), by, user, mishap }) },
    { weight: 3, arbitrary: fc.record({ do: named('callback'), by, which, mishap }) },
    { weight: 1, arbitrary: fc.record({ do: named('deny'), by, which, mishap }) },
    { weight: 1, arbitrary: fc.record({ do: named('twoCallbacks'), which }) },
    { weight: 6, arbitrary: fc.record({ do: named('token', 'refresh', 'refresh', 'tool', 'wake'), by, user, mishap }) },
    { weight: 1, arbitrary: fc.record({ do: named('disconnect'), by, user, mishap }) },
    { weight: 2, arbitrary: fc.record({ do: named('tokensEverywhere'), user }) },
    { weight: 3, arbitrary: fc.record({ do: named('wait'), ms: fc.constantFrom(...waitsMs) }) },
    { weight: 2, arbitrary: fc.record({ do: named('fault'), fault }) },
    { weight: 2, arbitrary: fc.record({ do: named('mend', 'expireTokens', 'resume', 'resume') }) },
    { weight: 1, arbitrary: fc.record({ do: named('revokeEverything', 'changeIssuer') }) },
    { weight: 1, arbitrary: fc.record({ do: named('restart'), by }) },
  ]
}

/** What takes the steps of a sequence, and looks at what must hold after each. */
export interface Taker<Taken> {
  take(step: Taken): Promise<void>
}

/** One step as a command of fast-check. */
class Command<Taken> implements fc.AsyncCommand<object, Taker<Taken>> {
  readonly #step: Taken

  constructor(step: Taken) {
    this.#step = step
  }

  check(): boolean {
    return true
  }

  async run(_model: object, world: Taker<Taken>): Promise<void> {
    await world.take(this.#step)
  }

  toString(): string {
    return JSON.stringify(this.#step)
  }
}

/** A sequence of steps, as commands of fast-check: a failing one is shrunk, and has a path to repeat it. */
export function sequenceOf<Taken>(
  step: fc.Arbitrary<Taken>,
  maxSteps: number,
): fc.Arbitrary<Iterable<fc.AsyncCommand<object, Taker<Taken>>>> {
  return fc.commands([step.map((taken) => new Command(taken))], { maxCommands: maxSteps, size: 'max' })
}
