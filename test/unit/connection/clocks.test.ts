import { describe, expect, test } from 'vitest'
import type { Clock } from '../../../src/clock.ts'
import { MemoryStore, type OrchestratorEvents, type SaveOptions } from '../../../src/index.ts'
import { EVENT_NAMES } from '../../support/event-names.ts'
import { TestTime } from '../durable/test-time.ts'
import { orchestrate, redirectOf, rejection, startWorld } from './world.ts'

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS

/** One server, and a process whose clock is right beside one whose wall clock is ahead by so much. */
async function begun(aheadMs: number, options: { store?: (time: TestTime) => MemoryStore; policy?: object } = {}) {
  const world = await startWorld()
  const time = new TestTime()
  const { store = () => new MemoryStore({ clock: time.clock() }), policy = {} } = options
  const shared = store(time)
  const start = (wrongByMs: number, bootedMs: number) => {
    const clock = { ...time.clock({ wrongByMs, bootedMs }) }
    const orchestrator = orchestrate({ clock, store: shared, policy })
    const connection = orchestrator.connection({ tenant: 't1', server: world.server })
    const emitted: [keyof OrchestratorEvents, number][] = []
    for (const name of EVENT_NAMES) orchestrator.on(name, ({ at }) => emitted.push([name, at]))
    return { clock, orchestrator, connection, emitted }
  }
  const refreshes = () => world.tokenRequests().filter(({ grant_type }) => grant_type === 'refresh_token').length
  return { world, time, right: start(0, 0), ahead: start(aheadMs, 9_000_000), refreshes }
}

