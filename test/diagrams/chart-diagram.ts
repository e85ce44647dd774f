import type { AnyStateMachine, AnyStateNode, AnyTransitionDefinition } from 'xstate'
import { statesOf, withAncestors } from '../support/charts/chart-graph.ts'

/** A state as it is drawn. */
export interface DiagramState {
  /** Its path, joined by dots. */
  readonly id: string
  readonly name: string
  readonly parent: string | undefined
  readonly description: string
  readonly tags: readonly string[]
  /** The ports that it asks. */
  readonly asks: readonly string[]
  /** The section of the standard that it follows. */
  readonly rfc: string | undefined
  /** The state that it begins with, if it holds others. */
  readonly initial: string | undefined
}

/**
 * All that leads from one state to another, drawn as one arrow with a line of text for each transition. What leads into
 * several states of one compound state is one arrow to that, and its text says where each transition goes.
 */
export interface DiagramArrow {
  readonly source: string
  readonly target: string
  readonly labels: readonly string[]
}

/** A chart as it is drawn. */
export interface ChartDiagram {
  readonly name: string
  readonly description: string
  readonly initial: string
  readonly states: readonly DiagramState[]
  readonly arrows: readonly DiagramArrow[]
}

const idOf = ({ path }: AnyStateNode): string => path.join('.')

function initialOf(node: AnyStateNode): string | undefined {
  const [target] = (node.initial?.target ?? []) as AnyStateNode[]
  return target && idOf(target)
}

/** The guard as text: its name and parameters, except the name of the target. */
function guardOf({ guard, target }: AnyTransitionDefinition): string {
  if (guard === undefined) return ''
  if (typeof guard === 'string') return ` [${guard}]`
  const { type, params } = guard as { type: string; params?: object }
  const values = Object.values(params ?? {}).filter((value) => value !== target?.[0]?.key)
  return ` [${[type, ...values].join(' ')}]`
}

/** `done` and `error` of the port that a state asks, anything else by its name; what always happens only by its guard. */
export function labelOf(transition: AnyTransitionDefinition): string {
  const eventType = String(transition.eventType)
  const event = eventType.startsWith('xstate.done.actor.')
    ? 'done'
    : eventType.startsWith('xstate.error.actor.')
      ? 'error'
      : eventType
  return `${event}${guardOf(transition)}`.trim() || 'otherwise'
}

/** Every transition of a state, `always` and the answers of ports included, in the order of the definition. */
export function transitionsOf(node: AnyStateNode): AnyTransitionDefinition[] {
  return [...[...node.transitions.values()].flat(), ...(node.always ?? [])]
}

/** Where a transition leads: to the state itself if it names none. */
export function targetOf({ target, source }: AnyTransitionDefinition): AnyStateNode {
  return ((target ?? []) as AnyStateNode[])[0] ?? source
}

/** The arrows out of a state. */
function arrowsFrom(node: AnyStateNode): DiagramArrow[] {
  const transitions = transitionsOf(node)
  const targets = new Set(transitions.map(targetOf))
  /** The compound state around a target, if several of its states are targets and this one is outside. */
  const around = (target: AnyStateNode): AnyStateNode | undefined => {
    const { parent } = target
    if (parent === undefined || parent.parent === undefined || withAncestors(node).includes(parent)) return undefined
    return [...targets].filter((other) => other.parent === parent).length > 1 ? parent : undefined
  }
  const arrows = new Map<string, { source: string; target: string; labels: string[] }>()
  for (const transition of transitions) {
    const target = targetOf(transition)
    const compound = around(target)
    const end = idOf(compound ?? target)
    const arrow = arrows.get(end) ?? { source: idOf(node), target: end, labels: [] }
    arrow.labels.push(labelOf(transition) + (compound === undefined ? '' : ` → ${target.key}`))
    arrows.set(end, arrow)
  }
  return [...arrows.values()]
}

/** What there is to draw of a chart. */
export function diagramOf(machine: AnyStateMachine): ChartDiagram {
  const nodes = statesOf(machine)
  return {
    name: machine.id,
    description: machine.root.description ?? '',
    initial: initialOf(machine.root) ?? '',
    states: nodes.map((node) => ({
      id: idOf(node),
      name: node.key,
      parent: node.parent === machine.root || node.parent === undefined ? undefined : idOf(node.parent),
      description: node.description ?? '',
      tags: node.tags,
      asks: node.invoke.map(({ id }) => id),
      rfc: (node.meta as { rfc?: string } | undefined)?.rfc,
      initial: initialOf(node),
    })),
    arrows: nodes.flatMap(arrowsFrom),
  }
}
