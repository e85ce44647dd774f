import assert from 'node:assert/strict'
import type { SnapshotStore } from '../../stores/snapshot-store.ts'
import { freshId, freshKey, required, type StoreChecks, type StoreFixture } from '../store-fixture.ts'

type Listing = Required<Pick<SnapshotStore, 'keys' | 'due'>>

/** A check of `keys` and `due`, which are optional: a store without them meets it. */
function ofListing(check: (fixture: StoreFixture, store: SnapshotStore & Listing) => Promise<void>) {
  return async (fixture: StoreFixture): Promise<void> => {
    const { store } = fixture
    if (hasListing(store)) await check(fixture, store)
  }
}

function hasListing(store: SnapshotStore): store is SnapshotStore & Listing {
  return store.keys !== undefined && store.due !== undefined
}

async function allKeys(store: Listing, limit: number): Promise<Set<string>> {
  const found = new Set<string>()
  let cursor: string | undefined
  do {
    const page = await store.keys({ cursor, limit })
    for (const key of page.keys) found.add(key)
    cursor = page.cursor
  } while (cursor !== undefined)
  return found
}

/** Creates a record under a key of its own, due after so many milliseconds. */
async function createDue(
  store: SnapshotStore,
  dueInMs?: number,
  ttlMs?: number,
): Promise<{ key: string; version: string }> {
  const key = freshKey()
  const options = { expectedVersion: undefined, writeId: freshId(), dueInMs, ttlMs }
  return { key, version: required(await store.save(key, 'value', options)).version }
}

const isDue = async (store: Listing, key: string): Promise<boolean> => (await store.due({ limit: 100 })).includes(key)

/** Asserts that exactly these records are due, in any order. */
const expectDue = (fixture: StoreFixture, store: Listing, keys: readonly string[]): Promise<void> =>
  fixture.eventually(async () => assert.deepEqual((await store.due({ limit: 100 })).toSorted(), keys.toSorted()))

/** `keys` and `due`, for operators and schedulers. */
export const listingChecks: StoreChecks = {
  'keys lists every record, page by page, also those of another store on the same data': ofListing(
    async (fixture, store) => {
      const keys = new Set<string>()
      for (let count = 0; count < 25; count += 1) keys.add((await createDue(store)).key)
      const other = await fixture.open()
      assert.ok(hasListing(other))
      // Other keys may be listed where the store shares its data.
      for (const limit of [1, 10, 1_000]) {
        const listed = await allKeys(other, limit)
        assert.deepEqual(
          [...keys].filter((key) => !listed.has(key)),
          [],
        )
      }
    },
  ),

  'a record is due once the time of its last save has elapsed, the longest due first': ofListing(
    async (fixture, store) => {
      const later = await createDue(store, 1_500)
      const never = await createDue(store)
      const soon = await createDue(store, 1_000)
      const far = await createDue(store, 3_600_000.5)
      assert.deepEqual(await store.due({ limit: 100 }), [])
      await expectDue(fixture, store, [soon.key, later.key])
      assert.deepEqual(await store.due({ limit: 100 }), [soon.key, later.key])
      assert.deepEqual(await store.due({ limit: 1 }), [soon.key])
      for (const { key } of [never, far]) assert.equal(await isDue(store, key), false)
    },
  ),

  'each save replaces the time after which a record is due': ofListing(async (fixture, store) => {
    const [postponed, cleared, advanced] = [
      await createDue(store, 1),
      await createDue(store, 1),
      await createDue(store, 3_600_000),
    ]
    await expectDue(fixture, store, [postponed.key, cleared.key])
    const saveAgain = async ({ key, version }: { key: string; version: string }, dueInMs?: number): Promise<void> => {
      required(await store.save(key, 'again', { expectedVersion: version, writeId: freshId(), dueInMs }))
    }
    await saveAgain(postponed, 3_600_000)
    await saveAgain(cleared)
    await saveAgain(advanced, 1)
    await expectDue(fixture, store, [advanced.key])
  }),

  'a save that is a conflict does not change when a record is due': ofListing(async (fixture, store) => {
    const { key } = await createDue(store, 1)
    await expectDue(fixture, store, [key])
    for (const dueInMs of [undefined, 3_600_000])
      assert.equal(
        await store.save(key, 'late', { expectedVersion: undefined, writeId: freshId(), dueInMs }),
        'conflict',
      )
    await expectDue(fixture, store, [key])
  }),

  'a record that is deleted or expired is not due': ofListing(async (fixture, store) => {
    const deleted = await createDue(store, 1)
    const expired = await createDue(store, 1, 300)
    await fixture.eventually(async () => assert.equal(await isDue(store, deleted.key), true))
    assert.equal(await store.delete(deleted.key, { expectedVersion: deleted.version, writeId: freshId() }), true)
    assert.equal(await isDue(store, deleted.key), false)
    await fixture.eventually(async () => assert.equal(await store.load(expired.key), undefined))
    await expectDue(fixture, store, [])
  }),
}
