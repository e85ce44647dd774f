import { expect, test } from 'vitest'
import { LruMap } from '../../src/lru-map.ts'

const KEYS = ['a', 'b', 'c', 'd']

function entriesOf(map: LruMap<string, number>): Record<string, number | undefined> {
  return Object.fromEntries(KEYS.map((key) => [key, map.get(key)]))
}

function filled(...keys: string[]): LruMap<string, number> {
  const map = new LruMap<string, number>(3)
  for (const [index, key] of keys.entries()) map.set(key, index)
  return map
}

test('a full LruMap drops the entry that was written first when nothing was read', () => {
  expect(entriesOf(filled('a', 'b', 'c', 'd'))).toEqual({ a: undefined, b: 1, c: 2, d: 3 })
})

test('a full LruMap retains an entry that was read and drops the next oldest instead', () => {
  const map = filled('a', 'b', 'c')
  expect(map.get('a')).toBe(0)
  map.set('d', 3)
  expect(entriesOf(map)).toEqual({ a: 0, b: undefined, c: 2, d: 3 })
})

test('a full LruMap retains an entry that was written again and drops the next oldest instead', () => {
  const map = filled('a', 'b', 'c')
  map.set('a', 7)
  map.set('d', 3)
  expect(entriesOf(map)).toEqual({ a: 7, b: undefined, c: 2, d: 3 })
})

test('an LruMap never contains more entries than its bound', () => {
  const map = new LruMap<number, number>(3)
  for (let key = 0; key < 100; key += 1) map.set(key, key)
  expect([map.size, map.get(96), map.get(97), map.get(99)]).toEqual([3, undefined, 97, 99])
})

test('an LruMap drops a deleted entry, and every entry when it is cleared', () => {
  const map = filled('a', 'b')
  map.delete('a')
  expect(entriesOf(map)).toEqual({ a: undefined, b: 1, c: undefined, d: undefined })
  map.clear()
  expect([map.size, map.get('b')]).toEqual([0, undefined])
})

test('an LruMap of bounded weight drops the entries that were used least recently until the others fit', () => {
  const map = new LruMap<string, number>(100, { maxWeight: 10, weightOf: (value) => value })
  map.set('a', 4)
  map.set('b', 4)
  map.set('a', 2)
  map.set('c', 4)
  expect(entriesOf(map)).toEqual({ a: 2, b: 4, c: 4, d: undefined })
  map.set('d', 5)
  expect(entriesOf(map)).toEqual({ a: undefined, b: undefined, c: 4, d: 5 })
  map.set('b', 11)
  expect(entriesOf(map)).toEqual({ a: undefined, b: undefined, c: 4, d: 5 })
  map.set('a', 10)
  map.clear()
  map.set('b', 10)
  map.delete('b')
  map.set('c', 10)
  expect(entriesOf(map)).toEqual({ a: undefined, b: undefined, c: 10, d: undefined })
})
