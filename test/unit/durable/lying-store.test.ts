import { describe, expect, test } from 'vitest'
import type { MemoryStore } from '../../../src/index.ts'
import { REFRESH, SIGNED_IN } from './records.ts'
import { createWorld, type TestProcess, type World } from './world.ts'

/** Makes a store break its contract. */
type Lie = (store: MemoryStore) => void

const lies: [string, Lie][] = [
  [
    'accepts every save, whatever version it expects',
    (store) => {
      const save = store.save.bind(store)
      store.save = async (key, value, options) =>
        await save(key, value, { ...options, expectedVersion: (await store.load(key))?.version })
    },
  ],
  [
    'returns the same version for every record',
    (store) => {
      const [load, save] = [store.load.bind(store), store.save.bind(store)]
      store.load = async (key) => {
        const record = await load(key)
        return record && { ...record, version: 'v' }
      }
      store.save = async (key, value, options) => {
        const saved = await save(key, value, { ...options, expectedVersion: (await load(key))?.version })
        return saved === 'conflict' ? saved : { version: 'v' }
      }
    },
  ],
  [
    'drops every second save but reports success',
    (store) => {
      const save = store.save.bind(store)
      let saves = 0
      store.save = async (key, value, options) => {
        saves += 1
        return saves % 2 === 0 ? await save(key, value, options) : { version: `forgotten.${saves}` }
      }
    },
  ],
  [
    'reports a conflict for every second save that it has done',
    (store) => {
      const save = store.save.bind(store)
      let saves = 0
      store.save = async (key, value, options) => {
        const saved = await save(key, value, options)
        saves += 1
        return saves % 2 === 0 ? saved : 'conflict'
      }
    },
  ],
  [
    'returns stale records',
    (store) => {
      const load = store.load.bind(store)
      let before: Awaited<ReturnType<MemoryStore['load']>>
      store.load = async (key) => {
        const stale = before
        before = await load(key)
        return stale ?? before
      }
    },
  ],
]

/** How often these processes have told that they were about to refresh, each time after a save that was answered. */
const claimsTold = (processes: readonly TestProcess[]): number =>
  processes.flatMap(({ told }) => told.flatMap(({ entries }) => entries)).filter(({ to }) => to === 'refreshing').length

/** Runs to their ends, while time passes that a claim may need. */
async function settled(world: World, runs: Promise<unknown>[]): Promise<void> {
  const passing = setInterval(() => world.time.advance(40_000), 20)
  await Promise.allSettled(runs)
  clearInterval(passing)
}

describe('a faulty custom store', () => {
  test.each(lies)('a custom store that %s causes no token request without a claim in the journal', async (_, lie) => {
    const world = createWorld()
    await world.seed(SIGNED_IN)
    lie(world.store)
    const processes = [world.process(), world.process()]
    for (const _ of [1, 2])
      await settled(
        world,
        processes.map((each) => each.run(REFRESH)),
      )
    expect(world.requests.length).toBeLessThanOrEqual(claimsTold(processes))
  })

  test('a custom store that answers after the send deadline causes no token request', async () => {
    const world = createWorld()
    await world.seed(SIGNED_IN)
    const save = world.store.save.bind(world.store)
    world.store.save = async (key, value, options) => {
      const saved = await save(key, value, options)
      world.time.advance(16_000)
      return saved
    }
    const process = world.process()
    await settled(world, [process.run(REFRESH)])
    expect(process.departures.length).toBeGreaterThan(0)
    expect(world.requests).toEqual([])
    expect(claimsTold([process])).toBeGreaterThan(0)
  })
})
