import { describe, expect, test, vi } from 'vitest'
import { endOf } from '../../support/end-of.ts'
import { processWarnings } from '../../support/process-warnings.ts'
import type { Claim } from '../../../src/schemas/connection-context.ts'
import { TooFewReplicasError } from '../../../src/stores/snapshot-store.ts'
import { RECONNECT_MS, STALL_MS } from '../../../src/durable/limits.ts'
import { CLAIM, CLAIMED, REFRESH, SIGNED_IN } from './records.ts'
import { createWorld, issued, runUntil, type TestProcess, type World } from './world.ts'

/** A grace period that real time passes quickly. */
const LEASE = { leaseMs: 30_000, graceMs: 8 }
const UNTIL_ABANDONED_MS = LEASE.leaseMs + LEASE.graceMs
const CLAIMED_VALUE = { refreshing: 'claimed' }

const outside = (world: World): TestProcess => world.process({ isOutside: true, lease: LEASE })

/** From now on no write arrives, as with `OOM`, `READONLY` or a full disk; loads are answered. */
const refuseWrites = ({ store }: TestProcess): void =>
  store.arm({ name: 'no write', operation: 'save', when: 'before', action: 'fail', times: Infinity })

/** A process that has sent its request, has the result in hand, and cannot save it. */
async function holderOf(world: World): Promise<{ process: TestProcess; run: ReturnType<TestProcess['run']> }> {
  const process = outside(world)
  process.answers.refreshTokens = async () => {
    refuseWrites(process)
    return issued(1)
  }
  const run = process.run(REFRESH)
  await process.reached('no write')
  return { process, run }
}

