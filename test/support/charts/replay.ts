import {
  type AnyEventObject,
  type AnyMachineSnapshot,
  type AnyStateMachine,
  createActor,
  fromPromise,
  getInitialSnapshot,
  getNextSnapshot,
  waitFor,
} from 'xstate'
import { runningPorts, stored } from './chart-graph.ts'

/** One step of a path of the model: an event, and the state that it leads to. */
export interface ModelStep {
  event: AnyEventObject
  state: AnyMachineSnapshot
}

interface Held {
  resolve(output: unknown): void
  reject(error: unknown): void
}

/** What a model is walked with. */
export interface ModelOptions {
  input: object
  events(snapshot: AnyMachineSnapshot): AnyEventObject[]
  filterEvents(snapshot: AnyMachineSnapshot, event: AnyEventObject): boolean
  serializeState(snapshot: AnyMachineSnapshot): string
}

/**
 * The same path with events that fit each other. A path of the model goes through states that stand for all that are
 * alike, so that the ids in its events may be those of another one.
 */
export function concretePath(
  machine: AnyStateMachine,
  { input, events, filterEvents, serializeState }: ModelOptions,
  steps: readonly ModelStep[],
): ModelStep[] {
  let current = getInitialSnapshot(machine, input) as AnyMachineSnapshot
  return steps.map(({ event, state }) => {
    if (event.type === 'xstate.init') return { event, state: current }
    const wanted = serializeState(state)
    for (const candidate of events(current)) {
      if (candidate.type !== event.type || !filterEvents(current, candidate)) continue
      const next = getNextSnapshot(machine, current, candidate) as AnyMachineSnapshot
      if (serializeState(next) !== wanted) continue
      current = next
      return { event: candidate, state: next }
    }
    throw new Error(`no ${event.type} leads to ${wanted}`)
  })
}

/**
 * Walks a path of the model with a live actor. Commands are sent; the answers of ports are given by the ports
 * themselves, which are promises that wait here.
 *
 * @returns What would be stored, and what runs, after each step.
 */
export async function replay(
  machine: AnyStateMachine,
  ports: object,
  input: object,
  steps: readonly ModelStep[],
): Promise<{ at: unknown; ports: string[] }[]> {
  const held = new Map<string, Held>()
  const holding = Object.keys(ports).map((port) => {
    const logic = fromPromise(() => new Promise((resolve, reject) => held.set(port, { resolve, reject })))
    return [port, logic] as const
  })
  const actor = createActor(machine.provide({ actors: Object.fromEntries(holding) as never }), { input })
  actor.start()
  const seen: { at: unknown; ports: string[] }[] = []
  for (const { event } of steps) {
    const [, outcome, port] = /^xstate\.(done|error)\.actor\.(.*)$/.exec(event.type) ?? []
    if (event.type !== 'xstate.init') {
      const before = actor.getSnapshot() as AnyMachineSnapshot
      const waiting = held.get(port ?? '')
      if (port === undefined) actor.send(event)
      else if (outcome === 'done') waiting?.resolve(event['output'])
      else waiting?.reject(event['error'])
      held.delete(port ?? '')
      await waitFor(actor, (now) => now !== before)
    }
    const snapshot = actor.getSnapshot() as AnyMachineSnapshot
    seen.push({ at: stored(snapshot), ports: runningPorts(snapshot) })
  }
  actor.stop()
  return seen
}
