import {
  type AnyEventObject,
  type AnyMachineSnapshot,
  type AnyStateMachine,
  createActor,
  getNextSnapshot,
} from 'xstate'
import { describe, expect, test } from 'vitest'
import { connectionMachine } from '../../machines/connection.ts'
import { connectionPorts, registrationPorts } from '../../machines/ports.ts'
import { registrationMachine } from '../../machines/registration.ts'
import { leavesOf, placeOf, restore, sampled, stored } from '../support/charts/chart-graph.ts'
import { commandsFor, connectionGraph } from '../support/charts/connection-model.ts'
import { rejections, START, tokenResult } from '../support/charts/facts.ts'
import { registrationCommandsFor, registrationGraph } from '../support/charts/registration-model.ts'

interface Chart {
  machine: AnyStateMachine
  ports: object
  states: AnyMachineSnapshot[]
  commands(context: never): AnyEventObject[]
}

const charts: [string, Chart][] = [
  [
    'connection',
    {
      machine: connectionMachine,
      ports: connectionPorts,
      states: connectionGraph().map(({ state }) => state),
      commands: commandsFor,
    },
  ],
  [
    'registration',
    {
      machine: registrationMachine,
      ports: registrationPorts,
      states: registrationGraph().map(({ state }) => state),
      commands: registrationCommandsFor,
    },
  ],
]

describe.each(charts)('a stored %s', (_, { machine, ports, states, commands }) => {
  const storable = states.filter((state) => state.hasTag('storable'))
  const some = sampled(storable, 5)

  test('the stored snapshots of this test cover every storable state', () => {
    const tagged = leavesOf(machine).filter(({ tags }) => tags.includes('storable'))
    expect(new Set(storable.map(placeOf))).toEqual(new Set(tagged.map(({ path }) => path.join('.'))))
  })

  test('a restored snapshot has the same state, tags and context, and no running port', () => {
    for (const state of some) {
      const { value, context } = stored(state)
      const back = restore(machine, { value, context })
      expect({ ...back, machine: undefined, _nodes: undefined }).toEqual({
        ...state,
        machine: undefined,
        _nodes: undefined,
        historyValue: {},
        children: {},
      })
      expect(stored(back)).toEqual({ value, context })
    }
  })

  test('starting an actor from a restored snapshot invokes no port', () => {
    for (const state of storable.filter((_state, index) => index % 50 === 0)) {
      const actor = createActor(machine, { snapshot: restore(machine, stored(state)) })
      actor.start()
      expect(stored(actor.getSnapshot())).toEqual(stored(state))
      actor.stop()
    }
  })

  test('an actor from a restored snapshot ignores port results', () => {
    const forged = Object.keys(ports).flatMap((port) => [
      { type: `xstate.done.actor.${port}`, output: tokenResult(START) },
      { type: `xstate.error.actor.${port}`, error: rejections.unknown },
    ])
    const taken = storable.flatMap((state) => forged.filter((event) => state.can(event)).map(({ type }) => type))
    expect(taken).toEqual([])
  })

  test('a restored snapshot accepts and rejects the same events as before and reaches the same states', () => {
    const sample = firstOfEach(some)
    let taken = 0
    for (const state of some) {
      const back = restore(machine, stored(state))
      for (const command of commands(state.context as never)) {
        expect([command.type, back.can(command)]).toEqual([command.type, state.can(command)])
        if (!sample.has(state) || !back.can(command)) continue
        taken += 1
        const [one, other] = [state, back].map((from) => getNextSnapshot(machine, from, command) as AnyMachineSnapshot)
        expect(one && stored(one)).toEqual(other && stored(other))
      }
    }
    expect(taken).toBeGreaterThan(sample.size)
  })
})

/** A few of each place are enough where every one would take too long. */
function firstOfEach(states: readonly AnyMachineSnapshot[]): Set<AnyMachineSnapshot> {
  const counts = new Map<string, number>()
  return new Set(
    states.filter((state) => {
      const count = (counts.get(placeOf(state)) ?? 0) + 1
      counts.set(placeOf(state), count)
      return count <= 40
    }),
  )
}
