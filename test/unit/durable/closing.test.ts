import { describe, expect, test, vi } from 'vitest'
import { CLAIMED, REFRESH, SIGNED_IN } from './records.ts'
import { createWorld, issued, KEY, LEASE } from './world.ts'

describe('Runner.close', () => {
  test('close() without runs resolves at once, and later runs reject with CLOSED', async () => {
    const process = createWorld().process()
    await process.runner.close()
    await expect(process.run(REFRESH)).rejects.toMatchObject({ code: 'CLOSED', retryable: false })
    expect(process.store.saves).toEqual([])
  })

  test('close() resolves after the result of a sent request has been saved', async () => {
    const world = createWorld()
    await world.seed(SIGNED_IN)
    const process = world.process()
    let answer = (): void => {}
    process.answers.refreshTokens = () => new Promise((resolve) => (answer = () => resolve(issued(1))))
    const run = process.run(REFRESH)
    await vi.waitFor(() => expect(world.requests).toHaveLength(1))
    let isClosed = false
    const closing = process.runner.close().then(() => (isClosed = true))
    answer()
    const { view } = await run
    expect(isClosed).toBe(false)
    await closing
    expect(view?.context.generation).toBe(2)
    expect((await world.stored())?.context.generation).toBe(2)
  })

  test('close() ends the wait for the claim of another process with CLOSED', async () => {
    const world = createWorld()
    await world.seed(CLAIMED, { refreshing: 'claimed' })
    const process = world.process()
    process.store.arm({ name: 'read', operation: 'load', when: 'after', action: 'pause' })
    const run = process.run(REFRESH)
    await process.reached('read')
    const closing = process.runner.close()
    process.store.resume('read')
    await expect(run).rejects.toMatchObject({ code: 'CLOSED' })
    await closing
  })

  test('close() ends the retries of a claim save whose request was not sent', async () => {
    const world = createWorld()
    await world.seed(SIGNED_IN)
    const process = world.process()
    process.store.arm({ name: 'no', operation: 'save', when: 'before', action: 'fail', times: Infinity })
    const run = process.run(REFRESH)
    const rejected = expect(run).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
    await process.reached('no')
    await process.runner.close()
    await rejected
  })

  test('close() resolves after the lease at the latest, and later save retries do not keep the process alive', async () => {
    const world = createWorld()
    await world.seed(SIGNED_IN)
    const process = world.process({ lease: { leaseMs: 40, graceMs: 10 } })
    // The fence is in the past with a lease this short: only the save of the failure is left to do.
    const timers = vi.spyOn(globalThis, 'setTimeout')
    process.store.arm({ name: 'no', operation: 'save', when: 'before', action: 'fail', times: Infinity, skip: 1 })
    const run = process.run(REFRESH)
    await process.reached('no')
    await process.runner.close()
    const closedAfter = timers.mock.results.length
    const triesBefore = process.store.saves.length
    await vi.waitFor(() => expect(process.store.saves.length).toBeGreaterThan(triesBefore + 1), 5_000)
    const later = timers.mock.results.slice(closedAfter).map(({ value }) => value as NodeJS.Timeout)
    timers.mockRestore()
    expect(later.filter((timer) => !timer.hasRef()).length).toBeGreaterThan(0)
    void run
  })

  test('close() allows a nested run of another run to start', async () => {
    const world = createWorld()
    await world.seed(SIGNED_IN)
    const { runner, chart } = world.process()
    await runner.close()
    const { view } = await runner.run(chart, KEY, () => REFRESH, { input: {}, lease: LEASE, isNested: true })
    expect(view?.context.generation).toBe(2)
  })
})
