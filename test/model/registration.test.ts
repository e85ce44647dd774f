import { isDeepStrictEqual } from 'node:util'
import * as v from 'valibot'
import { afterAll, describe, expect, test } from 'vitest'
import { MAX_JOURNAL_ENTRIES } from '../../machines/limits.ts'
import { registrationPorts } from '../../machines/ports.ts'
import { registrationMachine } from '../../machines/registration.ts'
import { RegistrationContextSchema } from '../../src/schemas/registration.ts'
import { leavesOf, placeOf, runningPorts, sampled, stored } from '../support/charts/chart-graph.ts'
import {
  registrationGraph,
  registrationModelOptions,
  type RegistrationSnapshot,
} from '../support/charts/registration-model.ts'
import { effectsOf, showRequests } from '../support/charts/effects-of.ts'
import { concretePath, type ModelStep, replay } from '../support/charts/replay.ts'
import { shortestPaths } from '../support/charts/shortest-paths.ts'
import { printModel } from '../support/fleet/print-model.ts'

const graph = registrationGraph()
const states = graph.map(({ state }) => state)
const steps = graph.flatMap(({ state, transitions }) =>
  Object.values(transitions).map(({ event, state: next }) => ({ state, event, next })),
)
const walked = sampled(steps, 10)
const effects = effectsOf(steps)
afterAll(() =>
  printModel({
    chart: 'registration',
    states: states.length,
    edges: steps.length,
    writes: effects.writes,
    requests: showRequests(effects),
  }),
)
const paths = shortestPaths(graph, registrationModelOptions.serializeState as never)
const places = leavesOf(registrationMachine)
  .map(({ path }) => path.join('.'))
  .filter((place) => place !== 'settling')

const failing = (holds: (state: RegistrationSnapshot) => boolean): string[] =>
  states.filter((state) => !holds(state)).map((state) => `${placeOf(state)} ${JSON.stringify(state.context)}`)

async function walk(path: readonly ModelStep[]): Promise<string> {
  const walked = concretePath(registrationMachine, registrationModelOptions, path)
  const seen = await replay(registrationMachine, registrationPorts, registrationModelOptions.input, walked)
  expect(seen).toEqual(walked.map(({ state }) => ({ at: stored(state), ports: runningPorts(state) })))
  return placeOf(walked.at(-1)?.state as never)
}

test.each(places)(
  'a live actor reaches %s of the registration chart by the shortest path of the model',
  async (place) => {
    const goal = states.find((state) => placeOf(state) === place)
    expect(await walk(goal === undefined ? [] : paths.to(goal))).toBe(place)
  },
)

test('a live actor takes every step of the registration chart as the model predicts', async () => {
  expect(steps.length).toBeGreaterThan(50)
  for (const { state, event, next } of walked) {
    expect(await walk([...paths.to(state), { event, state: next }])).toBe(placeOf(next))
  }
})

test('the steps of the registration chart invoke every port and store the results', () => {
  expect(Object.keys(effects.requests)).toEqual(Object.keys(registrationPorts))
  expect(effects.writes).toBeGreaterThan(steps.length / 2)
})

describe('what is stored', () => {
  test('every explored state of the registration chart is active, and its context survives its schema unchanged', () => {
    expect(failing(({ status }) => status === 'active')).toEqual([])
    expect(
      failing((state) => {
        const { context } = stored(state)
        return isDeepStrictEqual(v.parse(RegistrationContextSchema, context), context)
      }),
    ).toEqual([])
  })

  test('a registration state has the tag `storable` exactly when no port runs', () => {
    expect(failing((state) => state.hasTag('storable') === (runningPorts(state).length === 0))).toEqual([])
  })

  test('a storable registration state has a claim in its context exactly when it has the tag `claim`', () => {
    expect(
      failing(
        (state) => !state.hasTag('storable') || state.hasTag('claim') === (state.context.claim?.kind === 'register'),
      ),
    ).toEqual([])
  })

  test('a registration rests in the state that its context implies', () => {
    const restingState = ({ client, failure }: RegistrationSnapshot['context']): string =>
      client !== undefined ? 'registered' : failure !== undefined ? 'failed' : 'unregistered'
    expect(
      failing(
        (state) =>
          !placeOf(state).startsWith('resting.') || placeOf(state) === `resting.${restingState(state.context)}`,
      ),
    ).toEqual([])
  })

  test('orphaned claims and journal of a registration stay within their bounds', () => {
    expect(
      failing(
        ({ context: { orphanedClaims, journal } }) =>
          orphanedClaims.length <= 4 && journal.length <= MAX_JOURNAL_ENTRIES,
      ),
    ).toEqual([])
  })
})

describe('every step', () => {
  test('a step starts at most one registration request, and only on `checkpoint.saved`', () => {
    const started = steps.filter(({ state, next }) => runningPorts(next).length > 0 && runningPorts(state).length === 0)
    expect(new Set(started.map(({ event }) => event.type))).toEqual(new Set(['checkpoint.saved']))
    expect(started.every(({ state }) => state.hasTag('claim'))).toBe(true)
  })

  test('a registration drops its client only when the server rejected this client, or no longer has it', () => {
    const lost = steps.filter(
      ({ state, next }) => state.context.client !== undefined && next.context.client === undefined,
    )
    expect(new Set(lost.map(({ event }) => event.type))).toEqual(
      new Set(['client.rejected', 'xstate.done.actor.checkRegistration']),
    )
    expect(
      lost.every(({ event }) => !('output' in event) || !('isForgotten' in event.output) || event.output.isForgotten),
    ).toBe(true)
  })

  test('a check that decides nothing changes only the record clock, the instant of the check, and the journal', () => {
    const essence = ({ context }: RegistrationSnapshot) => {
      const { client, generation, failure, registeredAt, scope, rejectedScopes } = context
      return { client, generation, failure, registeredAt, scope, rejectedScopes }
    }
    const undecided = steps.filter(
      ({ state, event }) =>
        placeOf(state).startsWith('checking.') &&
        (event.type === 'xstate.error.actor.checkRegistration' || event.type === 'claim.expired'),
    )
    expect(undecided.length).toBeGreaterThan(5)
    for (const { state, next } of undecided) {
      expect(placeOf(next)).toBe('resting.registered')
      expect(essence(next)).toEqual(essence(state))
    }
  })

  test('a server is asked at most once an hour whether it still has a registration', () => {
    const claimed = steps.filter(
      ({ state, next }) => placeOf(next) === 'checking.claimed' && placeOf(state) !== 'checking.claimed',
    )
    expect(claimed.length).toBeGreaterThan(0)
    expect(
      claimed.filter(({ state, event }) => 'at' in event && event.at - (state.context.checkedAt ?? 0) < 3_600_000),
    ).toEqual([])
  })

  test('the generation of a registration is incremented exactly when a client is stored, and neither it nor the record clock goes back', () => {
    const raised = steps.filter(({ state, next }) => next.context.generation !== state.context.generation)
    expect(new Set(raised.map(({ event }) => event.type))).toEqual(
      new Set(['xstate.done.actor.registerClient', 'result.late']),
    )
    expect(
      steps.filter(
        ({ state, next }) => next.context.at < state.context.at || next.context.generation < state.context.generation,
      ),
    ).toEqual([])
  })
})
