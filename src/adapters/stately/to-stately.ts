import type { ActorRefLike } from 'xstate'
import { connectionMachine } from '../../../machines/connection.ts'
import { registrationMachine } from '../../../machines/registration.ts'
import type { InspectionRecord } from '../../durable/inspection.ts'

/** An actor as `@statelyai/inspect` wants to have it: it reads the definition from `logic.config`. */
export interface InspectedActor extends ActorRefLike {
  /** The name that the inspector shows. */
  id: string
  /** The definition of its chart, without any code. */
  logic: { config: object }
  /** Who invoked it. */
  _parent?: InspectedActor
}

/** Where an actor is. */
export interface InspectedSnapshot {
  /** Whether it still runs. */
  status: 'active' | 'done' | 'error' | 'stopped'
  /** The state of a chart, as XState writes state values. */
  value?: unknown
  /** The tags of that state. */
  tags?: readonly string[]
}

/** The calls of an inspector of `@statelyai/inspect` by which it is told what happens. */
export interface InspectorCalls {
  /** An actor began. */
  actor(actor: InspectedActor, snapshot: InspectedSnapshot): void
  /** An actor was sent an event. */
  event(actor: InspectedActor, event: { type: string; failureCode?: string }, info?: { source?: string }): void
  /** An actor moved. */
  snapshot(actor: InspectedActor, snapshot: InspectedSnapshot, info: { event: { type: string } }): void
}

const CHARTS: Readonly<Record<string, object>> = {
  connection: connectionMachine.config,
  registration: registrationMachine.config,
}

/**
 * Makes of any inspector of `@statelyai/inspect` a function for the option `inspect`: each chart shows with its
 * definition, each port as an actor beside it. For development.
 *
 * Hand it `createWebSocketInspector({ url })` if a relay runs already, or in a page, which gets the records from its
 * server, `createBrowserInspector()`. What is told is what the records say, and no more.
 *
 * @param inspector What `createInspector`, `createWebSocketInspector` or `createBrowserInspector` returned.
 * @see [Stately Inspector](https://stately.ai/docs/inspector)
 */
export function toStately(inspector: InspectorCalls): (record: InspectionRecord) => void {
  const shown = new Set<string>()
  return (record) => {
    const { kind, sessionId, eventType: type = '' } = record
    const actor = actorOf(record)
    if (kind === 'event' && shown.has(sessionId)) inspector.event(actor, eventAs(record), sourceOf(record))
    if (kind !== 'snapshot') return
    const snapshot = snapshotOf(record)
    // An actor is shown from its first snapshot on: before that it is nowhere, and may never start.
    if (snapshot.status === 'active' && !shown.has(sessionId)) {
      shown.add(sessionId)
      inspector.actor(actor, snapshot)
      inspector.event(actor, eventAs(record))
    }
    if (!shown.has(sessionId)) return
    inspector.snapshot(actor, snapshot, { event: { type } })
    if (snapshot.status !== 'active') shown.delete(sessionId)
  }
}

function actorOf({ sessionId, rootId, name }: InspectionRecord): InspectedActor {
  const ref = (id: string, config: object): InspectedActor => ({
    sessionId: id,
    id: name,
    logic: { config },
    send() {},
    getSnapshot: () => undefined,
  })
  if (sessionId === rootId) return ref(sessionId, CHARTS[name] ?? { id: name })
  return { ...ref(sessionId, { id: name }), _parent: ref(rootId, {}) }
}

function eventAs({ eventType: type = '', failureCode }: InspectionRecord): { type: string; failureCode?: string } {
  return { type, ...(failureCode !== undefined && { failureCode }) }
}

function sourceOf({ sourceId }: InspectionRecord): { source?: string } {
  return sourceId === undefined ? {} : { source: sourceId }
}

function snapshotOf({ status, value, tags }: InspectionRecord): InspectedSnapshot {
  return { status: status ?? 'active', ...(tags && { value, tags }) }
}
