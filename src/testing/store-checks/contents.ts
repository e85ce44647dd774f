import assert from 'node:assert/strict'
import { freshId, freshKey, recorder, required, type StoreChecks } from '../store-fixture.ts'

const ODD_KEYS = [
  'with space',
  'ключ 鍵 🔑',
  `quotes ' " \``,
  'braces {a}{b} []',
  'line\nbreak\ttab',
  '% _ \\ * ? ; --',
  'nul\0byte',
  '__proto__',
  'constructor',
]
const ODD_VALUES = [
  '',
  ' ',
  'nul\0byte',
  'é ñ 漢字 \u{1F600} \u{10FFFF}',
  '\uFEFF\u2028\u0301',
  '"\\\n',
  '[]',
  'null',
  '-1',
]

/** One check for each text. */
function checksFor(
  what: string,
  texts: readonly string[],
  check: (text: string) => StoreChecks[string],
): [string, StoreChecks[string]][] {
  return texts.map((text) => [`${what} may be ${JSON.stringify(text)}`, check(text)])
}

const oddKeys = checksFor('a key', ODD_KEYS, (odd) => async (fixture) => {
  fixture.key = `${freshKey()}${odd}`
  const { store, key } = fixture
  const version = await fixture.create(odd)
  assert.deepEqual(await fixture.record(), { value: odd, version })
  const listener = recorder()
  await store.subscribe(listener)
  const other = await fixture.open()
  assert.equal(await other.delete(key, { expectedVersion: version, writeId: freshId() }), true)
  await fixture.eventually(() =>
    assert.ok(listener.changes.includes(key), 'the subscriber received no notice of the deletion'),
  )
  await fixture.expectAbsent()
})

const oddValues = checksFor('a value', ODD_VALUES, (odd) => async (fixture) => {
  const version = await fixture.create(odd)
  assert.deepEqual(await fixture.record(), { value: odd, version })
})

const oddWriteIds = checksFor('a write id', ODD_KEYS, (writeId) => async ({ store, key }) => {
  const first = required(await store.save(key, 'first', { expectedVersion: undefined, writeId }))
  await store.save(key, 'second', { expectedVersion: first.version, writeId: freshId() })
  assert.deepEqual(await store.save(key, 'first', { expectedVersion: undefined, writeId }), first)
})

/** Keys, values and write ids may be any well-formed text. */
export const contentChecks: StoreChecks = {
  ...Object.fromEntries([...oddKeys, ...oddValues, ...oddWriteIds]),

  async 'a value may have a million characters'(fixture) {
    const value = 'ä\u{1F600}'.repeat(250_000) + 'a'.repeat(250_000)
    const version = await fixture.create(value)
    const record = required(await fixture.store.load(fixture.key))
    assert.ok(record.value === value, 'load returned another value')
    assert.equal(record.version, version)
  },
}
