import { describe, expect, test } from 'vitest'
import { MemoryStore, type SaveOptions, type SnapshotStore } from '../../../src/index.ts'
import { storeContract } from '../../../src/testing/index.ts'

/** A store on shared records that breaks its contract in one way. */
type Broken = (store: MemoryStore) => Partial<SnapshotStore>

const turn = (ms = 20): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

let writes = 0
const unknownWrite = (options: SaveOptions): SaveOptions => ({ ...options, writeId: `${(writes += 1)}` })

/** Each violation, with the check of the contract that must detect it. */
const violations: [string, string, Broken][] = [
  [
    'resolves save before the record is written',
    'compare-and-set: save without an expected version creates an absent record',
    (store) => ({
      save: async (key, value, options) => {
        const probe = new MemoryStore()
        void turn().then(() => store.save(key, value, options))
        return await probe.save(key, value, { ...options, expectedVersion: undefined })
      },
    }),
  ],
  [
    'never settles load',
    'compare-and-set: load returns undefined for a key that was never written',
    () => ({ load: () => new Promise(() => {}) }),
  ],
  [
    'never settles save',
    'compare-and-set: save replaces a record that has the expected version, and changes the version',
    () => ({ save: () => new Promise(() => {}) }),
  ],
  [
    'ignores the expected version',
    'compare-and-set: save with any other expected version is a conflict and changes nothing',
    (store) => ({
      save: async (key, value, options) => {
        const current = await store.load(key)
        return await store.save(key, value, { ...options, expectedVersion: current?.version })
      },
    }),
  ],
  [
    'compares and sets in two steps',
    'compare-and-set: exactly one of many simultaneous saves succeeds',
    (store) => ({
      save: async (key, value, options) => {
        const current = await store.load(key)
        if (current?.version !== options.expectedVersion) return 'conflict'
        await turn()
        const now = await store.load(key)
        return await store.save(key, value, { ...options, expectedVersion: now?.version })
      },
    }),
  ],
  [
    'returns a version for a conflict',
    'compare-and-set: save with an expected version is a conflict if the record is absent',
    (store) => ({
      save: async (key, value, options) => {
        const saved = await store.save(key, value, options)
        return saved === 'conflict' ? { version: 'aaaa.2' } : saved
      },
    }),
  ],
  [
    'uses the same versions for every record',
    'deletion: no version is used again after a deletion',
    (store) => {
      const versions = new Map<string, string>()
      const real = async (key: string, expected: string | undefined): Promise<string | undefined> => {
        const current = await store.load(key)
        return expected === (current && versions.get(current.version)) ? current?.version : 'another'
      }
      return {
        load: async (key) => {
          const record = await store.load(key)
          return record && { ...record, version: versions.get(record.version) ?? '' }
        },
        save: async (key, value, options) => {
          const before = await real(key, options.expectedVersion)
          const saved = await store.save(key, value, { ...options, expectedVersion: before })
          if (saved === 'conflict') return saved
          const count = Number(versions.get(before ?? '')?.slice(1) ?? 0) + 1
          versions.set(saved.version, `v${count}`)
          return { version: `v${count}` }
        },
        delete: async (key, options) => {
          const expectedVersion = (await real(key, options.expectedVersion)) ?? 'another'
          return await store.delete(key, { ...options, expectedVersion })
        },
      }
    },
  ],
  [
    'forgets the ids of its writes',
    'idempotent writes: a save that is sent again returns its first result and writes once',
    (store) => ({ save: (key, value, options) => store.save(key, value, unknownWrite(options)) }),
  ],
  [
    'recognizes a write id only in the process that sent it',
    'idempotent writes: a save that is sent again from another process returns its first result',
    (store) => {
      const own = `${(writes += 1)} `
      return {
        save: (key, value, options) => store.save(key, value, { ...options, writeId: own + options.writeId }),
      }
    },
  ],
  [
    'reports every record as new',
    'age and expiry: the age of a record grows, and a save resets it',
    (store) => ({
      load: async (key) => {
        const record = await store.load(key)
        return record && { ...record, ageMs: 0 }
      },
    }),
  ],
  [
    'does not expire records',
    'age and expiry: a record is absent after its time to live',
    (store) => ({ save: (key, value, options) => store.save(key, value, { ...options, ttlMs: undefined }) }),
  ],
  [
    'lets a late write revive a deleted record',
    'deletion: a save computed from the deleted version is a conflict',
    (store) => ({
      save: async (key, value, options) => {
        const current = await store.load(key)
        const expectedVersion = current === undefined ? undefined : options.expectedVersion
        return await store.save(key, value, { ...options, expectedVersion })
      },
    }),
  ],
  [
    'truncates values at a zero byte',
    String.raw`contents: a value may be "nul\u0000byte"`,
    (store) => ({ save: (key, value, options) => store.save(key, value.split('\0')[0] ?? '', options) }),
  ],
  [
    'sends no notices to other processes',
    'notices: every subscriber of every store is notified of saves and deletions',
    () => ({ subscribe: async () => async () => {} }),
  ],
  [
    'sends a notice before the change is written',
    'notices: a load after the notice returns the change',
    (store) => {
      const listeners = new Set<(key: string) => void>()
      return {
        subscribe: async ({ onChange }) => {
          listeners.add(onChange)
          return async () => void listeners.delete(onChange)
        },
        save: async (key, value, options) => {
          for (const notify of listeners) notify(key)
          await turn()
          const saved = await store.save(key, value, options)
          for (const notify of listeners) notify(key)
          return saved
        },
      }
    },
  ],
  [
    'lists only the first page of its keys',
    'listing: keys lists every record, page by page, also those of another store on the same data',
    (store) => ({ keys: async (options) => ({ ...(await store.keys(options)), cursor: undefined }) }),
  ],
  [
    'lists the shortest due record first',
    'listing: a record is due once the time of its last save has elapsed, the longest due first',
    (store) => ({ due: async ({ limit }) => (await store.due({ limit: 100 })).toReversed().slice(0, limit) }),
  ],
  [
    'never forgets that a record was due',
    'listing: each save replaces the time after which a record is due',
    (store) => {
      const everDue = new Set<string>()
      return {
        due: async (options) => {
          for (const key of await store.due(options)) everDue.add(key)
          return [...everDue]
        },
      }
    },
  ],
  [
    'changes when a record is due although its save is a conflict',
    'listing: a save that is a conflict does not change when a record is due',
    (store) => {
      const postponed = new Set<string>()
      return {
        save: async (key, value, options) => {
          const saved = await store.save(key, value, options)
          if (saved === 'conflict') postponed.add(key)
          return saved
        },
        due: async (options) => (await store.due(options)).filter((key) => !postponed.has(key)),
      }
    },
  ],
  [
    'lists a deleted record as due',
    'listing: a record that is deleted or expired is not due',
    (store) => {
      const deleted: string[] = []
      return {
        delete: async (key, options) => {
          deleted.push(key)
          return await store.delete(key, options)
        },
        due: async (options) => [...(await store.due(options)), ...deleted],
      }
    },
  ],
]

