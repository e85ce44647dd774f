import { setImmediate as nextTurn } from 'node:timers/promises'
import { describe, expect, test, vi } from 'vitest'
import { endOf } from '../../support/end-of.ts'
import { isAuthorizationError } from '../../../src/errors/authorization-error.ts'
import { portError } from '../../../src/errors/port-error.ts'
import { processWarnings } from '../../support/process-warnings.ts'
import { CALLBACK, CLAIM, CLAIMED, REFRESH, SIGNED_IN, WAITING } from './records.ts'
import { createWorld, KEY, type TestProcess, UNTIL_ABANDONED_MS, type World } from './world.ts'

const CLAIMED_VALUE = { refreshing: 'claimed' }

/** A process that has sent its request, has the answer, and stops right before it saves that. */
async function holderOf(world: World, event: Parameters<TestProcess['run']>[0], process = world.process()) {
  process.store.arm({ name: 'result', operation: 'save', when: 'before', action: 'pause', skip: 1 })
  const run = process.run(event)
  await process.reached('result')
  return { process, run, goOn: () => process.store.resume('result') }
}

/** Lets a store return, and replace, its current record under the version of an earlier one. */
function rollBack({ store }: TestProcess, earlier: string, current: string): void {
  const load = store.load.bind(store)
  const save = store.save.bind(store)
  store.load = async (key) => {
    const record = await load(key)
    return record?.version === current ? { ...record, version: earlier } : record
  }
  store.save = (key, value, options) => {
    const expectedVersion = options.expectedVersion === earlier ? current : options.expectedVersion
    return save(key, value, { ...options, expectedVersion })
  }
}