describe.each([
  ['an hour', HOUR_MS],
  ['a month', 30 * DAY_MS],
  ['minus an hour', -HOUR_MS],
])('two processes whose wall clocks differ by %s', (_, aheadMs) => {
  test('each process returns every instant of their connection by its own clock', async () => {
    const { world, time, right, ahead } = await begun(aheadMs)
    const redirect = redirectOf(await right.connection.authorize())
    expect(redirect.expiresAt).toBe(right.clock.now() + 300_000)
    const second = redirectOf(await ahead.connection.authorize({ force: true }))
    expect(second.expiresAt).toBe(ahead.clock.now() + 300_000)
    time.advance(10_000)
    const { actions } = await ahead.orchestrator.completeCallback(world.callback(redirect))
    const saved = actions.find(({ type }) => type === 'saveTokens')
    expect(saved?.data).toMatchObject({ expiresAt: ahead.clock.now() + HOUR_MS })
    time.advance(1_000)
    for (const { connection, clock, orchestrator } of [right, ahead]) {
      const status = await connection.status()
      const signedInAt = clock.now() - 1_000
      const { journal, ...times } = status
      expect(times).toMatchObject({ expiresAt: signedInAt + HOUR_MS, nextWakeAt: signedInAt + HOUR_MS - 30_000 })
      expect(journal.map(({ at }) => at - signedInAt)).toEqual([-10_000, -10_000, 0, 0])
      expect((await connection.accessToken()).expiresAt).toBe(signedInAt + HOUR_MS)
      expect((await connection.accessToken()).expiresAt).toBe(signedInAt + HOUR_MS)
      for await (const entry of orchestrator.connections()) expect(entry).toMatchObject({ status })
    }
    expect(right.emitted).toEqual([['transition', right.clock.now() - 11_000]])
    expect(ahead.emitted).toEqual([
      ['transition', ahead.clock.now() - 11_000],
      ['transition', ahead.clock.now() - 1_000],
      ['transition', ahead.clock.now() - 1_000],
      ['authorized', ahead.clock.now() - 1_000],
    ])
  })

  test('tokens that one process imports expire at the same moment in the other', async () => {
    const { time, right, ahead } = await begun(aheadMs)
    await right.connection.authorize()
    const tokens = { accessToken: 'imported', expiresAt: ahead.clock.now() + 60_000 }
    const { actions } = await ahead.connection.import({ tokens })
    const saved = actions.find(({ type }) => type === 'saveTokens')
    expect(saved?.data).toMatchObject({ expiresAt: tokens.expiresAt })
    expect((await right.connection.status()).expiresAt).toBe(right.clock.now() + 60_000)
    time.advance(59_999)
    expect((await right.connection.accessToken()).value).toBe('imported')
    time.advance(1)
    expect(await rejection(right.connection.accessToken())).toMatchObject({
      failure: { code: 'AUTHORIZATION_REQUIRED' },
    })
  })

  test('a client secret that one process imports expires at the same moment in the other', async () => {
    const { world, time, right, ahead } = await begun(aheadMs)
    await right.connection.authorize()
    const secret = { clientId: 'given', clientSecret: 's', clientSecretExpiresAt: ahead.clock.now() + 2 * HOUR_MS }
    await ahead.connection.import({ clientInformation: { ...secret, issuer: world.issuer } })
    const { actions } = await right.connection.authorize({ force: true })
    const clientSecretExpiresAt = right.clock.now() + 2 * HOUR_MS
    expect(actions).toMatchObject([{ data: { clientId: 'given', clientSecretExpiresAt } }])
    time.advance(2 * HOUR_MS)
    const failure = { code: 'CLIENT_INFORMATION_REQUIRED', details: { reason: 'secretExpired' } }
    expect(await rejection(right.connection.authorize({ force: true }))).toMatchObject({ failure })
  })

  test('a client secret passed to authorize() is on the clock of that process', async () => {
    const { world, time, right, ahead } = await begun(aheadMs)
    await right.connection.authorize()
    const clientSecretExpiresAt = ahead.clock.now() + 2 * HOUR_MS
    const clientInformation = { clientId: 'given', clientSecret: 's', clientSecretExpiresAt }
    const { actions } = await ahead.connection.authorize({ clientInformation, issuer: world.issuer })
    expect(actions).toMatchObject([{ data: { clientId: 'given', clientSecretExpiresAt } }])
    time.advance(1)
    const again = await right.connection.authorize({
      clientInformation: { ...clientInformation, clientSecretExpiresAt: right.clock.now() + HOUR_MS },
      issuer: world.issuer,
    })
    expect(again.actions).toMatchObject([{ data: { clientSecretExpiresAt: right.clock.now() + HOUR_MS } }])
  })

  test('the secret of a registration expires at the same moment for a connection whose record another process created', async () => {
    const { world, right, ahead } = await begun(aheadMs)
    const register = world.as.routes['POST /register']
    if (typeof register !== 'function') throw new Error('the world registers clients')
    const expiresAt = right.clock.now() + 2 * HOUR_MS
    world.as.routes['POST /register'] = (seen) => {
      const { body, ...answer } = register(seen)
      return { ...answer, body: { ...(body as object), client_secret_expires_at: expiresAt / 1_000 } }
    }
    await right.connection.authorize()
    const other = ahead.orchestrator.connection({ tenant: 't2', server: world.server })
    const redirect = redirectOf(await other.authorize())
    const clientSecretExpiresAt = expiresAt + aheadMs
    expect(redirect.actions).toMatchObject([{ data: { clientId: 'client-1', clientSecretExpiresAt } }])
    const { status } = await ahead.orchestrator.completeCallback(world.callback(redirect))
    expect(status).toBe('authorized')
  })

  test('wake() at nextWakeAt does its work in one turn, whichever process wrote the record', async () => {
    const { world, time, right, ahead, refreshes } = await begun(aheadMs)
    const redirect = redirectOf(await right.connection.authorize())
    await right.orchestrator.completeCallback(world.callback(redirect))
    for (const [turn, { connection, clock }] of [right, ahead, ahead, right].entries()) {
      const { nextWakeAt = 0 } = await connection.status()
      time.advance(nextWakeAt - clock.now())
      await connection.wake()
      expect(refreshes()).toBe(turn + 1)
    }
    const { nextWakeAt = 0 } = await ahead.connection.status()
    time.advance(nextWakeAt - ahead.clock.now())
    expect(await right.orchestrator.wakeDue()).toEqual({ woken: 1, failed: 0, remaining: 0 })
  })
})

