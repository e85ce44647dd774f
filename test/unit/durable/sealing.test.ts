import { randomBytes } from 'node:crypto'
import { CompactEncrypt, decodeProtectedHeader } from 'jose'
import { describe, expect, test, vi } from 'vitest'
import { createSealer, plainSealer, type SealingKey } from '../../../src/durable/sealing.ts'
import { failure } from '../../../src/errors/failure.ts'
import { verifies } from '../../support/verifies.ts'

const key = (id: string): SealingKey => ({ id, secret: new Uint8Array(randomBytes(32)) })
const record = { key: 'authchart:{AAAA}:connection' }
const UNREADABLE = failure('SNAPSHOT_UNREADABLE', { reason: 'doesNotOpen' })

const opening = (promise: Promise<string>) =>
  promise.then(
    () => expect.unreachable(),
    (error: unknown) => error,
  )

describe('createSealer', () => {
  test('a sealer opens what it sealed, whatever the text', async () => {
    const sealer = createSealer([key('k1')])
    for (const text of ['', '{"a":1}', 'é 漢字 \u{1F600}\0', 'x'.repeat(100_000)]) {
      const sealed = await sealer.seal(text, record)
      expect(await sealer.open(sealed, record)).toBe(text)
      expect(sealed.split('.')).toHaveLength(5)
    }
  })

  test('a sealer seals the same text differently each time', async () => {
    const sealer = createSealer([key('k1')])
    expect(await sealer.seal('text', record)).not.toBe(await sealer.seal('text', record))
  })

  test('the protected header of a sealed record contains only algorithm, key id and store key', async () => {
    const sealed = await createSealer([key('k1'), key('k2')]).seal('text', record)
    expect(decodeProtectedHeader(sealed)).toEqual({ alg: 'dir', enc: 'A256GCM', kid: 'k1', key: record.key })
    expect(sealed.length).toBeLessThan(220)
  })

  test('a sealer seals with its first key and opens with every key', async () => {
    const [older, newer] = [key('older'), key('newer')]
    const old = await createSealer([older]).seal('text', record)
    const rotated = createSealer([newer, older])
    expect(await rotated.open(old, record)).toBe('text')
    expect(decodeProtectedHeader(await rotated.seal('text', record)).kid).toBe('newer')
  })

  test('isCurrent says whether a record was sealed with the first key', async () => {
    const [older, newer] = [key('older'), key('newer')]
    const rotated = createSealer([newer, older])
    expect(rotated.isCurrent?.(await createSealer([older]).seal('text', record))).toBe(false)
    expect(rotated.isCurrent?.(await rotated.seal('text', record))).toBe(true)
  })

  test('a record sealed with a key that is not configured is rejected with SNAPSHOT_KEY_UNKNOWN, which names its id', async () => {
    const [older, newer] = [key('older'), key('newer')]
    const sealed = await createSealer([older]).seal('text', record)
    const error = await opening(createSealer([newer]).open(sealed, record))
    expect(error).toMatchObject({
      name: 'AuthorizationError',
      failure: failure('SNAPSHOT_KEY_UNKNOWN', { received: 'older' }),
    })
    expect(error).not.toHaveProperty('cause')
  })

  test('a record without a key id is rejected with SNAPSHOT_KEY_UNKNOWN', async () => {
    const { secret } = key('k1')
    const sealed = await new CompactEncrypt(Buffer.from('text'))
      .setProtectedHeader({ alg: 'dir', enc: 'A256GCM' })
      .encrypt(secret)
    expect(await opening(createSealer([{ id: 'k1', secret }]).open(sealed, record))).toMatchObject({
      code: 'SNAPSHOT_KEY_UNKNOWN',
    })
  })

  test(
    'a record copied to another store key does not open',
    verifies(140, async () => {
      const sealer = createSealer([key('k1')])
      const sealed = await sealer.seal('text', record)
      const error = await opening(sealer.open(sealed, { key: 'authchart:{BBBB}:connection' }))
      expect(error).toMatchObject({ name: 'AuthorizationError', failure: UNREADABLE })
    }),
  )

  test('a record with any modified part does not open', async () => {
    const sealer = createSealer([key('k1')])
    const sealed = await sealer.seal('text', record)
    const parts = sealed.split('.')
    const header = Buffer.from(JSON.stringify({ alg: 'dir', enc: 'A256GCM', kid: 'k1', key: 'x' })).toString(
      'base64url',
    )
    const changed = [
      [header, ...parts.slice(1)].join('.'),
      parts.with(2, 'A'.repeat(16)).join('.'),
      parts.with(3, `${parts[3]?.startsWith('A') === true ? 'B' : 'A'}${parts[3]?.slice(1)}`).join('.'),
      parts.with(4, 'A'.repeat(22)).join('.'),
      sealed.slice(0, -2),
      parts.slice(0, 4).join('.'),
      '{"format":1}',
      '',
    ]
    for (const other of changed) {
      const error = await opening(sealer.open(other, record))
      expect(error).toMatchObject({ name: 'AuthorizationError', failure: UNREADABLE })
      expect(error).not.toHaveProperty('cause')
    }
  })

  test('a record sealed with another algorithm does not open', async () => {
    const secret = new Uint8Array(randomBytes(32))
    const sealer = createSealer([{ id: 'k1', secret }])
    const header = { kid: 'k1', key: record.key }
    const wrapped = await new CompactEncrypt(Buffer.from('text'))
      .setProtectedHeader({ alg: 'A256GCMKW', enc: 'A256GCM', ...header })
      .encrypt(secret)
    const narrower = await new CompactEncrypt(Buffer.from('text'))
      .setProtectedHeader({ alg: 'dir', enc: 'A128CBC-HS256', ...header })
      .encrypt(secret)
    for (const sealed of [wrapped, narrower]) {
      expect(await opening(sealer.open(sealed, record))).toMatchObject({ failure: UNREADABLE })
    }
  })

  test('a sealer copies its secrets at creation', async () => {
    const mine = key('k1')
    const sealer = createSealer([mine])
    mine.secret.fill(99)
    const sealed = await sealer.seal('text', record)
    expect(await opening(createSealer([mine]).open(sealed, record))).toMatchObject({ failure: UNREADABLE })
    expect(await sealer.open(sealed, record)).toBe('text')
  })

  test('a sealer holds its keys so that nobody can export them', async () => {
    const importing = vi.spyOn(crypto.subtle, 'importKey')
    createSealer([key('k1'), key('k2')])
    const keys = await Promise.all(importing.mock.results.map(({ value }) => value as Promise<CryptoKey>))
    importing.mockRestore()
    expect(keys.map(({ extractable, usages }) => ({ extractable, usages }))).toEqual(
      ['k1', 'k2'].map(() => ({ extractable: false, usages: ['encrypt', 'decrypt'] })),
    )
  })

  test.each<[unknown, string, string]>([
    [[], 'keys.sealing[0] is required', 'ERR_INVALID_ARG_TYPE'],
    ['secret', 'keys.sealing must be of type Array', 'ERR_INVALID_ARG_TYPE'],
    [
      [{ id: '', secret: new Uint8Array(32) }],
      'keys.sealing[0].id must be a non-empty string of well-formed Unicode',
      'ERR_INVALID_ARG_TYPE',
    ],
    [[{ id: 'a', secret: 'secret' }], 'keys.sealing[0].secret must be of type Uint8Array', 'ERR_INVALID_ARG_TYPE'],
    [
      [key('a'), { id: 'b', secret: new Uint8Array(31) }],
      'keys.sealing[1].secret must be 32 bytes long',
      'ERR_INVALID_ARG_VALUE',
    ],
    [[key('a'), key('a')], 'keys.sealing must not contain two keys with the same id', 'ERR_INVALID_ARG_VALUE'],
  ])('createSealer throws a TypeError for invalid keys (case %#)', (keys, message, code) => {
    expect(() => createSealer(keys as SealingKey[])).toThrow(
      expect.objectContaining({ name: 'TypeError', message, code }),
    )
  })
})

test('plainSealer leaves records unchanged', async () => {
  expect(await plainSealer.seal('text', record)).toBe('text')
  expect(await plainSealer.open('text', record)).toBe('text')
})
