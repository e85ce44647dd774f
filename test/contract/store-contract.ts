import { randomUUID } from 'node:crypto'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import type { SnapshotStore } from '../../src/stores/snapshot-store.ts'

/** What the contract needs of a store that it tests. */
export interface StoreUnderTest {
  /** Opens another store on the same data, as another process would. The contract closes what it opened. */
  open(): SnapshotStore | Promise<SnapshotStore>
  /** Removes the data. */
  cleanUp(): Promise<void>
}

const soon = <T>(check: () => T | Promise<T>) => vi.waitFor(check, { timeout: 10_000, interval: 10 })

/** Names a key that no other test uses. */
const freshKey = () => `authchart:{${randomUUID()}}:connection`
const freshId = () => randomUUID()

function required<T>(value: T | 'refused' | undefined): T {
  if (value === undefined || value === 'refused')
    throw new Error(value === undefined ? 'there is no record' : 'the save was refused')
  return value
}

/** Remembers what a subscriber is told. */
function recorder() {
  const changes: string[] = []
  const gaps: number[] = []
  return {
    changes,
    gaps,
    onChange: (key: string) => void changes.push(key),
    onGap: () => void gaps.push(changes.length),
  }
}

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

/**
 * What every store must do, as tests: call it at the top of a test file.
 *
 * @param name What the store is called in the report.
 * @param makeStore Prepares an empty place for the records of one test.
 */
