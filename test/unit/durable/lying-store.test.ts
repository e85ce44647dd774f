import { describe, expect, test } from 'vitest'
import type { MemoryStore } from '../../../src/index.ts'
import { REFRESH, SIGNED_IN } from './records.ts'
import { createWorld, type TestProcess, type World } from './world.ts'

/** Makes a store break its contract. */
type Lie = (store: MemoryStore) => void

const lies: [string, Lie][] = [
  [
    'takes every save, whatever version it names',
    (store) => {
      const save = store.save.bind(store)
      store.save = async (key, value, options) =>
        await save(key, value, { ...options, expectedVersion: (await store.load(key))?.version })
    },
  ],
  [
    'gives every record the same version',
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
    'forgets every second save, and says that it was done',
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
    'refuses what it has done',
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
    'reads what stood there before',
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

describe('a store of the host that breaks its contract', () => {
  test.each(lies)('and %s: no token is sent that the journal does not tell of', async (_, lie) => {
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

  test('and answers late: a claim whose lease is nearly over by then sends nothing', async () => {
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
