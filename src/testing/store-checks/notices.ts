import assert from 'node:assert/strict'
import { freshId, recorder, required, type StoreChecks } from '../store-bench.ts'

const isNotifiedOf = (changes: readonly string[], key: string): void =>
  assert.ok(changes.includes(key), 'the subscriber was not notified of the key')

/** Every subscriber is notified of changed keys, in this process or another. */
export const noticeChecks: StoreChecks = {
  async 'a save and a delete notify every subscriber of every store with the key'(bench) {
    const { store, key } = bench
    const other = await bench.open()
    const [here, there, thereToo] = [recorder(), recorder(), recorder()]
    await store.subscribe(here)
    await other.subscribe(there)
    await other.subscribe(thereToo)
    const version = await bench.create()
    const all = [here, there, thereToo]
    const allAreNotified = (): void =>
      assert.ok(
        all.every(({ changes }) => changes.includes(key)),
        'not all subscribers were notified',
      )
    await bench.soon(allAreNotified)
    for (const { changes } of all) changes.length = 0
    await store.delete(key, { expectedVersion: version, writeId: freshId() })
    await bench.soon(allAreNotified)
    assert.deepEqual(
      all.map(({ gaps }) => gaps),
      [[], [], []],
    )
  },

  async 'a retry or a conflict notifies no subscriber'(bench) {
    const { store, key } = bench
    const other = await bench.open()
    const listener = recorder()
    await other.subscribe(listener)
    const writeId = freshId()
    const { version } = required(await store.save(key, 'first', { expectedVersion: undefined, writeId }))
    await bench.soon(() => assert.deepEqual(listener.changes, [key]))
    await store.save(key, 'first', { expectedVersion: undefined, writeId })
    await store.save(key, 'loser', { expectedVersion: undefined, writeId: freshId() })
    await store.delete(key, { expectedVersion: `${version}0`, writeId: freshId() })
    // The same hash tag: in a Cluster only the notices of one master come in their order.
    bench.key = `${key}:last`
    await bench.create('last')
    await bench.soon(() => isNotifiedOf(listener.changes, bench.key))
    assert.deepEqual(listener.changes, [key, bench.key])
  },

  async 'a load after a notification returns the change'(bench) {
    const other = await bench.open()
    const seen: unknown[] = []
    await other.subscribe({
      onChange: (changed) => void other.load(changed).then((record) => seen.push(record?.value)),
      onGap: () => {},
    })
    await bench.create('visible')
    await bench.soon(() => assert.deepEqual([...new Set(seen)], ['visible']))
  },

  async 'unsubscribe ends the notifications of its subscriber and of no other'(bench) {
    const [gone, staying] = [recorder(), recorder()]
    const unsubscribe = await bench.store.subscribe(gone)
    await bench.store.subscribe(staying)
    await unsubscribe()
    await bench.create()
    await bench.soon(() => isNotifiedOf(staying.changes, bench.key))
    assert.deepEqual(gone.changes, [])
  },

  async 'a new subscriber is notified after the last one has unsubscribed'(bench) {
    const unsubscribe = await bench.store.subscribe(recorder())
    await unsubscribe()
    await unsubscribe()
    const listener = recorder()
    await bench.store.subscribe(listener)
    await bench.create()
    await bench.soon(() => isNotifiedOf(listener.changes, bench.key))
  },
}
