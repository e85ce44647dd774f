import { expect, test } from 'vitest'
import { createActor, createMachine } from 'xstate'
import { type InspectionRecord, inspector } from '../../../src/durable/inspection.ts'

test('an inspector receives actors, events and snapshots, and only the type of an event', () => {
  const records: InspectionRecord[] = []
  const machine = createMachine({
    initial: 'a',
    states: { a: { always: { guard: ({ context }) => context === null, target: 'b' }, on: { go: 'b' } }, b: {} },
  })
  const actor = createActor(machine, { id: 'chart', inspect: inspector((record) => records.push(record)) }).start()
  actor.send(Object.assign({ type: 'go' }, { secret: 'hunter2' }))
  const chart = { sessionId: actor.sessionId, rootId: actor.sessionId, name: 'chart' }
  const snapshot = { kind: 'snapshot', ...chart, status: 'active', tags: [] }
  expect(records).toEqual([
    { kind: 'actor', ...chart },
    { kind: 'event', ...chart, eventType: 'xstate.init' },
    { ...snapshot, eventType: 'xstate.init', value: 'a' },
    { kind: 'event', ...chart, eventType: 'go' },
    { ...snapshot, eventType: 'go', value: 'b' },
  ])
})
