import * as v from 'valibot'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type AnyStateMachine, assign, fromPromise, setup } from 'xstate'
import type { DurableChart, DurableContext } from '../../../src/durable/chart.ts'
import { createWorld, KEY, LEASE } from './world.ts'

const ContextSchema = v.strictObject({ at: v.number(), generation: v.number(), journal: v.array(v.never()) })

/** A chart with every fault that ours must not have. */
const machine = setup({
  types: { context: {} as DurableContext, events: {} as { type: string } },
  actors: { work: fromPromise(() => Promise.resolve('done')) },
  actions: {
    fail: assign(() => {
      throw new Error('an action failed')
    }),
  },
}).createMachine({
  context: ({ input }) => ({ at: (input as { at: number }).at, generation: 0, journal: [] }),
  initial: 'resting',
  states: {
    resting: {
      on: {
        end: 'ended',
        workAndEnd: 'workingToEnd',
        fail: { target: 'resting', reenter: true, actions: ['fail'] },
        workAndFail: 'workingToFailure',
        stick: 'stuck',
        rest: 'resting',
      },
    },
    workingToEnd: { invoke: { src: 'work', onDone: 'ended' } },
    workingToFailure: { invoke: { src: 'work', onDone: { target: 'resting', actions: ['fail'] } } },
    stuck: { tags: ['checkpoint'] },
    ended: { type: 'final' },
  },
})

const chart: DurableChart<DurableContext, { type: string }> = {
  name: 'faulty',
  version: 1,
  machine: machine as AnyStateMachine,
  contextSchema: ContextSchema,
  ttlMs: () => undefined,
  lateResult: () => undefined,
}

describe('a faulty chart', () => {
  const thrown: unknown[] = []
  const note = (error: unknown): void => void thrown.push(error)
  beforeEach(() => {
    thrown.length = 0
    process.on('uncaughtException', note)
  })
  afterEach(() => {
    process.off('uncaughtException', note)
  })

  test.each([
    ['ends', 'end', 'done'],
    ['ends after a port', 'workAndEnd', 'done'],
    ['fails', 'fail', 'error'],
    ['fails after a port', 'workAndFail', 'error'],
  ])('a chart that %s is rejected with SNAPSHOT_INCOMPATIBLE, and nothing is saved', async (_what, type, reason) => {
    const world = createWorld()
    const { runner, store } = world.process()
    await expect(runner.run(chart, KEY, () => ({ type }), { input: {}, lease: LEASE })).rejects.toMatchObject({
      failure: { code: 'SNAPSHOT_INCOMPATIBLE', details: { reason } },
    })
    expect(store.saves).toEqual([])
    // XState throws what nobody listens to on the next turn of the timers.
    await new Promise((resolve) => setTimeout(resolve))
    expect(thrown).toEqual([])
  })

  test('a chart that is stuck at a checkpoint is saved, and the next run rejects with SNAPSHOT_INCOMPATIBLE', async () => {
    const world = createWorld()
    const { runner } = world.process()
    const options = { input: {}, lease: LEASE }
    const { view, accepted } = await runner.run(chart, KEY, () => ({ type: 'stick' }), options)
    expect({ accepted, value: view?.value }).toEqual({ accepted: true, value: 'stuck' })
    await expect(runner.run(chart, KEY, () => ({ type: 'rest' }), options)).rejects.toMatchObject({
      failure: { code: 'SNAPSHOT_INCOMPATIBLE', details: { reason: 'checkpoint' } },
    })
  })
})