describe('◆10 a store outage longer than lease and grace period', () => {
  test('a process that cannot write while the claim expires leaves it to its holder, whose result is saved first', async () => {
    const world = createWorld()
    await world.seed(SIGNED_IN)
    const holder = await holderOf(world)
    const waiter = outside(world)
    refuseWrites(waiter)
    world.time.advance(UNTIL_ABANDONED_MS)
    await expect(waiter.run(REFRESH)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE', retryable: true })

    waiter.store.disarm()
    const waiting = waiter.run(REFRESH)
    await vi.waitFor(() => expect(waiter.store.saves).toHaveLength(2))
    holder.process.store.disarm()
    expect(await waiting).toMatchObject({ accepted: false, consumed: false, view: { context: { generation: 2 } } })
    expect((await holder.run).view?.context.tokens?.accessToken).toBe('access-new-1')
    expect(world.requests).toEqual(['refreshTokens'])
  })

  test('the caller whose result cannot be saved is rejected after lease and grace period, as are the next ones, and the result is saved later', async () => {
    const world = createWorld()
    await world.seed(SIGNED_IN)
    const { process, run } = await holderOf(world)
    const queued = process.run(REFRESH)
    const unavailable = { code: 'STORE_UNAVAILABLE', retryable: true }
    const rejections = Promise.all([
      expect(run).rejects.toMatchObject(unavailable),
      expect(queued).rejects.toMatchObject(unavailable),
    ])
    const warnings = await processWarnings(async () => {
      world.time.advance(UNTIL_ABANDONED_MS + 1)
      await endOf(rejections)
    })
    expect(warnings).toMatchObject([{ code: 'AUTHCHART_RESULT_NOT_STORED' }])
    await expect(process.run({ type: 'disconnect.requested', id: 'd-1' })).rejects.toMatchObject(unavailable)

    process.store.disarm()
    await vi.waitFor(async () => expect((await world.stored())?.context.generation).toBe(2))
    await process.runner.close()
    expect(world.requests).toEqual(['refreshTokens'])
  })

  test('a process that cannot store a result does not take its claim over itself, whatever else the store takes', async () => {
    const world = createWorld()
    await world.seed(SIGNED_IN)
    const process = outside(world)
    const { store } = process
    const save = store.save.bind(store)
    store.save = async (key, value, options) => {
      if (options.kind === 'result') throw new Error('READONLY')
      return await save(key, value, options)
    }
    const unavailable = { code: 'STORE_UNAVAILABLE', retryable: true }
    const run = process.run(REFRESH)
    await vi.waitFor(() => expect(world.requests).toEqual(['refreshTokens']))
    const warnings = await processWarnings(async () => {
      world.time.advance(UNTIL_ABANDONED_MS + 1)
      await expect(run).rejects.toMatchObject(unavailable)
    })
    expect(warnings).toMatchObject([{ code: 'AUTHCHART_RESULT_NOT_STORED' }])
    world.time.advance(UNTIL_ABANDONED_MS)
    store.arm({ name: 'grace', operation: 'load', when: 'after', action: 'pause', skip: 1 })
    const next = process.run(REFRESH)
    await process.reached('grace')
    world.time.advance(UNTIL_ABANDONED_MS)
    process.store.resume('grace')
    await expect(next).rejects.toMatchObject(unavailable)

    store.save = save
    await vi.waitFor(async () => expect((await world.stored())?.context.generation).toBe(2))
    await process.runner.close()
    expect(world.requests).toEqual(['refreshTokens'])
  })

  test('a process that knows nothing of the outage waits a grace period of its own before it takes a claim over', async () => {
    const world = createWorld()
    await world.seed(CLAIMED, CLAIMED_VALUE)
    world.time.advance(UNTIL_ABANDONED_MS)
    const process = outside(world)
    process.store.arm({ name: 'looked again', operation: 'load', when: 'after', action: 'pause', skip: 2 })
    const run = process.run(REFRESH)
    await process.reached('looked again')
    // Nothing but the record that shows whether the store takes writes.
    expect(process.store.saves).toEqual([{ expectedVersion: undefined, writeId: expect.any(String), ttlMs: 1 }])
    process.store.resume('looked again')
    world.time.advance(LEASE.graceMs)
    expect(await run).toMatchObject({ consumed: true, view: { context: { generation: 2 } } })
    expect(world.requests).toEqual(['refreshTokens'])
  })

  test('a process whose store failed leaves a claim to its holder for as long as clients take to connect again', async () => {
    const world = createWorld()
    await world.seed(CLAIMED, CLAIMED_VALUE)
    world.time.advance(UNTIL_ABANDONED_MS)
    const process = outside(world)
    process.store.arm({ name: 'down', operation: 'load', when: 'before', action: 'fail' })
    await expect(process.run(REFRESH)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })

    const run = await runUntil(world, process, RECONNECT_MS, () => expect(world.requests).toEqual([]))
    expect(await run.ended).toMatchObject({ consumed: true, view: { context: { generation: 2 } } })
    expect(world.requests).toEqual(['refreshTokens'])
  })

  test('a process whose load was answered only after an outage leaves a claim to its holder for as long', async () => {
    const world = createWorld()
    await world.seed(CLAIMED, CLAIMED_VALUE)
    world.time.advance(UNTIL_ABANDONED_MS)
    const process = outside(world)
    process.store.arm({ name: 'stalled', operation: 'load', when: 'before', action: 'pause' })
    const waiting = runUntil(world, process, RECONNECT_MS, () => expect(world.requests).toEqual([]))
    await process.reached('stalled')
    world.time.advance(STALL_MS + 1)
    process.store.resume('stalled')
    expect(await (await waiting).ended).toMatchObject({ consumed: true, view: { context: { generation: 2 } } })
    expect(world.requests).toEqual(['refreshTokens'])
  })

  test('a process that waited from the end of the lease takes the claim over when lease and grace period have passed', async () => {
    const world = createWorld()
    await world.seed(CLAIMED, CLAIMED_VALUE)
    world.time.advance(LEASE.leaseMs)
    const process = outside(world)
    process.store.arm({ name: 'looked again', operation: 'load', when: 'before', action: 'pause', skip: 1 })
    const run = process.run(REFRESH)
    await process.reached('looked again')
    world.time.advance(LEASE.graceMs)
    process.store.resume('looked again')
    expect(await run).toMatchObject({ consumed: true, view: { context: { generation: 2 } } })
    expect(world.requests).toEqual(['refreshTokens'])
  })

  test('a second claim that expires while a process waits gets a grace period of its own', async () => {
    const world = createWorld()
    await world.seed(CLAIMED, CLAIMED_VALUE)
    world.time.advance(UNTIL_ABANDONED_MS)
    const process = outside(world)
    process.store.arm({ name: 'looked again', operation: 'load', when: 'before', action: 'pause', skip: 1 })
    const run = process.run(REFRESH)
    await process.reached('looked again')
    const second: Claim = { ...CLAIM, id: 'claim-of-a-third' }
    await world.seed({ ...CLAIMED, claim: second }, CLAIMED_VALUE)
    world.time.advance(UNTIL_ABANDONED_MS)
    process.store.resume('looked again')
    await vi.waitFor(() => expect(process.store.saves).toHaveLength(2))
    expect(process.store.saves.map(({ ttlMs }) => ttlMs)).toEqual([1, 1])
    world.time.advance(RECONNECT_MS)
    const { view } = await run
    expect(view?.context.orphanedClaims).toEqual([{ id: second.id, retried: true }])
  })

  test('a claim whose outcome is unknown is taken over without another grace period, for nobody has its result', async () => {
    const world = createWorld()
    await world.seed({ ...CLAIMED, claim: { ...CLAIM, outcomeUnknown: true } }, CLAIMED_VALUE)
    world.time.advance(UNTIL_ABANDONED_MS)
    const process = outside(world)
    expect(await process.run(REFRESH)).toMatchObject({ consumed: true, view: { context: { generation: 2 } } })
    expect(process.store.saves.map(({ ttlMs }) => ttlMs)).toEqual([undefined, undefined])
  })

  test('a takeover whose write fails is tried again only after another grace period, in which the holder saves', async () => {
    const world = createWorld()
    await world.seed(SIGNED_IN)
    const holder = await holderOf(world)
    // It has waited for as long as the claim holds; its process goes on.
    const rejected = expect(holder.run).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
    world.time.advance(UNTIL_ABANDONED_MS)
    const waiter = outside(world)
    // The store stops to take writes after the waiter has seen that it does.
    waiter.store.arm({ name: 'no takeover', operation: 'save', when: 'before', action: 'fail', skip: 1 })
    waiter.store.arm({ name: 'seen again', operation: 'save', when: 'after', action: 'pause', skip: 2 })
    const waiting = waiter.run(REFRESH)
    await vi.waitFor(() => expect(waiter.store.saves).toHaveLength(1))
    world.time.advance(LEASE.graceMs)
    await waiter.reached('seen again')
    holder.process.store.disarm()
    await vi.waitFor(async () => expect((await world.stored())?.context.generation).toBe(2))
    await rejected
    waiter.store.resume('seen again')
    expect(await waiting).toMatchObject({ accepted: false, consumed: false, view: { context: { generation: 2 } } })
    expect(world.requests).toEqual(['refreshTokens'])
  })

  test('a takeover whose answer is lost keeps its write id, and sends its request once', async () => {
    const world = createWorld()
    await world.seed(CLAIMED, CLAIMED_VALUE)
    world.time.advance(UNTIL_ABANDONED_MS)
    const process = outside(world)
    process.store.arm({ name: 'lost', operation: 'save', when: 'after', action: 'fail', skip: 1 })
    const run = process.run(REFRESH)
    await vi.waitFor(() => expect(process.store.saves).toHaveLength(1))
    world.time.advance(LEASE.graceMs)
    const { consumed } = await run
    const [, takeover, , again] = process.store.saves
    expect([consumed, again?.writeId]).toEqual([true, takeover?.writeId])
    expect(world.requests).toEqual(['refreshTokens'])
  })

  test('a store without its replicas takes writes', async () => {
    const world = createWorld()
    await world.seed(CLAIMED, CLAIMED_VALUE)
    world.time.advance(UNTIL_ABANDONED_MS)
    const process = outside(world)
    const save = process.store.save.bind(process.store)
    process.store.save = async (key, value, options) => {
      const saved = await save(key, value, options)
      if (options.ttlMs === 1) throw new TooFewReplicasError(0, 1, undefined)
      return saved
    }
    const run = process.run(REFRESH)
    await vi.waitFor(() => expect(process.store.saves).toHaveLength(1))
    world.time.advance(LEASE.graceMs)
    expect(await run).toMatchObject({ consumed: true })
  })

  test('the longest pause between two attempts to save a result is a quarter of the grace period', async () => {
    const world = createWorld()
    await world.seed(SIGNED_IN)
    const timers = vi.spyOn(globalThis, 'setTimeout')
    const process = world.process({ lease: { leaseMs: 30_000, graceMs: 160 } })
    process.answers.refreshTokens = async () => {
      process.store.down = true
      return issued(1)
    }
    const run = process.run(REFRESH)
    await vi.waitFor(() => expect(process.store.saves.length).toBeGreaterThan(4))
    process.store.down = false
    await run
    const pauses = timers.mock.calls.map(([, ms]) => ms).filter((ms) => ms === 25 || ms === 40)
    timers.mockRestore()
    expect(pauses.slice(0, 3)).toEqual([25, 40, 40])
  })
})
