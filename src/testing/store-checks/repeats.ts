import assert from 'node:assert/strict'
import { freshId, required, type StoreChecks } from '../store-bench.ts'

/** A write whose response was lost is retried, and must not take effect twice. */
export const repeatChecks: StoreChecks = {
  async 'a retried save returns its first result and writes once'(bench) {
    const { store, key } = bench
    const options = { expectedVersion: undefined, writeId: freshId() }
    const first = required(await store.save(key, 'first', options))
    assert.deepEqual(await store.save(key, 'first', options), first)
    const replace = { expectedVersion: first.version, writeId: freshId() }
    const second = required(await store.save(key, 'second', replace))
    assert.deepEqual(await store.save(key, 'second', replace), second)
    assert.deepEqual(await bench.held(), { value: 'second', ...second })
  },

  async 'a retried save returns its first result after a later write and does not undo it'(bench) {
    const { store, key } = bench
    const options = { expectedVersion: undefined, writeId: freshId() }
    const first = required(await store.save(key, 'first', options))
    const later = required(await store.save(key, 'later', { expectedVersion: first.version, writeId: freshId() }))
    assert.deepEqual(await store.save(key, 'first', options), first)
    assert.deepEqual(await bench.held(), { value: 'later', ...later })
  },

  async 'a retry of a save that conflicted conflicts again'(bench) {
    const { store, key } = bench
    const version = await bench.create()
    const options = { expectedVersion: undefined, writeId: freshId() }
    assert.equal(await store.save(key, 'loser', options), 'conflict')
    assert.equal(await store.save(key, 'loser', options), 'conflict')
    assert.deepEqual(await bench.held(), { value: 'first', version })
  },

  async 'a retried save is recognized for the last eight writes and conflicts afterwards'(bench) {
    const { store, key } = bench
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
    assert.deepEqual(await bench.held(), { value: '9', version })
  },

  async 'a retried save is recognized in another process'(bench) {
    const options = { expectedVersion: undefined, writeId: freshId() }
    const first = required(await bench.store.save(bench.key, 'first', options))
    const other = await bench.open()
    assert.deepEqual(await other.save(bench.key, 'first', options), first)
  },
}
