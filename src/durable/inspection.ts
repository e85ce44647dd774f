import type { InspectionEvent } from 'xstate'

/**
 * A redacted record of what a chart does: names and codes by allow-list, never a value out of a context, an event or an
 * answer.
 */
export interface InspectionRecord {
  /** `actor`: one began. `event`: one was sent an event. `snapshot`: one moved. */
  kind: 'actor' | 'event' | 'snapshot'
  /** Names one running actor inside this process. */
  sessionId: string
  /** Names the chart that it belongs to. */
  rootId: string
  /** The chart, or the port that it invokes. */
  name: string
  /** `event`: the actor that sent it, if one did. */
  sourceId?: string | undefined
  /** `event` and `snapshot`: the type of the event. */
  eventType?: string | undefined
  /** `snapshot` of a chart: where it is, as XState writes state values. */
  value?: unknown
  /** `snapshot` of a chart: the tags of that state. */
  tags?: readonly string[] | undefined
  /** `snapshot`: `active`, `done`, `error` or `stopped`. */
  status?: 'active' | 'done' | 'error' | 'stopped' | undefined
  /** `event`: the code of the failure that it carries. */
  failureCode?: string | undefined
}

/**
 * Turns what XState tells an inspector into redacted records. An inspector that throws does not disturb the chart.
 *
 * @internal
 */
export function inspector(tell: (record: InspectionRecord) => void): (event: InspectionEvent) => void {
  const inspect = (record: InspectionRecord): void => {
    try {
      tell(record)
    } catch (error) {
      queueMicrotask(() => {
        throw error
      })
    }
  }
  return (inspected) => {
    const { actorRef, rootId } = inspected
    // XState's type for it lacks the id.
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

/**
 * The code of what an actor rejected with: ports reject with a `PortError`, and anything else leaves the outcome
 * unknown.
 */
function failureCodeOf(event: { type: string; error?: { failure?: { code?: unknown } } }): string {
  const code = event.error?.failure?.code
  return typeof code === 'string' ? code : 'TOKEN_OUTCOME_UNKNOWN'
}
