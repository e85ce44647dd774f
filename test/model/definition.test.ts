import type { AnyStateMachine, AnyStateNode } from 'xstate'
import { describe, expect, test } from 'vitest'
import { connectionMachine } from '../../machines/connection.ts'
import { connectionPorts, registrationPorts } from '../../machines/ports.ts'
import { registrationMachine } from '../../machines/registration.ts'
import { leavesOf, statesOf, withAncestors } from '../support/charts/chart-graph.ts'
import { SPENDING_PORTS } from '../support/charts/connection-model.ts'

const charts: [string, AnyStateMachine, object][] = [
  ['connection', connectionMachine, connectionPorts],
  ['registration', registrationMachine, registrationPorts],
]

const dotted = ({ path }: AnyStateNode): string => path.join('.')
const idsOf = (nodes: readonly AnyStateNode[]): string[] => nodes.map(dotted)

/** Every state that a step out of this one, or out of those around it, can lead to, compound states by their first one. */
function targetsOf(node: AnyStateNode): AnyStateNode[] {
  const own = withAncestors(node)
    .flatMap(({ transitions, always }) => [...[...transitions.values()].flat(), ...(always ?? [])])
    .flatMap(({ target }) => (target ?? []) as AnyStateNode[])
  return own.map(firstLeaf)
}

function firstLeaf(node: AnyStateNode): AnyStateNode {
  const [first] = node.initial?.target ?? []
  return first === undefined ? node : firstLeaf(first as AnyStateNode)
}

const isResting = (node: AnyStateNode): boolean => node.parent?.key === 'resting'
const spends = ({ invoke }: AnyStateNode): boolean => invoke.some(({ id }) => SPENDING_PORTS.includes(id))

describe.each(charts)('the %s chart', (_, machine, ports) => {
  const states = statesOf(machine)
  const leaves = leavesOf(machine)

  test('describes itself and every state', () => {
    expect(idsOf([machine.root, ...states].filter(({ description }) => !description))).toEqual([])
  })

  test('names the section of the standard wherever it asks a port', () => {
    const named = /^(RFC \d{4}|MCP|OpenID) §?[\w. ]*/
    const missing = states.filter(
      ({ invoke, meta }) => invoke.length > 0 && !named.test((meta as { rfc?: string } | undefined)?.rfc ?? ''),
    )
    expect(idsOf(missing)).toEqual([])
  })

  test('handles what goes well and what goes wrong with every port', () => {
    const missing = states.filter(({ invoke }) => invoke.some(({ onDone, onError }) => !onDone || !onError))
    expect(idsOf(missing)).toEqual([])
  })

  test('ends every list of failures with one that nothing can refuse', () => {
    const open = states.filter(({ invoke }) =>
      invoke.some(({ onError }) => {
        const last = [onError].flat().at(-1)
        return typeof last !== 'object' || 'guard' in last
      }),
    )
    expect(idsOf(open)).toEqual([])
  })

  test('asks each port under its own name, and asks every one', () => {
    const asked = states.flatMap(({ invoke }) => invoke)
    expect(asked.filter(({ id, src }) => id !== src)).toEqual([])
    expect(new Set(asked.map(({ id }) => id))).toEqual(new Set(Object.keys(ports)))
    expect(asked).toHaveLength(Object.keys(ports).length)
  })

  test('waits for no timer', () => {
    expect(idsOf(states.filter(({ after }) => after.length > 0))).toEqual([])
  })

  test('stores no state that runs something', () => {
    const running = leaves.filter(
      (leaf) =>
        leaf.tags.includes('storable') &&
        withAncestors(leaf).some(
          ({ invoke, after, always }) => invoke.length > 0 || after.length > 0 || always !== undefined,
        ),
    )
    expect(idsOf(running)).toEqual([])
  })

  test('can store every state that runs nothing and is not left at once', () => {
    const still = leaves.filter(
      (leaf) => withAncestors(leaf).every(({ invoke }) => invoke.length === 0) && leaf.always === undefined,
    )
    expect(idsOf(still.filter(({ tags }) => !tags.includes('storable')))).toEqual([])
  })

  test('tags only states that hold no other', () => {
    expect(idsOf(states.filter(({ type, tags }) => type !== 'atomic' && tags.length > 0))).toEqual([])
  })

  test('has only claims that are checkpoints, and only checkpoints that can be stored', () => {
    const has = (tag: string) => (leaf: AnyStateNode) => leaf.tags.includes(tag)
    expect(idsOf(leaves.filter(has('claim')).filter((leaf) => !has('checkpoint')(leaf)))).toEqual([])
    expect(idsOf(leaves.filter(has('checkpoint')).filter((leaf) => !has('storable')(leaf)))).toEqual([])
  })

  test('goes on from a checkpoint by `checkpoint.saved`, and gives a claim up by `claim.expired`', () => {
    const events = ({ ownEvents }: AnyStateNode): string[] => ownEvents.map(String).toSorted()
    for (const leaf of leaves.filter(({ tags }) => tags.includes('checkpoint')))
      expect([dotted(leaf), ...events(leaf)]).toEqual([
        dotted(leaf),
        'checkpoint.saved',
        ...(leaf.tags.includes('claim') ? ['claim.expired'] : []),
      ])
  })

  test('spends only right after a claim', () => {
    const before = leaves.filter((leaf) => targetsOf(leaf).some(spends))
    expect(leaves.filter(spends).length).toBeGreaterThan(0)
    expect(idsOf(before.filter(({ tags }) => !tags.includes('claim')))).toEqual([])
  })

  test('passes no request between spending and the next checkpoint or rest', () => {
    const wrong: string[] = []
    for (const spending of leaves.filter(spends)) {
      const seen = new Set<AnyStateNode>()
      const open = targetsOf(spending)
      for (let node = open.pop(); node !== undefined; node = open.pop()) {
        if (seen.has(node) || node.tags.includes('checkpoint') || isResting(node)) continue
        seen.add(node)
        if (node.invoke.length > 0 || node.always === undefined) wrong.push(`${dotted(spending)} → ${dotted(node)}`)
        else open.push(...targetsOf(node))
      }
    }
    expect(wrong).toEqual([])
  })

  test('leaves a passing state whatever the facts are', () => {
    const stuck = leaves.filter(({ always }) => always !== undefined && always.at(-1)?.guard !== undefined)
    expect(idsOf(stuck)).toEqual([])
  })

  test('is told nothing under a name that XState answers with, and nothing by a wildcard', () => {
    const commands = states.flatMap(({ config }) => Object.keys((config as { on?: object }).on ?? {}))
    expect(commands.length).toBeGreaterThan(0)
    expect(commands.filter((type) => type.startsWith('xstate.') || type.includes('*'))).toEqual([])
  })

  test('names its guards and actions; only what a port is told is worked out in place', () => {
    const found: string[] = []
    const search = (value: unknown, path: string[]): void => {
      if (typeof value === 'function') found.push(path.join('.'))
      else if (typeof value === 'object' && value !== null)
        for (const [key, member] of Object.entries(value)) search(member, [...path, key])
    }
    search(machine.config, [])
    expect(found.filter((path) => path !== 'context' && !path.endsWith('.invoke.input'))).toEqual([])
  })

  test('uses every port, guard and action that it defines', () => {
    const { actors, guards, actions } = machine.implementations
    const text = JSON.stringify(machine.config)
    for (const name of [...Object.keys(actors), ...Object.keys(guards), ...Object.keys(actions)])
      expect(text).toContain(`"${name}"`)
  })
})
