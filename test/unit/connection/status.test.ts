import { describe, expect, test } from 'vitest'
import { MemoryStore } from '../../../src/index.ts'
import { TestClock } from './test-clock.ts'
import { delayRevocation, orchestrate, redirectOf, rejection, signIn, startWorld } from './world.ts'

async function begun(policy: object = {}) {
  const world = await startWorld()
  const clock = new TestClock()
  const store = new MemoryStore({ clock })
  const orchestrator = orchestrate({ clock, store, policy })
  const connection = orchestrator.connection({ tenant: 't1', server: world.server })
  return { world, clock, store, orchestrator, connection }
}

describe('status()', () => {
  test('status() of a connection without a record returns disconnected and creates no record', async () => {
    const { connection, store, world } = await begun()
    expect(await connection.status()).toEqual({
      state: 'disconnected',
      authorized: false,
      notRequired: false,
      scope: undefined,
      expiresAt: undefined,
      nextWakeAt: undefined,
      failure: undefined,
      nextAction: 'authorize',
      journal: [],
      facts: [],
    })
    await connection.wake()
    expect({ records: store.size, asked: world.rs.seen }).toEqual({ records: 0, asked: [] })
  })

  test('status() returns the state, the journal and nextWakeAt at each step of a sign-in', async () => {
    const { world, clock, orchestrator, connection } = await begun()
    const t0 = clock.now()
    const redirect = redirectOf(await connection.authorize())
    const first = { at: t0, from: 'disconnected', to: 'awaitingCallback', reason: 'buildAuthorizationRequest.done' }
    expect(await connection.status()).toEqual({
      state: 'awaitingCallback',
      authorized: false,
      notRequired: false,
      scope: undefined,
      expiresAt: undefined,
      nextWakeAt: t0 + 360_000,
      failure: undefined,
      nextAction: 'authorize',
      journal: [first],
      facts: [],
    })
    clock.advance(10_000)
    await orchestrator.completeCallback(world.callback(redirect))
    expect(await connection.status()).toEqual({
      state: 'authorized',
      authorized: true,
      notRequired: false,
      scope: 'mcp:tools',
      expiresAt: t0 + 10_000 + 3_600_000,
      nextWakeAt: t0 + 10_000 + 3_600_000 - 30_000,
      failure: undefined,
      nextAction: 'none',
      journal: [
        first,
        { at: t0 + 10_000, from: 'awaitingCallback', to: 'exchanging', reason: 'callback.received' },
        { at: t0 + 10_000, from: 'exchanging', to: 'authorized', reason: 'exchangeCode.done' },
      ],
      facts: [],
    })
  })

  test('status() after a failed first sign-in returns failed with the failure and its nextAction', async () => {
    const { world, connection } = await begun()
    world.serverMetadata['code_challenge_methods_supported'] = ['plain']
    const failure = { code: 'PKCE_UNSUPPORTED', details: { expected: 'S256', offered: 'plain' } }
    expect(await rejection(connection.authorize())).toEqual({ failure, retryable: false, nextAction: 'fixServer' })
    expect(await connection.status()).toMatchObject({
      state: 'failed',
      authorized: false,
      failure,
      nextAction: 'fixServer',
      journal: [{ from: 'disconnected', to: 'failed', reason: 'PKCE_UNSUPPORTED' }],
    })
  })

  test('status() beside usable tokens keeps the failure of a denied second consent, with nothing to do', async () => {
    const world = await startWorld()
    const orchestrator = orchestrate()
    const connection = await signIn(world, orchestrator)
    const { state } = redirectOf(await connection.authorize({ force: true }))
    await orchestrator.completeCallback(
      `https://agents.example.com/callback?error=access_denied&state=${state}&iss=${world.issuer}`,
    )
    expect(await connection.status()).toMatchObject({
      authorized: true,
      failure: { code: 'AUTHORIZATION_DENIED' },
      nextAction: 'none',
    })
  })

  test('status() returns exchanging, requestingToken or disconnecting while that request is in progress', async () => {
    const { world, clock, orchestrator, connection } = await begun()
    const delayedToken = (): { arrived: Promise<void>; go(): void } => {
      const gate = Promise.withResolvers<void>()
      const arrived = Promise.withResolvers<void>()
      world.tokenAnswers.push((good) => {
        arrived.resolve()
        return { body: good, until: gate.promise }
      })
      return { arrived: arrived.promise, go: gate.resolve }
    }
    const url = world.callback(redirectOf(await connection.authorize()))
    const exchange = delayedToken()
    const finishing = orchestrator.completeCallback(url)
    await exchange.arrived
    expect(await connection.status()).toMatchObject({
      state: 'exchanging',
      authorized: false,
      nextWakeAt: clock.now() + 35_000,
    })
    exchange.go()
    await finishing

    const clientInformation = { clientId: 'robot', clientSecret: 's' }
    const robot = orchestrator.connection({ tenant: 'robots', server: world.server })
    const request = delayedToken()
    const requesting = robot.authorize({ grant: 'client_credentials', clientInformation })
    await request.arrived
    expect(await robot.status()).toMatchObject({ state: 'requestingToken', authorized: false })
    request.go()
    await requesting

    const revocation = delayRevocation(world)
    const disconnecting = connection.disconnect()
    await revocation.arrived
    expect(await connection.status()).toMatchObject({
      state: 'disconnecting',
      authorized: false,
      scope: undefined,
      expiresAt: undefined,
    })
    revocation.go()
    await disconnecting
    expect(await connection.status()).toMatchObject({
      state: 'disconnected',
      authorized: false,
      nextAction: 'authorize',
    })
  })

  test('status() returns at most the last sixteen transitions', async () => {
    const { world, clock, orchestrator } = await begun()
    const connection = await signIn(world, orchestrator)
    for (let turn = 1; turn <= 10; turn += 1) {
      clock.advance(900_000)
      await connection.accessToken({ minTtlMs: 86_400_000 })
    }
    const { journal } = await connection.status()
    expect(journal).toHaveLength(16)
    expect(journal.map(({ to }) => to)).toEqual(Array.from({ length: 8 }, () => ['refreshing', 'authorized']).flat())
  })
})

