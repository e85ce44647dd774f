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

  test('a chart has a description, and so has each of its states', () => {
    expect(idsOf([machine.root, ...states].filter(({ description }) => !description))).toEqual([])
  })

  test('every state that invokes a port names the section of the standard', () => {
    const named = /^(RFC \d{4}|MCP|OpenID) §?[\w. ]*/
    const missing = states.filter(
      ({ invoke, meta }) => invoke.length > 0 && !named.test((meta as { rfc?: string } | undefined)?.rfc ?? ''),
    )
    expect(idsOf(missing)).toEqual([])
  })

  test('every invoke handles both done and error', () => {
    const missing = states.filter(({ invoke }) => invoke.some(({ onDone, onError }) => !onDone || !onError))
    expect(idsOf(missing)).toEqual([])
  })

  test('every list of error transitions ends with an unguarded one', () => {
    const open = states.filter(({ invoke }) =>
      invoke.some(({ onError }) => {
        const last = [onError].flat().at(-1)
        return typeof last !== 'object' || 'guard' in last
      }),
    )
    expect(idsOf(open)).toEqual([])
  })

  test('a chart invokes every port, each under its own name', () => {
    const asked = states.flatMap(({ invoke }) => invoke)
    expect(asked.filter(({ id, src }) => id !== src)).toEqual([])
    expect(new Set(asked.map(({ id }) => id))).toEqual(new Set(Object.keys(ports)))
    expect(asked).toHaveLength(Object.keys(ports).length)
  })

  test('a chart has no timer', () => {
    expect(idsOf(states.filter(({ after }) => after.length > 0))).toEqual([])
  })

  test('no storable state invokes a port', () => {
    const running = leaves.filter(
      (leaf) =>
        leaf.tags.includes('storable') &&
        withAncestors(leaf).some(
          ({ invoke, after, always }) => invoke.length > 0 || after.length > 0 || always !== undefined,
        ),
    )
    expect(idsOf(running)).toEqual([])
  })

  test('every state without an invoke that is not left at once is storable', () => {
    const still = leaves.filter(
      (leaf) => withAncestors(leaf).every(({ invoke }) => invoke.length === 0) && leaf.always === undefined,
    )
    expect(idsOf(still.filter(({ tags }) => !tags.includes('storable')))).toEqual([])
  })

  test('only leaf states have tags', () => {
    expect(idsOf(states.filter(({ type, tags }) => type !== 'atomic' && tags.length > 0))).toEqual([])
  })

  test('every claim is a checkpoint, and every checkpoint is storable', () => {
    const has = (tag: string) => (leaf: AnyStateNode) => leaf.tags.includes(tag)
    expect(idsOf(leaves.filter(has('claim')).filter((leaf) => !has('checkpoint')(leaf)))).toEqual([])
    expect(idsOf(leaves.filter(has('checkpoint')).filter((leaf) => !has('storable')(leaf)))).toEqual([])
  })

  test('a checkpoint continues on `checkpoint.saved`, and a claim expires on `claim.expired`', () => {
    const events = ({ ownEvents }: AnyStateNode): string[] => ownEvents.map(String).toSorted()
    for (const leaf of leaves.filter(({ tags }) => tags.includes('checkpoint')))
      expect([dotted(leaf), ...events(leaf)]).toEqual([
        dotted(leaf),
        'checkpoint.saved',
        ...(leaf.tags.includes('claim') ? ['claim.expired'] : []),
      ])
  })

  test('a port that uses a single-use credential is invoked only right after a claim', () => {
    const before = leaves.filter((leaf) => targetsOf(leaf).some(spends))
    expect(leaves.filter(spends).length).toBeGreaterThan(0)
    expect(idsOf(before.filter(({ tags }) => !tags.includes('claim')))).toEqual([])
  })

  test('no request lies between the use of a single-use credential and the next checkpoint or resting state', () => {
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

  test('a passing state is always left', () => {
    const stuck = leaves.filter(({ always }) => always !== undefined && always.at(-1)?.guard !== undefined)
    expect(idsOf(stuck)).toEqual([])
  })

  test('a chart defines no event with an XState name and no wildcard transition', () => {
    const commands = states.flatMap(({ config }) => Object.keys((config as { on?: object }).on ?? {}))
    expect(commands.length).toBeGreaterThan(0)
    expect(commands.filter((type) => type.startsWith('xstate.') || type.includes('*'))).toEqual([])
  })

  test('guards and actions are named, and only port inputs are inline', () => {
    const found: string[] = []
    const search = (value: unknown, path: string[]): void => {
      if (typeof value === 'function') found.push(path.join('.'))
      else if (typeof value === 'object' && value !== null)
        for (const [key, member] of Object.entries(value)) search(member, [...path, key])
    }
    search(machine.config, [])
    expect(found.filter((path) => path !== 'context' && !path.endsWith('.invoke.input'))).toEqual([])
  })

  test('a chart uses every port, guard and action that it defines', () => {
    const { actors, guards, actions } = machine.implementations
    const text = JSON.stringify(machine.config)
    for (const name of [...Object.keys(actors), ...Object.keys(guards), ...Object.keys(actions)])
      expect(text).toContain(`"${name}"`)
  })
})
