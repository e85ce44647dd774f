import assert from 'node:assert/strict'
import { freshId, freshKey, required, type StoreChecks } from '../store-bench.ts'

const isOlderThan = (ageMs: number, ms: number): void => assert.ok(ageMs > ms, `an age of ${ageMs} ms`)

/** A record has an age, and is removed after its time to live. */
export const ageChecks: StoreChecks = {
  async 'the age of a record grows, and a save resets it'(bench) {
    const version = await bench.create()
    const young = await bench.ageMs()
    assert.ok(young >= 0, `an age of ${young} ms`)
    await bench.soon(async () => isOlderThan(await bench.ageMs(), young + 100))
    const start = performance.now()
    await bench.store.save(bench.key, 'second', { expectedVersion: version, writeId: freshId() })
    const ageMs = await bench.ageMs()
    assert.ok(ageMs <= performance.now() - start + 5, `an age of ${ageMs} ms right after the save`)
  },

  async 'a save that conflicts does not reset the age'(bench) {
    await bench.create()
    await bench.soon(async () => isOlderThan(await bench.ageMs(), 100))
    await bench.store.save(bench.key, 'loser', { expectedVersion: undefined, writeId: freshId() })
    isOlderThan(await bench.ageMs(), 100)
  },

  async 'a record is absent after its time to live'(bench) {
    const { store, key } = bench
    const version = await bench.create('short', 500)
    assert.deepEqual(await bench.held(), { value: 'short', version })
    await bench.soon(() => bench.holdsNothing())
    assert.equal(await store.save(key, 'late', { expectedVersion: version, writeId: freshId() }), 'conflict')
    assert.equal(await store.delete(key, { expectedVersion: version, writeId: freshId() }), false)
    assert.notEqual(await bench.create('again'), version)
    await bench.holds('again')
  },

  async 'a save accepts a time to live that is 0, a fraction or Number.MAX_VALUE'(bench) {
    await bench.create('gone', 0)
    await bench.soon(() => bench.holdsNothing())
    const version = await bench.create('fraction', 60_000.5)
    await bench.holds('fraction')
    const long = { expectedVersion: version, writeId: freshId(), ttlMs: Number.MAX_VALUE }
    await bench.store.save(bench.key, 'long', long)
    await bench.holds('long')
  },

  async 'a save without a time to live removes the earlier one, and a longer one replaces it'(bench) {
    const { store, key } = bench
    const other = freshKey()
    const options = { expectedVersion: undefined, ttlMs: 1_000 }
    const first = required(await store.save(key, 'first', { ...options, writeId: freshId() }))
    const second = required(await store.save(other, 'first', { ...options, writeId: freshId() }))
    await store.save(key, 'for ever', { expectedVersion: first.version, writeId: freshId() })
    await store.save(other, 'longer', { expectedVersion: second.version, writeId: freshId(), ttlMs: 60_000 })
    await bench.soon(async () => isOlderThan(await bench.ageMs(), 1_100))
    await bench.holds('for ever')
    assert.equal((await store.load(other))?.value, 'longer')
  },
}
