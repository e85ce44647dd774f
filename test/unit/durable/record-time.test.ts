import { CALLBACK_WAIT_MS } from '../../../machines/limits.ts'
import { describe, expect, test, vi } from 'vitest'
import { isUsable } from '../../../machines/connection/selectors.ts'
import { REFRESH, SIGNED_IN } from './records.ts'
import { BEGINNING } from './test-time.ts'
import type { SnapshotStore } from '../../../src/stores/snapshot-store.ts'
import { createWorld, issued, type World } from './world.ts'

const FIVE_MINUTES = 300_000
const AUTHORIZE = { type: 'authorization.requested', request: { attemptTtlMs: FIVE_MINUTES } } as const

describe('◆3 record time', () => {
  test('processes whose wall clocks differ by five minutes compute the same record time', async () => {
    const world = createWorld()
    await world.seed(SIGNED_IN)
    world.time.advance(1_000)
    const ahead = await world.process({ wrongByMs: FIVE_MINUTES, bootedMs: 9_000_000 }).load()
    const behind = await world.process({ wrongByMs: -FIVE_MINUTES }).load()
    expect([ahead?.at(), behind?.at()]).toEqual([BEGINNING + 1_000, BEGINNING + 1_000])
    world.time.advance(58_000)
    expect([ahead?.at(), ahead?.ageMs()]).toEqual([BEGINNING + 59_000, 59_000])
    // The token lives for a minute: neither calls it expired too early, nor too late.
    expect(isUsable(ahead?.context.tokens, ahead?.at() ?? 0)).toBe(true)
    world.time.advance(1_000)
    expect(isUsable(behind?.context.tokens, behind?.at() ?? 0)).toBe(false)
  })

  test('a save continues the time of the record, not the wall clock of its process', async () => {
    const world = createWorld()
    await world.seed(SIGNED_IN)
    world.time.advance(2_000)
    const { view } = await world.process({ wrongByMs: FIVE_MINUTES }).run(REFRESH)
    const stored = await world.stored()
    expect(stored?.savedAt).toBe(BEGINNING + 2_000)
    expect(view?.context).toMatchObject({ at: BEGINNING + 2_000, tokens: { expiresAt: BEGINNING + 2_000 + 3_600_000 } })
    expect(view?.at()).toBe(BEGINNING + 2_000)
    const read = await world.process({ wrongByMs: -FIVE_MINUTES }).load()
    expect(read?.at()).toBe(BEGINNING + 2_000)
  })

  test('record time never goes back, although a port rounds up to the next millisecond', async () => {
    const world = createWorld()
    await world.seed(SIGNED_IN)
    const process = world.process()
    process.answers.refreshTokens = async () => {
      world.time.advance(0.25)
      return issued(1)
    }
    const { view } = await process.run(REFRESH)
    const stored = await world.stored()
    expect([stored?.context.at, stored?.savedAt]).toEqual([BEGINNING + 1, BEGINNING + 1])
    expect(view?.at()).toBe(BEGINNING + 1)
  })

  test('the first save sets record time by its wall clock, and no later save does', async () => {
    const world = createWorld()
    const first = await world.process({ wrongByMs: FIVE_MINUTES }).run(AUTHORIZE)
    expect(first.view?.context.attempts[0]?.expiresAt).toBe(BEGINNING + 2 * FIVE_MINUTES)
    world.time.advance(FIVE_MINUTES - 1)
    const alive = await world.process({ wrongByMs: -FIVE_MINUTES }).run({ type: 'attempt.expired' })
    expect(alive.view?.context.attempts).toHaveLength(1)
    world.time.advance(1 + CALLBACK_WAIT_MS)
    const expired = await world.process().run({ type: 'attempt.expired' })
    const endedAt = BEGINNING + 2 * FIVE_MINUTES + CALLBACK_WAIT_MS
    expect(expired.view?.context.endedAttempts).toEqual([
      { stateHash: 'hash-of-secret-state', outcome: 'expired', endedAt },
    ])
  })

  test('a lease ends by the age of its record, whatever the wall clocks show', async () => {
    const world = createWorld()
    await world.seed(
      { ...SIGNED_IN, claim: { id: 'c1', kind: 'refresh', leaseMs: 30_000, retries: 0 } },
      { refreshing: 'claimed' },
    )
    world.time.advance(35_000)
    const { view } = await world.process({ wrongByMs: -FIVE_MINUTES, bootedMs: 123_456 }).run(() => undefined)
    expect(view?.context.tokens?.accessToken).toBe(issued(1).accessToken)
    expect(view?.context.orphanedClaims).toEqual([{ id: 'c1', retried: true }])
  })

  test('a store outage during a save does not shift the stored expiry time', async () => {
    const world = createWorld()
    await world.seed(SIGNED_IN)
    const process = world.process()
    process.answers.refreshTokens = async () => {
      process.store.down = true
      return issued(1)
    }
    const run = process.run(REFRESH)
    await vi.waitFor(() => expect(process.store.saves.length).toBeGreaterThan(1))
    world.time.advance(600_000)
    process.store.down = false
    const { view } = await run
    const read = await world.process().load()
    expect(read?.context.tokens?.expiresAt).toBe(BEGINNING + 3_600_000)
    expect([read?.at(), view?.at()]).toEqual([BEGINNING + 600_000, BEGINNING + 600_000])
  })

  /** Twenty refreshes, each by another process, with a store that writes a second after it was asked; the drift. */
  async function driftOfSlowSaves(world: World, change: (store: SnapshotStore) => void = () => {}): Promise<number> {
    await world.seed(SIGNED_IN)
    for (let turn = 0; turn < 20; turn += 1) {
      const { store, run } = world.process()
      const save = store.save.bind(store)
      store.save = (key, value, options) => {
        world.time.advance(1_000)
        return save(key, value, options)
      }
      change(store)
      await run((view) => view && { ...REFRESH, generation: view.context.generation })
      world.time.advance(60_000)
    }
    const reader = world.process()
    change(reader.store)
    const view = await reader.load()
    return (view?.at() ?? 0) - reader.clock.now()
  }

  test('saves that take long do not slow the time of a record down', async () => {
    expect(await driftOfSlowSaves(createWorld())).toBe(0)
  })

  test('a record whose store reports no total age loses that time with each refresh', async () => {
    const withoutTotalAge = (store: SnapshotStore): void => {
      const load = store.load.bind(store)
      store.load = async (key) => {
        const record = await load(key)
        return record && { value: record.value, version: record.version, ageMs: record.ageMs }
      }
    }
    expect(await driftOfSlowSaves(createWorld(), withoutTotalAge)).toBe(-20_000)
  })

  test('record time does not go back when the clock of the store is set back', async () => {
    const world = createWorld()
    await world.seed(SIGNED_IN)
    world.time.advance(10_000)
    await world.process().run(REFRESH)
    const { store, load } = world.process()
    const loadRecord = store.load.bind(store)
    store.load = async (key) => {
      const record = await loadRecord(key)
      return record && { ...record, ageMs: 0, totalAgeMs: 10_000 - FIVE_MINUTES }
    }
    expect((await load())?.at()).toBe(BEGINNING + 10_000)
  })

  test('a record converts instants between its own clock and the wall clock of the process', async () => {
    const world = createWorld()
    await world.seed(SIGNED_IN)
    const view = await world.process({ wrongByMs: FIVE_MINUTES }).load()
    expect([view?.toLocal(BEGINNING), view?.toLocal(undefined)]).toEqual([BEGINNING + FIVE_MINUTES, undefined])
    expect([view?.toRecord(BEGINNING), view?.toRecord(undefined)]).toEqual([BEGINNING - FIVE_MINUTES, undefined])
  })

  test('the instants of a record do not change with the latency of a load, and follow the wall clock when it is set', async () => {
    const world = createWorld()
    await world.seed(SIGNED_IN)
    const process = world.process()
    const { store, clock } = process
    const load = store.load.bind(store)
    let latencyMs = 0
    store.load = (key) => {
      world.time.advance(latencyMs)
      return load(key)
    }
    const local = async (): Promise<number | undefined> => (await process.load())?.toLocal(BEGINNING)
    expect(await local()).toBe(BEGINNING)
    latencyMs = 250
    expect(await local()).toBe(BEGINNING)
    latencyMs = 251
    expect(await local()).toBe(BEGINNING - 251)
    latencyMs = 0
    const { now } = clock
    clock.now = () => now() + FIVE_MINUTES
    expect(await local()).toBe(BEGINNING + FIVE_MINUTES)
  })
})
