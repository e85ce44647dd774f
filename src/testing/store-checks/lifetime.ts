import assert from 'node:assert/strict'
import { freshId, freshKey, required, type StoreChecks } from '../store-fixture.ts'

const isOlderThan = (ageMs: number, ms: number): void => assert.ok(ageMs > ms, `an age of ${ageMs} ms`)

/** The age of a record by the store's clock, and its time to live. */
export const ageChecks: StoreChecks = {
  async 'the age of a record grows, and a save resets it'(fixture) {
    const version = await fixture.create()
    const young = await fixture.ageMs()
    assert.ok(young >= 0, `an age of ${young} ms`)
    await fixture.eventually(async () => isOlderThan(await fixture.ageMs(), young + 100))
    const start = performance.now()
    await fixture.store.save(fixture.key, 'second', { expectedVersion: version, writeId: freshId() })
    const ageMs = await fixture.ageMs()
    assert.ok(ageMs <= performance.now() - start + 5, `an age of ${ageMs} ms right after the save`)
  },

  async 'the total age of a record, if the store reports it, is not reset by a save'(fixture) {
    const version = await fixture.create()
    const { totalAgeMs } = required(await fixture.store.load(fixture.key))
    if (totalAgeMs === undefined) return
    const total = async (): Promise<number> => required(await fixture.store.load(fixture.key)).totalAgeMs ?? 0
    await fixture.eventually(async () => isOlderThan(await total(), totalAgeMs + 100))
    await fixture.store.save(fixture.key, 'second', { expectedVersion: version, writeId: freshId() })
    isOlderThan(await total(), totalAgeMs + 100)
  },

  async 'a conflict does not reset the age of a record'(fixture) {
    await fixture.create()
    await fixture.eventually(async () => isOlderThan(await fixture.ageMs(), 100))
    await fixture.store.save(fixture.key, 'loser', { expectedVersion: undefined, writeId: freshId() })
    isOlderThan(await fixture.ageMs(), 100)
  },

  async 'a record is absent after its time to live'(fixture) {
    const { store, key } = fixture
    const version = await fixture.create('short', 500)
    assert.deepEqual(await fixture.record(), { value: 'short', version })
    await fixture.eventually(() => fixture.expectAbsent())
    assert.equal(await store.save(key, 'late', { expectedVersion: version, writeId: freshId() }), 'conflict')
    assert.equal(await store.delete(key, { expectedVersion: version, writeId: freshId() }), false)
    assert.notEqual(await fixture.create('again'), version)
    await fixture.expectValue('again')
  },

  async 'save accepts a time to live that is zero, a fraction, or a very large number'(fixture) {
    await fixture.create('gone', 0)
    await fixture.eventually(() => fixture.expectAbsent())
    const version = await fixture.create('fraction', 60_000.5)
    await fixture.expectValue('fraction')
    const long = { expectedVersion: version, writeId: freshId(), ttlMs: Number.MAX_VALUE }
    await fixture.store.save(fixture.key, 'long', long)
    await fixture.expectValue('long')
  },

  async 'each save replaces the time to live, and a save without one removes it'(fixture) {
    const { store, key } = fixture
    const other = freshKey()
    const options = { expectedVersion: undefined, ttlMs: 1_000 }
    const first = required(await store.save(key, 'first', { ...options, writeId: freshId() }))
    const second = required(await store.save(other, 'first', { ...options, writeId: freshId() }))
    await store.save(key, 'permanent', { expectedVersion: first.version, writeId: freshId() })
    await store.save(other, 'longer', { expectedVersion: second.version, writeId: freshId(), ttlMs: 60_000 })
    await fixture.eventually(async () => isOlderThan(await fixture.ageMs(), 1_100))
    await fixture.expectValue('permanent')
    assert.equal((await store.load(other))?.value, 'longer')
  },
}

/** A deleted record stays deleted, also when an older write arrives late. */
export const deletionChecks: StoreChecks = {
  async 'delete removes a record only if it has the expected version'(fixture) {
    const { store, key } = fixture
    const version = await fixture.create()
    assert.equal(await store.delete(key, { expectedVersion: 'aaaa.1', writeId: freshId() }), false)
    assert.deepEqual(await fixture.record(), { value: 'first', version })
    assert.equal(await store.delete(key, { expectedVersion: version, writeId: freshId() }), true)
    await fixture.expectAbsent()
  },

  async 'delete of an absent record returns false'({ store, key }) {
    assert.equal(await store.delete(key, { expectedVersion: 'aaaa.1', writeId: freshId() }), false)
  },

  async 'a delete that is sent again returns its first result, also after the record was created again'(fixture) {
    const { store, key } = fixture
    const options = { expectedVersion: await fixture.create(), writeId: freshId() }
    assert.equal(await store.delete(key, options), true)
    assert.equal(await store.delete(key, options), true)
    assert.equal(await store.delete(key, { ...options, writeId: freshId() }), false)
    const version = await fixture.create('again')
    assert.equal(await store.delete(key, options), true)
    assert.deepEqual(await fixture.record(), { value: 'again', version })
  },

  async 'a save computed from the deleted version is a conflict'(fixture) {
    const { store, key } = fixture
    const version = await fixture.create()
    await store.delete(key, { expectedVersion: version, writeId: freshId() })
    assert.equal(await store.save(key, 'late', { expectedVersion: version, writeId: freshId() }), 'conflict')
    await fixture.expectAbsent()
  },

  async 'the save that created a record does not revive it when it is sent again'(fixture) {
    const { store, key } = fixture
    const options = { expectedVersion: undefined, writeId: freshId() }
    const first = required(await store.save(key, 'first', options))
    await store.delete(key, { expectedVersion: first.version, writeId: freshId() })
    assert.deepEqual(await store.save(key, 'first', options), first)
    await fixture.expectAbsent()
  },

  async 'no version is used again after a deletion'(fixture) {
    const { store, key } = fixture
    const versions: string[] = []
    for (let round = 0; round < 5; round += 1) {
      const first = await fixture.create()
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

  async 'a delete and a save with the same write id are different writes'(fixture) {
    const { store, key } = fixture
    const written = { expectedVersion: undefined, writeId: freshId() }
    const { version } = required(await store.save(key, 'first', written))
    assert.equal(await store.delete(key, { expectedVersion: version, writeId: written.writeId }), false)
    const removed = { expectedVersion: version, writeId: freshId() }
    assert.equal(await store.delete(key, removed), true)
    assert.equal(await store.save(key, 'again', { ...removed, expectedVersion: undefined }), 'conflict')
  },

  async 'exactly one of a simultaneous delete and save succeeds'(fixture) {
    const { store, key } = fixture
    const version = await fixture.create()
    const other = await fixture.open()
    const [deleted, saved] = await Promise.all([
      store.delete(key, { expectedVersion: version, writeId: freshId() }),
      other.save(key, 'second', { expectedVersion: version, writeId: freshId() }),
    ])
    assert.equal(deleted, saved === 'conflict')
    assert.equal((await store.load(key))?.value, deleted ? undefined : 'second')
  },
}