describe('a process whose wall clock is set', () => {
  test.each([HOUR_MS, -HOUR_MS])(
    'by %i ms returns its cached token with the instant by the new clock',
    async (byMs) => {
      const { world, time, right, refreshes } = await begun(0)
      const redirect = redirectOf(await right.connection.authorize())
      await right.orchestrator.completeCallback(world.callback(redirect))
      const token = await right.connection.accessToken()
      const { now } = right.clock
      right.clock.now = () => now() + byMs
      const expiresAt = (token.expiresAt ?? 0) + byMs
      expect(await right.connection.accessToken()).toEqual({ ...token, expiresAt })
      expect(await right.connection.status()).toMatchObject({ expiresAt, nextWakeAt: expiresAt - 30_000 })
      time.advance(HOUR_MS - 30_001)
      await right.connection.wake()
      expect((await right.connection.accessToken()).value).toBe(token.value)
      time.advance(1)
      await right.connection.wake()
      expect(refreshes()).toBe(1)
    },
  )
})

test('wake() that is called a little early does its work when it is due, and nothing before', async () => {
  const { world, time, right, refreshes } = await begun(0)
  const redirect = redirectOf(await right.connection.authorize())
  await right.orchestrator.completeCallback(world.callback(redirect))
  const { nextWakeAt = 0 } = await right.connection.status()
  time.advance(nextWakeAt - right.clock.now() - 5)
  await right.connection.wake()
  expect(refreshes()).toBe(0)
  const waking = right.connection.wake()
  setImmediate(() => time.advance(5))
  await waking
  expect(refreshes()).toBe(1)
})

/** A store that takes its time, which passes for all. */
class SlowStore extends MemoryStore {
  readonly #latency: Latency
  readonly #time: TestTime

  constructor(time: TestTime, latency: Latency) {
    super({ clock: time.clock() })
    this.#time = time
    this.#latency = latency
  }

  override async load(key: string): ReturnType<MemoryStore['load']> {
    this.#time.advance(this.#latency.beforeLoad ?? 0)
    const record = await super.load(key)
    this.#time.advance(this.#latency.afterLoad ?? 0)
    return record
  }

  override async save(key: string, value: string, options: SaveOptions): ReturnType<MemoryStore['save']> {
    this.#time.advance(this.#latency.beforeSave ?? 0)
    const saved = await super.save(key, value, options)
    this.#time.advance(this.#latency.afterSave ?? 0)
    return saved
  }
}

interface Latency {
  beforeLoad?: number
  afterLoad?: number
  beforeSave?: number
  afterSave?: number
}

describe('a store that takes 400 ms', () => {
  test.each<[string, Latency]>([
    ['before it saves', { beforeSave: 400 }],
    ['after it saved', { afterSave: 400 }],
    ['before it loads', { beforeLoad: 400 }],
    ['after it loaded', { afterLoad: 400 }],
    ['each way', { beforeLoad: 400, afterLoad: 400, beforeSave: 400, afterSave: 400 }],
  ])('%s lets no record drift in twenty refreshes by two processes', async (_, latency) => {
    const { world, time, right, ahead, refreshes } = await begun(HOUR_MS, { store: (of) => new SlowStore(of, latency) })
    const redirect = redirectOf(await right.connection.authorize())
    await right.orchestrator.completeCallback(world.callback(redirect))
    let issuedAt = 0
    const clockOf: Clock = right.clock
    const drifts: number[] = []
    for (let turn = 1; turn <= 20; turn += 1) {
      const { connection, clock } = turn % 2 === 0 ? right : ahead
      const { nextWakeAt = 0 } = await connection.status()
      time.advance(nextWakeAt - clock.now())
      world.tokenAnswers.push((body) => {
        issuedAt = clockOf.now()
        return { body }
      })
      await connection.wake()
      expect(refreshes()).toBe(turn)
      const { expiresAt = 0 } = await right.connection.status()
      drifts.push(Math.abs(expiresAt - issuedAt - HOUR_MS))
    }
    expect(Math.max(...drifts)).toBeLessThanOrEqual(800)
  })
})
