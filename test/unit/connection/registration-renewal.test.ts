import { describe, expect, test } from 'vitest'
import { MemoryStore } from '../../../src/index.ts'
import { verifies } from '../../support/verifies.ts'
import type { Answer } from './peer.ts'
import { TestClock } from './test-clock.ts'
import { orchestrate, redirectOf, REDIRECT_URI, rejection, signIn, startWorld, type World } from './world.ts'

const of = (world: World, tenant = 't1') => ({ tenant, user: 'u1', server: world.server })
const clientIdOf = (url: string): string | null => new URL(url).searchParams.get('client_id')
const registrations = (world: World): number => world.as.asked().filter((asked) => asked === 'POST /register').length

/** Registrations whose secret lives for an hour. */
function withShortSecrets(world: World, clock: TestClock): void {
  const route = world.as.routes['POST /register']
  if (typeof route !== 'function') throw new Error('no such route')
  world.as.routes['POST /register'] = (seen) => {
    const answer = route(seen)
    return {
      ...answer,
      body: { ...Object(answer.body), client_secret_expires_at: Math.floor(clock.now() / 1000) + 3_600 },
    }
  }
}

describe('an expiring client secret', () => {
  test(
    'an expired client secret is not sent, and the next sign-in registers a new client',
    verifies(54, async () => {
      const world = await startWorld()
      const clock = new TestClock()
      withShortSecrets(world, clock)
      const orchestrator = orchestrate({ clock })
      world.tokenAnswers.push((good) => ({ body: { ...good, expires_in: 7_200 } }))
      const connection = await signIn(world, orchestrator, of(world))
      clock.advance(3_600_001)
      // The access token is as good as it was; only a renewal cannot be had any more.
      expect((await connection.accessToken()).value).toBe('access-1')
      expect(await rejection(connection.accessToken({ rejectedToken: 'access-1' }))).toMatchObject({
        failure: { code: 'AUTHORIZATION_REQUIRED', details: { reason: 'REFRESH_REJECTED' } },
      })
      expect(world.tokenRequests()).toHaveLength(1)
      expect(await connection.status()).toMatchObject({ state: 'reauthorizationRequired', authorized: false })
      clock.advance(3_600_000)
      const redirect = redirectOf(await connection.authorize())
      expect(clientIdOf(redirect.authorizationUrl)).toBe('client-2')
      expect((await orchestrator.completeCallback(world.callback(redirect))).status).toBe('authorized')
      expect(world.tokenRequests()).toHaveLength(2)
    }),
  )

  test('a client secret that expires during a sign-in fails the callback without being sent, and the next sign-in registers a new client', async () => {
    const world = await startWorld()
    const clock = new TestClock()
    withShortSecrets(world, clock)
    const orchestrator = orchestrate({ clock })
    await orchestrator.connection(of(world, 't2')).authorize()
    clock.advance(3_400_000)
    // A longer one cannot be had: the sign-in goes on with what is left of this one.
    const register = world.as.routes['POST /register'] as Answer
    world.as.routes['POST /register'] = { status: 503 }
    const connection = orchestrator.connection(of(world))
    const redirect = redirectOf(await connection.authorize())
    expect(clientIdOf(redirect.authorizationUrl)).toBe('client-1')
    world.as.routes['POST /register'] = register
    clock.advance(200_001)
    expect(await orchestrator.completeCallback(world.callback(redirect))).toMatchObject({
      status: 'failed',
      failure: { code: 'EXCHANGE_REJECTED', details: { reason: 'secretExpired' } },
    })
    expect(world.tokenRequests()).toEqual([])
    expect(clientIdOf(redirectOf(await connection.authorize()).authorizationUrl)).toBe('client-2')
  })
})

