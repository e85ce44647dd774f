import { describe, expect, test, vi } from 'vitest'
import { MemoryStore, type SnapshotStore } from '../../../src/index.ts'
import { TestClock } from './test-clock.ts'
import { orchestrate, redirectOf, rejection, signIn, startWorld, type World } from './world.ts'

const POLICY = { leaseMs: 10_000, graceMs: 1_000 }
const NETWORK = { allow: ['127.0.0.1'], timeoutMs: 5_000 }

/** A second view of a store, whose loads and saves can be held back from the given one on. */
function holdable(store: MemoryStore) {
  const held: { loads?: { from: number; until: Promise<unknown> }; saves?: { from: number; until: Promise<unknown> } } =
    {}
  const seen = { loads: 0, saves: 0 }
  const view: SnapshotStore = {
    insideProcess: true,
    load: async (key) => {
      if (key.endsWith(':connection')) seen.loads += 1
      if (held.loads !== undefined && seen.loads >= held.loads.from) await held.loads.until
      return await store.load(key)
    },
    save: async (key, value, options) => {
      if (key.endsWith(':connection')) seen.saves += 1
      if (held.saves !== undefined && seen.saves >= held.saves.from) await held.saves.until
      return await store.save(key, value, options)
    },
    delete: (key, options) => store.delete(key, options),
    subscribe: (listener) => store.subscribe(listener),
    close: async () => {},
  }
  return { view, held, seen }
}

/** Two processes on one store; a browser has come back from the consent of an attempt, and its callback waits. */
async function returned(policy: { codeTtlMs?: number } = {}) {
  const world = await startWorld()
  const clock = new TestClock()
  const store = new MemoryStore({ clock })
  const behind = holdable(store)
  const options = { clock, policy: { ...POLICY, ...policy }, network: NETWORK }
  const first = orchestrate({ ...options, store })
  const second = orchestrate({ ...options, store: behind.view })
  const connection = first.connection({ tenant: 't1', server: world.server })
  const url = world.callback(redirectOf(await connection.authorize()))
  return { world, clock, behind, first, second, connection, url }
}

const about = (world: World) => ({
  connection: { tenant: 't1', user: undefined, server: world.server, label: undefined },
  returnTo: undefined,
})

const until = (isDone: () => boolean): Promise<void> =>
  vi.waitFor(() => expect(isDone()).toBe(true), { timeout: 5_000, interval: 5 })

