import { describe, expect, test } from 'vitest'
import { type AuthOrchestratorOptions, MemoryStore } from '../../../src/index.ts'
import { TestClock } from './test-clock.ts'
import { orchestrate, redirectOf, rejection, signIn, startWorld } from './world.ts'

async function begun(options: Partial<AuthOrchestratorOptions> = {}) {
  const world = await startWorld()
  const clock = new TestClock()
  const store = new MemoryStore({ clock })
  const orchestrator = orchestrate({ clock, store, ...options })
  const identity = (user: string) => ({ tenant: 't1', user, server: world.server })
  const signInAll = async (count: number): Promise<void> => {
    for (let index = 0; index < count; index += 1) await signIn(world, orchestrator, identity(`u${index}`))
  }
  const refreshes = (): number =>
    world.tokenRequests().filter(({ grant_type }) => grant_type === 'refresh_token').length
  return { world, clock, store, orchestrator, identity, signInAll, refreshes }
}

const NOTHING = { woken: 0, failed: 0, remaining: 0 }
const HOUR_MS = 3_600_000

describe('wakeDue()', () => {
  test('wakeDue() does nothing before nextWakeAt, and refreshes every due token once at nextWakeAt', async () => {
    const { clock, orchestrator, identity, signInAll, refreshes } = await begun()
    await signInAll(3)
    const { nextWakeAt = 0 } = await orchestrator.connection(identity('u0')).status()
    clock.advance(nextWakeAt - clock.now() - 1)
    expect(await orchestrator.wakeDue()).toEqual(NOTHING)
    clock.advance(1)
    expect(await orchestrator.wakeDue()).toEqual({ woken: 3, failed: 0, remaining: 0 })
    expect(refreshes()).toBe(3)
    expect(await orchestrator.wakeDue()).toEqual(NOTHING)
    clock.advance(HOUR_MS)
    expect(await orchestrator.wakeDue()).toEqual({ woken: 3, failed: 0, remaining: 0 })
    expect(refreshes()).toBe(6)
  })

  test('wakeDue() handles at most limit connections, the longest due first, and says how many remain', async () => {
    const { world, clock, orchestrator, identity } = await begun()
    for (const user of ['u0', 'u1', 'u2']) {
      await signIn(world, orchestrator, identity(user))
      clock.advance(1_000)
    }
    clock.advance(HOUR_MS)
    const refreshed = async (): Promise<string[]> => {
      const users = ['u0', 'u1', 'u2']
      const statuses = await Promise.all(users.map((user) => orchestrator.connection(identity(user)).status()))
      return users.filter((_, index) => (statuses[index]?.expiresAt ?? 0) > clock.now())
    }
    expect(await orchestrator.wakeDue({ limit: 1 })).toEqual({ woken: 1, failed: 0, remaining: 2 })
    expect(await refreshed()).toEqual(['u0'])
    expect(await orchestrator.wakeDue({ limit: 2 })).toEqual({ woken: 2, failed: 0, remaining: 0 })
    expect(await refreshed()).toEqual(['u0', 'u1', 'u2'])
  })

  test('wakeDue() renews tokens before their refresh token expires, and connections without work do not count towards limit', async () => {
    const { world, clock, orchestrator, identity, refreshes } = await begun()
    const signInFor = (user: string, refreshLife?: number) => {
      world.tokenAnswers.push((good) => ({ body: { ...good, refresh_expires_in: refreshLife } }))
      return signIn(world, orchestrator, identity(user))
    }
    const dying = await signInFor('u0', 1_800)
    expect((await dying.status()).nextWakeAt).toBe(clock.now() + 1_770_000)
    clock.advance(1_770_000)
    world.tokenAnswers.push((good) => ({ body: { ...good, refresh_expires_in: 1_800 } }))
    expect(await orchestrator.wakeDue()).toEqual({ woken: 1, failed: 0, remaining: 0 })
    // Nobody woke these in time.
    for (const user of ['u1', 'u2']) await signInFor(user, 1_800)
    const live = await signInFor('u3')
    clock.advance(HOUR_MS)
    expect(await orchestrator.wakeDue({ limit: 1 })).toEqual({ woken: 1, failed: 0, remaining: 0 })
    expect([(await live.accessToken()).value, refreshes()]).toEqual(['access-6', 2])
    expect((await dying.status()).nextWakeAt).toBeUndefined()
  })

  test('wakeDue() has at most `concurrency` refreshes in flight', async () => {
    const { world, clock, orchestrator, signInAll, refreshes } = await begun()
    await signInAll(5)
    clock.advance(HOUR_MS)
    const gate = Promise.withResolvers<void>()
    const second = Promise.withResolvers<void>()
    for (let index = 0; index < 5; index += 1) world.tokenAnswers.push((good) => ({ body: good, until: gate.promise }))
    const answer = world.as.routes['POST /token']
    world.as.routes['POST /token'] = (seen) => {
      if (refreshes() === 2) second.resolve()
      return typeof answer === 'function' ? answer(seen) : {}
    }
    const waking = orchestrator.wakeDue({ concurrency: 2 })
    await second.promise
    for (let turn = 0; turn < 50; turn += 1) await new Promise(setImmediate)
    expect(refreshes()).toBe(2)
    gate.resolve()
    expect(await waking).toEqual({ woken: 5, failed: 0, remaining: 0 })
  })

  test('two processes that call wakeDue() at the same time send one refresh for each connection', async () => {
    const { clock, store, orchestrator, signInAll, refreshes } = await begun()
    await signInAll(4)
    clock.advance(HOUR_MS)
    const other = orchestrate({ clock, store })
    const results = await Promise.all([orchestrator.wakeDue(), other.wakeDue()])
    expect(refreshes()).toBe(4)
    expect(results.map(({ failed, remaining }) => ({ failed, remaining }))).toEqual([
      { failed: 0, remaining: 0 },
      { failed: 0, remaining: 0 },
    ])
    expect(results.reduce((sum, { woken }) => sum + woken, 0)).toBe(4)
  })

  test('wakeDue() ends attempts that ran out, and takes over the claim of a process that stopped', async () => {
    const { world, clock, store, orchestrator, identity } = await begun()
    await orchestrator.connection(identity('u1')).authorize()
    const connection = await signIn(world, orchestrator, identity('u2'))
    clock.advance(360_000)
    expect(await orchestrator.wakeDue()).toEqual({ woken: 1, failed: 0, remaining: 0 })
    expect(await orchestrator.connection(identity('u1')).status()).toMatchObject({ nextWakeAt: undefined })
    clock.advance(HOUR_MS)
    const gone = orchestrate({
      clock,
      store,
      network: { allow: ['127.0.0.1'], fetch: () => new Promise(() => {}), timeoutMs: 300 },
    })
    await rejection(gone.connection(connection.identity).accessToken())
    expect(await orchestrator.wakeDue()).toEqual(NOTHING)
    clock.advance(35_000)
    expect(await orchestrator.wakeDue()).toEqual({ woken: 1, failed: 0, remaining: 0 })
    expect(await connection.status()).toMatchObject({ state: 'authorized', failure: undefined })
  })

  test('a refresh that fails is woken, and due again after Retry-After', async () => {
    const { world, clock, orchestrator, signInAll, refreshes } = await begun()
    await signInAll(1)
    clock.advance(3_570_000)
    world.tokenAnswers.push({ status: 503, headers: { 'retry-after': '12' }, body: {} })
    expect(await orchestrator.wakeDue()).toEqual({ woken: 1, failed: 0, remaining: 0 })
    expect(await orchestrator.wakeDue()).toEqual(NOTHING)
    clock.advance(12_000)
    expect(await orchestrator.wakeDue()).toEqual({ woken: 1, failed: 0, remaining: 0 })
    expect(refreshes()).toBe(2)
  })

  test('a disconnected connection is not due, and a record that does not open is counted once and hides no other', async () => {
    const { clock, store, orchestrator, identity, signInAll, refreshes } = await begun()
    await signInAll(3)
    clock.advance(HOUR_MS)
    await orchestrator.connection(identity('u0')).disconnect()
    const [first = ''] = await store.due({ limit: 1 })
    const load = store.load.bind(store)
    store.load = async (key) => {
      const record = await load(key)
      return record && key === first ? { ...record, value: 'damaged' } : record
    }
    expect(await orchestrator.wakeDue()).toEqual({ woken: 1, failed: 1, remaining: 0 })
    expect(refreshes()).toBe(1)
    expect(await orchestrator.wakeDue({ limit: 1 })).toEqual({ woken: 0, failed: 1, remaining: 0 })
  })

  test('records that do not open do not count towards the limit, so that those behind them are woken', async () => {
    const { clock, store, orchestrator, signInAll, refreshes } = await begun()
    await signInAll(4)
    clock.advance(HOUR_MS)
    const damaged = await store.due({ limit: 2 })
    const load = store.load.bind(store)
    store.load = async (key) => {
      const record = await load(key)
      return record && damaged.includes(key) ? { ...record, value: 'damaged' } : record
    }
    expect(await orchestrator.wakeDue({ limit: 1 })).toEqual({ woken: 1, failed: 2, remaining: 1 })
    expect(await orchestrator.wakeDue({ limit: 1 })).toEqual({ woken: 1, failed: 2, remaining: 0 })
    expect(refreshes()).toBe(2)
  })

  test('wakeDue() tries a bounded number of records that do not open', async () => {
    const { store, orchestrator } = await begun()
    const keys = Array.from({ length: 30_000 }, (_, n) => `authchart:{${String(n).padStart(22, 'a')}}:connection`)
    store.due = async ({ limit }) => keys.slice(0, limit)
    store.load = async () => ({ value: 'damaged', version: 'v1', ageMs: 0 })
    const { failed, woken } = await orchestrator.wakeDue({ limit: 10_000 })
    expect([failed, woken]).toEqual([10_000, 0])
  })

  test('wakeDue() skips registrations and keys that no longer have a record', async () => {
    const { store, orchestrator } = await begun()
    store.due = async () => [`authchart:{${'a'.repeat(22)}}:connection`, `authchart:{${'a'.repeat(22)}}:registration`]
    expect(await orchestrator.wakeDue()).toEqual(NOTHING)
  })

  test('wakeDue() rejects with STORE_UNAVAILABLE when the store cannot say what is due, and with CLOSED after close()', async () => {
    const { store, orchestrator } = await begun()
    store.due = () => Promise.reject(new Error('down'))
    expect(await rejection(orchestrator.wakeDue())).toMatchObject({ failure: { code: 'STORE_UNAVAILABLE' } })
    await orchestrator.close()
    expect(await rejection(orchestrator.wakeDue())).toMatchObject({ failure: { code: 'CLOSED' } })
  })

  test('close() ends a running wakeDue(): refreshes in flight are saved, and no further one is sent', async () => {
    const { world, clock, store, orchestrator, signInAll, refreshes } = await begun()
    await signInAll(3)
    clock.advance(HOUR_MS)
    const [arrived, gate] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
    world.tokenAnswers.push((good) => {
      arrived.resolve()
      return { body: good, until: gate.promise }
    })
    const waking = rejection(orchestrator.wakeDue({ concurrency: 1 }))
    await arrived.promise
    const closing = orchestrator.close()
    gate.resolve()
    expect(await waking).toMatchObject({ failure: { code: 'CLOSED' } })
    await closing
    expect(refreshes()).toBe(1)
    expect(await orchestrate({ clock, store }).wakeDue()).toEqual({ woken: 2, failed: 0, remaining: 0 })
  })

  test.each([
    [{ limit: 0 }, 'wakeDue().limit must be an integer from 1 to 10000'],
    [{ limit: 10_001 }, 'wakeDue().limit must be an integer from 1 to 10000'],
    [{ limit: '5' }, 'wakeDue().limit must be of type number'],
    [{ concurrency: 1.5 }, 'wakeDue().concurrency must be an integer from 1 to 100'],
    [{ concurrency: 101 }, 'wakeDue().concurrency must be an integer from 1 to 100'],
    [{ timeoutMs: 1 }, 'wakeDue().timeoutMs is not a known option'],
  ])('wakeDue(%j) rejects with a TypeError that names the option', async (options, message) => {
    expect(await rejection(orchestrate().wakeDue(options as object))).toMatchObject({ name: 'TypeError', message })
  })

  test('a sign-in whose callback came is woken no more than the connection has work', async () => {
    const { world, clock, store, orchestrator, identity } = await begun()
    const redirect = redirectOf(await orchestrator.connection(identity('u1')).authorize())
    await orchestrator.completeCallback(world.callback(redirect))
    clock.advance(300_000)
    expect(await store.due({ limit: 10 })).toEqual([])
  })
})
