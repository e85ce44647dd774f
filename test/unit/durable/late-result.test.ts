import { describe, expect, test, vi } from 'vitest'
import { portError } from '../../../src/errors/port-error.ts'
import { ATTEMPT, CALLBACK, REFRESH, SERVER, SIGNED_IN, TOKENS, WAITING } from './records.ts'
import { BEGINNING } from './test-time.ts'
import { createWorld, issued, KEY, type TestProcess, UNTIL_ABANDONED_MS, type World } from './world.ts'

const rejected = () =>
  Promise.reject(portError('REFRESH_REJECTED', 'rejected', { error: 'invalid_grant', status: 400 }))

/** A process that has spent its secret, got the answer, and stopped right before it could save it. */
async function stopBeforeSave(world: World, event: Parameters<TestProcess['run']>[0]) {
  const process = world.process()
  process.store.arm({ name: 'result', operation: 'save', when: 'before', action: 'pause', skip: 1 })
  const run = process.run(event)
  await process.reached('result')
  return { process, run, goOn: () => process.store.resume('result') }
}

describe('◆2 late results', () => {
  test('the late result of an expired claim is stored if there are no newer tokens', async () => {
    const world = createWorld()
    await world.seed(WAITING, { resting: 'awaitingCallback' })
    const stopped = await stopBeforeSave(world, CALLBACK)

    // The code's life is over by then, so that nobody sends it once more.
    world.time.advance(60_000)
    const other = world.process()
    const given = await other.run(() => undefined)
    expect(given.view?.context.failure).toEqual({ code: 'TOKEN_OUTCOME_UNKNOWN' })
    const [orphanedClaims] = given.view?.context.orphanedClaims ?? []

    stopped.goOn()
    const { view, consumed } = await stopped.run
    expect(consumed).toBe(true)
    expect(world.requests).toEqual(['exchangeCode'])
    const stored = await world.stored()
    expect(stored?.context).toEqual(JSON.parse(JSON.stringify(view?.context)))
    expect(stored?.value).toEqual({ resting: 'authorized' })
    expect(view?.context).toMatchObject({
      generation: 1,
      orphanedClaims: [{ id: orphanedClaims?.id, retried: false }],
      tokens: { accessToken: 'access-new-1', refreshToken: 'refresh-new-1', expiresAt: BEGINNING + 3_600_000 },
    })
    expect(view?.context.failure).toBeUndefined()
    expect(view?.context.journal.map(({ to, reason }) => `${to}: ${reason}`)).toEqual([
      'exchanging: callback.received',
      'failed: claim.expired',
      'authorized: result.late',
    ])
  })

  test('the late result of a retried claim is stored as unverified', async () => {
    const world = createWorld()
    await world.seed(SIGNED_IN)
    const stopped = await stopBeforeSave(world, REFRESH)

    world.time.advance(UNTIL_ABANDONED_MS)
    const other = world.process()
    other.answers.refreshTokens = rejected
    const given = await other.run(() => undefined)
    expect(given.view?.context.tokens).toBeUndefined()
    expect(given.view?.context).toMatchObject({ generation: 1, reauthorizationRequired: true })

    stopped.goOn()
    const { view } = await stopped.run
    expect(world.requests).toEqual(['refreshTokens', 'refreshTokens'])
    expect(view?.context).toMatchObject({
      generation: 2,
      tokens: { accessToken: 'access-new-1', refreshToken: 'refresh-new-1', unverified: true },
    })
    expect(view?.context.reauthorizationRequired).toBeUndefined()
    expect(view?.context.orphanedClaims).toEqual([{ id: expect.any(String), retried: true }])
  })

  test('the late result of a retried exchange does not replace usable tokens of another grant', async () => {
    const world = createWorld()
    await world.seed({ ...SIGNED_IN, attempts: [ATTEMPT] })
    const stopped = await stopBeforeSave(world, CALLBACK)

    world.time.advance(UNTIL_ABANDONED_MS)
    const other = world.process()
    other.answers.exchangeCode = rejected
    const repeated = await other.run(() => undefined)
    expect(repeated.view?.context).toMatchObject({ generation: 1, tokens: TOKENS, attempts: [] })

    stopped.goOn()
    const { view, accepted } = await stopped.run
    expect(accepted).toBe(false)
    expect(world.requests).toEqual(['exchangeCode', 'exchangeCode'])
    expect(view?.context).toEqual(repeated.view?.context)
    expect(view?.context.endedAttempts.map(({ outcome }) => outcome)).toEqual(['failed'])
  })

  test('a late result does not replace newer tokens', async () => {
    const world = createWorld()
    await world.seed(SIGNED_IN)
    const stopped = await stopBeforeSave(world, REFRESH)

    world.time.advance(UNTIL_ABANDONED_MS)
    const winner = await world.process().run(REFRESH)
    expect(winner.view?.context).toMatchObject({ generation: 2, tokens: { accessToken: 'access-new-2' } })

    stopped.goOn()
    const { view, accepted } = await stopped.run
    expect(accepted).toBe(false)
    expect(view?.version).toBe(winner.view?.version)
    expect(view?.context).toEqual(winner.view?.context)
  })

  test('a late result waits for a retry in flight in another process, even while its process closes', async () => {
    const world = createWorld()
    await world.seed(SIGNED_IN)
    const stopped = await stopBeforeSave(world, REFRESH)

    world.time.advance(UNTIL_ABANDONED_MS)
    let answer = (): void => {}
    const other = world.process()
    other.answers.refreshTokens = async () => {
      await new Promise<void>((resolve) => (answer = resolve))
      return await rejected()
    }
    const repeat = other.run(REFRESH)
    await vi.waitFor(() => expect(world.requests).toHaveLength(2))

    const closing = stopped.process.runner.close()
    stopped.process.store.arm({ name: 'looked', operation: 'load', when: 'after', action: 'fail' })
    stopped.goOn()
    await stopped.process.reached('looked')
    answer()
    await repeat
    const { view } = await stopped.run
    expect(view?.context.tokens).toMatchObject({ accessToken: 'access-new-1', unverified: true })
    await closing
  })

  test('a process whose request was rejected submits no late result', async () => {
    const world = createWorld()
    await world.seed(SIGNED_IN)
    const process = world.process()
    process.answers.refreshTokens = rejected
    process.store.arm({ name: 'result', operation: 'save', when: 'before', action: 'pause', skip: 1 })
    const run = process.run(REFRESH)
    await process.reached('result')
    world.time.advance(UNTIL_ABANDONED_MS)
    const other = await world.process().run(REFRESH)
    process.store.resume('result')
    const { view } = await run
    expect(view?.version).toBe(other.view?.version)
    expect(view?.context.tokens?.accessToken).toBe('access-new-1')
  })

  test('a late result does not recreate a deleted record', async () => {
    const world = createWorld()
    await world.seed(SIGNED_IN)
    const stopped = await stopBeforeSave(world, (view) => view && REFRESH)
    const { version } = (await world.store.load(KEY)) ?? { version: '' }
    expect(await world.store.delete(KEY, { expectedVersion: version, writeId: 'deleted' })).toBe(true)
    stopped.goOn()
    expect(await stopped.run).toEqual({ view: undefined, accepted: false, consumed: true, emitted: [] })
    expect(await world.stored()).toBeUndefined()
  })

  test('the save of a result is retried until the store is up again, and close() waits for it', async () => {
    const world = createWorld()
    await world.seed(SIGNED_IN)
    const process = world.process()
    process.answers.refreshTokens = async () => {
      process.store.down = true
      return issued(1)
    }
    const rejected = expect(process.run(REFRESH)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
    await vi.waitFor(() => expect(process.store.saves.length).toBeGreaterThan(2))
    let isClosed = false
    const closing = process.runner.close().then(() => (isClosed = true))
    // The outage is longer than any lease; nobody else was there to give the claim up.
    world.time.advance(600_000)
    await vi.waitFor(() => expect(process.store.saves.length).toBeGreaterThan(4))
    expect(isClosed).toBe(false)

    await rejected
    process.store.down = false
    await closing
    expect(world.requests).toEqual(['refreshTokens'])
    expect((await world.stored())?.context.tokens?.accessToken).toBe('access-new-1')
    const [claim, ...results] = process.store.saves.map(({ writeId }) => writeId)
    expect(new Set(results).size).toBe(1)
    expect(results).not.toContain(claim)
  })

  test('a late result is submitted again after every conflict', async () => {
    const world = createWorld()
    await world.seed(WAITING, { resting: 'awaitingCallback' })
    const stopped = await stopBeforeSave(world, CALLBACK)
    world.time.advance(60_000)
    const { view } = await world.process().run(() => undefined)
    const context = view?.context ?? {}

    // From now on somebody else writes before each of its writes, more often than an ordinary run would bear.
    const { store } = stopped.process
    let others = 0
    const save = store.save.bind(store)
    store.save = async (...args) => {
      if (others < 120) await world.seed({ ...context, at: BEGINNING + 60_000 + (others += 1) }, { resting: 'failed' })
      return await save(...args)
    }
    stopped.goOn()
    const result = await stopped.run
    expect(others).toBe(120)
    expect(result.view?.context.tokens?.accessToken).toBe('access-new-1')
  })

  test('a late result is submitted again after store failures, even while the process closes', async () => {
    const world = createWorld()
    await world.seed(WAITING, { resting: 'awaitingCallback' })
    const stopped = await stopBeforeSave(world, CALLBACK)
    world.time.advance(60_000)
    await world.process().run(() => undefined)
    stopped.process.store.arm({ name: 'no', operation: 'save', when: 'before', action: 'fail', times: 2 })
    const closing = stopped.process.runner.close()
    stopped.goOn()
    const { view } = await stopped.run
    await closing
    expect(view?.context.tokens?.accessToken).toBe('access-new-1')
  })

  test('late tokens are stored with the server that issued them', async () => {
    const world = createWorld()
    const old = { ...SERVER, id: 7, issuer: 'https://old.example' }
    await world.seed({
      ...WAITING,
      servers: [old, SERVER],
      tokens: { ...TOKENS, serverId: 7, refreshTokenRejected: true },
    })
    const stopped = await stopBeforeSave(world, CALLBACK)
    world.time.advance(60_000)
    await world.process().run(() => undefined)
    stopped.goOn()
    const { view } = await stopped.run
    const { tokens, servers } = view?.context ?? {}
    expect(servers?.find(({ id }) => id === tokens?.serverId)?.issuer).toBe(SERVER.issuer)
    expect(view?.context.attempts).toEqual([])
    expect(ATTEMPT.serverId).toBe(SERVER.id)
  })
})
