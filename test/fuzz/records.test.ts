import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { connectionMachine, registrationMachine } from '../../machines/index.ts'
import { durableConnection, durableRegistration } from '../../src/connection/chart-definitions.ts'
import { createSealer } from '../../src/durable/sealing.ts'
import {
  decodeEnvelope,
  decodeSnapshot,
  encodeEnvelope,
  encodeSnapshot,
  type SnapshotCodec,
} from '../../src/durable/snapshot-codec.ts'
import { isAuthorizationError } from '../../src/errors/authorization-error.ts'
import { ConnectionContextSchema } from '../../src/schemas/connection-context.ts'
import { RegistrationContextSchema } from '../../src/schemas/registration.ts'
import { parseJson } from '../../src/schemas/wire.ts'
import { anyText, hostileJson, hostileText } from './support/hostile.ts'
import { likely, mutated } from './support/likely.ts'
import { leavesOf } from './support/plain-data.ts'
import { FEW } from './support/runs.ts'

/** The result, or the code of the failure; any other error fails the test. */
function codeOr<Result>(run: () => Result): Result | string {
  try {
    return run()
  } catch (error) {
    if (!isAuthorizationError(error)) throw error
    return error.code
  }
}

/** Expects one of these codes, and a failure that quotes nothing longer than the name of a member. */
async function rejectedBy(codes: readonly string[], run: () => Promise<unknown>): Promise<void> {
  const error: unknown = await run().then(
    () => expect.unreachable('it was accepted'),
    (reason: unknown) => reason,
  )
  if (!isAuthorizationError(error)) throw error
  expect(codes).toContain(error.code)
  expect(error.cause).toBeUndefined()
}

/** As JSON has it: infinite numbers are null. */
const storable = (value: Record<string, unknown>) => parseJson(JSON.stringify(value)) as Record<string, unknown>

const instant = fc.double({ noNaN: true, noDefaultInfinity: true }).filter((value) => !Object.is(value, -0))
/** Those of prototypes are dropped. */
const memberNames = hostileText.filter((name) => !['__proto__', 'prototype', 'constructor'].includes(name))
const UNREADABLE = ['SNAPSHOT_UNREADABLE', 'SNAPSHOT_TOO_NEW']

describe('the envelope of a record', () => {
  test('an envelope is the same once it was encoded and decoded', () => {
    const envelopes = fc.record({
      machine: anyText.filter((text) => text !== ''),
      machineVersion: fc.integer({ min: 1 }),
      savedAt: instant,
      startedAt: fc.option(instant, { nil: undefined }),
      snapshot: fc.dictionary(memberNames, hostileJson).map(storable),
    })
    fc.assert(
      fc.property(envelopes, (envelope) => {
        const { startedAt, ...others } = envelope
        const expected = startedAt === undefined ? others : envelope
        expect(decodeEnvelope(encodeEnvelope(envelope))).toEqual({ format: 1, ...expected })
      }),
    )
  })

  test('any text is an envelope, or rejected as unreadable or too new', () => {
    const members = fc.record(
      {
        format: hostileJson,
        machine: hostileJson,
        machineVersion: hostileJson,
        savedAt: hostileJson,
        snapshot: hostileJson,
      },
      { requiredKeys: [] },
    )
    const texts = fc.oneof(
      anyText,
      fc.oneof(members, hostileJson).map((value) => JSON.stringify(value)),
      fc.tuple(members, fc.constantFrom(1, 2, 1e308)).map(([value, format]) => JSON.stringify({ ...value, format })),
    )
    fc.assert(
      fc.property(texts, (text) => {
        const result = codeOr(() => decodeEnvelope(text))
        if (typeof result === 'string') expect(UNREADABLE).toContain(result)
        else expect(decodeEnvelope(encodeEnvelope(result))).toEqual(result)
      }),
    )
  })
})

const charts: readonly [string, SnapshotCodec<object>, fc.Arbitrary<unknown>][] = [
  ['connection', durableConnection(connectionMachine), likely(ConnectionContextSchema)],
  ['registration', durableRegistration(registrationMachine), likely(RegistrationContextSchema)],
]

