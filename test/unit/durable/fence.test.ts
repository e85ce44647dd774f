import { describe, expect, test } from 'vitest'
import { REFRESH, SIGNED_IN, TOKENS } from './records.ts'
import { BEGINNING } from './test-time.ts'
import { createWorld, issued, LEASE, UNTIL_ABANDONED_MS } from './world.ts'

/** Of a lease of 30 s, a request may take 10 s and the save of its result 5 s. */
const FENCE_MS = 15_000

describe('◆1 the send deadline', () => {
  test('a request before the send deadline is sent, and its port receives the deadline', async () => {
    const world = createWorld()
    await world.seed(SIGNED_IN)
    const process = world.process({ bootedMs: 77_000, beforeLeaving: () => world.time.advance(FENCE_MS - 1) })
    const { view, consumed } = await process.run(REFRESH)
    expect(consumed).toBe(true)
    expect(process.departures).toEqual([{ port: 'refreshTokens', sendBefore: 77_000 + FENCE_MS }])
    expect(world.requests).toEqual(['refreshTokens'])
    expect(view?.context.generation).toBe(2)
  })

  test('a request after the send deadline is not sent', async () => {
    const world = createWorld()
    await world.seed(SIGNED_IN)
    const process = world.process({ beforeLeaving: () => world.time.advance(FENCE_MS) })
    const { view } = await process.run(REFRESH)
    expect(world.requests).toEqual([])
    expect(view?.context).toMatchObject({
      generation: 1,
      tokens: TOKENS,
      claim: undefined,
      failure: { code: 'HTTP_TIMEOUT', details: { reason: 'leaseTooShort' } },
    })
  })

  test('the send deadline is computed from the time before the claim save started', async () => {
    const world = createWorld()
    await world.seed(SIGNED_IN)
    const process = world.process()
    process.store.arm({ name: 'claimed', operation: 'save', when: 'after', action: 'pause' })
    const run = process.run(REFRESH)
    await process.reached('claimed')
    world.time.advance(FENCE_MS)
    process.store.resume('claimed')
    const { view } = await run
    expect(process.departures).toEqual([{ port: 'refreshTokens', sendBefore: FENCE_MS }])
    expect(world.requests).toEqual([])
    expect(view?.context.tokens).toEqual(TOKENS)
  })

  test('the send deadline of a short lease leaves a quarter of the lease for the save', async () => {
    const world = createWorld()
    await world.seed(SIGNED_IN)
    const process = world.process({ lease: { leaseMs: 16_000, graceMs: 0 } })
    await process.run(REFRESH)
    expect(process.departures).toEqual([{ port: 'refreshTokens', sendBefore: 16_000 - 10_000 - 4_000 }])
  })

  test('a process that stalls past lease and grace period sends nothing, and another process sends the one request', async () => {
    const world = createWorld()
    await world.seed(SIGNED_IN)
    let goOn = (): void => {}
    const stalled = new Promise<void>((resolve) => (goOn = resolve))
    const sleeper = world.process({ beforeLeaving: () => stalled })
    const slept = sleeper.run(REFRESH)
    await expect.poll(() => sleeper.departures.length).toBe(1)

    world.time.advance(UNTIL_ABANDONED_MS)
    const other = await world.process().run(REFRESH)
    expect(other.view?.context.tokens?.accessToken).toBe(issued(1).accessToken)

    goOn()
    const { view } = await slept
    expect(world.requests).toEqual(['refreshTokens'])
    expect(view?.context).toEqual(other.view?.context)
  })

  test('a slow load does not add to the age of a claim', async () => {
    const world = createWorld()
    await world.seed(SIGNED_IN)
    const slow = world.process()
    slow.store.arm({ name: 'asking', operation: 'load', when: 'before', action: 'pause' })
    const loading = slow.load()
    await slow.reached('asking')
    world.time.advance(UNTIL_ABANDONED_MS)
    await world.seed({ ...SIGNED_IN, claim: { id: 'c1', kind: 'refresh', leaseMs: LEASE.leaseMs, retries: 0 } })
    slow.store.resume('asking')
    const view = await loading
    world.time.advance(1_000)
    expect(view?.ageMs()).toBe(1_000)
    // A token, on the other hand, does not look younger than it may be.
    expect(view?.at()).toBe(BEGINNING + UNTIL_ABANDONED_MS + 1_000)
  })
})
