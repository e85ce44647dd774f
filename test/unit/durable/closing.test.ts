import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { CLAIMED, REFRESH, SIGNED_IN } from './records.ts'
import { type ProcessWarning, processWarnings } from '../../support/process-warnings.ts'
import { createWorld, issued, KEY, LEASE, type TestProcess, UNTIL_ABANDONED_MS } from './world.ts'

const UNAVAILABLE = { code: 'STORE_UNAVAILABLE', retryable: true }
const NOT_STORED: ProcessWarning = {
  name: 'AuthchartWarning',
  code: 'AUTHCHART_RESULT_NOT_STORED',
  message: `the result of a request could not be stored, and is lost when this process ends: the store does not respond (record ${KEY})`,
}

/** From the response of the server on, nothing reaches the store: it was closed, or its client was. */
function loseStore(process: TestProcess): void {
  process.answers.refreshTokens = async () => {
    process.store.down = true
    return issued(1)
  }
}

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

  test('a process that does not close tries on, is kept alive no longer than close() would wait, and warns once', async () => {
    const world = createWorld()
    await world.seed(SIGNED_IN)
    const lease = { leaseMs: 30_000, graceMs: 100 }
    const process = world.process({ lease })
    loseStore(process)
    const timers = vi.spyOn(globalThis, 'setTimeout')
    /** Whether the pause that is under way keeps the process alive; null once it has ended. */
    const isKeptAlive = (): boolean | null | undefined => {
      const last = timers.mock.calls.findLastIndex(([, ms]) => ms === lease.graceMs / 4)
      const pause = timers.mock.results[last]?.value as NodeJS.Timeout | undefined
      return pause?.hasRef()
    }
    const rejected = expect(process.run(REFRESH)).rejects.toMatchObject(UNAVAILABLE)
    await vi.waitFor(() => expect(isKeptAlive()).toBe(true), { interval: 7 })
    const warnings = await processWarnings(async () => {
      world.time.advance(lease.leaseMs + lease.graceMs + 1)
      await vi.waitFor(() => expect(isKeptAlive()).toBe(false), { interval: 7 })
      const attempts = process.store.saves.length
      await vi.waitFor(() => expect(process.store.saves.length).toBeGreaterThan(attempts + 2))
      await vi.waitFor(() => expect(isKeptAlive()).toBe(false), { interval: 7 })
    })
    timers.mockRestore()
    expect(warnings).toEqual([NOT_STORED])
    await rejected
    process.store.down = false
    await vi.waitFor(async () => expect((await world.stored())?.context.tokens?.accessToken).toBe('access-new-1'))
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

describe('a result that can never be stored', () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] }))
  afterEach(() => void vi.useRealTimers())

  test('close() rejects its caller with STORE_UNAVAILABLE after lease and grace period, warns once, and leaves no timer', async () => {
    const world = createWorld()
    await world.seed(SIGNED_IN)
    const process = world.process()
    loseStore(process)
    const ended: unknown[] = []
    const run = process.run(REFRESH).catch((error: unknown) => ended.push(error))
    await vi.waitFor(() => expect(process.store.saves.length).toBeGreaterThan(2))
    const warnings = await processWarnings(async () => {
      const closing = process.runner.close()
      await vi.advanceTimersByTimeAsync(UNTIL_ABANDONED_MS - 1)
      expect(ended).toEqual([])
      await vi.advanceTimersByTimeAsync(1)
      await closing
      await run
    })
    expect(ended).toEqual([expect.objectContaining(UNAVAILABLE)])
    expect(warnings).toEqual([NOT_STORED])
    expect(vi.getTimerCount()).toBe(0)
    const attempts = process.store.saves.length
    await vi.advanceTimersByTimeAsync(UNTIL_ABANDONED_MS)
    expect(process.store.saves).toHaveLength(attempts)
  })

  test('close() rejects every run that is left, also one whose store operation never ends', async () => {
    const world = createWorld()
    await world.seed(SIGNED_IN)
    const process = world.process()
    process.store.arm({ name: 'hangs', operation: 'load', when: 'before', action: 'pause' })
    const ended: unknown[] = []
    for (let run = 0; run < 2; run += 1) void process.run(REFRESH).catch((error: unknown) => ended.push(error))
    await process.reached('hangs')
    const closing = process.runner.close()
    await vi.advanceTimersByTimeAsync(UNTIL_ABANDONED_MS)
    await closing
    await new Promise(setImmediate)
    expect(ended).toEqual([expect.objectContaining(UNAVAILABLE), expect.objectContaining(UNAVAILABLE)])
  })

  test('close() ends the wait of a late result for the claim of another process, with one warning', async () => {
    const world = createWorld()
    await world.seed(SIGNED_IN)
    const process = world.process()
    process.store.arm({ name: 'result', operation: 'save', when: 'before', action: 'pause', skip: 1 })
    const run = process.run(REFRESH).catch((error: unknown) => error)
    await process.reached('result')
    world.time.advance(UNTIL_ABANDONED_MS)
    const other = world.process()
    other.answers.refreshTokens = () => new Promise(() => {})
    void other.run(REFRESH)
    await vi.waitFor(() => expect(world.requests).toHaveLength(2))
    const warnings = await processWarnings(async () => {
      const closing = process.runner.close()
      process.store.resume('result')
      await vi.advanceTimersByTimeAsync(UNTIL_ABANDONED_MS)
      await closing
      expect(await run).toMatchObject(UNAVAILABLE)
      await vi.advanceTimersByTimeAsync(1_000)
    })
    expect(warnings).toEqual([NOT_STORED])
    expect(vi.getTimerCount()).toBe(0)
  })
})
