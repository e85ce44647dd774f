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
    'answers before the record is written',
    'compare-and-set: a record is created where none was expected',
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
    'compare-and-set: a record that was never written is absent',
    () => ({ load: () => new Promise(() => {}) }),
  ],
  [
    'never answers a save',
    'compare-and-set: a record is replaced if it has the expected version, and gets another',
    () => ({ save: () => new Promise(() => {}) }),
  ],
  [
    'replaces whatever is there',
    'compare-and-set: every other save is refused and changes nothing',
    (store) => ({
      save: async (key, value, options) => {
        const current = await store.load(key)
        return await store.save(key, value, { ...options, expectedVersion: current?.version })
      },
    }),
  ],
  [
    'compares and sets in two steps',
    'compare-and-set: of many simultaneous writers one wins',
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
    'answers a refusal with a version',
    'compare-and-set: a save over a version is refused where no record is',
    (store) => ({
      save: async (key, value, options) => {
        const saved = await store.save(key, value, options)
        return saved === 'conflict' ? { version: 'aaaa.2' } : saved
      },
    }),
  ],
  [
    'gives every record the same versions',
    'deletion: lets nobody see an earlier version again',
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
    'forgets the ids of its writes',
    'a write that is sent again: answers as it did, and writes once',
    (store) => ({ save: (key, value, options) => store.save(key, value, unknownWrite(options)) }),
  ],
  [
    'knows a write only in the process that sent it',
    'a write that is sent again: can come from another process',
    (store) => {
      const own = `${(writes += 1)} `
      return {
        save: (key, value, options) => store.save(key, value, { ...options, writeId: own + options.writeId }),
      }
    },
  ],
  [
    'tells an age by nobody’s clock',
    'age and expiry: the age grows, and a save resets it',
    (store) => ({
      load: async (key) => {
        const record = await store.load(key)
        return record && { ...record, ageMs: 0 }
      },
    }),
  ],
  [
    'keeps what should be gone',
    'age and expiry: a record is gone after its time to live',
    (store) => ({ save: (key, value, options) => store.save(key, value, { ...options, ttlMs: undefined }) }),
  ],
  [
    'lets a late write revive what was deleted',
    'deletion: is not undone by a writer that read the record before',
    (store) => ({
      save: async (key, value, options) => {
        const current = await store.load(key)
        const expectedVersion = current === undefined ? undefined : options.expectedVersion
        return await store.save(key, value, { ...options, expectedVersion })
      },
    }),
  ],
  [
    'cuts what it stores at a zero byte',
    String.raw`what it can hold: the value "nul\u0000byte"`,
    (store) => ({ save: (key, value, options) => store.save(key, value.split('\0')[0] ?? '', options) }),
  ],
  [
    'tells nobody of changes in another process',
    'notices: tell every subscriber, in every store, which key was saved or deleted',
    () => ({ subscribe: async () => async () => {} }),
  ],
  [
    'tells of a change before it is done',
    'notices: come after the change: whoever loads then sees it',
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
  test.each(lies)('finds a store that %s', async (_, name, broken) => {
    const check = contractOf(broken).find((each) => each.name === name)
    await expect(check?.run()).rejects.toMatchObject({ name: 'AssertionError' })
  })

  test('finds nothing wrong with a store that keeps it', async () => {
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

  test('names every check once', () => {
    const names = contractOf(() => ({})).map(({ name }) => name)
    expect(new Set(names).size).toBe(names.length)
    expect(names.length).toBeGreaterThan(50)
  })
})
