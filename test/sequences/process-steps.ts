import * as fc from 'fast-check'
import { by, commonSteps, named, type Step, user, when } from '../support/fleet/steps.ts'
import { TAKEOVER_MS } from './times.ts'

/** What goes wrong with a process while it does something. */
export type Mishap =
  | { readonly kind: 'none' }
  /** SIGKILL, or SIGSTOP until the step `resume`, after so many milliseconds. */
  | { readonly kind: 'kill' | 'stop'; readonly afterMs: number }
  /** The same right before or after one of its saves. */
  | { readonly kind: 'killAtSave' | 'stopAtSave'; readonly when: 'before' | 'after'; readonly skip: number }
  /** A save is done, and its answer is lost. */
  | { readonly kind: 'lostAnswer'; readonly skip: number }

/** What only real processes do. */
export type ProcessStep =
  | Step<Mishap>
  | { readonly do: 'import'; readonly by: number; readonly user: number; readonly mishap: Mishap }
  /** A process is stopped or killed while it renews a token that is still good for a moment. */
  | { readonly do: 'renewEarly'; readonly by: number; readonly user: number; readonly mishap: Mishap }
  /** A process is stopped while it renews a token; another one has to take over, at a server that may be overloaded. */
  | Overtaking

export interface Overtaking {
  readonly do: 'overtake'
  readonly by: number
  readonly user: number
  readonly mishap: Mishap
  readonly isOverloaded: boolean
}

const afterMs = fc.constantFrom(0, 1, 3, 8, 20, 50)
const skip = fc.nat(2)
const mishap: fc.Arbitrary<Mishap> = fc.oneof(
  { weight: 6, arbitrary: fc.constant({ kind: 'none' as const }) },
  { weight: 3, arbitrary: fc.record({ kind: named('kill', 'kill', 'stop'), afterMs }) },
  { weight: 3, arbitrary: fc.record({ kind: named('killAtSave', 'killAtSave', 'stopAtSave'), when, skip }) },
  { weight: 1, arbitrary: fc.record({ kind: named('lostAnswer'), skip }) },
)
/** Before or after the claim of a renewal is saved, or its result. */
const atSaveOf = <Kind extends 'killAtSave' | 'stopAtSave'>(...kinds: Kind[]) =>
  fc.record({ kind: named(...kinds), when, skip: fc.nat(1) })
/** Real time: a moment, half a lease, and longer than a claim can last. */
const WAITS_MS = [20, 200, 200, TAKEOVER_MS]

export const processStep: fc.Arbitrary<ProcessStep> = fc.oneof(
  ...commonSteps(mishap, WAITS_MS),
  { weight: 1, arbitrary: fc.record({ do: named('import'), by, user, mishap }) },
  {
    weight: 1,
    arbitrary: fc.record({ do: named('renewEarly'), by, user, mishap: atSaveOf('killAtSave', 'stopAtSave') }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: named('overtake'),
      by,
      user,
      mishap: atSaveOf('stopAtSave'),
      isOverloaded: fc.boolean(),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: named('requireScope'),
      scope: fc.constantFrom('read' as const, 'read write' as const, undefined),
    }),
  },
)
