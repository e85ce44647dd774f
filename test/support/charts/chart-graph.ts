import { type AnyMachineSnapshot, type AnyStateMachine, type AnyStateNode, createActor } from 'xstate'
import { getStateNodes } from 'xstate/graph'

/** What the runner stores of a snapshot, as JSON and back. */
export function stored({ value, context }: AnyMachineSnapshot): { value: unknown; context: unknown } {
  return JSON.parse(JSON.stringify({ value, context })) as { value: unknown; context: unknown }
}

/** A snapshot out of what was stored, as the runner restores it. */
export function restore(
  machine: AnyStateMachine,
  { value, context }: { value: unknown; context: unknown },
): AnyMachineSnapshot {
  const snapshot = {
    status: 'active',
    value,
    context,
    historyValue: {},
    children: {},
    output: undefined,
    error: undefined,
  }
  return createActor(machine, { snapshot: snapshot as never }).getSnapshot() as AnyMachineSnapshot
}

/** The ids of the ports that run in a snapshot. */
export function runningPorts(snapshot: AnyMachineSnapshot): string[] {
  return Object.entries(snapshot.children as Record<string, unknown>).flatMap(([id, child]) =>
    child === undefined ? [] : [id],
  )
}

/** Where a snapshot is, as a dotted path: `resting.authorized`. */
export function placeOf(snapshot: AnyMachineSnapshot): string {
  const leaf = snapshot.machine.root
  let node: AnyStateNode = leaf
  for (let value: unknown = snapshot.value; value !== undefined;) {
    const key = typeof value === 'string' ? value : Object.keys(value as object)[0]
    const next = node.states[key ?? '']
    if (next === undefined) throw new Error(`no state ${String(key)}`)
    node = next
    value = typeof value === 'string' ? undefined : (value as Record<string, unknown>)[key ?? '']
  }
  return node.path.join('.')
}

/** Every state node of a chart, without its root. */
export function statesOf(machine: AnyStateMachine): AnyStateNode[] {
  return getStateNodes(machine.root)
}

/** The states that hold no other, by their dotted paths. */
export function leavesOf(machine: AnyStateMachine): AnyStateNode[] {
  return statesOf(machine).filter(({ type }) => type === 'atomic')
}

/** A state and those around it. */
export function withAncestors(node: AnyStateNode): AnyStateNode[] {
  return node.parent === undefined ? [node] : [node, ...withAncestors(node.parent)]
}

/** All of them under `npm run test:model`, and every so many otherwise: a walk of the whole graph takes minutes. */
export function sampled<Item>(items: readonly Item[], stride: number): readonly Item[] {
  return process.env['AUTHCHART_MODEL_EDGES'] === 'all' ? items : items.filter((_item, index) => index % stride === 0)
}
