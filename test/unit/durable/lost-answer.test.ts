import { describe, expect, test, vi } from 'vitest'
import { CALLBACK, REFRESH, SIGNED_IN, WAITING } from './records.ts'
import { createWorld, KEY } from './world.ts'

describe('◆4 a save whose answer was lost is asked again with the same write id', () => {
  test('one claim, one request, although the answer to the claim was lost twice', async () => {
    const world = createWorld()
    await world.seed(WAITING, { resting: 'awaitingCallback' })
    const process = world.process()
    process.store.arm({ name: 'lost', operation: 'save', when: 'after', action: 'fail', times: 2 })
    const run = process.run(CALLBACK)
    await vi.waitFor(() => expect(process.store.saves).toHaveLength(4))
    const [first, second, third, result] = process.store.saves
    expect([second?.writeId, third?.writeId]).toEqual([first?.writeId, first?.writeId])
    expect([second?.expectedVersion, third?.expectedVersion]).toEqual([first?.expectedVersion, first?.expectedVersion])
    expect(result?.writeId).not.toBe(first?.writeId)

    const { view } = await run
    expect(world.requests).toEqual(['exchangeCode'])
    expect(view?.context.journal.map(({ to }) => to)).toEqual(['exchanging', 'authorized'])
    expect(process.told.flatMap(({ entries }) => entries.map(({ to }) => to))).toEqual(['exchanging', 'authorized'])
  })

  test('nothing leaves before it is known that the claim stands', async () => {
    const world = createWorld()
    await world.seed(SIGNED_IN)
    const process = world.process()
    process.store.arm({ name: 'lost', operation: 'save', when: 'after', action: 'fail' })
    process.store.arm({ name: 'asked again', operation: 'save', when: 'before', action: 'pause', skip: 1 })
    const run = process.run(REFRESH)
    await process.reached('asked again')
    // The claim does stand, but nobody here can know.
    expect((await world.stored())?.context.claim).toBeDefined()
    expect(process.departures).toEqual([])
    process.store.resume('asked again')
    await run
    expect(process.departures).toHaveLength(1)
  })

  test('the answer to the save of the result was lost: it is saved once', async () => {
    const world = createWorld()
    await world.seed(SIGNED_IN)
    const process = world.process()
    process.store.arm({ name: 'lost', operation: 'save', when: 'after', action: 'fail', skip: 1 })
    const { view } = await process.run(REFRESH)
    expect(world.requests).toEqual(['refreshTokens'])
    expect(view?.context.generation).toBe(2)
    expect((await world.store.load(KEY))?.version).toBe(view?.version)
  })

  test('a store that is down costs nothing: the run gives up before anything is spent', async () => {
    const world = createWorld()
    const version = await world.seed(SIGNED_IN)
    const process = world.process()
    process.store.arm({ name: 'no', operation: 'save', when: 'before', action: 'fail', times: Infinity })
    const run = process.run(REFRESH)
    const rejected = expect(run).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
    await process.reached('no')
    // As long as the claim would let the request leave, and no longer.
    world.time.advance(15_001)
    await rejected
    expect(process.departures).toEqual([])
    expect((await world.store.load(KEY))?.version).toBe(version)
  })

  test('nothing can be read: the run says so at once', async () => {
    const world = createWorld()
    const process = world.process()
    process.store.down = true
    await expect(process.run(REFRESH)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
    await expect(process.load()).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
  })

  test('a sealer that cannot be asked is asked again like a store', async () => {
    const world = createWorld()
    await world.seed(SIGNED_IN)
    let failures = 0
    const process = world.process({
      sealer: {
        seal: (plaintext) =>
          failures++ < 2 ? Promise.reject(new Error('no key service')) : Promise.resolve(plaintext),
        open: (sealed) => Promise.resolve(sealed),
      },
    })
    const { view } = await process.run(REFRESH)
    expect(view?.context.generation).toBe(2)
    expect(world.requests).toEqual(['refreshTokens'])
  })
})