describe('wake()', () => {
  test('wake() does nothing before nextWakeAt, and refreshes the token at nextWakeAt', async () => {
    const { world, clock, store, orchestrator } = await begun()
    const connection = await signIn(world, orchestrator)
    const { nextWakeAt } = await connection.status()
    clock.advance((nextWakeAt ?? 0) - clock.now() - 1)
    const save = store.save.bind(store)
    let saves = 0
    store.save = (key, value, options) => {
      saves += 1
      return save(key, value, options)
    }
    await connection.wake()
    expect(saves).toBe(0)
    clock.advance(1)
    await connection.wake()
    expect(saves).toBe(2)
    expect((await connection.accessToken()).value).toBe('access-2')
  })

  test('wake() ends expired attempts and does not refresh a valid token', async () => {
    const { world, clock, orchestrator } = await begun()
    const connection = await signIn(world, orchestrator)
    await connection.authorize({ force: true })
    expect((await connection.status()).nextWakeAt).toBe(clock.now() + 360_000)
    clock.advance(360_000)
    await connection.wake()
    expect(await connection.status()).toMatchObject({
      state: 'authorized',
      nextWakeAt: clock.now() + 3_240_000 - 30_000,
      journal: [{}, {}, {}, {}, { from: 'authorized', to: 'authorized', reason: 'attempt.expired' }],
    })
    expect(world.tokenRequests()).toHaveLength(1)
  })

  test('wake() after a failed refresh waits until Retry-After has elapsed', async () => {
    const { world, clock, orchestrator } = await begun()
    const connection = await signIn(world, orchestrator)
    clock.advance(3_570_000)
    world.tokenAnswers.push({ status: 503, headers: { 'retry-after': '12' }, body: {} })
    await connection.wake()
    expect(await connection.status()).toMatchObject({
      authorized: true,
      failure: { code: 'SERVER_UNAVAILABLE' },
      nextWakeAt: clock.now() + 12_000,
    })
    await connection.wake()
    expect(world.tokenRequests()).toHaveLength(2)
    clock.advance(12_000)
    await connection.wake()
    expect((await connection.accessToken()).value).toBe('access-2')
  })

  test('wake() recovers the claim of a process that stopped', async () => {
    const { world, clock, store, orchestrator } = await begun()
    const connection = await signIn(world, orchestrator)
    clock.advance(3_600_000)
    // A process that claims the refresh and then stops.
    const gone = orchestrate({
      clock,
      store,
      network: { allow: ['127.0.0.1'], fetch: () => new Promise(() => {}), timeoutMs: 300 },
    })
    await rejection(gone.connection(connection.identity).accessToken())
    expect(await connection.status()).toMatchObject({ state: 'refreshing', nextWakeAt: clock.now() + 35_000 })
    clock.advance(35_000)
    await connection.wake()
    expect(await connection.status()).toMatchObject({ state: 'authorized', failure: undefined })
    expect((await connection.accessToken()).value).toBe('access-2')
  })
})

describe('awaitAuthorized()', () => {
  test('awaitAuthorized() resolves in another orchestrator on the same store as soon as the callback is complete', async () => {
    const { world, clock, store, orchestrator, connection } = await begun()
    const redirect = redirectOf(await connection.authorize())
    const elsewhere = orchestrate({ clock, store })
    let isDone = false
    const waiting = elsewhere
      .connection(connection.identity)
      .awaitAuthorized()
      .then(() => (isDone = true))
    expect(isDone).toBe(false)
    await orchestrator.completeCallback(world.callback(redirect))
    await waiting
    expect((await elsewhere.connection(connection.identity).accessToken()).value).toBe('access-1')
  })

  test('awaitAuthorized() resolves at once when the connection is authorized', async () => {
    const { world, orchestrator } = await begun()
    await (await signIn(world, orchestrator)).awaitAuthorized({ timeoutMs: 1 })
  })

  test('awaitAuthorized() rejects on timeout, on abort and when its orchestrator closes', async () => {
    const world = await startWorld()
    const orchestrator = orchestrate()
    const connection = orchestrator.connection({ tenant: 't1', server: world.server })
    expect(await rejection(connection.awaitAuthorized({ timeoutMs: 20 }))).toEqual({
      failure: { code: 'TIMED_OUT' },
      retryable: true,
      nextAction: 'retry',
    })
    const controller = new AbortController()
    const aborted = rejection(connection.awaitAuthorized({ signal: controller.signal }))
    controller.abort()
    expect(await aborted).toEqual({ failure: { code: 'ABORTED' }, retryable: true, nextAction: 'retry' })
    const closed = rejection(connection.awaitAuthorized())
    await orchestrator.close()
    expect(await closed).toEqual({ failure: { code: 'CLOSED' }, retryable: false, nextAction: 'none' })
  })
})
