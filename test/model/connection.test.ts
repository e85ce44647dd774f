import { isDeepStrictEqual } from 'node:util'
import * as v from 'valibot'
import { afterAll, describe, expect, test } from 'vitest'
import { connectionMachine } from '../../machines/connection.ts'
import { MAX_ATTEMPTS, MAX_ENDED_ATTEMPTS, MAX_JOURNAL_ENTRIES } from '../../machines/limits.ts'
import { restingState } from '../../machines/connection/selectors.ts'
import { connectionPorts } from '../../machines/ports.ts'
import type { PortError } from '../../src/errors/port-error.ts'
import { ConnectionContextSchema } from '../../src/schemas/connection-context.ts'
import { leavesOf, placeOf, runningPorts, sampled, stored } from '../support/charts/chart-graph.ts'
import {
  connectionGraph,
  connectionModelOptions,
  type ConnectionSnapshot,
  input,
  SPENDING_PORTS,
} from '../support/charts/connection-model.ts'
import { effectsOf, showRequests } from '../support/charts/effects-of.ts'
import { concretePath, liveSteps, type ModelStep, replay } from '../support/charts/replay.ts'
import { shortestPaths } from '../support/charts/shortest-paths.ts'
import { printModel } from '../support/fleet/print-model.ts'

const graph = connectionGraph()
const states = graph.map(({ state }) => state)
const steps = graph.flatMap(({ state, transitions }) =>
  Object.values(transitions).map(({ event, state: next }) => ({ state, event, next })),
)
const effects = effectsOf(steps)
afterAll(() =>
  printModel({
    chart: 'connection',
    states: states.length,
    edges: steps.length,
    writes: effects.writes,
    requests: showRequests(effects),
  }),
)
const leaves = leavesOf(connectionMachine)
/** Left at once, by `always`. */
const PASSING = ['selectingGrant', 'settling']
const KINDS: Record<string, string> = {
  'exchanging.claimed': 'exchange',
  'refreshing.claimed': 'refresh',
  'requestingToken.claimed': 'requestToken',
  'disconnecting.claimed': 'disconnect',
}

/** How many counter-examples a failing test shows. */
const SHOWN = 2

const failing = (holds: (state: ConnectionSnapshot) => boolean): string[] =>
  states
    .filter((state) => !holds(state))
    .slice(0, SHOWN)
    .map((state) => `${placeOf(state)} ${JSON.stringify(state.context)}`)

const paths = shortestPaths(graph, connectionModelOptions.serializeState as never)

/** What a port failed with, by its wire code if there is one. */
function reasonOf(event: object): string {
  const { failure, outcome } = ('error' in event ? event.error : {}) as Partial<PortError>
  return failure?.details?.error ?? outcome ?? ''
}

describe('every state', () => {
  test.each(leaves.map(({ path }) => path.join('.')).filter((place) => !PASSING.includes(place)))(
    'a live actor reaches %s by the shortest path of the model',
    async (place) => {
      const goal = states.find((state) => placeOf(state) === place)
      if (goal === undefined) throw new Error(`no path to ${place}`)
      const steps = concretePath(connectionMachine, connectionModelOptions, paths.to(goal))
      const seen = await replay(connectionMachine, connectionPorts, input, steps)
      expect(placeOf(steps.at(-1)?.state as never)).toBe(place)
      expect(seen).toEqual(steps.map(({ state }) => ({ at: stored(state), ports: runningPorts(state) })))
    },
  )

  test('no explored state of the connection chart is a passing state', () => {
    expect(failing((state) => !PASSING.includes(placeOf(state)))).toEqual([])
  })

  test('every explored state of the connection chart is active', () => {
    expect(failing(({ status }) => status === 'active')).toEqual([])
  })

  test('the context of every explored state survives its schema unchanged', () => {
    const broken = sampled(states, 5).filter((state) => {
      const { context } = stored(state)
      return !isDeepStrictEqual(v.parse(ConnectionContextSchema, context), context)
    })
    expect(broken.map(placeOf)).toEqual([])
  })
})

describe('what is stored', () => {
  test('a connection state has the tag `storable` exactly when no port runs', () => {
    expect(failing((state) => state.hasTag('storable') === (runningPorts(state).length === 0))).toEqual([])
  })

  test('a storable connection state has a claim in its context exactly when it has the tag `claim`', () => {
    const stay = states.filter((state) => state.hasTag('storable'))
    expect(stay.filter(({ context }) => context.claim !== undefined).every((state) => state.hasTag('claim'))).toBe(true)
    expect(stay.filter((state) => state.hasTag('claim')).every(({ context }) => context.claim !== undefined)).toBe(true)
  })

  test('the claim of a connection state has the kind of that state', () => {
    expect(failing((state) => !state.hasTag('claim') || state.context.claim?.kind === KINDS[placeOf(state)])).toEqual(
      [],
    )
  })

  test('a connection rests in the state that its context implies', () => {
    expect(
      failing(
        (state) =>
          !placeOf(state).startsWith('resting.') || placeOf(state) === `resting.${restingState(state.context)}`,
      ),
    ).toEqual([])
  })

  test('a resting connection retains no request and no unused server', () => {
    expect(
      failing((state) => {
        const { request, servers, tokens, attempts } = state.context
        const needed = new Set([tokens?.serverId, ...attempts.map(({ serverId }) => serverId)])
        return (
          !placeOf(state).startsWith('resting.') || (request === undefined && servers.every(({ id }) => needed.has(id)))
        )
      }),
    ).toEqual([])
  })

  test('tokens and attempts of a connection reference existing servers only', () => {
    expect(
      failing(({ context: { servers, tokens, attempts } }) => {
        const named = [tokens?.serverId, ...attempts.map(({ serverId }) => serverId)].filter((id) => id !== undefined)
        return named.every((id) => servers.some((server) => server.id === id))
      }),
    ).toEqual([])
  })

  test('attempts, ended attempts, orphaned claims and journal of a connection stay within their bounds', () => {
    expect(
      failing(
        ({ context: { attempts, endedAttempts, orphanedClaims, journal } }) =>
          attempts.length <= MAX_ATTEMPTS &&
          endedAttempts.length <= MAX_ENDED_ATTEMPTS &&
          orphanedClaims.length <= 4 &&
          journal.length <= MAX_JOURNAL_ENTRIES,
      ),
    ).toEqual([])
  })
})

