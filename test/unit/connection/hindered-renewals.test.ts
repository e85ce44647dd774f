import { describe, expect, test } from 'vitest'
import { type AuthOrchestratorOptions, MemoryStore } from '../../../src/index.ts'
import type { Connection } from '../../../src/connection/connection.ts'
import { TestClock } from './test-clock.ts'
import { orchestrate, redirectOf, rejection, signIn, startWorld, type World } from './world.ts'

const HOUR = 3_600_000
const CLIENT_REJECTED = { status: 401, body: { error: 'invalid_client' } }

async function start(options: Partial<AuthOrchestratorOptions> = {}) {
  const world = await startWorld()
  const clock = new TestClock()
  const store = new MemoryStore({ clock })
  const clients = [{ issuer: world.issuer, clientId: 'host', clientSecret: 's' }]
  const orchestrator = orchestrate({ clock, store, clients, ...options })
  const events: string[] = []
  orchestrator.on('authorizationRequired', () => events.push('authorizationRequired'))
  return { world, clock, store, clients, orchestrator, events }
}

async function expectNotAuthorized(connection: Connection, code: string): Promise<void> {
  expect(await connection.status()).toMatchObject({
    state: 'reauthorizationRequired',
    authorized: false,
    failure: { code },
  })
}

describe('a connection whose access token is over', () => {
  test('is not authorized after its client was rejected, also once a 503 followed, until a renewal succeeds', async () => {
    const { world, clock, store, clients, orchestrator, events } = await start()
    const connection = orchestrator.connection({ tenant: 't1', user: 'u1', server: world.server })
    const callback = world.callback(redirectOf(await connection.authorize()))
    expect((await orchestrator.completeCallback(callback)).status).toBe('authorized')
    clock.advance(HOUR - 20_000)
    world.tokenAnswers.push(CLIENT_REJECTED, { status: 503 })
    expect((await connection.accessToken()).value).toBe('access-1')
    expect(await connection.status()).toMatchObject({ state: 'authorized', authorized: true })
    clock.advance(20_000)
    const elsewhere = orchestrate({ clock, store, clients }).connection(connection.identity)
    await expectNotAuthorized(elsewhere, 'CLIENT_REJECTED')
    expect(await rejection(elsewhere.accessToken())).toMatchObject({
      failure: { code: 'SERVER_UNAVAILABLE' },
      nextAction: 'retry',
    })
    await expectNotAuthorized(elsewhere, 'SERVER_UNAVAILABLE')
    expect(await orchestrator.completeCallback(callback)).toMatchObject({
      status: 'failed',
      failure: { code: 'AUTHORIZATION_REQUIRED', details: { reason: 'SERVER_UNAVAILABLE' } },
    })
    let isReady = false
    const waiting = elsewhere.awaitAuthorized().then(() => (isReady = true))
    clock.advance(10_000)
    expect([isReady, events]).toEqual([false, []])
    // Renewals go on: the host has corrected its client.
    expect((await connection.accessToken()).value).toBe('access-2')
    await waiting
    expect(await connection.status()).toMatchObject({ state: 'authorized', authorized: true, failure: undefined })
  })

  test('emits authorizationRequired, once, when its renewal is answered by a rejection of the client', async () => {
    const { world, clock, orchestrator, events } = await start()
    const connection = await signIn(world, orchestrator)
    clock.advance(HOUR)
    for (const delay of [0, 5_000, 10_000]) {
      world.tokenAnswers.push(CLIENT_REJECTED)
      clock.advance(delay)
      await connection.wake()
    }
    expect([events, world.tokenRequests().length]).toEqual([['authorizationRequired'], 4])
  })

  const imported = async (change: (world: World) => void, code: string): Promise<void> => {
    const { world, clock, orchestrator } = await start({ clients: [] })
    change(world)
    const connection = orchestrator.connection({ tenant: 't1', server: world.server })
    await connection.import({ tokens: { accessToken: 'a', refreshToken: 'r', expiresAt: clock.now() } })
    expect((await connection.status()).authorized).toBe(true)
    expect(await rejection(connection.accessToken())).toMatchObject({ failure: { code } })
    await expectNotAuthorized(connection, code)
  }

  test('is not authorized if it was imported without the client of its tokens', () =>
    imported(() => undefined, 'CLIENT_INFORMATION_REQUIRED'))

  test('is not authorized if the metadata describe another resource', () =>
    imported(({ resourceMetadata }) => {
      resourceMetadata['resource'] = 'https://other.example/mcp'
    }, 'RESOURCE_MISMATCH'))

  test('is authorized while the metadata cannot be read for now', async () => {
    const { world, clock, orchestrator } = await start()
    world.rs.routes['GET /.well-known/oauth-protected-resource/mcp'] = { status: 429 }
    const connection = orchestrator.connection({ tenant: 't1', server: world.server })
    await connection.import({ tokens: { accessToken: 'a', refreshToken: 'r', expiresAt: clock.now() } })
    expect(await rejection(connection.accessToken())).toMatchObject({ failure: { code: 'RATE_LIMITED' } })
    expect(await connection.status()).toMatchObject({ state: 'authorized', authorized: true })
  })

  test('is not authorized while the host has no assertion for its grant, and is again once there is one', async () => {
    let assertion: string | undefined = 'jwt'
    const { world, clock, orchestrator } = await start({ assertions: () => Promise.resolve(assertion) })
    const connection = orchestrator.connection({ tenant: 't1', server: world.server })
    await connection.authorize({ grant: 'jwt_bearer' })
    clock.advance(HOUR)
    assertion = undefined
    expect(await rejection(connection.accessToken())).toMatchObject({
      failure: { code: 'AUTHORIZATION_REQUIRED', details: { reason: 'assertionUnavailable' } },
    })
    await expectNotAuthorized(connection, 'AUTHORIZATION_REQUIRED')
    assertion = 'jwt'
    expect((await connection.accessToken()).value).toBe('access-2')
    expect((await connection.status()).authorized).toBe(true)
  })

  test('returns no rejected token while the host has no assertion for its grant', async () => {
    let assertion: string | undefined = 'jwt'
    const { world, orchestrator } = await start({ assertions: () => Promise.resolve(assertion) })
    const connection = orchestrator.connection({ tenant: 't1', server: world.server })
    await connection.authorize({ grant: 'jwt_bearer' })
    world.rejectedToken.add('access-1')
    assertion = undefined
    const required = { failure: { code: 'AUTHORIZATION_REQUIRED', details: { reason: 'assertionUnavailable' } } }
    expect(await rejection(connection.fetch(world.server))).toMatchObject(required)
    expect(await rejection(connection.accessToken())).toMatchObject(required)
    await expectNotAuthorized(connection, 'AUTHORIZATION_REQUIRED')
    assertion = 'jwt'
    expect((await connection.accessToken()).value).toBe('access-2')
  })
})
