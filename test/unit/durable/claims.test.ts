import { describe, expect, test, vi } from 'vitest'
import { endOf } from '../../support/end-of.ts'
import { portError } from '../../../src/errors/port-error.ts'
import { CLAIM, CLAIMED, REFRESH, SIGNED_IN, TOKENS } from './records.ts'
import { createWorld, issued, KEY, runUntil, UNTIL_ABANDONED_MS } from './world.ts'

const CLAIMED_VALUE = { refreshing: 'claimed' }

describe('claims before requests', () => {
  test('the claim of a request is stored before its port is called', async () => {
    const world = createWorld()
    await world.seed(SIGNED_IN)
    const seen: unknown[] = []
    const process = world.process({
      beforeLeaving: async () => {
        const stored = await world.stored()
        seen.push([stored?.value, stored?.context.claim])
      },
    })
    await process.run(REFRESH)
    expect(seen).toEqual([
      [CLAIMED_VALUE, { id: expect.stringMatching(/^[\w-]{16}$/), kind: 'refresh', leaseMs: 30_000, retries: 0 }],
    ])
    const stored = await world.stored()
    expect(stored?.context.claim).toBeUndefined()
    expect(stored?.value).toEqual({ resting: 'authorized' })
  })
})

describe('a claim younger than its lease', () => {
  test('a run waits for the claim of another process and adopts its result on notification', async () => {
    const world = createWorld()
    await world.seed(SIGNED_IN)
    let answer = (): void => {}
    const holder = world.process()
    holder.answers.refreshTokens = () => new Promise((resolve) => (answer = () => resolve(issued(1))))
    const held = holder.run(REFRESH)
    await vi.waitFor(() => expect(world.requests).toHaveLength(1))

    const waiter = world.process()
    waiter.store.arm({ name: 'claim', operation: 'load', when: 'after', action: 'pause' })
    waiter.store.arm({ name: 'result', operation: 'load', when: 'after', action: 'pause', skip: 1 })
    const waiting = waiter.run(REFRESH)
    await waiter.reached('claim')
    answer()
    const winner = await held
    waiter.store.resume('claim')
    await waiter.reached('result')
    waiter.store.resume('result')
    expect(await waiting).toMatchObject({ accepted: false, consumed: false, view: { version: winner.view?.version } })
    expect(world.requests).toEqual(['refreshTokens'])
  })

  test('a run polls the claim of another process if there are no notifications', async () => {
    const world = createWorld()
    await world.seed(CLAIMED, CLAIMED_VALUE)
    const waiter = world.process()
    waiter.store.subscribe = () => Promise.reject(new Error('no notices here'))
    waiter.store.arm({ name: 'looked', operation: 'load', when: 'before', action: 'pause', skip: 1 })
    const waiting = waiter.run(REFRESH)
    await waiter.reached('looked')
    await world.seed({ ...SIGNED_IN, generation: 2 })
    waiter.store.resume('looked')
    expect(await waiting).toMatchObject({ accepted: false, view: { context: { generation: 2 } } })
    expect(world.requests).toEqual([])
  })

  test('a run that finds a new claim at every load rejects with TIMED_OUT', async () => {
    const world = createWorld()
    await world.seed(CLAIMED, CLAIMED_VALUE)
    const waiter = world.process()
    const load = waiter.store.load.bind(waiter.store)
    let looks = 0
    // Each look finds a claim that has just been made.
    waiter.store.load = async (key) => {
      const record = await load(key)
      looks += 1
      await world.seed(CLAIMED, CLAIMED_VALUE)
      world.time.advance(UNTIL_ABANDONED_MS)
      return record && { ...record, ageMs: 0 }
    }
    const waiting = waiter.run(REFRESH)
    await expect(waiting).rejects.toMatchObject({ failure: { code: 'TIMED_OUT', details: { reason: 'claimed' } } })
    // The last one began after it had waited long enough.
    expect(looks).toBe(6)
    expect(world.requests).toEqual([])
  })
})

