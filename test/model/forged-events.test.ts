import * as v from 'valibot'
import { expect, onTestFinished, test } from 'vitest'
import { createMachine } from 'xstate'
import { createChangeWatcher } from '../../src/durable/change-watcher.ts'
import type { DurableChart, DurableContext } from '../../src/durable/chart.ts'
import { Runner } from '../../src/durable/runner.ts'
import { plainSealer } from '../../src/durable/sealing.ts'
import { MemoryStore } from '../../src/stores/memory.ts'
import { SimulatedClock } from '../../src/testing/index.ts'

/** A careless chart: it would believe whoever says that a port has answered. */
const credulous = createMachine({
  context: { at: 0, generation: 0, journal: [] },
  initial: 'signedOut',
  states: {
    signedOut: { on: { 'xstate.done.actor.exchangeCode': 'signedIn', 'code.brought': 'signedIn' } },
    signedIn: {},
  },
})

test('the runner does not send a chart an event that only a port may produce', async () => {
  const clock = new SimulatedClock()
  const store = new MemoryStore({ clock })
  const changes = createChangeWatcher(store, () => clock.monotonic())
  onTestFinished(() => changes.close())
  const options = { store, clock, changes, sealer: plainSealer, requestTimeoutMs: 1_000, onTransitions: () => {} }
  const runner = new Runner({ ...options, inspect: undefined })
  const chart: DurableChart<DurableContext, { type: string }> = {
    name: 'credulous',
    version: 1,
    machine: credulous as never,
    contextSchema: v.object({ at: v.number(), generation: v.number(), journal: v.array(v.never()) }),
    ttlMs: () => undefined,
    lateResult: () => undefined,
  }
  const send = async (type: string): Promise<boolean> =>
    (await runner.run(chart, 'key', () => ({ type }), { input: {}, lease: { leaseMs: 9_000, graceMs: 1 } })).accepted
  expect(await send('xstate.done.actor.exchangeCode')).toBe(false)
  expect(await store.load('key')).toBeUndefined()
  expect(await send('code.brought')).toBe(true)
})
