import {
  type AnyActor,
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

/** What can be seen of a live actor: what would be stored, and what runs. */
export interface Seen {
  at: unknown
  ports: string[]
}

/** The machine with ports that are promises, each of which waits in `held` for the test to settle it. */
function withHeldPorts(machine: AnyStateMachine, ports: object, held: Map<string, Held>): AnyStateMachine {
  const holding = Object.keys(ports).map((port) => {
    const logic = fromPromise(() => new Promise((resolve, reject) => held.set(port, { resolve, reject })))
    return [port, logic] as const
  })
  return machine.provide({ actors: Object.fromEntries(holding) as never })
}

/** Sends a command, or lets a port answer, and waits until the actor has gone on. */
async function happen(actor: AnyActor, held: Map<string, Held>, event: AnyEventObject): Promise<Seen> {
  const [, outcome, port] = /^xstate\.(done|error)\.actor\.(.*)$/.exec(event.type) ?? []
  const before = actor.getSnapshot() as AnyMachineSnapshot
  const waiting = held.get(port ?? '')
  held.delete(port ?? '')
  if (port === undefined) actor.send(event)
  else if (outcome === 'done') waiting?.resolve(event['output'])
  else waiting?.reject(event['error'])
  await waitFor(actor, (now) => now !== before)
  return seenOf(actor)
}

function seenOf(actor: AnyActor): Seen {
  const snapshot = actor.getSnapshot() as AnyMachineSnapshot
  return { at: stored(snapshot), ports: runningPorts(snapshot) }
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
): Promise<Seen[]> {
  const held = new Map<string, Held>()
  const actor = createActor(withHeldPorts(machine, ports, held), { input })
  actor.start()
  const seen: Seen[] = []
  for (const { event } of steps)
    seen.push(event.type === 'xstate.init' ? seenOf(actor) : await happen(actor, held, event))
  actor.stop()
  return seen
}

/** Takes single steps of the model with live actors, each of which begins where its step does. */
export function liveSteps(
  machine: AnyStateMachine,
  ports: object,
): (from: AnyMachineSnapshot, event: AnyEventObject) => Promise<Seen> {
  const held = new Map<string, Held>()
  const provided = withHeldPorts(machine, ports, held)
  return async (from, event) => {
    held.clear()
    const snapshot = machine.getPersistedSnapshot(from as never)
    const actor = createActor(provided, { snapshot })
    actor.start()
    const seen = await happen(actor, held, event)
    actor.stop()
    return seen
  }
}