describe('every step', () => {
  const wrong = (holds: (step: (typeof steps)[number]) => boolean): string[] =>
    steps
      .filter((step) => !holds(step))
      .slice(0, SHOWN)
      .map(
        ({ state, event, next }) =>
          `${placeOf(state)} --${event.type}--> ${placeOf(next)} ${JSON.stringify(state.context)}`,
      )

  test('a live actor takes each kind of step from the initial state as the model predicts', async () => {
    const kinds = new Map<string, ModelStep[]>()
    for (const { state, event, next } of steps) {
      const kind = `${placeOf(state)} ${event.type} ${reasonOf(event)} ${placeOf(next)}`
      const path = [...paths.to(state), { event, state: next }]
      if (path.length < (kinds.get(kind)?.length ?? Infinity)) kinds.set(kind, path)
    }
    expect(kinds.size).toBeGreaterThan(150)
    for (const path of kinds.values()) {
      const walked = concretePath(connectionMachine, connectionModelOptions, path)
      const seen = await replay(connectionMachine, connectionPorts, input, walked)
      expect(seen).toEqual(walked.map(({ state }) => ({ at: stored(state), ports: runningPorts(state) })))
    }
  })

  test(
    'a live actor restored before a step takes it as the model predicts',
    async () => {
      const take = liveSteps(connectionMachine, connectionPorts)
      const different: string[] = []
      expect(steps.length).toBeGreaterThan(10_000)
      for (const { state, event, next } of sampled(steps, 20)) {
        const isSame = isDeepStrictEqual(await take(state, event), { at: stored(next), ports: runningPorts(next) })
        if (!isSame) different.push(`${placeOf(state)} --${event.type}--> ${placeOf(next)}`)
      }
      expect(different).toEqual([])
    },
    10 * 60_000,
  )

  test('the steps of the connection chart invoke every port and store the results', () => {
    expect(Object.keys(effects.requests).toSorted()).toEqual(Object.keys(connectionPorts).toSorted())
    expect(effects.writes).toBeGreaterThan(steps.length / 2)
  })

  test('a step starts at most one request with a single-use credential, and only on `checkpoint.saved` in a claim', () => {
    expect(
      wrong(({ state, event, next }) => {
        const started = runningPorts(next).filter(
          (port) => SPENDING_PORTS.includes(port) && !runningPorts(state).includes(port),
        )
        return (
          started.length === 0 || (started.length === 1 && event.type === 'checkpoint.saved' && state.hasTag('claim'))
        )
      }),
    ).toEqual([])
  })

  test('no step turns the record clock or the generation back', () => {
    expect(
      wrong(
        ({ state, next }) => next.context.at >= state.context.at && next.context.generation >= state.context.generation,
      ),
    ).toEqual([])
  })

  test('the generation is incremented exactly when tokens are stored or the connection is reset', () => {
    const stores = (type: string): boolean =>
      /^xstate\.done\.actor\.(exchangeCode|refreshTokens|request\w+|revokeTokens)$/.test(type) ||
      [
        'result.late',
        'credentials.imported',
        'disconnect.requested',
        'xstate.error.actor.revokeTokens',
        'claim.expired',
      ].includes(type)
    expect(
      wrong(({ state, event, next }) => next.context.generation === state.context.generation || stores(event.type)),
    ).toEqual([])
    expect(
      wrong(
        ({ state, event, next }) =>
          !/^xstate\.done\.actor\.(exchangeCode|refreshTokens|request\w+)$/.test(event.type) ||
          next.context.generation === state.context.generation + 1,
      ),
    ).toEqual([])
  })

  test('a connection loses tokens only when the server rejected them or the host disconnected', () => {
    const lost = steps
      .filter(({ state, next }) => state.context.tokens !== undefined && next.context.tokens === undefined)
      .map(({ state, event }) => {
        return [placeOf(state), event.type, reasonOf(event)].filter(Boolean).join(' ')
      })
    expect([...new Set(lost)].toSorted()).toEqual([
      'exchanging.requesting xstate.error.actor.exchangeCode invalid_client',
      'refreshing.requesting xstate.error.actor.refreshTokens invalid_client',
      'refreshing.requesting xstate.error.actor.refreshTokens invalid_grant',
      'resting.authorized disconnect.requested',
      'resting.awaitingCallback disconnect.requested',
      'resting.disconnected disconnect.requested',
      'resting.reauthorizationRequired disconnect.requested',
    ])
  })

  test('every step that removes an attempt records how the attempt ended', () => {
    expect(
      wrong(({ state, next }) => {
        const left = state.context.attempts.filter(
          ({ stateHash }) => !next.context.attempts.some((other) => other.stateHash === stateHash),
        )
        return left.every(({ stateHash }) =>
          next.context.endedAttempts.some((endedAttempts) => endedAttempts.stateHash === stateHash),
        )
      }),
    ).toEqual([])
  })
})
