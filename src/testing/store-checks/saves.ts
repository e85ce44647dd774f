import assert from 'node:assert/strict'
import { freshId, freshKey, required, type StoreChecks } from '../store-fixture.ts'

/** `load` and `save`: a record is replaced only by a writer that read its current version. */
export const saveChecks: StoreChecks = {
  async 'load returns undefined for a key that was never written'({ store, key }) {
    assert.equal(await store.load(key), undefined)
  },

  async 'save without an expected version creates an absent record'(fixture) {
    const version = await fixture.create('value')
    const { ageMs, totalAgeMs: _, ...record } = required(await fixture.store.load(fixture.key))
    assert.deepEqual(record, { value: 'value', version })
    assert.equal(typeof ageMs, 'number')
  },

  async 'save replaces a record that has the expected version, and changes the version'(fixture) {
    const { store, key } = fixture
    const first = await fixture.create()
    const { version } = required(await store.save(key, 'second', { expectedVersion: first, writeId: freshId() }))
    assert.notEqual(version, first)
    assert.deepEqual(await fixture.record(), { value: 'second', version })
  },

  async 'save with any other expected version is a conflict and changes nothing'(fixture) {
    const { store, key } = fixture
    const first = await fixture.create()
    const { version } = required(await store.save(key, 'second', { expectedVersion: first, writeId: freshId() }))
    for (const expectedVersion of [undefined, first, `${version}0`, 'no version'])
      assert.equal(await store.save(key, 'late', { expectedVersion, writeId: freshId(), ttlMs: 1 }), 'conflict')
    assert.deepEqual(await fixture.record(), { value: 'second', version })
  },

  async 'save with an expected version is a conflict if the record is absent'(fixture) {
    const { store, key } = fixture
    assert.equal(await store.save(key, 'late', { expectedVersion: 'aaaa.1', writeId: freshId() }), 'conflict')
    await fixture.expectAbsent()
  },

  async 'exactly one of many simultaneous saves succeeds'(fixture) {
    const { store, key } = fixture
    const other = await fixture.open()
    const race = async (expectedVersion: string | undefined): Promise<string | undefined> => {
      const racers = Array.from({ length: 20 }, async (_, index) => {
        const racer = index % 2 === 0 ? store : other
        return await racer.save(key, `racer ${index}`, { expectedVersion, writeId: freshId() })
      })
      const results = await Promise.all(racers)
      const winners = results.flatMap((result, index) =>
        result === 'conflict' ? [] : [{ value: `racer ${index}`, version: result.version }],
      )
      assert.deepEqual(winners, [await fixture.record()])
      return winners[0]?.version
    }
    const first = await race(undefined)
    assert.notEqual(await race(first), first)
  },

  async 'another store on the same data loads and replaces the same record'(fixture) {
    const version = await fixture.create()
    const other = await fixture.open()
    const { ageMs: _age, totalAgeMs: _total, ...seen } = required(await other.load(fixture.key))
    assert.deepEqual(seen, { value: 'first', version })
    required(await other.save(fixture.key, 'second', { expectedVersion: version, writeId: freshId() }))
    await fixture.expectValue('second')
  },

  async 'keys that differ in case or in a trailing space name different records'(fixture) {
    const { store, key } = fixture
    await fixture.create()
    for (const other of [freshKey(), `${key} `, key.toUpperCase()]) assert.equal(await store.load(other), undefined)
  },

  async 'close affects neither other stores nor the records'(fixture) {
    const version = await fixture.create()
    const other = await fixture.open()
    await other.subscribe({ onChange() {}, onGap() {} })
    await other.close()
    await other.close()
    assert.deepEqual(await fixture.record(), { value: 'first', version })
  },
}

/** A write whose response was lost is sent again with the same write id, and must not take effect twice. */
export const idempotencyChecks: StoreChecks = {
  async 'a save that is sent again returns its first result and writes once'(fixture) {
    const { store, key } = fixture
    const options = { expectedVersion: undefined, writeId: freshId() }
    const first = required(await store.save(key, 'first', options))
    assert.deepEqual(await store.save(key, 'first', options), first)
    const replace = { expectedVersion: first.version, writeId: freshId() }
    const second = required(await store.save(key, 'second', replace))
    assert.deepEqual(await store.save(key, 'second', replace), second)
    assert.deepEqual(await fixture.record(), { value: 'second', ...second })
  },

  async 'a save that is sent again after a later write returns its first result and does not undo that write'(fixture) {
    const { store, key } = fixture
    const options = { expectedVersion: undefined, writeId: freshId() }
    const first = required(await store.save(key, 'first', options))
    const later = required(await store.save(key, 'later', { expectedVersion: first.version, writeId: freshId() }))
    assert.deepEqual(await store.save(key, 'first', options), first)
    assert.deepEqual(await fixture.record(), { value: 'later', ...later })
  },

  async 'a conflict that is sent again is a conflict again'(fixture) {
    const { store, key } = fixture
    const version = await fixture.create()
    const options = { expectedVersion: undefined, writeId: freshId() }
    assert.equal(await store.save(key, 'loser', options), 'conflict')
    assert.equal(await store.save(key, 'loser', options), 'conflict')
    assert.deepEqual(await fixture.record(), { value: 'first', version })
  },

  async 'the store remembers the ids of the last eight writes, and not of all'(fixture) {
    const { store, key } = fixture
    const options = { expectedVersion: undefined, writeId: freshId() }
    const first = required(await store.save(key, 'first', options))
    let { version } = first
    const write = async (value: string): Promise<void> => {
      version = required(await store.save(key, value, { expectedVersion: version, writeId: freshId() })).version
    }
    for (let count = 2; count <= 8; count += 1) await write(`${count}`)
    assert.deepEqual(await store.save(key, 'first', options), first)
    await write('9')
    assert.equal(await store.save(key, 'first', options), 'conflict')
    assert.deepEqual(await fixture.record(), { value: '9', version })
  },

  async 'a save that is sent again from another process returns its first result'(fixture) {
    const options = { expectedVersion: undefined, writeId: freshId() }
    const first = required(await fixture.store.save(fixture.key, 'first', options))
    const other = await fixture.open()
    assert.deepEqual(await other.save(fixture.key, 'first', options), first)
  },
}
