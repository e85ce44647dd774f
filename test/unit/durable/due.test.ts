import { describe, expect, test } from 'vitest'
import type { SnapshotStore } from '../../../src/stores/snapshot-store.ts'
import { TooFewReplicasError } from '../../../src/stores/snapshot-store.ts'
import { EMPTY_CONTEXT, IDENTITY, SERVER, TOKENS } from './records.ts'
import { createWorld, KEY, LEASE } from './world.ts'

const refresh = { type: 'refresh.requested', generation: 1 } as const
/** Due 1 second after a claim, and 10 after anything else; a record that is written later than its context shows it. */
const dueInMs = ({ claim, at }: { claim?: unknown; at: number }, savedAt: number): number =>
  (claim === undefined ? 10_000 : 1_000) + savedAt - at

async function begun() {
  const world = createWorld()
  await world.seed({ generation: 1, servers: [SERVER], tokens: TOKENS })
  const process = world.process()
  const { runner, chart, store } = process
  const due: (number | undefined)[] = []
  const save = store.save.bind(store)
  store.save = async (key, value, options) => {
    due.push(options.dueInMs)
    return await save(key, value, options)
  }
  const run = () => runner.run(chart, KEY, () => refresh, { input: { identity: IDENTITY }, lease: LEASE, dueInMs })
  return { world, process, store, due, run }
}

describe('when a record is due', () => {
  test('each save says when the record is due, computed from the context that it writes', async () => {
    const { due, run } = await begun()
    await run()
    expect(due).toEqual([1_000, 10_000])
  })

  test('a claim that is released leaves the record due as before the claim', async () => {
    const { world, store, due, run } = await begun()
    const save = store.save.bind(store)
    store.save = async (key, value, options) => {
      const saved = await save(key, value, options)
      world.time.advance(10_000)
      if (saved === 'conflict') return saved
      throw new TooFewReplicasError(0, 1, saved.version)
    }
    await expect(run()).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
    const at = (await world.stored())?.savedAt ?? 0
    expect(due.at(0)).toBe(1_000)
    expect(due.at(-1)).toBe(10_000 + at - EMPTY_CONTEXT.at)
  })

  test('a store without keys and due lists nothing, and one that fails makes the runner throw STORE_UNAVAILABLE', async () => {
    const { process } = await begun()
    const { runner, store } = process
    const port = store as unknown as SnapshotStore
    Object.assign(port, { keys: undefined, due: undefined })
    expect(await runner.keys({ cursor: undefined, limit: 1 })).toEqual({ keys: [], cursor: undefined })
    expect(await runner.due(1)).toEqual([])
    Object.assign(port, { keys: () => Promise.reject(new Error('down')), due: () => Promise.reject(new Error('down')) })
    await expect(runner.keys({ cursor: undefined, limit: 1 })).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
    await expect(runner.due(1)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
  })
})
