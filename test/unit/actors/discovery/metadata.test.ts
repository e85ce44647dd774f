import { describe, expect, test } from 'vitest'
import { freshnessOf, MetadataCache } from '../../../../src/actors/discovery/metadata.ts'
import { verifies } from '../../../support/verifies.ts'

function makeCache(bounds?: { maxEntries?: number; maxBytes?: number }) {
  const clock = { time: 0, monotonic: () => clock.time }
  const cache = new MetadataCache<string>(clock, bounds)
  const loads: string[] = []
  const read = (url: string, { freshForMs = 100, refresh = false } = {}) =>
    cache.read(
      url,
      () => {
        loads.push(url)
        return Promise.resolve({ value: `${url}${loads.length}`, freshForMs })
      },
      { refresh },
    )
  return { cache, clock, loads, read }
}

describe('MetadataCache', () => {
  test('returns a document without a request while it is fresh', async () => {
    const { clock, read } = makeCache()
    expect(await read('a')).toBe('a1')
    clock.time = 99
    expect(await read('a')).toBe('a1')
    clock.time = 100
    expect(await read('a')).toBe('a2')
  })

  test('does not store a document with freshForMs 0 and removes the stored one', async () => {
    const { read } = makeCache()
    expect(await read('a', { freshForMs: 0 })).toBe('a1')
    expect(await read('a')).toBe('a2')
    expect(await read('a', { refresh: true, freshForMs: 0 })).toBe('a3')
    expect(await read('a')).toBe('a4')
  })

  test('drops the document that was used least recently when all together are too large, and retains none that is too large alone', async () => {
    const { loads, read } = makeCache({ maxBytes: 1_000 })
    for (const url of ['a', 'b', 'a', 'c'.repeat(200), 'a', 'b']) await read(url)
    expect(loads).toEqual(['a', 'b', 'c'.repeat(200), 'b'])
    for (const url of ['d'.repeat(1_000), 'd'.repeat(1_000)]) await read(url)
    expect(loads.slice(4)).toEqual(['d'.repeat(1_000), 'd'.repeat(1_000)])
  })

  test('requests a document again after refresh and after drop', async () => {
    const { cache, read } = makeCache()
    await read('a')
    expect(await read('a', { refresh: true })).toBe('a2')
    expect(await read('a')).toBe('a2')
    cache.drop('a')
    expect(await read('a')).toBe('a3')
  })

  test('shares one request among concurrent readers', async () => {
    const { loads, read } = makeCache()
    expect(await Promise.all([read('a'), read('a', { refresh: true }), read('b'), read('a')])).toEqual([
      'a1',
      'a1',
      'b2',
      'a1',
    ])
    expect(loads).toEqual(['a', 'b'])
  })

  test('shares a failure among concurrent readers without storing it', async () => {
    const { cache, read } = makeCache()
    const fail = () => cache.read('a', () => Promise.reject(new Error('down')))
    const settled = await Promise.allSettled([fail(), read('a')])
    expect(settled.map(({ status }) => status)).toEqual(['rejected', 'rejected'])
    expect(await read('a')).toBe('a1')
  })

  test('evicts the least recently used document', async () => {
    const { loads, read } = makeCache({ maxEntries: 2 })
    for (const url of ['a', 'b', 'a', 'c', 'a', 'b']) await read(url)
    expect(loads).toEqual(['a', 'b', 'c', 'b'])
  })
})

test.each([
  [undefined, 300_000],
  ['', 300_000],
  ['public', 300_000],
  ['max-age=60', 60_000],
  ['public, MAX-AGE = 60', 300_000],
  ['private, max-age="60"', 60_000],
  ['max-age=0', 0],
  ['max-age=-1', 300_000],
  ['max-age=99999999999', 86_400_000],
  ['no-store', 0],
  ['max-age=60, No-Cache', 0],
  ['s-maxage=5', 300_000],
])(
  'freshnessOf with cache-control %j returns %i ms',
  verifies(20, (control, expected) => {
    expect(freshnessOf(new Headers(control === undefined ? {} : { 'cache-control': control }))).toBe(expected)
  }),
)

test.each<[Record<string, string>, number]>([
  [{ 'cache-control': 'max-age=60', age: '20' }, 40_000],
  [{ 'cache-control': 'max-age=60', age: '90' }, 0],
  [{ 'cache-control': 'max-age=60', age: 'old' }, 60_000],
  [{ expires: 'Wed, 25 Nov 2026 12:01:00 GMT', date: 'Wed, 25 Nov 2026 12:00:00 GMT' }, 60_000],
  [{ expires: 'Wed, 25 Nov 2026 12:01:00 GMT', date: 'Wed, 25 Nov 2026 12:00:00 GMT', age: '50' }, 10_000],
  [{ expires: '0', date: 'Wed, 25 Nov 2026 12:00:00 GMT' }, 0],
  [{ expires: 'Wed, 25 Nov 2026 12:01:00 GMT' }, 0],
  [
    { 'cache-control': 'max-age=5', expires: 'Wed, 25 Nov 2026 12:01:00 GMT', date: 'Wed, 25 Nov 2026 12:00:00 GMT' },
    5_000,
  ],
])('freshnessOf with the headers %j returns the remaining %i ms', (headers, expected) => {
  expect(freshnessOf(new Headers(headers))).toBe(expected)
})
