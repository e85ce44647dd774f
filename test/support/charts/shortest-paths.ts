import type { AnyEventObject, AnyMachineSnapshot } from 'xstate'
import type { ModelStep } from './replay.ts'

/** A state of a chart's graph, and where each event leads from there. The first of a graph is the initial one. */
interface Vertex {
  state: AnyMachineSnapshot
  transitions: Record<string, { event: AnyEventObject; state: AnyMachineSnapshot }>
}

interface Arrival {
  step: ModelStep
  /** What came before; nothing before the initial state. */
  from: Arrival | undefined
}

/**
 * For each state of a graph, by its serialization, one of the shortest ways to it from the initial state: the steps,
 * with `xstate.init` first. Nothing is explored again, which takes as long as the graph did.
 */
export function shortestPaths(
  graph: readonly Vertex[],
  serializeState: (state: AnyMachineSnapshot) => string,
): { to(state: AnyMachineSnapshot): ModelStep[] } {
  const [initial] = graph
  if (initial === undefined) throw new Error('a graph without states')
  const vertices = new Map(graph.map((vertex) => [serializeState(vertex.state), vertex]))
  const start: Arrival = { step: { event: { type: 'xstate.init' }, state: initial.state }, from: undefined }
  const arrivals = new Map([[serializeState(initial.state), start]])
  // A map is walked in the order in which it grows, also while it does: breadth first.
  for (const [name, from] of arrivals)
    for (const { event, state } of Object.values(vertices.get(name)?.transitions ?? {})) {
      const next = serializeState(state)
      if (!arrivals.has(next)) arrivals.set(next, { step: { event, state }, from })
    }
  return {
    to: (state) => {
      const steps: ModelStep[] = []
      let arrival = arrivals.get(serializeState(state))
      for (; arrival !== undefined; arrival = arrival.from) steps.unshift(arrival.step)
      return steps
    },
  }
}