export function storeContract(name: string, makeStore: () => Promise<StoreUnderTest>): void {
  describe(name, () => {
    let underTest: StoreUnderTest
    let opened: SnapshotStore[]
    let store: SnapshotStore
    let key: string

    const open = async () => {
      const another = await underTest.open()
      opened.push(another)
      return another
    }
    const create = async (value = 'first', ttlMs?: number) =>
      required(await store.save(key, value, { expectedVersion: undefined, writeId: freshId(), ttlMs })).version
    const held = async () => {
      const record = await store.load(key)
      return record && { value: record.value, version: record.version }
    }

    beforeEach(async () => {
      underTest = await makeStore()
      opened = []
      store = await open()
      key = freshKey()
    })
    afterEach(async () => {
      for (const each of opened) await each.close()
      await underTest.cleanUp()
    })

    describe('compare-and-set', () => {
      test('a record that was never written is absent', async () => {
        expect(await store.load(key)).toBeUndefined()
      })

      test('a record is created where none was expected', async () => {
        const version = await create('value')
        expect(await store.load(key)).toEqual({ value: 'value', version, ageMs: expect.any(Number) })
      })

      test('a record is replaced if it has the expected version, and gets another', async () => {
        const first = await create()
        const { version } = required(await store.save(key, 'second', { expectedVersion: first, writeId: freshId() }))
        expect(version).not.toBe(first)
        expect(await held()).toEqual({ value: 'second', version })
      })

      test('every other save is refused and changes nothing', async () => {
        const first = await create()
        const { version } = required(await store.save(key, 'second', { expectedVersion: first, writeId: freshId() }))
        for (const expectedVersion of [undefined, first, `${version}0`, 'no version']) {
          expect(await store.save(key, 'late', { expectedVersion, writeId: freshId(), ttlMs: 1 })).toBe('refused')
        }
        expect(await held()).toEqual({ value: 'second', version })
      })

      test('a save over a version is refused where no record is', async () => {
        expect(await store.save(key, 'late', { expectedVersion: 'aaaa.1', writeId: freshId() })).toBe('refused')
        expect(await store.load(key)).toBeUndefined()
      })

      test('of many simultaneous writers one wins', async () => {
        const other = await open()
        const race = async (expectedVersion: string | undefined) => {
          const racers = Array.from({ length: 20 }, async (_, index) => {
            const racer = index % 2 === 0 ? store : other
            return racer.save(key, `racer ${index}`, { expectedVersion, writeId: freshId() })
          })
          const answers = await Promise.all(racers)
          const winners = answers.flatMap((answer, index) =>
            answer === 'refused' ? [] : [{ value: `racer ${index}`, version: answer.version }],
          )
          expect(winners).toEqual([await held()])
          return winners[0]?.version
        }
        const first = await race(undefined)
        const second = await race(first)
        expect(second).not.toBe(first)
      })

      test('another store on the same data sees the same record', async () => {
        const version = await create()
        const other = await open()
        expect(await other.load(key)).toMatchObject({ value: 'first', version })
        expect(await other.save(key, 'second', { expectedVersion: version, writeId: freshId() })).not.toBe('refused')
        expect(await store.load(key)).toMatchObject({ value: 'second' })
      })

      test('keys are apart', async () => {
        await create()
        expect(await store.load(freshKey())).toBeUndefined()
        expect(await store.load(`${key} `)).toBeUndefined()
        expect(await store.load(key.toUpperCase())).toBeUndefined()
      })
    })

    describe('a write that is sent again', () => {
      test('answers as it did, and writes once', async () => {
        const options = { expectedVersion: undefined, writeId: freshId() }
        const first = required(await store.save(key, 'first', options))
        expect(await store.save(key, 'first', options)).toEqual(first)
        const replace = { expectedVersion: first.version, writeId: freshId() }
        const second = required(await store.save(key, 'second', replace))
        expect(await store.save(key, 'second', replace)).toEqual(second)
        expect(await held()).toEqual({ value: 'second', ...second })
      })

      test('answers as it did after a later write, which stays', async () => {
        const options = { expectedVersion: undefined, writeId: freshId() }
        const first = required(await store.save(key, 'first', options))
        const later = required(await store.save(key, 'later', { expectedVersion: first.version, writeId: freshId() }))
        expect(await store.save(key, 'first', options)).toEqual(first)
        expect(await held()).toEqual({ value: 'later', ...later })
      })

      test('is still refused if it was refused', async () => {
        const version = await create()
        const options = { expectedVersion: undefined, writeId: freshId() }
        expect(await store.save(key, 'loser', options)).toBe('refused')
        expect(await store.save(key, 'loser', options)).toBe('refused')
        expect(await held()).toEqual({ value: 'first', version })
      })

      test('is known for the last eight writes, and not kept for ever', async () => {
        const options = { expectedVersion: undefined, writeId: freshId() }
        const first = required(await store.save(key, 'first', options))
        let { version } = first
        for (let count = 2; count <= 8; count += 1) {
          version = required(
            await store.save(key, `${count}`, { expectedVersion: version, writeId: freshId() }),
          ).version
        }
        expect(await store.save(key, 'first', options)).toEqual(first)
        version = required(await store.save(key, '9', { expectedVersion: version, writeId: freshId() })).version
        expect(await store.save(key, 'first', options)).toBe('refused')
        expect(await held()).toEqual({ value: '9', version })
      })

      test('can come from another process', async () => {
        const options = { expectedVersion: undefined, writeId: freshId() }
        const first = required(await store.save(key, 'first', options))
        const other = await open()
        expect(await other.save(key, 'first', options)).toEqual(first)
      })
    })

    describe('age and expiry', () => {
      test('the age grows, and a save resets it', async () => {
        const version = await create()
        const young = required(await store.load(key)).ageMs
        expect(young).toBeGreaterThanOrEqual(0)
        await soon(async () => expect(required(await store.load(key)).ageMs).toBeGreaterThan(young + 100))
        const start = performance.now()
        await store.save(key, 'second', { expectedVersion: version, writeId: freshId() })
        const { ageMs } = required(await store.load(key))
        expect(ageMs).toBeLessThanOrEqual(performance.now() - start + 5)
      })

      test('a refused save leaves the age', async () => {
        await create()
        await soon(async () => expect(required(await store.load(key)).ageMs).toBeGreaterThan(100))
        await store.save(key, 'loser', { expectedVersion: undefined, writeId: freshId() })
        expect(required(await store.load(key)).ageMs).toBeGreaterThan(100)
      })

      test('a record is gone after its time to live', async () => {
        const version = await create('short', 500)
        expect(await held()).toEqual({ value: 'short', version })
        await soon(async () => expect(await store.load(key)).toBeUndefined())
        expect(await store.save(key, 'late', { expectedVersion: version, writeId: freshId() })).toBe('refused')
        expect(await store.delete(key, { expectedVersion: version, writeId: freshId() })).toBe(false)
        expect(await create('again')).not.toBe(version)
        expect(await store.load(key)).toMatchObject({ value: 'again' })
      })

      test('any time to live is taken: fractions, nothing left, longer than anybody lives', async () => {
        await create('gone', 0)
        await soon(async () => expect(await store.load(key)).toBeUndefined())
        const version = await create('fraction', 60_000.5)
        expect(await store.load(key)).toMatchObject({ value: 'fraction' })
        await store.save(key, 'long', { expectedVersion: version, writeId: freshId(), ttlMs: Number.MAX_VALUE })
        expect(await store.load(key)).toMatchObject({ value: 'long' })
      })

      test('a save without a time to live removes the one before, a longer one replaces it', async () => {
        const other = freshKey()
        const options = { expectedVersion: undefined, ttlMs: 1_000 }
        const first = required(await store.save(key, 'first', { ...options, writeId: freshId() }))
        const second = required(await store.save(other, 'first', { ...options, writeId: freshId() }))
        await store.save(key, 'for ever', { expectedVersion: first.version, writeId: freshId() })
        await store.save(other, 'longer', { expectedVersion: second.version, writeId: freshId(), ttlMs: 60_000 })
        await soon(async () => expect(required(await store.load(key)).ageMs).toBeGreaterThan(1_100))
        expect(await store.load(key)).toMatchObject({ value: 'for ever' })
        expect(await store.load(other)).toMatchObject({ value: 'longer' })
      })
    })

    describe('deletion', () => {
      test('removes the record if it has the expected version', async () => {
        const version = await create()
        expect(await store.delete(key, { expectedVersion: 'aaaa.1', writeId: freshId() })).toBe(false)
        expect(await held()).toEqual({ value: 'first', version })
        expect(await store.delete(key, { expectedVersion: version, writeId: freshId() })).toBe(true)
        expect(await store.load(key)).toBeUndefined()
      })

      test('of nothing is refused', async () => {
        expect(await store.delete(key, { expectedVersion: 'aaaa.1', writeId: freshId() })).toBe(false)
      })

      test('sent again answers as it did, also after the record was created anew', async () => {
        const options = { expectedVersion: await create(), writeId: freshId() }
        expect(await store.delete(key, options)).toBe(true)
        expect(await store.delete(key, options)).toBe(true)
        expect(await store.delete(key, { ...options, writeId: freshId() })).toBe(false)
        const version = await create('again')
        expect(await store.delete(key, options)).toBe(true)
        expect(await held()).toEqual({ value: 'again', version })
      })

      test('is not undone by a writer that read the record before', async () => {
        const version = await create()
        await store.delete(key, { expectedVersion: version, writeId: freshId() })
        expect(await store.save(key, 'late', { expectedVersion: version, writeId: freshId() })).toBe('refused')
        expect(await store.load(key)).toBeUndefined()
      })

      test('is not undone by the write that made the record, when it is sent again', async () => {
        const options = { expectedVersion: undefined, writeId: freshId() }
        const first = required(await store.save(key, 'first', options))
        await store.delete(key, { expectedVersion: first.version, writeId: freshId() })
        expect(await store.save(key, 'first', options)).toEqual(first)
        expect(await store.load(key)).toBeUndefined()
      })

      test('lets nobody see an earlier version again', async () => {
        const versions: string[] = []
        for (let round = 0; round < 5; round += 1) {
          const first = await create()
          const { version } = required(await store.save(key, 'second', { expectedVersion: first, writeId: freshId() }))
          versions.push(first, version)
          for (const old of versions.slice(0, -1)) {
            expect(await store.save(key, 'late', { expectedVersion: old, writeId: freshId() })).toBe('refused')
            expect(await store.delete(key, { expectedVersion: old, writeId: freshId() })).toBe(false)
          }
          expect(await store.delete(key, { expectedVersion: version, writeId: freshId() })).toBe(true)
        }
        expect(new Set(versions).size).toBe(versions.length)
      })

      test('and a save do not take each other for a repeat', async () => {
        const written = { expectedVersion: undefined, writeId: freshId() }
        const { version } = required(await store.save(key, 'first', written))
        expect(await store.delete(key, { expectedVersion: version, writeId: written.writeId })).toBe(false)
        const removed = { expectedVersion: version, writeId: freshId() }
        expect(await store.delete(key, removed)).toBe(true)
        expect(await store.save(key, 'again', { ...removed, expectedVersion: undefined })).toBe('refused')
      })

      test('and saves that race have one winner', async () => {
        const version = await create()
        const other = await open()
        const [deleted, saved] = await Promise.all([
          store.delete(key, { expectedVersion: version, writeId: freshId() }),
          other.save(key, 'second', { expectedVersion: version, writeId: freshId() }),
        ])
        expect(deleted).toBe(saved === 'refused')
        expect((await store.load(key))?.value).toBe(deleted ? undefined : 'second')
      })
    })

    describe('what it can hold', () => {
      test.each(ODD_KEYS)('the key %j', async (odd) => {
        key = `${freshKey()}${odd}`
        const version = await create(odd)
        expect(await held()).toEqual({ value: odd, version })
        const listener = recorder()
        await store.subscribe(listener)
        const other = await open()
        expect(await other.delete(key, { expectedVersion: version, writeId: freshId() })).toBe(true)
        await soon(() => expect(listener.changes).toContain(key))
        expect(await store.load(key)).toBeUndefined()
      })

      test.each(ODD_VALUES)('the value %j', async (odd) => {
        const version = await create(odd)
        expect(await held()).toEqual({ value: odd, version })
      })

      test.each(ODD_KEYS)('the write id %j', async (writeId) => {
        const first = required(await store.save(key, 'first', { expectedVersion: undefined, writeId }))
        await store.save(key, 'second', { expectedVersion: first.version, writeId: freshId() })
        expect(await store.save(key, 'first', { expectedVersion: undefined, writeId })).toEqual(first)
      })

      test('a value of a million characters', async () => {
        const value = 'ä\u{1F600}'.repeat(250_000) + 'a'.repeat(250_000)
        const version = await create(value)
        const record = required(await store.load(key))
        expect(record.value === value).toBe(true)
        expect(record.version).toBe(version)
      })
    })

    describe('notices', () => {
      test('tell every subscriber, in every store, which key was saved or deleted', async () => {
        const other = await open()
        const [here, there, thereToo] = [recorder(), recorder(), recorder()]
        await store.subscribe(here)
        await other.subscribe(there)
        await other.subscribe(thereToo)
        const version = await create()
        const all = [here, there, thereToo]
        await soon(() => expect(all.map(({ changes }) => changes.includes(key))).toEqual([true, true, true]))
        for (const { changes } of all) changes.length = 0
        await store.delete(key, { expectedVersion: version, writeId: freshId() })
        await soon(() => expect(all.map(({ changes }) => changes.includes(key))).toEqual([true, true, true]))
        expect(all.map(({ gaps }) => gaps)).toEqual([[], [], []])
      })

      test('are not sent for what changed nothing', async () => {
        const other = await open()
        const listener = recorder()
        await other.subscribe(listener)
        const writeId = freshId()
        const { version } = required(await store.save(key, 'first', { expectedVersion: undefined, writeId }))
        await soon(() => expect(listener.changes).toEqual([key]))
        await store.save(key, 'first', { expectedVersion: undefined, writeId })
        await store.save(key, 'loser', { expectedVersion: undefined, writeId: freshId() })
        await store.delete(key, { expectedVersion: `${version}0`, writeId: freshId() })
        // The same hash tag: in a Cluster only the notices of one master come in their order.
        const first = key
        key = `${first}:last`
        await create('last')
        await soon(() => expect(listener.changes).toContain(key))
        expect(listener.changes).toEqual([first, key])
      })

      test('come after the change: whoever loads then sees it', async () => {
        const other = await open()
        const seen: unknown[] = []
        await other.subscribe({
          onChange: (changed) => void other.load(changed).then((record) => seen.push(record?.value)),
          onGap: () => {},
        })
        await create('visible')
        await soon(() => expect(seen).toContain('visible'))
        expect(new Set(seen)).toEqual(new Set(['visible']))
      })

      test('end with the subscription, for this subscriber alone', async () => {
        const [gone, staying] = [recorder(), recorder()]
        const unsubscribe = await store.subscribe(gone)
        await store.subscribe(staying)
        await unsubscribe()
        await create()
        await soon(() => expect(staying.changes).toContain(key))
        expect(gone.changes).toEqual([])
      })

      test('can be had again after the last subscriber left', async () => {
        const unsubscribe = await store.subscribe(recorder())
        await unsubscribe()
        await unsubscribe()
        const listener = recorder()
        await store.subscribe(listener)
        await create()
        await soon(() => expect(listener.changes).toContain(key))
      })
    })

    test('closing one store leaves the others and the records', async () => {
      const version = await create()
      const other = await open()
      await other.subscribe(recorder())
      await other.close()
      await other.close()
      expect(await held()).toEqual({ value: 'first', version })
    })
  })
}