describe('a callback whose outcome is not decided yet', () => {
  test.each([
    ['a lost connection', { hangUp: true as const }, 'TOKEN_OUTCOME_UNKNOWN'],
    ['an answer with 500', { status: 500, body: {} }, 'TOKEN_OUTCOME_UNKNOWN'],
    ['an answer with 503', { status: 503, body: {} }, 'SERVER_UNAVAILABLE'],
  ])('a callback after %s is retryable, and succeeds in another process', async (_how, answer, code) => {
    const { world, clock, first, second, url } = await returned()
    world.tokenAnswers.push(answer)
    expect(await first.completeCallback(url)).toMatchObject({ status: 'failed', failure: { code }, retryable: true })
    clock.advance(11_001)
    expect(await second.completeCallback(url)).toMatchObject({ status: 'authorized', ...about(world) })
    expect(await first.completeCallback(url)).toEqual({ status: 'alreadyAuthorized', ...about(world), actions: [] })
    expect(world.tokenRequests()).toHaveLength(2)
  })

  test('a callback whose exchange is not repeated, because its code does not live that long, is not retryable', async () => {
    const { world, clock, first, second, connection, url } = await returned({ codeTtlMs: 12_000 })
    world.tokenAnswers.push({ status: 503, body: {} }, { hangUp: true })
    expect(await first.completeCallback(url)).toMatchObject({ status: 'failed', retryable: true })
    clock.advance(6_000)
    const unknown = { status: 'failed', failure: { code: 'TOKEN_OUTCOME_UNKNOWN' }, retryable: false }
    expect(await first.completeCallback(url)).toMatchObject(unknown)
    clock.advance(11_001)
    expect(await second.completeCallback(url)).toMatchObject(unknown)
    expect(await connection.status()).toMatchObject({ state: 'failed', authorized: false })
    expect(world.tokenRequests()).toHaveLength(2)
  })

  test('a callback that waits while another process redeems the code and disconnects returns superseded', async () => {
    const { world, behind, first, second, connection, url } = await returned()
    const [server, store] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
    world.tokenAnswers.push((good) => ({ body: good, until: server.promise }))
    const redeeming = first.completeCallback(url)
    await until(() => world.tokenRequests().length === 1)
    behind.held.loads = { from: 2, until: store.promise }
    const waiting = second.completeCallback(url)
    await until(() => behind.seen.loads > 0)
    server.resolve()
    expect(await redeeming).toMatchObject({ status: 'authorized' })
    await connection.disconnect()
    store.resolve()
    expect(await waiting).toEqual({ status: 'superseded', ...about(world), actions: [] })
    expect(world.tokenRequests()).toHaveLength(1)
  })

  test('a callback whose code has expired waits for the process that is still redeeming it', async () => {
    const { world, clock, behind, first, second, url } = await returned({ codeTtlMs: 12_000 })
    const server = Promise.withResolvers<void>()
    world.tokenAnswers.push({ status: 503, body: {} })
    expect(await first.completeCallback(url)).toMatchObject({ status: 'failed', retryable: true })
    clock.advance(6_000)
    world.tokenAnswers.push((good) => ({ body: good, until: server.promise }))
    const redeeming = first.completeCallback(url)
    await until(() => world.tokenRequests().length === 2)
    clock.advance(6_001)
    const waiting = second.completeCallback(url)
    await until(() => behind.seen.loads > 0)
    server.resolve()
    expect(await redeeming).toMatchObject({ status: 'authorized' })
    expect(await waiting).toMatchObject({ status: 'alreadyAuthorized', ...about(world) })
  })

  test('a code whose outcome was unknown twice is not sent a third time, although the server was overloaded in between', async () => {
    const { world, clock, first, second, url } = await returned()
    world.tokenAnswers.push({ hangUp: true }, { status: 503, body: {} }, { hangUp: true })
    expect(await first.completeCallback(url)).toMatchObject({ status: 'failed', retryable: true })
    clock.advance(11_001)
    // It takes the claim over. The server did nothing: the next callback sends the code by a claim of its own.
    expect(await second.completeCallback(url)).toMatchObject({ status: 'failed', retryable: true })
    expect(await first.completeCallback(url)).toMatchObject({ status: 'failed', retryable: false })
    clock.advance(11_001)
    expect(await first.completeCallback(url)).toMatchObject({ status: 'failed', retryable: false })
    expect(world.tokenRequests()).toHaveLength(3)
  })

  test('callbacks that come together at a server that asks for a later request send one, and a later one sends the next', async () => {
    const { world, first, second, url } = await returned()
    const answer = { status: 503, headers: { 'retry-after': '30' }, body: {} }
    world.tokenAnswers.push(answer, answer)
    const results = await Promise.all(
      [first, second, first, second, first].map((orchestrator) => orchestrator.completeCallback(url)),
    )
    const details = { url: `${world.issuer}/token`, status: 503, retryAfterMs: 30_000 }
    const failed = { status: 'failed', failure: { code: 'SERVER_UNAVAILABLE', details }, retryable: true, actions: [] }
    expect(results).toEqual(Array.from({ length: 5 }, () => ({ ...failed, ...about(world) })))
    expect(world.tokenRequests()).toHaveLength(1)
    expect(await second.completeCallback(url)).toEqual({ ...failed, ...about(world) })
    expect(world.tokenRequests()).toHaveLength(2)
  })

  test('late tokens that no refresh could verify yet are not reported as a sign-in, and the next callback verifies them', async () => {
    const { world, clock, behind, first, second, connection, url } = await returned()
    const save = Promise.withResolvers<void>()
    world.tokenAnswers.push(
      (good) => ({ body: good }),
      { status: 400, body: { error: 'invalid_grant' } },
      { status: 503, body: {} },
    )
    behind.held.saves = { from: 2, until: save.promise }
    const late = second.completeCallback(url)
    await until(() => behind.seen.saves === 2)
    clock.advance(11_001)
    expect(await first.completeCallback(url)).toMatchObject({ failure: { code: 'EXCHANGE_REJECTED' } })
    save.resolve()
    const unverified = { status: 'failed', failure: { code: 'SERVER_UNAVAILABLE' }, retryable: true }
    expect(await late).toMatchObject(unverified)
    world.tokenAnswers.push({ status: 503, body: {} })
    expect(await first.completeCallback(url)).toMatchObject(unverified)
    expect(await first.completeCallback(url)).toMatchObject({ status: 'authorized', ...about(world) })
    expect((await connection.accessToken()).value).toBe('access-2')
  })

  test('a callback that is repeated after the access token and its refresh token were lost asks for a sign-in', async () => {
    const { world, clock, first, connection, url } = await returned()
    world.tokenAnswers.push((good) => ({ body: { ...good, refresh_token: undefined } }))
    expect(await first.completeCallback(url)).toMatchObject({ status: 'authorized' })
    clock.advance(3_600_000)
    const failure = { code: 'AUTHORIZATION_REQUIRED' }
    expect(await first.completeCallback(url)).toEqual({
      status: 'failed',
      failure,
      retryable: false,
      ...about(world),
      actions: [],
    })
    expect(await connection.status()).toMatchObject({ authorized: false, nextAction: 'authorize' })
  })
})

describe('a callback that came in time, and waits for the claim of a process that is gone', () => {
  async function waitingFor(codeTtlMs: number) {
    const world = await startWorld()
    const clock = new TestClock()
    const store = new MemoryStore({ clock })
    const behind = holdable(store)
    const options = { clock, policy: { ...POLICY, attemptTtlMs: 20_000, codeTtlMs } }
    const first = orchestrate({ ...options, network: NETWORK, store })
    const second = orchestrate({ ...options, network: NETWORK, store: behind.view })
    const network = { allow: ['127.0.0.1'], fetch: () => new Promise<never>(() => {}), timeoutMs: 300 }
    const gone = orchestrate({ ...options, network, store })
    const connection = await signIn(world, first)
    clock.advance(3_600_000)
    const url = world.callback(redirectOf(await connection.authorize({ force: true })))
    clock.advance(15_000)
    await rejection(gone.connection(connection.identity).accessToken())
    const answer = second.completeCallback(url)
    await until(() => behind.seen.loads > 1)
    return { world, clock, first, connection, answer }
  }

  test('signs in, although its attempt expires meanwhile and another process takes the claim over', async () => {
    const { world, clock, first, connection, answer } = await waitingFor(60_000)
    clock.advance(11_001)
    await first.wakeDue()
    expect(await answer).toMatchObject({ status: 'authorized' })
    expect(world.tokenRequests().map(({ grant_type }) => grant_type)).toEqual([
      'authorization_code',
      'refresh_token',
      'authorization_code',
    ])
    expect((await connection.accessToken()).value).toBe('access-3')
  })

  test('is expired once it has waited as long as codes live', async () => {
    const { world, clock, answer } = await waitingFor(11_001)
    clock.advance(11_002)
    expect(await answer).toMatchObject({ status: 'expired' })
    expect(world.tokenRequests()).toHaveLength(2)
  })
})
