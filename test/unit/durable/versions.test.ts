import { describe, expect, test } from 'vitest'
import { CALLBACK, REFRESH, SIGNED_IN, TOKENS, WAITING } from './records.ts'
import { createWorld, issued, KEY } from './world.ts'

describe('◆5 record versions', () => {
  test('a save computed from a deleted record does not overwrite the record created after it', async () => {
    const world = createWorld()
    const version = await world.seed(SIGNED_IN)
    const process = world.process()
    process.store.arm({ name: 'saving', operation: 'save', when: 'before', action: 'pause' })
    const run = process.run((view) => (view?.context.generation === 1 ? REFRESH : undefined))
    await process.reached('saving')

    expect(await world.store.delete(KEY, { expectedVersion: version, writeId: 'deleted' })).toBe(true)
    const again = await world.seed({
      ...SIGNED_IN,
      generation: 5,
      tokens: { ...TOKENS, accessToken: 'access-of-another-life' },
    })
    process.store.resume('saving')

    const { view, accepted } = await run
    const stored = await world.stored()
    expect(stored?.context.tokens?.accessToken).toBe('access-of-another-life')
    expect(world.requests).toEqual([])
    expect(again).not.toBe(version)
    expect({ accepted, version: view?.version }).toEqual({ accepted: false, version: again })
  })
})

describe('compare-and-set saves', () => {
  test('the second of two concurrent claims conflicts, and its process adopts the result of the winner', async () => {
    const world = createWorld()
    await world.seed(SIGNED_IN)
    const slow = world.process()
    slow.store.arm({ name: 'saving', operation: 'save', when: 'before', action: 'pause' })
    const stale = slow.run(REFRESH)
    await slow.reached('saving')
    const winner = await world.process().run(REFRESH)
    slow.store.resume('saving')

    const loser = await stale
    expect(world.requests).toEqual(['refreshTokens'])
    expect(loser).toMatchObject({ accepted: false, consumed: false })
    expect(loser.view?.version).toBe(winner.view?.version)
    expect(loser.view?.context.tokens).toEqual(winner.view?.context.tokens)
    expect(slow.told).toEqual([])
  })

  test('two simultaneous callbacks redeem one code once', async () => {
    const world = createWorld()
    await world.seed(WAITING, { resting: 'awaitingCallback' })
    const [a, b] = [world.process(), world.process()]
    const [one, other] = await Promise.all([a.run(CALLBACK), b.run(CALLBACK)])
    expect(world.requests).toEqual(['exchangeCode'])
    expect([one, other].filter(({ consumed }) => consumed)).toHaveLength(1)
    expect(one.view?.context.tokens?.accessToken).toBe(issued(1).accessToken)
    expect(other.view?.context.tokens?.accessToken).toBe(issued(1).accessToken)
    expect(one.view?.context.endedAttempts).toMatchObject([{ outcome: 'authorized' }])
  })

  test('a run with a recent view skips its load, unless another run came first', async () => {
    const world = createWorld()
    await world.seed(SIGNED_IN)
    const process = world.process()
    const view = await process.load()
    let loads = 0
    const load = process.store.load.bind(process.store)
    process.store.load = (key) => {
      loads += 1
      return load(key)
    }
    const [first, second] = await Promise.all([process.run(REFRESH, { view }), process.run(REFRESH, { view })])
    expect(loads).toBe(1)
    expect(process.store.saves).toHaveLength(2)
    expect(first.accepted).toBe(true)
    expect(second).toMatchObject({ accepted: false, consumed: false, view: { version: first.view?.version } })
  })

  test("a run that loses a conflict decides on its event again from the winner's record", async () => {
    const world = createWorld()
    await world.seed(SIGNED_IN)
    const slow = world.process()
    slow.store.arm({ name: 'saving', operation: 'save', when: 'before', action: 'pause' })
    const seen: (number | undefined)[] = []
    const stale = slow.run((view) => {
      seen.push(view?.context.generation)
      return seen.length === 1 ? REFRESH : undefined
    })
    await slow.reached('saving')
    await world.process().run(REFRESH)
    slow.store.resume('saving')
    expect(await stale).toMatchObject({ accepted: false, consumed: false, emitted: [] })
    expect(seen).toEqual([1, 2])
  })

  test('a run that loses 100 conflicts rejects with TIMED_OUT', async () => {
    const world = createWorld()
    await world.seed(SIGNED_IN)
    const process = world.process()
    let saves = 0
    process.store.save = async () => {
      saves += 1
      return 'conflict'
    }
    await expect(process.run(REFRESH)).rejects.toMatchObject({
      failure: { code: 'TIMED_OUT', details: { reason: 'contention' } },
    })
    expect(saves).toBe(100)
    expect(process.departures).toEqual([])
  })
})
