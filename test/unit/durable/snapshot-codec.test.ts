import * as v from 'valibot'
import { describe, expect, test } from 'vitest'
import { decodeSnapshot, encodeSnapshot, type SnapshotCodec } from '../../../src/durable/snapshot-codec.ts'
import { AuthorizationError } from '../../../src/errors/authorization-error.ts'

const codec: SnapshotCodec<{ at: number; list: { name: string }[] }> = {
  name: 'kettle',
  version: 2,
  contextSchema: v.strictObject({ at: v.number(), list: v.array(v.strictObject({ name: v.string() })) }),
}
const snapshot = { value: { on: 'boiling' }, context: { at: 1, list: [{ name: 'a' }] } }
const text =
  '{"format":1,"machine":"kettle","machineVersion":2,"savedAt":5,"snapshot":{"value":{"on":"boiling"},"context":{"at":1,"list":[{"name":"a"}]}}}'
const changed = (changes: object): string => JSON.stringify({ ...(JSON.parse(text) as object), ...changes })

const failureOf = (run: () => unknown): unknown => {
  try {
    run()
  } catch (error) {
    expect(error).toBeInstanceOf(AuthorizationError)
    return (error as AuthorizationError).failure
  }
  return expect.unreachable()
}

test('a snapshot is written with its value and context, and nothing else of it', () => {
  const live = { ...snapshot, status: 'active', children: { secret: {} }, tags: new Set(['storable']) }
  expect(encodeSnapshot(codec, live, 5)).toBe(text)
})

test('what was written is read', () => {
  expect(decodeSnapshot(codec, text)).toEqual({ savedAt: 5, ...snapshot })
})

test('an older version of the machine is read, and so is a state without children', () => {
  expect(decodeSnapshot(codec, changed({ machineVersion: 1, snapshot: { ...snapshot, value: 'off' } })).value).toBe(
    'off',
  )
})

describe('what is refused', () => {
  test.each([
    ['another machine', { machine: 'toaster' }, { code: 'SNAPSHOT_UNREADABLE', details: { field: 'machine' } }],
    ['a newer machine', { machineVersion: 3 }, { code: 'SNAPSHOT_TOO_NEW', details: { field: 'machineVersion' } }],
    ['no state', { snapshot: { context: {} } }, { code: 'SNAPSHOT_UNREADABLE', details: { field: 'snapshot' } }],
    ['no context', { snapshot: { value: 'off' } }, { code: 'SNAPSHOT_UNREADABLE', details: { field: 'snapshot' } }],
    [
      'a context of another shape',
      { snapshot: { value: 'off', context: { at: 1, list: [{ name: 'a' }, { name: 7 }] } } },
      { code: 'SNAPSHOT_UNREADABLE', details: { field: 'context.list.1.name' } },
    ],
    [
      'a context with a member that nobody knows',
      { snapshot: { value: 'off', context: { ...snapshot.context, later: true } } },
      { code: 'SNAPSHOT_UNREADABLE', details: { field: 'context.later' } },
    ],
  ])('%s', (_, changes, failure) => {
    expect(failureOf(() => decodeSnapshot(codec, changed(changes)))).toEqual(failure)
  })

  test('says where it is wrong, and never what stood there', () => {
    const secret = { snapshot: { value: 'off', context: { at: 'fake-secret', list: [] } } }
    expect(JSON.stringify(failureOf(() => decodeSnapshot(codec, changed(secret))))).not.toContain('fake-secret')
    expect(failureOf(() => decodeSnapshot(codec, 'fake-secret'))).toEqual({
      code: 'SNAPSHOT_UNREADABLE',
      details: { reason: 'notJson' },
    })
  })

  test('a context that is no object at all', () => {
    expect(failureOf(() => decodeSnapshot(codec, changed({ snapshot: { value: 'off', context: null } })))).toEqual({
      code: 'SNAPSHOT_UNREADABLE',
      details: { field: 'context' },
    })
  })
})
