import { describe, expect, test } from 'vitest'
import { type IssuedToken, TokenCache } from '../../../src/connection/token-cache.ts'
import type { ChangeWatcher } from '../../../src/durable/change-watcher.ts'

const token = (value: string): IssuedToken => ({
  value,
  type: 'Bearer',
  scope: undefined,
  expiresAt: undefined,
  grant: 'authorization_code',
})

function setUp({ isReliable = true } = {}) {
  const time = { now: 1_000, wall: 1_800_000_000_000 }
  let notify: (key: string | undefined) => void = () => {}
  const changes: ChangeWatcher = {
    ready: async () => isReliable,
    listen: (listener) => (notify = listener),
    watch: () => ({ changed: async () => {}, stop: () => {} }),
    close: async () => {},
  }
  const cache = new TokenCache(changes, { now: () => time.wall + time.now, monotonic: () => time.now })
  const store = async (
    key: string,
    overrides: Partial<{ token: IssuedToken; ttlMs: number; marginMs: number; trustMs: number }> = {},
  ) => {
    const ticket = await cache.begin(key)
    cache.end(ticket, {
      token: token(key),
      ttlMs: 60_000,
      marginMs: 10_000,
      lifetimeMs: undefined,
      trustMs: 5_000,
      ...overrides,
    })
  }
  return { cache, time, store, notify: (key: string | undefined) => notify(key) }
}

describe('TokenCache', () => {
  test('TokenCache returns a token for trustMs and not longer, also after the clock was set back', async () => {
    const { cache, time, store } = setUp()
    expect(cache.get('k', undefined)).toBeUndefined()
    await store('k')
    time.now += 4_999
    expect(cache.get('k', undefined)).toEqual(token('k'))
    time.now += 1
    expect(cache.get('k', undefined)).toBeUndefined()
    time.now -= 1
    expect(cache.get('k', undefined)).toBeUndefined()
  })

  test('TokenCache returns a token while its remaining lifetime exceeds the margin, or the lifetime that the caller requires', async () => {
    const { cache, time, store } = setUp()
    await store('k', { trustMs: Infinity })
    time.now += 49_999
    expect(cache.get('k', undefined)).toEqual(token('k'))
    expect(cache.get('k', 10_000)).toEqual(token('k'))
    expect(cache.get('k', 10_001)).toBeUndefined()
    time.now += 1
    expect(cache.get('k', undefined)).toBeUndefined()
    expect(cache.get('k', 9_999)).toEqual(token('k'))
    expect(cache.get('k', 10_000)).toBeUndefined()
  })

  test('TokenCache converts the expiry when the wall clock is set, and not for what two readings of the clocks differ by', async () => {
    const { cache, time, store } = setUp()
    const expiring = { ...token('k'), expiresAt: 1_800_000_060_000 }
    await store('k', { token: expiring, trustMs: Infinity })
    for (const jitterMs of [2, -2, 250]) {
      time.wall = 1_800_000_000_000 + jitterMs
      expect(cache.get('k', undefined)).toEqual(expiring)
    }
    for (const setMs of [251, -3_600_000]) {
      time.wall = 1_800_000_000_000 + setMs
      expect(cache.get('k', undefined)).toEqual({ ...expiring, expiresAt: 1_800_000_060_000 + setMs })
    }
  })

  test('TokenCache returns a token without an expiry for trustMs, whatever lifetime the caller requires', async () => {
    const { cache, store } = setUp()
    await store('k', { ttlMs: Infinity, marginMs: 30_000 })
    expect(cache.get('k', 999_999_999)).toEqual(token('k'))
  })

  test('TokenCache drops a token when its record changes, and all tokens when the changed record is unknown', async () => {
    const { cache, store, notify } = setUp()
    await store('a')
    await store('b')
    notify('a')
    expect([cache.get('a', undefined), cache.get('b', undefined)]).toEqual([undefined, token('b')])
    notify(undefined)
    expect(cache.get('b', undefined)).toBeUndefined()
  })

  test.each([
    ['a change of its record', 'k'],
    ['a gap in the change notifications', undefined],
  ])('TokenCache does not store a token whose load overlapped with %s', async (_what, changed) => {
    const { cache, notify } = setUp()
    const ticket = await cache.begin('k')
    const other = await cache.begin('k')
    notify(changed)
    for (const each of [ticket, other])
      cache.end(each, { token: token('old'), ttlMs: 60_000, marginMs: 0, lifetimeMs: undefined, trustMs: 5_000 })
    expect(cache.get('k', undefined)).toBeUndefined()
  })

  test('TokenCache stores a token whose load overlapped with a change of another record', async () => {
    const { cache, notify } = setUp()
    const ticket = await cache.begin('k')
    notify('other')
    cache.end(ticket, { token: token('k'), ttlMs: 60_000, marginMs: 0, lifetimeMs: undefined, trustMs: 5_000 })
    expect(cache.get('k', undefined)).toEqual(token('k'))
  })

  test('TokenCache does not store tokens when change notifications are unreliable', async () => {
    const { cache, store } = setUp({ isReliable: false })
    await store('k')
    expect(cache.get('k', undefined)).toBeUndefined()
  })

  test('TokenCache accepts a load that ends without a token, and one that ends twice', async () => {
    const { cache } = setUp()
    const ticket = await cache.begin('k')
    cache.end(ticket)
    cache.end(ticket)
    expect(cache.get('k', undefined)).toBeUndefined()
  })

  test('TokenCache stores at most ten thousand tokens and evicts the least recently used', async () => {
    const { cache, store } = setUp()
    await store('first')
    await store('second')
    for (let n = 2; n < 10_000; n += 1) await store(`k${n}`)
    // Used, or made anew, counts alike.
    expect(cache.get('first', undefined)).toEqual(token('first'))
    await store('k2')
    await store('one too many')
    expect(cache.get('second', undefined)).toBeUndefined()
    await store('another')
    expect(cache.get('k3', undefined)).toBeUndefined()
    expect([cache.get('first', undefined), cache.get('k2', undefined), cache.get('k4', undefined)]).toEqual([
      token('first'),
      token('k2'),
      token('k4'),
    ])
  })
})
