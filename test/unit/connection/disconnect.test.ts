import { describe, expect, test } from 'vitest'
import { MemoryStore } from '../../../src/index.ts'
import { TestClock } from './test-clock.ts'
import { orchestrate, redirectOf, rejection, signIn, startWorld } from './world.ts'
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
    }),
  )

  test('disconnect() deletes the tokens also when the server does not support revocation or responds with an error', async () => {
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

  test('disconnect() of a connection without a record does nothing', async () => {
    const world = await startWorld()
    const store = new MemoryStore()
    const connection = orchestrate({ store }).connection({ tenant: 't1', server: world.server })
    expect(await connection.disconnect()).toEqual({ actions: [] })
    expect(store.size).toBe(0)
  })

  test('disconnect() ends pending attempts of a connection without tokens', async () => {
    const world = await startWorld()
    const connection = orchestrate().connection({ tenant: 't1', server: world.server })
    await connection.authorize()
    expect(await connection.disconnect()).toEqual({ actions: [] })
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
})
