import { describe, expect, test } from 'vitest'
import { MemoryStore } from '../../../src/index.ts'
import { TestClock } from './test-clock.ts'
import { orchestrate, redirectOf, rejection, signIn, startWorld } from './world.ts'

const revoked = (world: Awaited<ReturnType<typeof startWorld>>): unknown =>
  world.as.seen.filter(({ path }) => path === '/revoke').map(({ body }) => Object.fromEntries(new URLSearchParams(body)))

describe('disconnect', () => {
  test('revokes both tokens, the refresh token first, and forgets them', async () => {
    const world = await startWorld()
    const orchestrator = orchestrate()
    const connection = await signIn(world, orchestrator)
    const { actions } = await connection.disconnect()
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
  })

  test('forgets also where the server cannot revoke, or does not answer', async () => {
    const world = await startWorld()
    world.as.routes['POST /revoke'] = { status: 500, body: {} }
    const orchestrator = orchestrate()
    const connection = await signIn(world, orchestrator)
    expect((await connection.disconnect()).actions).toMatchObject([{ type: 'forgetTokens' }])
    expect(await connection.status()).toMatchObject({ state: 'disconnected', authorized: false, failure: undefined })

    const silent = await startWorld()
    delete silent.serverMetadata['revocation_endpoint']
    const other = await signIn(silent, orchestrator)
    expect((await other.disconnect()).actions).toMatchObject([{ type: 'forgetTokens' }])
    expect(silent.as.asked()).not.toContain('POST /revoke')
  })

  test('of what was never connected does nothing', async () => {
    const world = await startWorld()
    const store = new MemoryStore()
    const connection = orchestrate({ store }).connection({ tenant: 't1', server: world.server })
    expect(await connection.disconnect()).toEqual({ actions: [] })
    expect(store.size).toBe(0)
  })

  test('of what only waits ends the attempts', async () => {
    const world = await startWorld()
    const connection = orchestrate().connection({ tenant: 't1', server: world.server })
    await connection.authorize()
    expect(await connection.disconnect()).toEqual({ actions: [] })
    expect(await connection.status()).toMatchObject({ state: 'disconnected', nextWakeAt: undefined })
    expect(revoked(world)).toEqual([])
  })

  test('reaches the copies of other processes', async () => {
    const world = await startWorld()
    const clock = new TestClock()
    const store = new MemoryStore({ clock })
    const connection = await signIn(world, orchestrate({ clock, store }))
    const elsewhere = orchestrate({ clock, store }).connection(connection.identity)
    expect((await elsewhere.accessToken()).value).toBe('access-1')
    await connection.disconnect()
    expect(await rejection(elsewhere.accessToken())).toMatchObject({ failure: { code: 'AUTHORIZATION_REQUIRED' } })
  })

  test('waits for a refresh in progress, and revokes what came of it', async () => {
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
    const refreshing = connection.accessToken({ refused: 'access-1' })
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

  test('is heard by a callback that comes later', async () => {
    const world = await startWorld()
    const orchestrator = orchestrate()
    const connection = orchestrator.connection({ tenant: 't1', server: world.server })
    const redirect = redirectOf(await connection.authorize())
    await connection.disconnect()
    expect((await orchestrator.completeCallback(world.callback(redirect))).status).toBe('superseded')
    expect(world.tokenRequests()).toEqual([])
  })
})

describe('import', () => {
  test('takes over tokens and a client; the first refresh finds the server and binds them to it', async () => {
    const world = await startWorld()
    const clock = new TestClock()
    const orchestrator = orchestrate({ clock })
    // The world knows refresh-1 because somebody else signed in with it before.
    await signIn(world, orchestrator, { tenant: 'before', server: world.server })
    const connection = orchestrator.connection({ tenant: 't1', server: world.server })
    const expiresAt = clock.now() + 60_000
    const tokens = { accessToken: 'access-1', refreshToken: 'refresh-1', expiresAt, scope: 'mcp:tools' }
    const clientInformation = { clientId: 'given', clientSecret: 's', tokenEndpointAuthMethod: 'client_secret_post' }
    const asked = world.as.seen.length
    expect(await connection.import({ tokens, clientInformation })).toEqual({
      actions: [
        {
          type: 'saveTokens',
          tenant: 't1',
          user: undefined,
          server: world.server,
          label: undefined,
          generation: 1,
          data: { ...tokens, tokenType: 'Bearer', grant: 'authorization_code', issuer: undefined },
        },
      ],
    })
    expect(world.as.seen).toHaveLength(asked)
    expect(await connection.status()).toMatchObject({ state: 'authorized', authorized: true, scope: 'mcp:tools', expiresAt })
    expect(await connection.accessToken()).toEqual({ value: 'access-1', type: 'Bearer', scope: 'mcp:tools', expiresAt })
    clock.advance(60_000)
    expect((await connection.accessToken()).value).toBe('access-2')
    expect(world.tokenRequests().at(-1)).toEqual({
      grant_type: 'refresh_token',
      refresh_token: 'refresh-1',
      resource: world.server,
      client_id: 'given',
      client_secret: 's',
    })
    // From now on its server is known.
    const places = world.rs.seen.length
    clock.advance(3_600_000)
    expect((await connection.accessToken()).value).toBe('access-3')
    expect(world.rs.seen).toHaveLength(places)
    expect((await connection.disconnect()).actions).toMatchObject([{ type: 'forgetTokens', data: { issuer: world.issuer } }])
  })

  test('of tokens that name their issuer goes to no other', async () => {
    const world = await startWorld()
    const clock = new TestClock()
    const connection = orchestrate({ clock }).connection({ tenant: 't1', server: world.server })
    const tokens = { accessToken: 'old', refreshToken: 'refresh-0', expiresAt: clock.now() - 1, issuer: 'https://other.example' }
    const { actions } = await connection.import({ tokens, clientInformation: { clientId: 'given' } })
    expect(actions).toMatchObject([{ type: 'saveTokens', data: { issuer: 'https://other.example' } }])
    expect(await rejection(connection.accessToken())).toMatchObject({
      failure: { code: 'POLICY_REFUSED', details: { reason: 'issuerNotOffered', expected: 'https://other.example' } },
    })
    expect(world.tokenRequests()).toEqual([])
    expect(await connection.status()).toMatchObject({ state: 'authorized', authorized: true, failure: { code: 'POLICY_REFUSED' } })
  })

  test('of a client alone is used by the next authorization', async () => {
    const world = await startWorld()
    const orchestrator = orchestrate()
    const connection = orchestrator.connection({ tenant: 't1', server: world.server })
    expect(await connection.import({ clientInformation: { clientId: 'given', issuer: world.issuer } })).toEqual({ actions: [] })
    const redirect = redirectOf(await connection.authorize())
    expect(new URL(redirect.authorizationUrl).searchParams.get('client_id')).toBe('given')
    expect((await orchestrator.completeCallback(world.callback(redirect))).status).toBe('authorized')
    expect(world.tokenRequests()).toMatchObject([{ client_id: 'given' }])
  })

  test('replaces what was held before, in every process', async () => {
    const world = await startWorld()
    const clock = new TestClock()
    const store = new MemoryStore({ clock })
    const connection = await signIn(world, orchestrate({ clock, store }))
    const elsewhere = orchestrate({ clock, store }).connection(connection.identity)
    await connection.accessToken()
    await elsewhere.accessToken()
    await connection.import({ tokens: { accessToken: 'brought' }, issuer: world.issuer })
    expect((await connection.accessToken()).value).toBe('brought')
    expect((await elsewhere.accessToken()).value).toBe('brought')
  })

  test('of a robot is renewed without a user', async () => {
    const world = await startWorld()
    const clock = new TestClock()
    const connection = orchestrate({ clock }).connection({ tenant: 't1', server: world.server })
    const tokens = { accessToken: 'old', expiresAt: clock.now(), grant: 'client_credentials' } as const
    await connection.import({ tokens, clientInformation: { clientId: 'robot', clientSecret: 's' } })
    expect((await connection.accessToken()).value).toBe('access-1')
    clock.advance(3_600_000)
    expect((await connection.accessToken()).value).toBe('access-2')
  })
})
