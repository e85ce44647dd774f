import { describe, expect, test } from 'vitest'
import { CALLBACK, CLAIMED, REFRESH, SIGNED_IN, WAITING } from './records.ts'
import { createWorld, LEASE, type TestProcess, type World } from './world.ts'

/** A process whose save of a claim times out; the store carries it out when told to. */
async function unsentClaim(world: World, event: Parameters<TestProcess['run']>[0]) {
  const process = world.process()
  const { store } = process
  const save = store.save.bind(store)
  let land = (): Promise<unknown> => Promise.resolve()
  store.save = (...args) => {
    land = () => world.store.save(...args)
    world.time.advance(LEASE.leaseMs)
    return Promise.reject(new Error('the command timed out'))
  }
  await expect(process.run(event)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE', retryable: true })
  store.save = save
  return { process, land }
}

describe('a claim whose save failed in its process, and that the store carried out later', () => {
  test('the next refresh of the process waits for no lease, and its token is not possibly consumed', async () => {
    const world = createWorld()
    await world.seed(SIGNED_IN)
    const { process, land } = await unsentClaim(world, REFRESH)
    await land()
    expect((await world.stored())?.value).toEqual({ refreshing: 'claimed' })
    const { view, accepted } = await process.run(REFRESH)
    expect(accepted).toBe(true)
    expect(world.requests).toEqual(['refreshTokens'])
    expect(view?.context).toMatchObject({ generation: 2, orphanedClaims: [], tokens: { accessToken: 'access-new-1' } })
    expect(view?.context.failure).toBeUndefined()
    expect(view?.context.journal.map(({ to, reason }) => `${to}: ${reason}`)).toEqual([
      'refreshing: refresh.requested',
      'authorized: HTTP_TIMEOUT',
      'refreshing: refresh.requested',
      'authorized: refreshTokens.done',
    ])
  })

  test('the tokens of such a refresh stay as they were, for a run without an event too', async () => {
    const world = createWorld()
    await world.seed(SIGNED_IN)
    const { process, land } = await unsentClaim(world, REFRESH)
    await land()
    const { view } = await process.run(() => undefined)
    expect(view?.context).toMatchObject({ generation: 1, orphanedClaims: [], tokens: SIGNED_IN.tokens })
    expect([view?.context.claim, view?.context.tokens?.refreshTokenMayBeConsumed]).toEqual([undefined, undefined])
    expect(world.requests).toEqual([])
  })

  test('the code of such an exchange is retained, and can be sent', async () => {
    const world = createWorld()
    await world.seed(WAITING, { resting: 'awaitingCallback' })
    const { process, land } = await unsentClaim(world, CALLBACK)
    await land()
    const { view } = await process.run({ type: 'exchange.resumed', stateHash: CALLBACK.stateHash })
    expect(view?.value).toEqual({ resting: 'authorized' })
    expect(world.requests).toEqual(['exchangeCode'])
  })

  test('a process does not leave the claim of another process', async () => {
    const world = createWorld()
    await world.seed(SIGNED_IN)
    const { process } = await unsentClaim(world, REFRESH)
    await world.seed(CLAIMED, { refreshing: 'claimed' })
    process.store.arm({ name: 'looked again', operation: 'load', when: 'after', action: 'pause', skip: 1 })
    const run = process.run(REFRESH)
    await process.reached('looked again')
    expect(process.store.saves).toEqual([])
    await world.seed({ ...SIGNED_IN, generation: 2 })
    process.store.resume('looked again')
    expect(await run).toMatchObject({ accepted: false, view: { context: { generation: 2 } } })
  })
})