describe('a client secret that expires before a sign-in can be finished', () => {
  const policy = { attemptTtlMs: 600_000, codeTtlMs: 60_000 }

  test('is replaced before the redirect, and not a moment sooner', async () => {
    const world = await startWorld()
    const clock = new TestClock()
    withShortSecrets(world, clock)
    const orchestrator = orchestrate({ clock, policy })
    const connection = orchestrator.connection(of(world))
    const idOf = async () => clientIdOf(redirectOf(await connection.authorize({ force: true })).authorizationUrl)
    expect(await idOf()).toBe('client-1')
    clock.advance(3_600_000 - 660_000 - 1)
    expect(await idOf()).toBe('client-1')
    clock.advance(1)
    expect(await idOf()).toBe('client-2')
    expect(registrations(world)).toBe(2)
  })

  test('and that is issued for a shorter time is used, since a quick user may finish it', async () => {
    const world = await startWorld()
    const issuing = new TestClock()
    withShortSecrets(world, issuing)
    const clock = new TestClock({ startAt: issuing.now() + 3_000_000 })
    const orchestrator = orchestrate({ clock, policy })
    const redirect = redirectOf(await orchestrator.connection(of(world)).authorize())
    expect((await orchestrator.completeCallback(world.callback(redirect))).status).toBe('authorized')
    expect(registrations(world)).toBe(1)
  })

  test('and that is expired when it is issued fails authorize() after one registration, and no user is asked', async () => {
    const world = await startWorld()
    const issuing = new TestClock()
    withShortSecrets(world, issuing)
    const clock = new TestClock({ startAt: issuing.now() + 3_600_000 })
    const connection = orchestrate({ clock, policy }).connection(of(world))
    const rejected = {
      failure: { code: 'REGISTRATION_REJECTED', details: { reason: 'secretBornExpired' } },
      retryable: false,
      nextAction: 'configureClient',
    }
    expect(await rejection(connection.authorize())).toEqual(rejected)
    expect(registrations(world)).toBe(1)
    expect(await rejection(connection.authorize())).toEqual(rejected)
    expect(registrations(world)).toBe(2)
  })
})

