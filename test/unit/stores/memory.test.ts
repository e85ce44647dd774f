import { expect, test } from 'vitest'
import { MemoryStore } from '../../../src/stores/memory.ts'

const manualClock = (start: number) => {
  let time = start
  return { monotonic: () => time, advance: (ms: number) => void (time += ms) }
}

let writes = 0
const creation = (ttlMs?: number) => ({ expectedVersion: undefined, writeId: `w${(writes += 1)}`, ttlMs })

async function saved(store: MemoryStore, key: string, ttlMs?: number): Promise<string> {
  const answer = await store.save(key, 'value', creation(ttlMs))
  return answer === 'conflict' ? expect.unreachable() : answer.version
}

test('MemoryStore computes age and expiry with the clock option', async () => {
  const clock = manualClock(-500)
  const store = new MemoryStore({ clock })
  const version = await saved(store, 'key', 1_000)
  expect(await store.load('key')).toEqual({ value: 'value', version, ageMs: 0, totalAgeMs: 0 })
  clock.advance(999)
  expect(await store.load('key')).toEqual({ value: 'value', version, ageMs: 999, totalAgeMs: 999 })
  clock.advance(1)
  expect(await store.load('key')).toBeUndefined()
  expect(await saved(store, 'key')).not.toBe(version)
})

test('MemoryStore retains the tombstone of a deleted record for ten minutes', async () => {
  const clock = manualClock(0)
  const store = new MemoryStore({ clock })
  const first = creation()
  const answer = await store.save('key', 'value', first)
  const removal = { expectedVersion: answer === 'conflict' ? '' : answer.version, writeId: 'removal' }
  await store.delete('key', removal)
  clock.advance(599_999)
  expect(await store.delete('key', removal)).toBe(true)
  expect(await store.save('key', 'value', first)).toEqual(answer)
  expect(await store.load('key')).toBeUndefined()
  clock.advance(1)
  expect(await store.delete('key', removal)).toBe(false)
})

test('MemoryStore.useClock sets a clock only once, and never replaces the clock option', async () => {
  const [given, first, second] = [manualClock(0), manualClock(0), manualClock(0)]
  const withClock = new MemoryStore({ clock: given })
  const without = new MemoryStore()
  for (const store of [withClock, without]) {
    store.useClock(first)
    store.useClock(second)
    await saved(store, 'key')
  }
  given.advance(1)
  first.advance(10)
  second.advance(100)
  expect((await withClock.load('key'))?.ageMs).toBe(1)
  expect((await without.load('key'))?.ageMs).toBe(10)
})

test('MemoryStore removes expired records with a later save and retains the others', async () => {
  const clock = manualClock(0)
  const store = new MemoryStore({ clock })
  const value = 'x'.repeat(1_000)
  for (let index = 0; index < 100; index += 1) await store.save(`short ${index}`, value, creation(1_000))
  await store.save('long', value, creation(100_000))
  expect(store.size).toBe(101)
  clock.advance(60_000)
  await saved(store, 'next')
  expect(store.size).toBe(2)
  expect(await store.load('long')).toMatchObject({ value })
})

test('MemoryStore notifies subscribers synchronously with the change', () => {
  const store = new MemoryStore()
  const heard: string[] = []
  void store.subscribe({ onChange: (key) => void heard.push(key), onGap: () => {} })
  void saved(store, 'key')
  expect(heard).toEqual(['key'])
})

test('MemoryStore is inside the process, and close() retains its records and other subscriptions', async () => {
  const store = new MemoryStore()
  expect(store.insideProcess).toBe(true)
  const heard: string[] = []
  await store.subscribe({ onChange: (key) => void heard.push(key), onGap: () => void heard.push('gap') })
  await store.close()
  await saved(store, 'key')
  expect(heard).toEqual(['key'])
  expect(await store.load('key')).toMatchObject({ value: 'value' })
})
