import { createBrowserInspector, createInspector, type StatelyInspectionEvent } from '@statelyai/inspect'
import { expect, test } from 'vitest'
import { toStately } from '../../../../src/adapters/stately/index.ts'
import type { InspectionRecord } from '../../../../src/index.ts'

const chart = { sessionId: 'x:7', rootId: 'x:7', name: 'registration' }
const port = { sessionId: 'x:8', rootId: 'x:7', name: 'registerClient' }
const RESTING = { value: { resting: 'unregistered' }, tags: ['storable'] }
const REQUESTING = { value: { registering: 'requesting' }, tags: [] }
const FAILED = { value: { resting: 'failed' }, tags: ['storable'] }

/** A registration that fails, as the runner tells it. */
const RECORDS: InspectionRecord[] = [
  { kind: 'actor', ...chart },
  { kind: 'event', ...chart, eventType: 'xstate.init' },
  { kind: 'snapshot', ...chart, eventType: 'xstate.init', status: 'active', ...RESTING },
  { kind: 'actor', ...port },
  { kind: 'event', ...port, sourceId: 'x:7', eventType: 'xstate.init' },
  { kind: 'snapshot', ...port, eventType: 'xstate.init', status: 'active' },
  { kind: 'snapshot', ...chart, eventType: 'checkpoint.saved', status: 'active', ...REQUESTING },
  { kind: 'snapshot', ...port, eventType: 'xstate.promise.reject', status: 'error' },
  {
    kind: 'event',
    ...chart,
    sourceId: 'x:8',
    eventType: 'xstate.error.actor.registerClient',
    failureCode: 'REGISTRATION_REJECTED',
  },
  { kind: 'snapshot', ...chart, eventType: 'xstate.error.actor.registerClient', status: 'active', ...FAILED },
  { kind: 'snapshot', ...chart, eventType: 'xstate.stop', status: 'stopped', ...FAILED },
]

const init = { type: 'xstate.init' }
const failed = { type: 'xstate.error.actor.registerClient' }

/** What an inspector sends, without what differs each time. */
function told(records: readonly InspectionRecord[]): unknown[] {
  const sent: unknown[] = []
  const inspector = createInspector({
    send({ createdAt: _at, id: _id, _version, ...rest }: StatelyInspectionEvent) {
      sent.push('definition' in rest ? { ...rest, definition: JSON.parse(rest.definition ?? '') as unknown } : rest)
    },
  })
  const tell = toStately(inspector)
  for (const record of records) tell(record)
  return sent
}

test('toStately reports charts with their definitions, ports, and the source of each event', () => {
  const toChart = { sessionId: 'x:7', rootId: 'anonymous' }
  const toPort = { sessionId: 'x:8', rootId: 'anonymous' }
  expect(told(RECORDS)).toEqual([
    {
      type: '@xstate.actor',
      name: 'registration',
      sessionId: 'x:7',
      definition: expect.objectContaining({ id: 'registration', initial: 'resting' }),
      snapshot: { status: 'active', ...RESTING },
    },
    { type: '@xstate.event', ...toChart, event: init },
    { type: '@xstate.snapshot', ...toChart, event: init, snapshot: { status: 'active', ...RESTING } },
    {
      type: '@xstate.actor',
      name: 'registerClient',
      sessionId: 'x:8',
      rootId: 'x:7',
      parentId: 'x:7',
      definition: { id: 'registerClient' },
      snapshot: { status: 'active' },
    },
    { type: '@xstate.event', ...toPort, event: init },
    { type: '@xstate.snapshot', ...toPort, event: init, snapshot: { status: 'active' } },
    {
      type: '@xstate.snapshot',
      ...toChart,
      event: { type: 'checkpoint.saved' },
      snapshot: { status: 'active', ...REQUESTING },
    },
    { type: '@xstate.snapshot', ...toPort, event: { type: 'xstate.promise.reject' }, snapshot: { status: 'error' } },
    {
      type: '@xstate.event',
      ...toChart,
      sourceId: 'x:8',
      event: { ...failed, failureCode: 'REGISTRATION_REJECTED' },
    },
    { type: '@xstate.snapshot', ...toChart, event: failed, snapshot: { status: 'active', ...FAILED } },
    {
      type: '@xstate.snapshot',
      ...toChart,
      event: { type: 'xstate.stop' },
      snapshot: { status: 'stopped', ...FAILED },
    },
  ])
})

test('toStately does not report actors that never start or have stopped', () => {
  const [actor, initial] = RECORDS.slice(0, 2)
  const stopped = RECORDS.at(-1)
  if (actor === undefined || initial === undefined || stopped === undefined) throw new Error('no records')
  expect(told([actor, initial, stopped])).toEqual([])
  expect(told([...RECORDS, initial, stopped])).toEqual(told(RECORDS))
})

test('toStately reports only the documented members of a record', () => {
  const planted = RECORDS.map((record) => ({ ...record, context: 'planted', output: 'planted', input: 'planted' }))
  expect(told(planted)).toEqual(told(RECORDS))
})

test('toStately also feeds a browser inspector', () => {
  const opened: string[] = []
  const page = {
    open: (url: string) => void opened.push(url),
    addEventListener() {},
  }
  const sent: string[] = []
  const inspector = createBrowserInspector({ window: page as never, send: ({ type }) => void sent.push(type) })
  RECORDS.slice(0, 3).forEach(toStately(inspector))
  expect(opened).toEqual(['https://stately.ai/inspect'])
  expect(sent).toEqual(['@xstate.actor', '@xstate.event', '@xstate.snapshot'])
})
