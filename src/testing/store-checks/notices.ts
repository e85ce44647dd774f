import assert from 'node:assert/strict'
import { freshId, recorder, required, type StoreChecks } from '../store-fixture.ts'

const assertNotified = (changes: readonly string[], key: string): void =>
  assert.ok(changes.includes(key), 'the subscriber received no notice of the key')

/** Subscribers are notified which keys changed, in this process or another. */
export const noticeChecks: StoreChecks = {
  async 'every subscriber of every store is notified of saves and deletions'(fixture) {
    const { store, key } = fixture
    const other = await fixture.open()
    const [here, there, thereToo] = [recorder(), recorder(), recorder()]
    await store.subscribe(here)
    await other.subscribe(there)
    await other.subscribe(thereToo)
    const version = await fixture.create()
    const all = [here, there, thereToo]
    const assertAllNotified = (): void =>
      assert.ok(
        all.every(({ changes }) => changes.includes(key)),
        'not every subscriber was notified',
      )
    await fixture.eventually(assertAllNotified)
    for (const { changes } of all) changes.length = 0
    await store.delete(key, { expectedVersion: version, writeId: freshId() })
    await fixture.eventually(assertAllNotified)
    assert.deepEqual(
      all.map(({ gaps }) => gaps),
      [[], [], []],
    )
  },

  async 'a write that changes nothing sends no notice'(fixture) {
    const { store, key } = fixture
    const other = await fixture.open()
    const listener = recorder()
    await other.subscribe(listener)
    const writeId = freshId()
    const { version } = required(await store.save(key, 'first', { expectedVersion: undefined, writeId }))
    await fixture.eventually(() => assert.deepEqual(listener.changes, [key]))
    await store.save(key, 'first', { expectedVersion: undefined, writeId })
    await store.save(key, 'loser', { expectedVersion: undefined, writeId: freshId() })
    await store.delete(key, { expectedVersion: `${version}0`, writeId: freshId() })
    // The same hash tag: a Redis Cluster preserves the order only of notices from one master.
    fixture.key = `${key}:last`
    await fixture.create('last')
    await fixture.eventually(() => assertNotified(listener.changes, fixture.key))
    assert.deepEqual(listener.changes, [key, fixture.key])
  },

  async 'a load after the notice returns the change'(fixture) {
    const other = await fixture.open()
    const seen: unknown[] = []
    await other.subscribe({
      onChange: (changed) => void other.load(changed).then((record) => seen.push(record?.value)),
      onGap: () => {},
    })
    await fixture.create('visible')
    await fixture.eventually(() => assert.deepEqual([...new Set(seen)], ['visible']))
  },

  async 'unsubscribing stops the notices of that subscriber only'(fixture) {
    const [removed, remaining] = [recorder(), recorder()]
    const unsubscribe = await fixture.store.subscribe(removed)
    await fixture.store.subscribe(remaining)
    await unsubscribe()
    await fixture.create()
    await fixture.eventually(() => assertNotified(remaining.changes, fixture.key))
    assert.deepEqual(removed.changes, [])
  },

  async 'a new subscriber is notified after the last one unsubscribed'(fixture) {
    const unsubscribe = await fixture.store.subscribe(recorder())
    await unsubscribe()
    await unsubscribe()
    const listener = recorder()
    await fixture.store.subscribe(listener)
    await fixture.create()
    await fixture.eventually(() => assertNotified(listener.changes, fixture.key))
  },
}
