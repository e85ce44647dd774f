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

test('encodeSnapshot writes only the value and context of a snapshot', () => {
  const live = { ...snapshot, status: 'active', children: { secret: {} }, tags: new Set(['storable']) }
  expect(encodeSnapshot(codec, live, 5)).toBe(text)
})

test('decodeSnapshot reads what encodeSnapshot wrote', () => {
  expect(decodeSnapshot(codec, text)).toEqual({ savedAt: 5, ...snapshot })
})

test('decodeSnapshot reads an older machine version and a state without children', () => {
  expect(decodeSnapshot(codec, changed({ machineVersion: 1, snapshot: { ...snapshot, value: 'off' } })).value).toBe(
    'off',
  )
})

test.each([
  ['a member of another type', { ...snapshot.context, list: [{ name: 7 }] }, 'context.list.0.name'],
  ['an unknown member', { ...snapshot.context, later: 'fake-secret' }, 'context.later'],
  ['a number that JSON does not have', { ...snapshot.context, at: Infinity }, 'context.at'],
  ['nothing in it', undefined, 'context'],
])(
  'encodeSnapshot rejects a context with %s by a failure that names the member, never its value',
  (_, context, field) => {
    const invalid = { ...snapshot, context: context as never }
    expect(failureOf(() => encodeSnapshot(codec, invalid, 5))).toEqual({
      code: 'SNAPSHOT_INCOMPATIBLE',
      details: { reason: 'invalidContext', field },
    })
  },
)

describe('an invalid snapshot', () => {
  test.each([
    ['another machine', { machine: 'toaster' }, { code: 'SNAPSHOT_UNREADABLE', details: { field: 'machine' } }],
    ['a newer machine', { machineVersion: 3 }, { code: 'SNAPSHOT_TOO_NEW', details: { field: 'machineVersion' } }],
    [
      'a snapshot without a state',
      { snapshot: { context: {} } },
      { code: 'SNAPSHOT_UNREADABLE', details: { field: 'snapshot' } },
    ],
    [
      'a snapshot without a context',
      { snapshot: { value: 'off' } },
      { code: 'SNAPSHOT_UNREADABLE', details: { field: 'snapshot' } },
    ],
    [
      'a context of another shape',
      { snapshot: { value: 'off', context: { at: 1, list: [{ name: 'a' }, { name: 7 }] } } },
      { code: 'SNAPSHOT_UNREADABLE', details: { field: 'context.list.1.name' } },
    ],
    [
      'a context with an unknown member',
      { snapshot: { value: 'off', context: { ...snapshot.context, later: true } } },
      { code: 'SNAPSHOT_UNREADABLE', details: { field: 'context.later' } },
    ],
  ])('decodeSnapshot rejects %s with a failure that names the field', (_, changes, failure) => {
    expect(failureOf(() => decodeSnapshot(codec, changed(changes)))).toEqual(failure)
  })

  test('the failure of decodeSnapshot names the wrong field and never its value', () => {
    const secret = { snapshot: { value: 'off', context: { at: 'fake-secret', list: [] } } }
    expect(JSON.stringify(failureOf(() => decodeSnapshot(codec, changed(secret))))).not.toContain('fake-secret')
    expect(failureOf(() => decodeSnapshot(codec, 'fake-secret'))).toEqual({
      code: 'SNAPSHOT_UNREADABLE',
      details: { reason: 'notJson' },
    })
  })

  test('decodeSnapshot rejects a context that is not an object', () => {
    expect(failureOf(() => decodeSnapshot(codec, changed({ snapshot: { value: 'off', context: null } })))).toEqual({
      code: 'SNAPSHOT_UNREADABLE',
      details: { field: 'context' },
    })
  })
})

test.each([
  ['a word that this release does not have', 'hot', 'SNAPSHOT_TOO_NEW'],
  ['no word at all', 7, 'SNAPSHOT_UNREADABLE'],
])('decodeSnapshot rejects a member of a list of words that is %s: %j is %s', (_what, heat, code) => {
  const listed = {
    name: codec.name,
    version: codec.version,
    contextSchema: v.object({ heat: v.picklist(['low', 'high']) }),
  }
  const kept = { snapshot: { value: 'off', context: { heat } } }
  expect(failureOf(() => decodeSnapshot(listed, changed(kept)))).toEqual({ code, details: { field: 'context.heat' } })
})