describe('◆2 a claim that the store has lost', () => {
  test('the result of a claim that a failover lost is stored on the record before it, and its token is sent once', async () => {
    const world = createWorld()
    const before = await world.seed(SIGNED_IN)
    const holder = await holderOf(world, REFRESH)
    rollBack(holder.process, before, await world.seed(SIGNED_IN))
    holder.goOn()
    const { view, accepted, consumed } = await holder.run
    expect([accepted, consumed, view?.context.generation]).toEqual([true, true, 2])
    expect(view?.context.tokens).toMatchObject({ accessToken: 'access-new-1', refreshToken: 'refresh-new-1' })
    expect(view?.context.tokens?.unverified).toBeUndefined()
    expect((await world.stored())?.context.generation).toBe(2)
    expect(world.requests).toEqual(['refreshTokens'])
    expect(holder.process.told.map(({ entries }) => entries.map(({ reason }) => reason))).toEqual([
      ['refresh.requested'],
      ['refreshTokens.done'],
    ])
  })

  test('the result of a claim that a failover lost is stored on a record that the same process wrote, in whichever order its members are', async () => {
    const world = createWorld()
    await world.seed(SIGNED_IN)
    const process = world.process()
    const { view } = await process.run({ type: 'request.servedWithoutToken' })
    // The next run begins with that record, instead of loading it behind this one.
    await nextTurn()
    process.store.arm({ name: 'result', operation: 'save', when: 'before', action: 'pause', skip: 1 })
    const run = process.run(REFRESH, { view })
    await process.reached('result')
    const { context, value, version } = view ?? expect.unreachable('a record')
    rollBack(process, version, await world.seed(context, value))
    process.store.resume('result')
    expect((await run).view?.context.tokens).toMatchObject({ accessToken: 'access-new-1' })
    expect(world.requests).toEqual(['refreshTokens'])
  })

  test('the result of a lost claim is not stored on another record to which the store gave the same version', async () => {
    const world = createWorld()
    const before = await world.seed(SIGNED_IN)
    const holder = await holderOf(world, REFRESH)
    rollBack(holder.process, before, await world.seed({ ...SIGNED_IN, generation: 2, tokens: undefined }))
    const warnings = await processWarnings(async () => {
      holder.goOn()
      const { view } = await holder.run
      expect([view?.context.generation, view?.context.tokens]).toEqual([2, undefined])
    })
    expect(warnings).toEqual([])
    expect(world.requests).toEqual(['refreshTokens'])
  })

  test('the result of a claim that the process which took it over has released is stored at once', async () => {
    const world = createWorld()
    await world.seed(SIGNED_IN)
    const holder = await holderOf(world, REFRESH)
    const { context, value } = (await world.stored()) ?? {}
    await world.seed(context ?? {}, value)
    holder.goOn()
    expect(await endOf(holder.run)).toMatchObject({ accepted: true, view: { context: { generation: 2 } } })
    expect(world.requests).toEqual(['refreshTokens'])
  })

  test('the result of a takeover that a failover lost is stored on the claim that was taken over', async () => {
    const world = createWorld()
    await world.seed(CLAIMED, CLAIMED_VALUE)
    world.time.advance(UNTIL_ABANDONED_MS)
    const holder = await holderOf(world, () => undefined)
    await world.seed(CLAIMED, CLAIMED_VALUE)
    holder.goOn()
    const { view } = await endOf(holder.run)
    expect(view?.context).toMatchObject({ generation: 2, orphanedClaims: [{ id: CLAIM.id, retried: true }] })
    expect(view?.context.claim).toBeUndefined()
    expect(world.requests).toEqual(['refreshTokens'])
  })

  test('the result of a lost refresh is lost with one warning if the record has changed since, and its token is sent once', async () => {
    const world = createWorld()
    await world.seed(SIGNED_IN)
    const holder = await holderOf(world, REFRESH)
    await world.seed({ ...SIGNED_IN, challenge: { at: SIGNED_IN.at ?? 0, generation: 1 } })
    const warnings = await processWarnings(async () => {
      holder.goOn()
      const { view } = await holder.run
      expect(view?.context).toMatchObject({ generation: 1, tokens: SIGNED_IN.tokens })
    })
    expect(warnings).toMatchObject([{ code: 'AUTHCHART_RESULT_NOT_STORED' }])
    expect(world.requests).toEqual(['refreshTokens'])
  })

  test('the code of a lost claim is sent once, and its late result ends the attempt', async () => {
    const world = createWorld()
    await world.seed(WAITING, { resting: 'awaitingCallback' })
    const holder = await holderOf(world, CALLBACK)
    await world.seed(WAITING, { resting: 'awaitingCallback' })
    holder.goOn()
    const { view } = await holder.run
    expect(view?.context).toMatchObject({ generation: 1, attempts: [], endedAttempts: [{ outcome: 'authorized' }] })
    expect(world.requests).toEqual(['exchangeCode'])
  })

  test('a result that no record can take is lost with one warning, and its request is not sent again', async () => {
    const world = createWorld()
    await world.seed(WAITING, { resting: 'awaitingCallback' })
    const holder = await holderOf(world, CALLBACK)
    await world.seed({ ...WAITING, attempts: [] }, { resting: 'disconnected' })
    const warnings = await processWarnings(async () => {
      holder.goOn()
      expect(await holder.run).toMatchObject({ accepted: false, consumed: true, view: { context: { generation: 0 } } })
    })
    expect(warnings).toEqual([
      {
        name: 'AuthchartWarning',
        code: 'AUTHCHART_RESULT_NOT_STORED',
        message: `the result of a request could not be stored, and is lost: another process has changed the record (record ${KEY})`,
      },
    ])
    expect(world.requests).toEqual(['exchangeCode'])
  })

  test('a request that was rejected under a lost claim is not sent again by the same run', async () => {
    const world = createWorld()
    await world.seed(SIGNED_IN)
    const process = world.process()
    process.answers.refreshTokens = () => Promise.reject(portError('RATE_LIMITED', 'rejected', { status: 429 }))
    const holder = await holderOf(world, REFRESH, process)
    await world.seed(SIGNED_IN)
    holder.goOn()
    expect(await holder.run).toMatchObject({ accepted: false, consumed: true, view: { context: { generation: 1 } } })
    expect(world.requests).toEqual(['refreshTokens'])
  })

  test('a process that has the result of a lost claim, which the store does not take, does not send its token again', async () => {
    const world = createWorld()
    const before = await world.seed(SIGNED_IN)
    const process = world.process({ isOutside: true })
    const { store } = process
    const save = store.save.bind(store)
    let takesResults = false
    store.save = async (key, record, options) => {
      if (options.kind === 'result' && !takesResults) throw new Error('down')
      return await save(key, record, options)
    }
    const run = process.run(REFRESH)
    const rejected = expect(run).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
    await vi.waitFor(() => expect(world.requests).toEqual(['refreshTokens']))
    world.time.advance(UNTIL_ABANDONED_MS + 1)
    await rejected
    rollBack(process, before, await world.seed(SIGNED_IN))
    const again = Promise.withResolvers<string>()
    process.answers.refreshTokens = () => {
      again.resolve('sent again')
      return Promise.reject(portError('REFRESH_REJECTED', 'rejected', { error: 'invalid_grant' }))
    }
    const next = process.run(REFRESH).catch((error: unknown) => isAuthorizationError(error) && error.code)
    expect(await Promise.race([next, again.promise])).toBe('STORE_UNAVAILABLE')
    takesResults = true
    await vi.waitFor(async () => expect((await world.stored())?.context.generation).toBe(2), { timeout: 20_000 })
    expect(world.requests).toEqual(['refreshTokens'])
  })
})
