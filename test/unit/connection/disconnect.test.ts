import { describe, expect, test, vi } from 'vitest'
import { MemoryStore } from '../../../src/index.ts'
import { TestClock } from './test-clock.ts'
import { delayRevocation, orchestrate, redirectOf, rejection, signIn, startWorld } from './world.ts'
import { verifies } from '../../support/verifies.ts'

const revoked = (world: Awaited<ReturnType<typeof startWorld>>): unknown =>
  world.as.seen
    .filter(({ path }) => path === '/revoke')
    .map(({ body }) => Object.fromEntries(new URLSearchParams(body)))

describe('disconnect()', () => {
  test(
    'disconnect() revokes the refresh token and then the access token, and deletes both',
    verifies(118, async () => {
      const world = await startWorld()
      const orchestrator = orchestrate()
      const connection = await signIn(world, orchestrator)
      const { revoked: outcome, actions } = await connection.disconnect()
      expect(outcome).toBe('yes')
      expect(actions).toEqual([
        {
          type: 'forgetTokens',
          tenant: 't1',
          user: 'u1',
          server: world.server,
          label: undefined,
          generation: 2,
          data: { issuer: world.issuer },
        },
      ])
      expect(revoked(world)).toEqual([
        { token: 'refresh-1', token_type_hint: 'refresh_token' },
        { token: 'access-1', token_type_hint: 'access_token' },
      ])
      expect(await rejection(connection.accessToken())).toMatchObject({ failure: { code: 'AUTHORIZATION_REQUIRED' } })
      expect((await connection.status()).journal.map(({ to }) => to)).toEqual([
        'awaitingCallback',
        'exchanging',
        'authorized',
        'disconnecting',
        'disconnected',
      ])
      expect((await connection.authorize()).status).toBe('redirect')
    }),
  )

  test('disconnect() deletes the tokens also when the server does not support revocation', async () => {
    const world = await startWorld()
    delete world.serverMetadata['revocation_endpoint']
    const connection = await signIn(world, orchestrate())
    expect(await connection.disconnect()).toMatchObject({ revoked: 'unsupported', actions: [{ type: 'forgetTokens' }] })
    expect(world.as.asked()).not.toContain('POST /revoke')
    expect(await connection.status()).toMatchObject({ state: 'disconnected', nextWakeAt: undefined })
  })

  test('disconnect() deletes the tokens also when the server rejects their revocation, which has failed', async () => {
    const world = await startWorld()
    world.as.routes['POST /revoke'] = { status: 400, body: { error: 'invalid_request' } }
    const connection = await signIn(world, orchestrate())
    expect(await connection.disconnect()).toMatchObject({ revoked: 'failed', actions: [{ type: 'forgetTokens' }] })
    const { journal, ...status } = await connection.status()
    expect(status).toMatchObject({ state: 'disconnected', failure: undefined, nextWakeAt: undefined })
    expect(journal.at(-1)).toMatchObject({
      reason: 'revokeTokens.failed',
      notes: ['revoked: failed, REVOCATION_FAILED, invalid_request'],
    })
  })

  test('a disconnect() while the revocation of an earlier one is pending returns pending, and emits nothing', async () => {
    const world = await startWorld()
    world.as.routes['POST /revoke'] = { status: 503, body: {} }
    const clock = new TestClock()
    const orchestrator = orchestrate({ clock })
    const connection = await signIn(world, orchestrator)
    const emitted: string[] = []
    orchestrator.on('disconnected', ({ revoked: result }) => emitted.push(result))
    expect(await connection.disconnect()).toMatchObject({ revoked: 'pending' })
    expect(await connection.disconnect()).toEqual({ revoked: 'pending', actions: [] })
    expect(emitted).toEqual(['pending'])
    world.as.routes['POST /revoke'] = { body: {} }
    clock.advance(5_000)
    await connection.wake()
    expect(await connection.disconnect()).toEqual({ revoked: 'nothing', actions: [] })
    expect(emitted).toEqual(['pending', 'yes', 'nothing'])
  })

  test('disconnect() of a disconnected connection is one journal entry, however often it is repeated', async () => {
    const world = await startWorld()
    const connection = await signIn(world, orchestrate())
    await connection.disconnect()
    await connection.disconnect()
    const { journal } = await connection.status()
    for (let call = 0; call < 16; call += 1) await connection.disconnect()
    expect((await connection.status()).journal).toEqual(journal)
    expect(journal.map(({ to }) => to)).toContain('authorized')
  })

  test('disconnect() stops waiting when its signal aborts, and goes on; an unknown option is a TypeError', async () => {
    const world = await startWorld()
    const gate = Promise.withResolvers<void>()
    const asked = Promise.withResolvers<void>()
    world.as.routes['POST /revoke'] = () => {
      asked.resolve()
      return { body: {}, until: gate.promise }
    }
    const connection = await signIn(world, orchestrate())
    expect(await rejection(connection.disconnect({ bogus: 1 } as never))).toMatchObject({ name: 'TypeError' })
    expect((await connection.status()).authorized).toBe(true)
    const abort = new AbortController()
    const rejected = rejection(connection.disconnect({ signal: abort.signal }))
    await asked.promise
    abort.abort()
    expect(await rejected).toMatchObject({ failure: { code: 'ABORTED' } })
    gate.resolve()
    await vi.waitFor(async () => expect((await connection.status()).journal.at(-1)?.notes).toEqual(['revoked: yes']))
  })

  test('disconnect() of a connection without a record does nothing', async () => {
    const world = await startWorld()
    const store = new MemoryStore()
    const connection = orchestrate({ store }).connection({ tenant: 't1', server: world.server })
    expect(await connection.disconnect()).toEqual({ revoked: 'nothing', actions: [] })
    expect(store.size).toBe(0)
  })

  test('disconnect() ends pending attempts of a connection without tokens', async () => {
    const world = await startWorld()
    const connection = orchestrate().connection({ tenant: 't1', server: world.server })
    await connection.authorize()
    expect(await connection.disconnect()).toEqual({ revoked: 'nothing', actions: [] })
    expect(await connection.status()).toMatchObject({ state: 'disconnected', nextWakeAt: undefined })
    expect(revoked(world)).toEqual([])
  })

  test('disconnect() invalidates the cached token in other processes', async () => {
    const world = await startWorld()
    const clock = new TestClock()
    const store = new MemoryStore({ clock })
    const connection = await signIn(world, orchestrate({ clock, store }))
    const elsewhere = orchestrate({ clock, store }).connection(connection.identity)
    expect((await elsewhere.accessToken()).value).toBe('access-1')
    await connection.disconnect()
    expect(await rejection(elsewhere.accessToken())).toMatchObject({ failure: { code: 'AUTHORIZATION_REQUIRED' } })
  })

  test('disconnect() waits for a refresh in progress and revokes the tokens that it returned', async () => {
    const world = await startWorld()
    const clock = new TestClock()
    const store = new MemoryStore({ clock })
    const connection = await signIn(world, orchestrate({ clock, store }))
    const gate = Promise.withResolvers<void>()
    const arrived = Promise.withResolvers<void>()
    world.tokenAnswers.push((good) => {
      arrived.resolve()
      return { body: good, until: gate.promise }
    })
    const refreshing = connection.accessToken({ rejectedToken: 'access-1' })
    await arrived.promise
    const disconnecting = orchestrate({ clock, store }).connection(connection.identity).disconnect()
    gate.resolve()
    expect((await disconnecting).actions).toMatchObject([{ type: 'forgetTokens', generation: 3 }])
    expect(await refreshing).toMatchObject({ value: 'access-2' })
    expect(revoked(world)).toEqual([
      { token: 'refresh-2', token_type_hint: 'refresh_token' },
      { token: 'access-2', token_type_hint: 'access_token' },
    ])
  })

  test('disconnect() makes a later callback return superseded without a token request', async () => {
    const world = await startWorld()
    const orchestrator = orchestrate()
    const connection = orchestrator.connection({ tenant: 't1', server: world.server })
    const redirect = redirectOf(await connection.authorize())
    await connection.disconnect()
    expect((await orchestrator.completeCallback(world.callback(redirect))).status).toBe('superseded')
    expect(world.tokenRequests()).toEqual([])
  })

  test('a revocation that the server has not decided is attempted again by wake(), beside a new sign-in', async () => {
    const world = await startWorld()
    const clock = new TestClock()
    const store = new MemoryStore({ clock })
    const orchestrator = orchestrate({ clock, store })
    const events: unknown[] = []
    orchestrator.on('disconnected', ({ revoked: outcome }) => events.push(outcome))
    orchestrator.on('failed', ({ failure }) => events.push(failure))
    world.as.routes['POST /revoke'] = { status: 503, headers: { 'retry-after': '20' } }
    const connection = await signIn(world, orchestrator)
    expect(await connection.disconnect()).toMatchObject({ revoked: 'pending', actions: [{ type: 'forgetTokens' }] })
    expect(await connection.status()).toMatchObject({
      state: 'disconnected',
      failure: undefined,
      nextAction: 'authorize',
      nextWakeAt: clock.now() + 20_000,
    })
    await signIn(world, orchestrator)
    clock.advance(19_999)
    await connection.wake()
    expect(revoked(world)).toHaveLength(1)

    clock.advance(1)
    world.as.routes['POST /revoke'] = {}
    expect(await orchestrate({ clock, store }).wakeDue()).toEqual({ woken: 1, failed: 0, remaining: 0 })
    expect(revoked(world)).toEqual([
      { token: 'refresh-1', token_type_hint: 'refresh_token' },
      { token: 'refresh-1', token_type_hint: 'refresh_token' },
      { token: 'access-1', token_type_hint: 'access_token' },
    ])
    expect((await connection.accessToken()).value).toBe('access-2')
    expect((await connection.status()).state).toBe('authorized')
    await connection.disconnect()
    expect(events).toEqual(['pending', 'pending', 'yes'])
  })

  test('a revocation that is not decided within a day has failed', async () => {
    const world = await startWorld()
    const clock = new TestClock()
    const orchestrator = orchestrate({ clock, store: new MemoryStore({ clock }) })
    const events: unknown[] = []
    orchestrator.on('disconnected', ({ revoked: outcome }) => events.push(outcome))
    world.as.routes['POST /revoke'] = { hangUp: true }
    const connection = await signIn(world, orchestrator)
    await connection.disconnect()
    for (let wakes = 0; wakes < 200; wakes += 1) {
      const { nextWakeAt } = await connection.status()
      if (nextWakeAt === undefined) break
      clock.advance(nextWakeAt - clock.now())
      await connection.wake()
    }
    expect(events).toEqual(['pending', 'failed'])
    expect(revoked(world)).toHaveLength(151)
  })

  test('a revocation whose process died is made by the wake() that takes its claim over', async () => {
    const world = await startWorld()
    const clock = new TestClock()
    const store = new MemoryStore({ clock })
    const connection = await signIn(world, orchestrate({ clock, store }))
    const { arrived, go } = delayRevocation(world)
    const dying = connection.disconnect()
    await arrived
    world.as.routes['POST /revoke'] = {}
    const other = orchestrate({ clock, store })
    const elsewhere = other.connection(connection.identity)
    const { nextWakeAt = 0 } = await elsewhere.status()
    clock.advance(nextWakeAt - clock.now())
    expect(await other.wakeDue()).toEqual({ woken: 1, failed: 0, remaining: 0 })
    const both = [
      { token: 'refresh-1', token_type_hint: 'refresh_token' },
      { token: 'access-1', token_type_hint: 'access_token' },
    ]
    expect(revoked(world)).toEqual([both[0], ...both])
    expect((await elsewhere.status()).nextWakeAt).toBeUndefined()
    go()
    await dying
  })

  test('wake() leaves the revocation of a replaced grant alone while it is in progress', async () => {
    const world = await startWorld()
    const clock = new TestClock()
    const store = new MemoryStore({ clock })
    const orchestrator = orchestrate({ clock, store })
    const connection = await signIn(world, orchestrator)
    const { arrived, go } = delayRevocation(world)
    const redirect = redirectOf(await connection.authorize({ force: true, reregister: true }))
    expect((await orchestrator.completeCallback(world.callback(redirect))).status).toBe('authorized')
    await arrived
    const elsewhere = orchestrate({ clock, store }).connection(connection.identity)
    expect((await elsewhere.status()).nextWakeAt).toBe(clock.now() + 35_000)
    await elsewhere.wake()
    go()
    await vi.waitFor(async () => expect((await elsewhere.status()).nextWakeAt).toBe(clock.now() + 3_570_000))
    expect(revoked(world)).toHaveLength(2)
    expect((await elsewhere.status()).journal.map(({ reason }) => reason)).not.toContain('claim.expired')
  })

  test('callers do not wait for a revocation of another process, whose decision is recorded nevertheless', async () => {
    const world = await startWorld()
    const clock = new TestClock()
    const store = new MemoryStore({ clock })
    const connection = await signIn(world, orchestrate({ clock, store }))
    const revocation = delayRevocation(world)
    const disconnecting = connection.disconnect()
    await revocation.arrived
    const other = orchestrate({ clock, store })
    const elsewhere = other.connection(connection.identity)
    expect(await rejection(elsewhere.accessToken())).toMatchObject({ failure: { code: 'AUTHORIZATION_REQUIRED' } })
    expect((await elsewhere.status()).state).toBe('disconnecting')
    expect(await elsewhere.import({ tokens: { accessToken: 'imported' } })).toMatchObject({ imported: true })
    await signIn(world, other, connection.identity, { force: true })
    revocation.go()
    expect((await disconnecting).revoked).toBe('yes')
    expect((await elsewhere.accessToken()).value).toBe('access-2')
    expect((await elsewhere.status()).nextWakeAt).toBe(clock.now() + 3_570_000)
  })

  test('no call of the same process waits for a revocation, whose decision is recorded nevertheless', async () => {
    const world = await startWorld()
    const clock = new TestClock()
    const orchestrator = orchestrate({ clock })
    const connection = await signIn(world, orchestrator)
    const events: unknown[] = []
    orchestrator.on('disconnected', ({ revoked: outcome }) => events.push(outcome))
    const revocation = delayRevocation(world)
    const disconnecting = connection.disconnect()
    await revocation.arrived
    expect(events).toEqual(['pending'])
    await signIn(world, orchestrator)
    expect((await connection.accessToken({ rejectedToken: 'access-2' })).value).toBe('access-3')
    revocation.go()
    expect((await disconnecting).revoked).toBe('yes')
    expect([(await connection.accessToken()).value, events]).toEqual(['access-3', ['pending', 'yes']])
  })

  test('disconnect() of a server that needs no authorization leaves it usable without a token', async () => {
    const world = await startWorld()
    world.rs.routes['POST /mcp'] = { body: {} }
    const connection = orchestrate().connection({ tenant: 't1', server: world.server })
    await connection.fetch(world.server, { method: 'POST' })
    await connection.disconnect()
    expect((await connection.fetch(world.server, { method: 'POST' })).status).toBe(200)
  })

  test('a sign-in at another issuer revokes the grant that it replaces, once its own tokens are stored', async () => {
    const world = await startWorld()
    const orchestrator = orchestrate()
    const events: unknown[] = []
    orchestrator.on('disconnected', (event) => events.push(event))
    const connection = await signIn(world, orchestrator)
    const next = await startWorld()
    world.resourceMetadata['authorization_servers'] = [next.issuer]
    const response = Promise.withResolvers<void>()
    world.as.routes['POST /revoke'] = { body: {}, until: response.promise }
    const redirect = redirectOf(await connection.authorize({ force: true, challenge: 'Bearer' }))
    // The sign-in does not wait for the other server.
    expect((await orchestrator.completeCallback(next.callback(redirect))).status).toBe('authorized')
    response.resolve()
    await vi.waitFor(() =>
      expect(revoked(world)).toEqual([
        { token: 'refresh-1', token_type_hint: 'refresh_token' },
        { token: 'access-1', token_type_hint: 'access_token' },
      ]),
    )
    expect(revoked(next)).toEqual([])
    expect([(await connection.status()).state, events]).toEqual(['authorized', []])
  })

  test('the grant that a sign-in replaced is revoked by wake() if its server could not be reached', async () => {
    const world = await startWorld()
    const clock = new TestClock()
    const orchestrator = orchestrate({ clock })
    const connection = await signIn(world, orchestrator)
    const next = await startWorld()
    world.resourceMetadata['authorization_servers'] = [next.issuer]
    world.as.routes['POST /revoke'] = { status: 503 }
    const redirect = redirectOf(await connection.authorize({ force: true, challenge: 'Bearer' }))
    await orchestrator.completeCallback(next.callback(redirect))
    await vi.waitFor(async () => expect((await connection.status()).nextWakeAt).toBe(clock.now() + 5_000))
    world.as.routes['POST /revoke'] = {}
    clock.advance(5_000)
    expect(await orchestrator.wakeDue()).toEqual({ woken: 1, failed: 0, remaining: 0 })
    expect(revoked(world)).toHaveLength(3)
    expect((await connection.status()).nextWakeAt).toBe(clock.now() + 3_565_000)
  })

  test('accessToken() that redeems a retained code revokes the grant that it replaces', async () => {
    const world = await startWorld()
    const clock = new TestClock()
    const orchestrator = orchestrate({ clock })
    world.tokenAnswers.push((good) => ({ body: { ...good, refresh_token: undefined, expires_in: 3 } }))
    const connection = await signIn(world, orchestrator)
    const next = await startWorld()
    world.resourceMetadata['authorization_servers'] = [next.issuer]
    const redirect = redirectOf(await connection.authorize({ force: true, challenge: 'Bearer' }))
    next.tokenAnswers.push({ status: 503 })
    expect(await orchestrator.completeCallback(next.callback(redirect))).toMatchObject({ retryable: true })
    clock.advance(5_000)
    await connection.accessToken()
    await vi.waitFor(() => expect(revoked(world)).toEqual([{ token: 'access-1', token_type_hint: 'access_token' }]))
  })

  test('a sign-in succeeds although the store fails when the grant that it replaces is to be revoked', async () => {
    const world = await startWorld()
    const store = new MemoryStore()
    const orchestrator = orchestrate({ store })
    const connection = await signIn(world, orchestrator)
    const next = await startWorld()
    world.resourceMetadata['authorization_servers'] = [next.issuer]
    const redirect = redirectOf(await connection.authorize({ force: true, challenge: 'Bearer' }))
    const save = store.save.bind(store)
    let saves = 0
    store.save = async (...args) => {
      // The claim and the tokens.
      if ((saves += 1) > 2) throw new Error('the store is down')
      return await save(...args)
    }
    const { status, actions } = await orchestrator.completeCallback(next.callback(redirect))
    expect([status, actions.map(({ type }) => type)]).toEqual(['authorized', expect.arrayContaining(['saveTokens'])])
    store.save = save
    await vi.waitFor(() => expect(revoked(world)).toHaveLength(2))
  })
})
