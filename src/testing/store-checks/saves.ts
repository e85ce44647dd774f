import assert from 'node:assert/strict'
import { freshId, freshKey, required, type StoreChecks } from '../store-bench.ts'

/** A record is replaced only by a save with its current version. */
export const saveChecks: StoreChecks = {
  async 'load returns undefined for a record that was never written'({ store, key }) {
    assert.equal(await store.load(key), undefined)
  },

  async 'a save that expects no record creates the record'(bench) {
    const version = await bench.create('value')
    const { ageMs, ...record } = required(await bench.store.load(bench.key))
    assert.deepEqual(record, { value: 'value', version })
    assert.equal(typeof ageMs, 'number')
  },

  async 'a save with the expected version replaces the record and changes its version'(bench) {
    const { store, key } = bench
    const first = await bench.create()
    const { version } = required(await store.save(key, 'second', { expectedVersion: first, writeId: freshId() }))
    assert.notEqual(version, first)
    assert.deepEqual(await bench.held(), { value: 'second', version })
  },

  async 'a save with any other expected version conflicts and changes nothing'(bench) {
    const { store, key } = bench
    const first = await bench.create()
    const { version } = required(await store.save(key, 'second', { expectedVersion: first, writeId: freshId() }))
    for (const expectedVersion of [undefined, first, `${version}0`, 'no version'])
      assert.equal(await store.save(key, 'late', { expectedVersion, writeId: freshId(), ttlMs: 1 }), 'conflict')
    assert.deepEqual(await bench.held(), { value: 'second', version })
  },

  async 'a save that expects a version conflicts if the record does not exist'(bench) {
    const { store, key } = bench
    assert.equal(await store.save(key, 'late', { expectedVersion: 'aaaa.1', writeId: freshId() }), 'conflict')
    await bench.holdsNothing()
  },

  async 'exactly one of many simultaneous saves succeeds'(bench) {
    const { store, key } = bench
    const other = await bench.open()
    const race = async (expectedVersion: string | undefined): Promise<string | undefined> => {
      const racers = Array.from({ length: 20 }, async (_, index) => {
        const racer = index % 2 === 0 ? store : other
        return await racer.save(key, `racer ${index}`, { expectedVersion, writeId: freshId() })
      })
      const answers = await Promise.all(racers)
      const winners = answers.flatMap((answer, index) =>
        answer === 'conflict' ? [] : [{ value: `racer ${index}`, version: answer.version }],
      )
      assert.deepEqual(winners, [await bench.held()])
      return winners[0]?.version
    }
    const first = await race(undefined)
    assert.notEqual(await race(first), first)
  },

  async 'another store on the same data loads the same record'(bench) {
    const version = await bench.create()
    const other = await bench.open()
    const { ageMs: _, ...seen } = required(await other.load(bench.key))
    assert.deepEqual(seen, { value: 'first', version })
    required(await other.save(bench.key, 'second', { expectedVersion: version, writeId: freshId() }))
    await bench.holds('second')
  },

  async 'a record is not visible under a similar key'(bench) {
    const { store, key } = bench
    await bench.create()
    for (const other of [freshKey(), `${key} `, key.toUpperCase()]) assert.equal(await store.load(other), undefined)
  },

  async 'closing one store does not affect other stores and their records'(bench) {
    const version = await bench.create()
    const other = await bench.open()
    await other.subscribe({ onChange() {}, onGap() {} })
    await other.close()
    await other.close()
    assert.deepEqual(await bench.held(), { value: 'first', version })
  },
}
