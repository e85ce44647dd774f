import assert from 'node:assert/strict'
import { freshId, freshKey, recorder, required, type StoreChecks } from '../store-bench.ts'

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

/** One check for each of these texts. */
function checksFor(
  what: string,
  texts: readonly string[],
  check: (text: string) => StoreChecks[string],
): [string, StoreChecks[string]][] {
  return texts.map((text) => [`${what} ${JSON.stringify(text)}`, check(text)])
}

const oddKeys = checksFor('a record can have the key', ODD_KEYS, (odd) => async (bench) => {
  bench.key = `${freshKey()}${odd}`
  const { store, key } = bench
  const version = await bench.create(odd)
  assert.deepEqual(await bench.held(), { value: odd, version })
  const listener = recorder()
  await store.subscribe(listener)
  const other = await bench.open()
  assert.equal(await other.delete(key, { expectedVersion: version, writeId: freshId() }), true)
  await bench.soon(() => assert.ok(listener.changes.includes(key), 'no notice of the deletion'))
  await bench.holdsNothing()
})

const oddValues = checksFor('a record can have the value', ODD_VALUES, (odd) => async (bench) => {
  const version = await bench.create(odd)
  assert.deepEqual(await bench.held(), { value: odd, version })
})

const oddWriteIds = checksFor('a save can have the write id', ODD_KEYS, (writeId) => async ({ store, key }) => {
  const first = required(await store.save(key, 'first', { expectedVersion: undefined, writeId }))
  await store.save(key, 'second', { expectedVersion: first.version, writeId: freshId() })
  assert.deepEqual(await store.save(key, 'first', { expectedVersion: undefined, writeId }), first)
})

/** Any text is a key, a value and a write id. */
export const contentChecks: StoreChecks = {
  ...Object.fromEntries([...oddKeys, ...oddValues, ...oddWriteIds]),

  async 'a record can have a value of a million characters'(bench) {
    const value = 'ä\u{1F600}'.repeat(250_000) + 'a'.repeat(250_000)
    const version = await bench.create(value)
    const record = required(await bench.store.load(bench.key))
    assert.ok(record.value === value, 'another value came back')
    assert.equal(record.version, version)
  },
}
