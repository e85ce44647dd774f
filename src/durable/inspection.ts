import type { InspectionEvent } from 'xstate'
import { warnOnFailure } from '../errors/warn-on-failure.ts'

/**
 * A redacted record of a chart's execution: allow-listed names and codes, never a value of a context, an event or a
 * response.
 */
export interface InspectionRecord {
  /** `actor`: an actor was created. `event`: an event was sent to it. `snapshot`: its snapshot changed. */
  kind: 'actor' | 'event' | 'snapshot'
  /** Identifies one actor inside this process. */
  sessionId: string
  /** Identifies the actor of the chart that it belongs to. */
  rootId: string
  /** The name of the chart, or of the invoked port. */
  name: string
  /** `event`: the actor that sent it, if any. */
  sourceId?: string | undefined
  /** `event` and `snapshot`: the type of the event. */
  eventType?: string | undefined
  /** `snapshot` of a chart: its XState state value. */
  value?: unknown
  /** `snapshot` of a chart: the tags of that state. */
  tags?: readonly string[] | undefined
  /** `snapshot`: `active`, `done`, `error` or `stopped`. */
  status?: 'active' | 'done' | 'error' | 'stopped' | undefined
  /** `event`: the failure code that it contains. */
  failureCode?: string | undefined
}

/**
 * Converts XState's inspection events into redacted records. An inspector that throws or rejects causes a process
 * warning, and does not affect the chart.
 *
 * @internal
 */
export function inspector(listener: (record: InspectionRecord) => unknown): (event: InspectionEvent) => void {
  const inspect = (record: InspectionRecord): void =>
    void warnOnFailure('AUTHCHART_CALLBACK_FAILED', 'inspect()', () => listener(record))
  return (inspected) => {
    const { actorRef, rootId } = inspected
    // The type of `actorRef` lacks the id.
    const common = { sessionId: actorRef.sessionId, rootId, name: String(Reflect.get(actorRef, 'id')) }
    if (inspected.type === '@xstate.actor') inspect({ kind: 'actor', ...common })
    if (inspected.type === '@xstate.event') {
      const { type } = inspected.event
      const sent = inspected.sourceRef && { sourceId: inspected.sourceRef.sessionId }
      const failed = type.startsWith('xstate.error.') && { failureCode: failureCodeOf(inspected.event) }
      inspect({ kind: 'event', ...common, ...sent, eventType: type, ...failed })
    }
    if (inspected.type === '@xstate.snapshot') {
      const snapshot: { status: InspectionRecord['status']; value?: unknown; tags?: Set<string> } = inspected.snapshot
      const { status, value, tags } = snapshot
      inspect({
        kind: 'snapshot',
        ...common,
        eventType: inspected.event.type,
        status,
        ...(tags && { value, tags: [...tags] }),
      })
    }
  }
}

/** The failure code of a rejection: ports reject with a `PortError`; with anything else the outcome is unknown. */
function failureCodeOf(event: { type: string; error?: { failure?: { code?: unknown } } }): string {
  const code = event.error?.failure?.code
  return typeof code === 'string' ? code : 'TOKEN_OUTCOME_UNKNOWN'
}
