import assert from 'node:assert/strict'
import { freshId, required, type StoreChecks } from '../store-bench.ts'

/** A deleted record stays deleted, whatever is written late. */
export const deletionChecks: StoreChecks = {
  async 'delete removes a record with the expected version and leaves any other'(bench) {
    const { store, key } = bench
    const version = await bench.create()
    assert.equal(await store.delete(key, { expectedVersion: 'aaaa.1', writeId: freshId() }), false)
    assert.deepEqual(await bench.held(), { value: 'first', version })
    assert.equal(await store.delete(key, { expectedVersion: version, writeId: freshId() }), true)
    await bench.holdsNothing()
  },

  async 'delete returns false for an absent record'({ store, key }) {
    assert.equal(await store.delete(key, { expectedVersion: 'aaaa.1', writeId: freshId() }), false)
  },

  async 'a retried delete returns its first result, even after the record was created again'(bench) {
    const { store, key } = bench
    const options = { expectedVersion: await bench.create(), writeId: freshId() }
    assert.equal(await store.delete(key, options), true)
    assert.equal(await store.delete(key, options), true)
    assert.equal(await store.delete(key, { ...options, writeId: freshId() }), false)
    const version = await bench.create('again')
    assert.equal(await store.delete(key, options), true)
    assert.deepEqual(await bench.held(), { value: 'again', version })
  },

  async 'a save that expects a deleted version conflicts'(bench) {
    const { store, key } = bench
    const version = await bench.create()
    await store.delete(key, { expectedVersion: version, writeId: freshId() })
    assert.equal(await store.save(key, 'late', { expectedVersion: version, writeId: freshId() }), 'conflict')
    await bench.holdsNothing()
  },

  async 'a retry of the save that created a record does not undo its deletion'(bench) {
    const { store, key } = bench
    const options = { expectedVersion: undefined, writeId: freshId() }
    const first = required(await store.save(key, 'first', options))
    await store.delete(key, { expectedVersion: first.version, writeId: freshId() })
    assert.deepEqual(await store.save(key, 'first', options), first)
    await bench.holdsNothing()
  },

  async 'a record that is created again never reuses an earlier version'(bench) {
    const { store, key } = bench
    const versions: string[] = []
    for (let round = 0; round < 5; round += 1) {
      const first = await bench.create()
      const { version } = required(await store.save(key, 'second', { expectedVersion: first, writeId: freshId() }))
      versions.push(first, version)
      for (const old of versions.slice(0, -1)) {
        assert.equal(await store.save(key, 'late', { expectedVersion: old, writeId: freshId() }), 'conflict')
        assert.equal(await store.delete(key, { expectedVersion: old, writeId: freshId() }), false)
      }
      assert.equal(await store.delete(key, { expectedVersion: version, writeId: freshId() }), true)
    }
    assert.equal(new Set(versions).size, versions.length)
  },

  async 'a delete and a save with one write id are not retries of each other'(bench) {
    const { store, key } = bench
    const written = { expectedVersion: undefined, writeId: freshId() }
    const { version } = required(await store.save(key, 'first', written))
    assert.equal(await store.delete(key, { expectedVersion: version, writeId: written.writeId }), false)
    const removed = { expectedVersion: version, writeId: freshId() }
    assert.equal(await store.delete(key, removed), true)
    assert.equal(await store.save(key, 'again', { ...removed, expectedVersion: undefined }), 'conflict')
  },

  async 'a concurrent delete and save have exactly one winner'(bench) {
    const { store, key } = bench
    const version = await bench.create()
    const other = await bench.open()
    const [deleted, saved] = await Promise.all([
      store.delete(key, { expectedVersion: version, writeId: freshId() }),
      other.save(key, 'second', { expectedVersion: version, writeId: freshId() }),
    ])
    assert.equal(deleted, saved === 'conflict')
    assert.equal((await store.load(key))?.value, deleted ? undefined : 'second')
  },
}