function contractOf(broken: Broken) {
  return storeContract(
    () => {
      const records = new MemoryStore()
      const inner: SnapshotStore = {
        insideProcess: true,
        load: (key) => records.load(key),
        save: (key, value, options) => records.save(key, value, options),
        delete: (key, options) => records.delete(key, options),
        subscribe: (listener) => records.subscribe(listener),
        keys: (options) => records.keys(options),
        due: (options) => records.due(options),
        close: () => records.close(),
      }
      return { open: () => ({ ...inner, ...broken(records) }), cleanUp: async () => {} }
    },
    { answerWithinMs: 500, soonMs: 3_000 },
  )
}

describe('the store contract', () => {
  test.concurrent.each(violations)('the contract detects a store that %s', async (_, name, broken) => {
    const check = contractOf(broken).find((each) => each.name === name)
    await expect(check?.run()).rejects.toMatchObject({ name: 'AssertionError' })
  })

  test('the contract reports no failure for a correct store', async () => {
    const failures = await Promise.all(
      contractOf(() => ({})).map(({ name, run }) =>
        run().then(
          () => [],
          (error: unknown) => [`${name}: ${String(error)}`],
        ),
      ),
    )
    expect(failures.flat()).toEqual([])
  }, 20_000)

  test('the names of all checks are unique', () => {
    const names = contractOf(() => ({})).map(({ name }) => name)
    expect(new Set(names).size).toBe(names.length)
    expect(names.length).toBeGreaterThan(50)
  })
})
