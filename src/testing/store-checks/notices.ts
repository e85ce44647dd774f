import assert from 'node:assert/strict'
import { freshId, recorder, required, type StoreChecks } from '../store-bench.ts'

const toldOf = (changes: readonly string[], key: string): void =>
  assert.ok(changes.includes(key), 'the subscriber was not told of the key')

/** Whoever subscribes is told which keys changed, in this process or another. */
export const noticeChecks: StoreChecks = {
  async 'tell every subscriber, in every store, which key was saved or deleted'(bench) {
    const { store, key } = bench
    const other = await bench.open()
    const [here, there, thereToo] = [recorder(), recorder(), recorder()]
    await store.subscribe(here)
    await other.subscribe(there)
    await other.subscribe(thereToo)
    const version = await bench.create()
    const all = [here, there, thereToo]
    const allAreTold = (): void =>
      assert.ok(
        all.every(({ changes }) => changes.includes(key)),
        'not all were told',
      )
    await bench.soon(allAreTold)
    for (const { changes } of all) changes.length = 0
    await store.delete(key, { expectedVersion: version, writeId: freshId() })
    await bench.soon(allAreTold)
    assert.deepEqual(
      all.map(({ gaps }) => gaps),
      [[], [], []],
    )
  },

  async 'are not sent for what changed nothing'(bench) {
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
    await bench.soon(() => toldOf(listener.changes, bench.key))
    assert.deepEqual(listener.changes, [key, bench.key])
  },

  async 'come after the change: whoever loads then sees it'(bench) {
    const other = await bench.open()
    const seen: unknown[] = []
    await other.subscribe({
      onChange: (changed) => void other.load(changed).then((record) => seen.push(record?.value)),
      onGap: () => {},
    })
    await bench.create('visible')
    await bench.soon(() => assert.deepEqual([...new Set(seen)], ['visible']))
  },

  async 'end with the subscription, for this subscriber alone'(bench) {
    const [gone, staying] = [recorder(), recorder()]
    const unsubscribe = await bench.store.subscribe(gone)
    await bench.store.subscribe(staying)
    await unsubscribe()
    await bench.create()
    await bench.soon(() => toldOf(staying.changes, bench.key))
    assert.deepEqual(gone.changes, [])
  },

  async 'can be had again after the last subscriber left'(bench) {
    const unsubscribe = await bench.store.subscribe(recorder())
    await unsubscribe()
    await unsubscribe()
    const listener = recorder()
    await bench.store.subscribe(listener)
    await bench.create()
    await bench.soon(() => toldOf(listener.changes, bench.key))
  },
}
