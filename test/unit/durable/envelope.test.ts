import { describe, expect, test } from 'vitest'
import { decodeEnvelope, encodeEnvelope } from '../../../src/durable/snapshot-codec.ts'

const content = {
  machine: 'connection',
  machineVersion: 1,
  savedAt: 1_790_000_000_000.5,
  snapshot: { status: 'active', value: { resting: 'authorized' }, context: { generation: 3 } },
}
const text = JSON.stringify({ format: 1, ...content })
const changed = (change: object) => JSON.stringify({ format: 1, ...content, ...change })

const failing = (run: () => unknown) => {
  try {
    run()
  } catch (error) {
    return error
  }
  return expect.unreachable()
}

test('an encoded envelope decodes to its content', () => {
  expect(encodeEnvelope(content)).toBe(text)
  expect(decodeEnvelope(text)).toEqual({ format: 1, ...content })
})

test('an encoded envelope has the start of its record clock once it is determined', () => {
  const started = { ...content, startedAt: 4 }
  expect(decodeEnvelope(encodeEnvelope(started))).toEqual({ format: 1, ...started })
})

test('decodeEnvelope drops unknown members', () => {
  expect(decodeEnvelope(changed({ later: true }))).toEqual({ format: 1, ...content })
})

describe('an invalid envelope', () => {
  test.each(['', '{', 'eyJhbGciOiJkaXIi.secret', 'undefined'])(
    'decodeEnvelope rejects %j as notJson without a cause',
    (wrong) => {
      const error = failing(() => decodeEnvelope(wrong))
      expect(error).toMatchObject({ failure: { code: 'SNAPSHOT_UNREADABLE', details: { reason: 'notJson' } } })
      expect(error).not.toHaveProperty('cause')
    },
  )

  test.each([
    'null',
    '1',
    '[]',
    '{}',
    changed({ format: '1' }),
    changed({ format: 0 }),
    changed({ format: 1.5 }),
    changed({ machine: '' }),
    changed({ machine: undefined }),
    changed({ machineVersion: 0 }),
    changed({ machineVersion: '1' }),
    changed({ savedAt: null }),
    changed({ snapshot: 'secret' }),
    changed({ snapshot: null }),
  ])('decodeEnvelope rejects %s as notAnEnvelope', (wrong) => {
    const error = failing(() => decodeEnvelope(wrong))
    expect(error).toMatchObject({ failure: { code: 'SNAPSHOT_UNREADABLE', details: { reason: 'notAnEnvelope' } } })
  })

  test('decodeEnvelope rejects a newer format with SNAPSHOT_TOO_NEW, whatever it contains', () => {
    const error = failing(() => decodeEnvelope('{"format":2,"everything":"else"}'))
    expect(error).toMatchObject({ failure: { code: 'SNAPSHOT_TOO_NEW' } })
  })
})
