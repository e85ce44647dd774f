import { describe, expect, test } from 'vitest'
import { MemoryStore, type SaveOptions, type SnapshotStore } from '../../../src/index.ts'
import { storeContract } from '../../../src/testing/index.ts'

/** A store on shared records that breaks its contract in one way. */
type Broken = (store: MemoryStore) => Partial<SnapshotStore>

const turn = (ms = 20): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

let writes = 0
const unknownWrite = (options: SaveOptions): SaveOptions => ({ ...options, writeId: `${(writes += 1)}` })

/** Each lie of a store, with a check of the contract that must notice it. */
const lies: [string, string, Broken][] = [
  [
    'reports success before the record is written',
    'compare-and-set: a save that expects no record creates the record',
    (store) => ({
      save: async (key, value, options) => {
        const probe = new MemoryStore()
        void turn().then(() => store.save(key, value, options))
        return await probe.save(key, value, { ...options, expectedVersion: undefined })
      },
    }),
  ],
  [
    'never answers a load',
    'compare-and-set: load returns undefined for a record that was never written',
    () => ({ load: () => new Promise(() => {}) }),
  ],
  [
    'never answers a save',
    'compare-and-set: a save with the expected version replaces the record and changes its version',
    () => ({ save: () => new Promise(() => {}) }),
  ],
  [
    'replaces a record of any version',
    'compare-and-set: a save with any other expected version conflicts and changes nothing',
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
    'reports a conflict as a success',
    'compare-and-set: a save that expects a version conflicts if the record does not exist',
    (store) => ({
      save: async (key, value, options) => {
        const saved = await store.save(key, value, options)
        return saved === 'conflict' ? { version: 'aaaa.2' } : saved
      },
    }),
  ],
  [
    'gives every record the same versions',
    'deletion: a record that is created again never reuses an earlier version',
    (store) => {
      const versions = new Map<string, string>()
      const real = async (key: string, told: string | undefined): Promise<string | undefined> => {
        const current = await store.load(key)
        return told === (current && versions.get(current.version)) ? current?.version : 'another'
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
    'does not remember write ids',
    'write retries: a retried save returns its first result and writes once',
    (store) => ({ save: (key, value, options) => store.save(key, value, unknownWrite(options)) }),
  ],
  [
    'recognizes a write id only in the process that sent it',
    'write retries: a retried save is recognized in another process',
    (store) => {
      const own = `${(writes += 1)} `
      return {
        save: (key, value, options) => store.save(key, value, { ...options, writeId: own + options.writeId }),
      }
    },
  ],
  [
    'reports an age of 0 for every record',
    'age and expiry: the age of a record grows, and a save resets it',
    (store) => ({
      load: async (key) => {
        const record = await store.load(key)
        return record && { ...record, ageMs: 0 }
      },
    }),
  ],
  [
    'ignores the time to live',
    'age and expiry: a record is absent after its time to live',
    (store) => ({ save: (key, value, options) => store.save(key, value, { ...options, ttlMs: undefined }) }),
  ],
  [
    'lets a late save restore a deleted record',
    'deletion: a save that expects a deleted version conflicts',
    (store) => ({
      save: async (key, value, options) => {
        const current = await store.load(key)
        const expectedVersion = current === undefined ? undefined : options.expectedVersion
        return await store.save(key, value, { ...options, expectedVersion })
      },
    }),
  ],
  [
    'truncates a value at a zero byte',
    String.raw`contents: a record can have the value "nul\u0000byte"`,
    (store) => ({ save: (key, value, options) => store.save(key, value.split('\0')[0] ?? '', options) }),
  ],
  [
    'notifies no subscriber in another process',
    'notifications: a save and a delete notify every subscriber of every store with the key',
    () => ({ subscribe: async () => async () => {} }),
  ],
  [
    'notifies subscribers before the change is written',
    'notifications: a load after a notification returns the change',
    (store) => {
      const listeners = new Set<(key: string) => void>()
      return {
        subscribe: async ({ onChange }) => {
          listeners.add(onChange)
          return async () => void listeners.delete(onChange)
        },
        save: async (key, value, options) => {
          for (const tell of listeners) tell(key)
          await turn()
          const saved = await store.save(key, value, options)
          for (const tell of listeners) tell(key)
          return saved
        },
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
        close: () => records.close(),
      }
      return { open: () => ({ ...inner, ...broken(records) }), cleanUp: async () => {} }
    },
    { answerWithinMs: 500, soonMs: 3_000 },
  )
}

describe('the store contract', () => {
  test.each(lies)('the store contract rejects a store that %s', async (_, name, broken) => {
    const check = contractOf(broken).find((each) => each.name === name)
    await expect(check?.run()).rejects.toMatchObject({ name: 'AssertionError' })
  })

  test('the store contract passes for a correct store', async () => {
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

  test('the store contract has a unique name for every check', () => {
    const names = contractOf(() => ({})).map(({ name }) => name)
    expect(new Set(names).size).toBe(names.length)
    expect(names.length).toBeGreaterThan(50)
  })
})