describe.each(charts)('the record of a %s', (_, chart, contexts) => {
  const encode = (context: unknown): string =>
    encodeSnapshot(chart, { value: 'resting', context: context as object }, 1_800_000_000_000)

  test('any context is refused before it is stored, or the same once it was stored and loaded', () => {
    fc.assert(
      fc.property(fc.oneof({ weight: 3, arbitrary: contexts }, mutated(contexts, hostileJson)), (context) => {
        const text = codeOr(() => encode(context))
        if (text === 'SNAPSHOT_INCOMPATIBLE') return
        const { context: loaded } = decodeSnapshot(chart, text)
        expect(encode(loaded)).toBe(text)
      }),
    )
  })

  test('members of a newer release are retained at any depth, and written back', () => {
    fc.assert(
      fc.property(contexts, fc.stringMatching(/^later[A-Z]{1,8}$/), (context, name) => {
        const withMember = (value: unknown): unknown => {
          if (Array.isArray(value)) return value.map(withMember)
          if (typeof value !== 'object' || value === null) return value
          // The parameters of a request are no members of the record: their names are the host's.
          const members = Object.entries(value).map(([each, member]): [string, unknown] => [
            each,
            each === 'parameters' ? member : withMember(member),
          ])
          return { ...Object.fromEntries(members), [name]: 1 }
        }
        const newer = withMember(context)
        const text = codeOr(() => encode(newer))
        if (text === 'SNAPSHOT_INCOMPATIBLE') return
        const { context: loaded } = decodeSnapshot(chart, text)
        const count = (value: unknown): number => leavesOf(value).filter((leaf) => leaf === name).length
        expect(count(loaded)).toBe(count(newer))
      }),
    )
  })

  test('a stored record that was changed is read as another one, or rejected as unreadable or too new', () => {
    fc.assert(
      fc.property(contexts, fc.nat(), fc.nat(8), hostileText, (context, at, length, text) => {
        const stored = codeOr(() => encode(context))
        if (stored === 'SNAPSHOT_INCOMPATIBLE') return
        const start = at % stored.length
        const changed = stored.slice(0, start) + text + stored.slice(start + length)
        const result = codeOr(() => decodeSnapshot(chart, changed))
        if (typeof result === 'string') expect(UNREADABLE).toContain(result)
      }),
    )
  })
})

describe('an encrypted record', () => {
  const secret = (byte: number): Uint8Array => new Uint8Array(32).fill(byte)
  const sealer = createSealer([
    { id: 'current', secret: secret(1) },
    { id: 'old', secret: secret(2) },
  ])
  const old = createSealer([{ id: 'old', secret: secret(2) }])
  const stranger = createSealer([{ id: 'current', secret: secret(3) }])
  const binding = { key: 'authchart:{AAAA}:connection' }
  const NOT_OPENED = ['SNAPSHOT_UNREADABLE', 'SNAPSHOT_KEY_UNKNOWN']

  test('any well-formed text is the same once it was encrypted and decrypted, by the current and by an old key', async () => {
    const texts = fc
      .oneof(
        anyText,
        hostileJson.map((value) => JSON.stringify(value)),
      )
      .map((text) => text.toWellFormed())
    await fc.assert(
      fc.asyncProperty(texts, anyText, async (text, key) => {
        expect(await sealer.open(await sealer.seal(text, { key }), { key })).toBe(text)
        expect(await sealer.open(await old.seal(text, { key }), { key })).toBe(text)
      }),
      FEW,
    )
  })

  test('a record that was changed, or bound to another key, or encrypted by an attacker does not open', async () => {
    await fc.assert(
      fc.asyncProperty(anyText, fc.nat(), fc.nat(3), hostileText, async (text, at, length, other) => {
        const sealed = await sealer.seal(text, binding)
        const start = at % sealed.length
        const changed = sealed.slice(0, start) + other + sealed.slice(start + length)
        if (changed !== sealed) await rejectedBy(NOT_OPENED, () => sealer.open(changed, binding))
        await rejectedBy(['SNAPSHOT_UNREADABLE'], () => sealer.open(sealed, { key: `${binding.key}${other}x` }))
        await rejectedBy(['SNAPSHOT_UNREADABLE'], () => stranger.open(sealed, binding))
      }),
      FEW,
    )
  })

  test('any text, and any header of a JWE, is rejected as unreadable or of an unknown key', async () => {
    const header = fc
      .record(
        {
          alg: fc.oneof(fc.constantFrom('dir', 'none', 'A256KW', 'PBES2-HS256+A128KW'), hostileJson),
          enc: fc.oneof(fc.constantFrom('A256GCM', 'A128CBC-HS256'), hostileJson),
          kid: fc.oneof(fc.constantFrom('current', '__proto__'), hostileJson),
          key: fc.oneof(fc.constant(binding.key), hostileJson),
          zip: fc.constantFrom('DEF'),
          crit: hostileJson,
          p2c: fc.constantFrom(1e9),
        },
        { requiredKeys: [] },
      )
      .map((value) => Buffer.from(JSON.stringify(value)).toString('base64url'))
    const forged = fc
      .tuple(header, anyText, anyText, anyText)
      .map(([head, ...parts]) => [head, '', ...parts.map((part) => Buffer.from(part).toString('base64url'))].join('.'))
    await fc.assert(
      fc.asyncProperty(fc.oneof(anyText, forged), (text) => rejectedBy(NOT_OPENED, () => sealer.open(text, binding))),
      FEW,
    )
  })
})