describe('a claim past its lease and grace', () => {
  test('a run leaves the claim of another process alone until lease and grace period have passed', async () => {
    const world = createWorld()
    await world.seed(CLAIMED, CLAIMED_VALUE)
    const process = world.process()
    world.time.advance(UNTIL_ABANDONED_MS - 1)
    process.store.arm({ name: 'looked again', operation: 'load', when: 'after', action: 'pause', skip: 2 })
    const run = process.run(REFRESH)
    await process.reached('looked again')
    expect(process.store.saves).toEqual([])
    process.store.resume('looked again')
    world.time.advance(1)
    const { view, consumed } = await run
    expect(consumed).toBe(true)
    expect(view?.context).toMatchObject({ generation: 2, orphanedClaims: [{ id: CLAIM.id, retried: true }] })
    expect(view?.context.claim).toBeUndefined()
  })

  test('a run takes over a claim that it has itself seen for lease and grace period, whatever its age by a store whose clock was set back', async () => {
    const world = createWorld()
    await world.seed(CLAIMED, CLAIMED_VALUE)
    const process = world.process()
    const load = process.store.load.bind(process.store)
    process.store.load = async (key) => {
      const record = await load(key)
      return record && { ...record, ageMs: 0 }
    }
    const run = await runUntil(world, process, UNTIL_ABANDONED_MS, () => expect(process.store.saves).toEqual([]))
    expect(await endOf(run.ended)).toMatchObject({ consumed: true, view: { context: { generation: 2 } } })
    expect(world.requests).toEqual(['refreshTokens'])
  })

  test('a run expires an old claim first and decides on its event afterwards', async () => {
    const world = createWorld()
    await world.seed(CLAIMED, CLAIMED_VALUE)
    world.time.advance(UNTIL_ABANDONED_MS)
    const seen: unknown[] = []
    const { accepted, consumed } = await world.process().run((view) => {
      seen.push([view?.value, view?.context.generation, view?.context.claim])
      return REFRESH
    })
    expect(seen).toEqual([[{ resting: 'authorized' }, 2, undefined]])
    expect({ accepted, consumed }).toEqual({ accepted: false, consumed: true })
    expect(world.requests).toEqual(['refreshTokens'])
  })

  test('an expired claim that was already retried sends nothing and ends in TOKEN_OUTCOME_UNKNOWN', async () => {
    const world = createWorld()
    await world.seed({ ...CLAIMED, claim: { ...CLAIM, retries: 1 } }, CLAIMED_VALUE)
    world.time.advance(UNTIL_ABANDONED_MS)
    const { view } = await world.process().run(() => undefined)
    expect(world.requests).toEqual([])
    expect(view?.context).toMatchObject({ tokens: TOKENS, failure: { code: 'TOKEN_OUTCOME_UNKNOWN' } })
  })

  test('a claim with an unknown outcome stays in the record until its lease has passed', async () => {
    const world = createWorld()
    await world.seed(SIGNED_IN)
    const process = world.process()
    process.answers.refreshTokens = () => Promise.reject(portError('HTTP_NETWORK', 'unknown'))
    const { view, accepted, consumed } = await process.run(REFRESH)
    expect({ accepted, consumed }).toEqual({ accepted: true, consumed: true })
    expect(view?.value).toEqual(CLAIMED_VALUE)
    expect(view?.context.claim).toMatchObject({ outcomeUnknown: true, retries: 0 })
    expect((await world.store.load(KEY))?.version).toBe(view?.version)
    world.time.advance(UNTIL_ABANDONED_MS)
    process.answers.refreshTokens = () => Promise.resolve(issued(1))
    expect(await process.run(() => undefined)).toMatchObject({ consumed: true, view: { context: { generation: 2 } } })
  })
})

describe('a checkpoint without a claim', () => {
  const RETIRING = {
    ...SIGNED_IN,
    tokens: undefined,
    rejectedClient: { issuer: 'https://as.example', clientId: 'client-1' },
  }

  test('a checkpoint without a claim is continued by the next run', async () => {
    const world = createWorld()
    await world.seed(RETIRING, { retiring: 'recorded' })
    const process = world.process()
    let retired = 0
    process.answers.retireRegistration = async () => ({ retired: (retired += 1) })
    const { view, accepted } = await process.run(() => undefined)
    expect(retired).toBe(1)
    expect(accepted).toBe(false)
    expect(view?.value).toEqual({ resting: 'disconnected' })
    expect(view?.context.rejectedClient).toBeUndefined()
  })

  test('a checkpoint without a claim is saved before its port is called', async () => {
    const world = createWorld()
    await world.seed({
      ...SIGNED_IN,
      servers:
        SIGNED_IN.servers?.map((server) => ({ ...server, client: { ...server.client, source: 'dynamic' } })) ?? [],
    })
    const process = world.process()
    process.answers.refreshTokens = () =>
      Promise.reject(portError('REFRESH_REJECTED', 'rejected', { error: 'invalid_client' }))
    const places: unknown[] = []
    process.answers.retireRegistration = async () => ({ at: places.push((await world.stored())?.value) })
    const { view } = await process.run(REFRESH)
    expect(places).toEqual([{ retiring: 'recorded' }])
    expect(process.store.saves).toHaveLength(3)
    expect(view?.context).toMatchObject({ generation: 1, reauthorizationRequired: true })
    expect(view?.context.tokens).toBeUndefined()
  })
})