describe('a registration response', () => {
  test.each<[string, object, string, string]>([
    ['another redirect URI', { redirect_uris: ['https://other.example/'] }, 'redirect_uris', REDIRECT_URI],
    ['other grant types', { grant_types: ['client_credentials'] }, 'grant_types', 'authorization_code'],
  ])(
    'a registration response with %s is rejected with the name of the field',
    verifies(53, async (_name, change, field, expected) => {
      const world = await startWorld()
      const route = world.as.routes['POST /register'] as (seen: never) => Answer
      world.as.routes['POST /register'] = (seen) => ({
        status: 201,
        body: { ...Object(route(seen as never).body), ...change },
      })
      expect(await rejection(orchestrate().connection(of(world)).authorize())).toMatchObject({
        failure: { code: 'REGISTRATION_REJECTED', details: { document: 'registration response', field, expected } },
        nextAction: 'configureClient',
      })
    }),
  )

  test.each([
    ['redirect_uris', 'https://app.example/oauth/callback'],
    ['grant_types', { 0: 'authorization_code' }],
    ['client_id', 7],
  ])(
    'a registration response whose %s has the wrong type is rejected with the name of the field, and the next sign-in registers at once',
    async (field, value) => {
      const world = await startWorld()
      const route = world.as.routes['POST /register'] as Answer
      world.as.routes['POST /register'] = { status: 201, body: { client_id: 'c', [field]: value } }
      // The clock stands still: no lease ends.
      const connection = orchestrate({ clock: new TestClock() }).connection(of(world))
      expect(await rejection(connection.authorize())).toMatchObject({
        failure: { code: 'RESPONSE_INVALID', details: { document: 'registration response', field } },
      })
      world.as.routes['POST /register'] = route
      expect((await connection.authorize()).status).toBe('redirect')
    },
  )

  test('a registration is sent at most policy.registrationsPerIssuerPerHour times per hour by all connections that share it', async () => {
    const world = await startWorld()
    const clock = new TestClock()
    const orchestrator = orchestrate({ clock, policy: { registrationsPerIssuerPerHour: 1 } })
    world.as.routes['POST /register'] = { status: 400, body: { error: 'invalid_client_metadata' } }
    expect(await rejection(orchestrator.connection(of(world)).authorize())).toMatchObject({
      failure: { code: 'REGISTRATION_REJECTED' },
    })
    clock.advance(600_000)
    const rejectedToken = {
      failure: {
        code: 'RATE_LIMITED',
        details: { reason: 'registrationsPerIssuerPerHour', retryAfterMs: 3_000_000 },
      },
      retryable: true,
      nextAction: 'retry',
    }
    expect(await rejection(orchestrator.connection(of(world, 't2')).authorize())).toEqual(rejectedToken)
    expect(registrations(world)).toBe(1)
    clock.advance(3_000_000)
    await rejection(orchestrator.connection(of(world, 't2')).authorize())
    expect(registrations(world)).toBe(2)
  })

  test.each([
    ['429', 429, 'RATE_LIMITED', 0],
    ['503', 503, 'SERVER_UNAVAILABLE', 0],
    ['500, which leaves its outcome unknown', 500, 'SERVER_UNAVAILABLE', 35_001],
  ])(
    'a registration whose answer asks for a later one is not sent before by any connection that shares it: %s',
    async (_, status, code, leaseMs) => {
      const world = await startWorld()
      const clock = new TestClock()
      const store = new MemoryStore({ clock })
      const [first, second] = [orchestrate({ clock, store }), orchestrate({ clock, store })]
      const register = world.as.routes['POST /register'] ?? { status: 404 }
      world.as.routes['POST /register'] = { status, headers: { 'retry-after': '60' }, body: {} }
      await rejection(first.connection(of(world, 't0')).authorize())
      clock.advance(leaseMs)
      const last = second.connection(of(world, 't1'))
      const callers = [first.connection(of(world, 't1')), first.connection(of(world, 't2')), last]
      const deferred = (retryAfterMs: number) => ({ failure: { code, details: { retryAfterMs } }, nextAction: 'retry' })
      for (const result of await Promise.all(callers.map((caller) => rejection(caller.authorize()))))
        expect(result).toMatchObject(deferred(60_000 - leaseMs))
      clock.advance(59_999 - leaseMs)
      expect(await rejection(last.authorize())).toMatchObject(deferred(1))
      expect(registrations(world)).toBe(1)
      world.as.routes['POST /register'] = register
      clock.advance(1)
      for (const caller of callers) expect((await caller.authorize()).status).toBe('redirect')
      expect(registrations(world)).toBe(2)
    },
  )

  test('a registered client serves on while the server asks for a later registration, and reregister fails meanwhile', async () => {
    const world = await startWorld()
    const clock = new TestClock()
    const connection = orchestrate({ clock }).connection(of(world))
    await connection.authorize()
    world.as.routes['POST /register'] = { status: 429, headers: { 'retry-after': '60' }, body: {} }
    const limited = { failure: { code: 'RATE_LIMITED' }, nextAction: 'retry' }
    expect(await rejection(connection.authorize({ reregister: true }))).toMatchObject(limited)
    expect((await connection.authorize({ force: true })).status).toBe('redirect')
    clock.advance(59_999)
    expect(await rejection(connection.authorize({ reregister: true }))).toMatchObject({
      ...limited,
      failure: { code: 'RATE_LIMITED', details: { retryAfterMs: 1 } },
    })
    expect(registrations(world)).toBe(2)
    clock.advance(1)
    await rejection(connection.authorize({ reregister: true }))
    expect(registrations(world)).toBe(3)
  })

  test('a registration serves any number of connections within policy.registrationsPerIssuerPerHour', async () => {
    const world = await startWorld()
    const orchestrator = orchestrate({ policy: { registrationsPerIssuerPerHour: 1 } })
    for (const tenant of ['t1', 't2', 't3'])
      expect((await orchestrator.connection(of(world, tenant)).authorize()).status).toBe('redirect')
    expect(registrations(world)).toBe(1)
  })
})
