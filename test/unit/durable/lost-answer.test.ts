import { describe, expect, test, vi } from 'vitest'
import { CALLBACK, REFRESH, SIGNED_IN, WAITING } from './records.ts'
import { createWorld, KEY } from './world.ts'

describe('◆4 lost save responses', () => {
  test('a claim save whose response is lost twice is retried with the same write id, and one request is sent', async () => {
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

  test('no request is sent before the claim save is confirmed', async () => {
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

  test('a result save whose response is lost takes effect once', async () => {
    const world = createWorld()
    await world.seed(SIGNED_IN)
    const process = world.process()
    process.store.arm({ name: 'lost', operation: 'save', when: 'after', action: 'fail', skip: 1 })
    const { view } = await process.run(REFRESH)
    expect(world.requests).toEqual(['refreshTokens'])
    expect(view?.context.generation).toBe(2)
    expect((await world.store.load(KEY))?.version).toBe(view?.version)
  })

  test('a run whose claim cannot be saved before the send deadline rejects with STORE_UNAVAILABLE and sends nothing', async () => {
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

  test('a run whose load fails rejects with STORE_UNAVAILABLE at once', async () => {
    const world = createWorld()
    const process = world.process()
    process.store.down = true
    await expect(process.run(REFRESH)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
    await expect(process.load()).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
  })

  test('a save whose sealer fails is retried', async () => {
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
