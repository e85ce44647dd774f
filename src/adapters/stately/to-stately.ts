import type { ActorRefLike } from 'xstate'
import { connectionMachine } from '../../../machines/connection.ts'
import { registrationMachine } from '../../../machines/registration.ts'
import type { InspectionRecord } from '../../durable/inspection.ts'

/** An actor in the form of `@statelyai/inspect`, which reads the definition of a chart from `logic.config`. */
export interface InspectedActor extends ActorRefLike {
  /** The name that the inspector shows. */
  id: string
  /** The definition of its chart, without any code. */
  logic: { config: object }
  /** The actor that invoked it. */
  _parent?: InspectedActor
}

/** The snapshot of an actor. */
export interface InspectedSnapshot {
  /** Whether the actor is still running. */
  status: 'active' | 'done' | 'error' | 'stopped'
  /** The state value of a chart, in XState's form. */
  value?: unknown
  /** The tags of that state. */
  tags?: readonly string[]
}

/** The methods of an inspector of `@statelyai/inspect` that are called. */
export interface InspectorCalls {
  /** Called when an actor starts. */
  actor(actor: InspectedActor, snapshot: InspectedSnapshot): void
  /** Called when an event is sent to an actor. */
  event(actor: InspectedActor, event: { type: string; failureCode?: string }, info?: { source?: string }): void
  /** Called when an actor changes its state. */
  snapshot(actor: InspectedActor, snapshot: InspectedSnapshot, info: { event: { type: string } }): void
}

const CHARTS: Readonly<Record<string, object>> = {
  connection: connectionMachine.config,
  registration: registrationMachine.config,
}

/**
 * Adapts any inspector of `@statelyai/inspect` for the option `inspect`: each chart is shown with its definition, each
 * port as a child actor. For development.
 *
 * Pass `createWebSocketInspector({ url })` to use a relay that is already running, or `createBrowserInspector()` in a
 * page that receives the records from its server. The inspector receives only what the redacted records contain.
 *
 * @param inspector What `createInspector`, `createWebSocketInspector` or `createBrowserInspector` returned.
 * @see [Stately Inspector](https://stately.ai/docs/inspector)
 */
export function toStately(inspector: InspectorCalls): (record: InspectionRecord) => void {
  const shownActors = new Set<string>()
  return (record) => {
    const { kind, sessionId, eventType: type = '' } = record
    const actor = actorOf(record)
    if (kind === 'event' && shownActors.has(sessionId)) inspector.event(actor, eventAs(record), sourceOf(record))
    if (kind !== 'snapshot') return
    const snapshot = snapshotOf(record)
    // An actor is shown from its first snapshot on: before that it has no state, and may never start.
    if (snapshot.status === 'active' && !shownActors.has(sessionId)) {
      shownActors.add(sessionId)
      inspector.actor(actor, snapshot)
      inspector.event(actor, eventAs(record))
    }
    if (!shownActors.has(sessionId)) return
    inspector.snapshot(actor, snapshot, { event: { type } })
    if (snapshot.status !== 'active') shownActors.delete(sessionId)
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
