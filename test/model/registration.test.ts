import { isDeepStrictEqual } from 'node:util'
import * as v from 'valibot'
import { afterAll, describe, expect, test } from 'vitest'
import { MAX_JOURNAL_ENTRIES } from '../../machines/journal.ts'
import { registrationPorts } from '../../machines/ports.ts'
import { registrationMachine } from '../../machines/registration.ts'
import { RegistrationContextSchema } from '../../src/schemas/registration-context.ts'
import { leavesOf, placeOf, runningPorts, stored } from '../support/charts/chart-graph.ts'
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

test.each(places)('%s is reached by a shortest path, by a live actor too', async (place) => {
  const goal = states.find((state) => placeOf(state) === place)
  expect(await walk(goal === undefined ? [] : paths.to(goal))).toBe(place)
})

test('every step is taken by a live actor as the model says', async () => {
  expect(steps.length).toBeGreaterThan(50)
  for (const { state, event, next } of steps) {
    expect(await walk([...paths.to(state), { event, state: next }])).toBe(placeOf(next))
  }
})

test('every port is asked somewhere, and what it came to is stored', () => {
  expect(Object.keys(effects.requests)).toEqual(Object.keys(registrationPorts))
  expect(effects.writes).toBeGreaterThan(steps.length / 2)
})

describe('what is stored', () => {
  test('is active and reads back as it was', () => {
    expect(failing(({ status }) => status === 'active')).toEqual([])
    expect(
      failing((state) => {
        const { context } = stored(state)
        return isDeepStrictEqual(v.parse(RegistrationContextSchema, context), context)
      }),
    ).toEqual([])
  })

  test('bears the tag `storable` exactly where nothing runs', () => {
    expect(failing((state) => state.hasTag('storable') === (runningPorts(state).length === 0))).toEqual([])
  })

  test('holds a claim exactly in a claim', () => {
    expect(
      failing(
        (state) => !state.hasTag('storable') || state.hasTag('claim') === (state.context.claim?.kind === 'register'),
      ),
    ).toEqual([])
  })

  test('rests where its facts say', () => {
    const restingPlace = ({ client, failure }: RegistrationSnapshot['context']): string =>
      client !== undefined ? 'registered' : failure !== undefined ? 'failed' : 'unregistered'
    expect(
      failing(
        (state) =>
          !placeOf(state).startsWith('resting.') || placeOf(state) === `resting.${restingPlace(state.context)}`,
      ),
    ).toEqual([])
  })

  test('stays within its bounds', () => {
    expect(
      failing(({ context: { abandoned, journal } }) => abandoned.length <= 4 && journal.length <= MAX_JOURNAL_ENTRIES),
    ).toEqual([])
  })
})

describe('every step', () => {
  test('registers at most once, and only by a `checkpoint.saved`', () => {
    const started = steps.filter(({ state, next }) => runningPorts(next).length > 0 && runningPorts(state).length === 0)
    expect(new Set(started.map(({ event }) => event.type))).toEqual(new Set(['checkpoint.saved']))
    expect(started.every(({ state }) => state.hasTag('claim'))).toBe(true)
  })

  test('forgets the client only when its server refused this very client', () => {
    const lost = steps.filter(
      ({ state, next }) => state.context.client !== undefined && next.context.client === undefined,
    )
    expect(new Set(lost.map(({ event }) => event.type))).toEqual(new Set(['client.refused']))
  })

  test('raises the generation exactly where a client is stored, and never turns it or record time back', () => {
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
