import { describe, expect, test } from 'vitest'
import { type AuthOrchestrator, MemoryStore } from '../../../src/index.ts'
import { verifies } from '../../support/verifies.ts'
import type { Answer, Seen } from './peer.ts'
import { TestClock } from './test-clock.ts'
import {
  orchestrate,
  type Redirect,
  redirectOf,
  rejection,
  requestCount,
  signIn,
  startWorld,
  withConfiguration,
  type World,
} from './world.ts'

const ATTEMPT_TTL_MS = 300_000
const HOUR_MS = 3_600_000
const LEASE_MS = 30_000
const of = (world: World, user = 'u1') => ({ tenant: 't1', user, server: world.server })
const clientIdOf = ({ authorizationUrl }: Redirect): string | null =>
  new URL(authorizationUrl).searchParams.get('client_id')
const registrations = (world: World): number => requestCount(world, 'POST /register')
const keys = { name: new Uint8Array(32).fill(9), sealing: [{ id: '1', secret: new Uint8Array(32).fill(1) }] }

/** A world whose token endpoint rejects the clients of this set, as one that has lost them. */
async function startForgetfulWorld(answer: Answer = { status: 401, body: { error: 'invalid_client' } }) {
  const world = await startWorld()
  const forgotten = new Set<string>()
  const exchange = world.as.routes['POST /token'] as (seen: Seen) => Answer
  world.as.routes['POST /token'] = (seen) => {
    const [clientId = ''] = atob(seen.headers.authorization?.slice('Basic '.length) ?? '').split(':')
    return forgotten.has(clientId) ? answer : exchange(seen)
  }
  return { world, forgotten }
}

/** An attempt whose user never comes back. */
async function abandonedAttempt(orchestrator: AuthOrchestrator, world: World, clock: TestClock, user = 'u1') {
  const connection = orchestrator.connection(of(world, user))
  const redirect = redirectOf(await connection.authorize())
  clock.advance(ATTEMPT_TTL_MS)
  return { connection, redirect }
}

const deny = (orchestrator: AuthOrchestrator, world: World, redirect: Redirect) =>
  orchestrator.completeCallback(world.callback(redirect, { code: undefined, error: 'access_denied' }))

describe('a registration that its server has forgotten', () => {
  test(
    'is replaced by the next authorize() after an attempt ran out, in the same call',
    verifies(59, async () => {
      const { world, forgotten } = await startForgetfulWorld()
      const clock = new TestClock()
      const orchestrator = orchestrate({ clock })
      const { connection } = await abandonedAttempt(orchestrator, world, clock)
      forgotten.add('client-1')
      const redirect = redirectOf(await connection.authorize())
      expect(clientIdOf(redirect)).toBe('client-2')
      expect(world.tokenRequests()).toEqual([
        { grant_type: 'authorization_code', redirect_uri: 'https://app.example/oauth/callback' },
      ])
      expect((await orchestrator.completeCallback(world.callback(redirect))).status).toBe('authorized')
      expect(registrations(world)).toBe(2)
    }),
  )

  test.each<[string, Answer]>([
    ['a bare 401', { status: 401 }],
    ['401 with an error of its own', { status: 401, body: { error: 'unauthorized' } }],
  ])('is replaced by the next authorize() after a code that was rejected with %s', async (_name, answer) => {
    const { world, forgotten } = await startForgetfulWorld(answer)
    const orchestrator = orchestrate({ clock: new TestClock() })
    const connection = orchestrator.connection(of(world))
    const lost = redirectOf(await connection.authorize())
    forgotten.add('client-1')
    const { status, failure } = await orchestrator.completeCallback(world.callback(lost))
    expect([status, failure?.code]).toEqual(['failed', 'EXCHANGE_REJECTED'])
    const redirect = redirectOf(await connection.authorize())
    expect(clientIdOf(redirect)).toBe('client-2')
    expect((await orchestrator.completeCallback(world.callback(redirect))).status).toBe('authorized')
  })

  test.each(['incorrect_client_credentials', 'invalid_client_id', 'bad_client_secret'])(
    'is retired by a response with the error %s and status 200',
    async (error) => {
      const { world, forgotten } = await startForgetfulWorld({ body: { error } })
      const clock = new TestClock()
      const orchestrator = orchestrate({ clock })
      const connection = await signIn(world, orchestrator, of(world))
      forgotten.add('client-1')
      clock.advance(HOUR_MS)
      expect(await rejection(connection.accessToken())).toMatchObject({
        failure: { code: 'AUTHORIZATION_REQUIRED', details: { reason: 'CLIENT_REJECTED', error } },
      })
      expect(clientIdOf(redirectOf(await orchestrator.connection(of(world, 'u2')).authorize()))).toBe('client-2')
    },
  )

  test('is not asked for after a code that was rejected as such', async () => {
    const world = await startWorld()
    const orchestrator = orchestrate({ clock: new TestClock() })
    const connection = orchestrator.connection(of(world))
    const redirect = redirectOf(await connection.authorize())
    world.tokenAnswers.push({ status: 400, body: { error: 'invalid_grant' } })
    expect((await orchestrator.completeCallback(world.callback(redirect))).status).toBe('failed')
    expect(clientIdOf(redirectOf(await connection.authorize()))).toBe('client-1')
    expect(requestCount(world, 'POST /token')).toBe(1)
  })

  test('is replaced after the attempt was ended by wake(), and after one was denied', async () => {
    const { world, forgotten } = await startForgetfulWorld()
    const clock = new TestClock()
    const orchestrator = orchestrate({ clock })
    const { connection } = await abandonedAttempt(orchestrator, world, clock)
    await connection.wake()
    forgotten.add('client-1')
    const second = redirectOf(await connection.authorize())
    expect(clientIdOf(second)).toBe('client-2')
    await deny(orchestrator, world, second)
    forgotten.add('client-2')
    clock.advance(HOUR_MS)
    expect(clientIdOf(redirectOf(await connection.authorize()))).toBe('client-3')
  })

  test(
    'is detected at its client configuration endpoint, without a token request',
    verifies(55, async () => {
      const world = await startWorld()
      const clock = new TestClock()
      const orchestrator = orchestrate({ clock })
      withConfiguration(world, () => ({ status: 401, body: { error: 'invalid_token' } }))
      const { connection } = await abandonedAttempt(orchestrator, world, clock)
      expect(clientIdOf(redirectOf(await connection.authorize()))).toBe('client-2')
      expect([requestCount(world, 'GET /client'), requestCount(world, 'POST /token')]).toEqual([1, 0])
      const [read] = world.as.seen.filter(({ path }) => path === '/client')
      expect(read?.headers.authorization).toBe('Bearer registration-token')
    }),
  )

  test('is asked for once more by a process that was too slow to send its question', async () => {
    const { world, forgotten } = await startForgetfulWorld()
    const clock = new TestClock()
    let isSlow = false
    const store = new (class extends MemoryStore {
      override async save(...saved: Parameters<MemoryStore['save']>): ReturnType<MemoryStore['save']> {
        const result = await super.save(...saved)
        if (isSlow && saved[1].includes('"checking"')) {
          isSlow = false
          clock.advance(LEASE_MS)
        }
        return result
      }
    })({ clock })
    const orchestrator = orchestrate({ clock, store })
    const { connection } = await abandonedAttempt(orchestrator, world, clock)
    forgotten.add('client-1')
    isSlow = true
    expect(clientIdOf(redirectOf(await connection.authorize()))).toBe('client-2')
    expect([isSlow, requestCount(world, 'POST /token'), registrations(world)]).toEqual([false, 1, 2])
  })

  test('is asked for by one process of a fleet, and replaced once for all', async () => {
    const { world, forgotten } = await startForgetfulWorld()
    const clock = new TestClock()
    const store = new MemoryStore()
    const fleet = Array.from({ length: 4 }, () => orchestrate({ clock, store, keys }))
    const connections = fleet.map((orchestrator, index) => orchestrator.connection(of(world, `u${index}`)))
    for (const connection of connections) await connection.authorize()
    clock.advance(ATTEMPT_TTL_MS)
    forgotten.add('client-1')
    const results = await Promise.all(connections.map((connection) => connection.authorize()))
    expect(results.map((result) => clientIdOf(redirectOf(result)))).toEqual(Array(4).fill('client-2'))
    expect([requestCount(world, 'POST /token'), registrations(world)]).toEqual([1, 2])
  })

  test('is not replaced beyond policy.registrationsPerIssuerPerHour, and no user is sent to it', async () => {
    const { world, forgotten } = await startForgetfulWorld()
    const clock = new TestClock()
    const orchestrator = orchestrate({ clock, policy: { registrationsPerIssuerPerHour: 1 } })
    const { connection } = await abandonedAttempt(orchestrator, world, clock)
    forgotten.add('client-1')
    const limited = {
      failure: {
        code: 'RATE_LIMITED',
        details: { reason: 'registrationsPerIssuerPerHour', retryAfterMs: HOUR_MS - ATTEMPT_TTL_MS },
      },
      retryable: true,
      nextAction: 'retry',
    }
    expect(await rejection(connection.authorize())).toEqual(limited)
    expect(await rejection(orchestrator.connection(of(world, 'u2')).authorize())).toEqual(limited)
    clock.advance(HOUR_MS - ATTEMPT_TTL_MS)
    expect(clientIdOf(redirectOf(await connection.authorize()))).toBe('client-2')
  })
})

describe('a registration that its server still has', () => {
  test('is asked for at most once an hour, and stays', async () => {
    const world = await startWorld()
    const clock = new TestClock()
    const orchestrator = orchestrate({ clock })
    const { connection } = await abandonedAttempt(orchestrator, world, clock)
    for (let index = 0; index < 3; index += 1) {
      expect(clientIdOf(redirectOf(await connection.authorize()))).toBe('client-1')
      clock.advance(ATTEMPT_TTL_MS)
    }
    expect(requestCount(world, 'POST /token')).toBe(1)
    clock.advance(HOUR_MS)
    expect(clientIdOf(redirectOf(await connection.authorize()))).toBe('client-1')
    expect([requestCount(world, 'POST /token'), registrations(world)]).toEqual([2, 1])
  })

  test.each<[string, Answer]>([
    ['is down', { status: 503 }],
    ['fails', { status: 500, body: { error: 'invalid_client' } }],
    ['hangs up', { hangUp: true }],
  ])('stays while the server %s, and is not asked for again within an hour', async (_name, answer) => {
    const world = await startWorld()
    const clock = new TestClock()
    const orchestrator = orchestrate({ clock })
    const { connection } = await abandonedAttempt(orchestrator, world, clock)
    world.as.routes['POST /token'] = answer
    expect(clientIdOf(redirectOf(await connection.authorize()))).toBe('client-1')
    const asked = requestCount(world, 'POST /token')
    clock.advance(ATTEMPT_TTL_MS)
    expect(clientIdOf(redirectOf(await connection.authorize()))).toBe('client-1')
    expect([requestCount(world, 'POST /token'), registrations(world)]).toEqual([asked, 1])
  })

  test('is used with the secret and the token that its server has replaced', async () => {
    const world = await startWorld()
    const clock = new TestClock()
    const orchestrator = orchestrate({ clock })
    withConfiguration(world, () => ({
      body: { client_id: 'client-1', client_secret: 'new-secret', registration_access_token: 'new-token' },
    }))
    const { connection } = await abandonedAttempt(orchestrator, world, clock)
    const redirect = redirectOf(await connection.authorize())
    await orchestrator.completeCallback(world.callback(redirect))
    const [exchange] = world.as.seen.filter(({ path }) => path === '/token')
    expect(exchange?.headers.authorization).toBe(`Basic ${btoa('client-1:new-secret')}`)
  })

  test('is not asked for while nothing has failed: no attempt has ended, or something has succeeded since', async () => {
    const world = await startWorld()
    const clock = new TestClock()
    const orchestrator = orchestrate({ clock })
    const { connection, redirect } = await abandonedAttempt(orchestrator, world, clock)
    const next = redirectOf(await orchestrator.connection(of(world, 'u2')).authorize())
    expect([clientIdOf(redirect), clientIdOf(next), requestCount(world, 'POST /token')]).toEqual([
      'client-1',
      'client-1',
      0,
    ])
    await orchestrator.completeCallback(world.callback(redirectOf(await connection.authorize())))
    clock.advance(HOUR_MS)
    const before = requestCount(world, 'POST /token')
    await connection.authorize({ force: true })
    expect(requestCount(world, 'POST /token')).toBe(before)
  })

  test('is not asked for where the client is not registered dynamically', async () => {
    const world = await startWorld()
    const clock = new TestClock()
    const clients = [{ issuer: world.issuer, clientId: 'c1', clientSecret: 'the-secret' }]
    const orchestrator = orchestrate({ clock, clients })
    const { connection } = await abandonedAttempt(orchestrator, world, clock)
    expect(clientIdOf(redirectOf(await connection.authorize()))).toBe('c1')
    expect([requestCount(world, 'POST /token'), registrations(world)]).toEqual([0, 0])
  })
})

describe('authorize({ reregister: true })', () => {
  test('registers another client each time, whatever is stored, and starts a new authorization', async () => {
    const world = await startWorld()
    const clock = new TestClock()
    const orchestrator = orchestrate({ clock })
    const connection = await signIn(world, orchestrator, of(world))
    expect(clientIdOf(redirectOf(await connection.authorize({ reregister: true })))).toBe('client-2')
    expect(clientIdOf(redirectOf(await orchestrator.connection(of(world, 'u2')).authorize()))).toBe('client-2')
    // A client that was registered in the millisecond of the call could be that of another call at the same time.
    clock.advance(10)
    const other = orchestrator.connection(of(world, 'u3'))
    expect(clientIdOf(redirectOf(await other.authorize({ reregister: true })))).toBe('client-3')
    expect((await connection.accessToken()).value).toBe('access-1')
    expect(await connection.authorize({ reregister: false })).toMatchObject({ status: 'authorized' })
    expect(registrations(world)).toBe(3)
  })

  test('registers once for calls of several processes and connections at the same time', async () => {
    const world = await startWorld()
    const store = new MemoryStore()
    const fleet = [orchestrate({ store, keys }), orchestrate({ store, keys })]
    // The second process has discovered nothing, and is later than the first one.
    for (const user of ['u1', 'u2']) await fleet[0]?.connection(of(world, user)).authorize()
    const results = await Promise.all(
      fleet.flatMap((orchestrator) =>
        ['u1', 'u1', 'u2'].map((user) => orchestrator.connection(of(world, user)).authorize({ reregister: true })),
      ),
    )
    expect(new Set(results.map((result) => clientIdOf(redirectOf(result))))).toEqual(new Set(['client-2']))
    expect(registrations(world)).toBe(2)
  })

  test('registers once where a process finds its issuer after another one has registered', async () => {
    const world = await startWorld()
    const store = new MemoryStore()
    const [here, there] = [orchestrate({ store, keys }), orchestrate({ store, keys })]
    await here.connection(of(world, 'u0')).authorize()
    const path = 'GET /.well-known/oauth-protected-resource/mcp'
    const answer = world.rs.routes[path] as () => Answer
    const [arrived, found] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
    world.rs.routes[path] = () => {
      arrived.resolve()
      return { ...answer(), until: found.promise }
    }
    const later = there.connection(of(world, 'u2')).authorize({ reregister: true })
    await arrived.promise
    expect(clientIdOf(redirectOf(await here.connection(of(world, 'u1')).authorize({ reregister: true })))).toBe(
      'client-2',
    )
    found.resolve()
    expect(clientIdOf(redirectOf(await later))).toBe('client-2')
    expect(registrations(world)).toBe(2)
  })

  test('has no effect on a client that is not registered dynamically', async () => {
    const world = await startWorld()
    const clients = [{ issuer: world.issuer, clientId: 'c1', clientSecret: 'the-secret' }]
    const connection = orchestrate({ clients }).connection(of(world))
    expect(clientIdOf(redirectOf(await connection.authorize({ reregister: true })))).toBe('c1')
    expect(registrations(world)).toBe(0)
  })

  test.each([
    [503, 'SERVER_UNAVAILABLE'],
    [400, 'REGISTRATION_REJECTED'],
  ])(
    'fails where the server responds %i to the registration, instead of using the client that it has lost',
    async (status, code) => {
      const world = await startWorld()
      const connection = orchestrate().connection(of(world))
      await connection.authorize()
      const register = world.as.routes['POST /register']
      world.as.routes['POST /register'] = { status, body: { error: 'invalid_redirect_uri' } }
      expect(await rejection(connection.authorize({ reregister: true }))).toMatchObject({ failure: { code } })
      if (register !== undefined) world.as.routes['POST /register'] = register
      expect(clientIdOf(redirectOf(await connection.authorize({ reregister: true })))).toBe('client-2')
    },
  )

  test('uses the stored client beyond policy.registrationsPerServerPerHour', async () => {
    const world = await startWorld()
    const connection = orchestrate({ policy: { registrationsPerServerPerHour: 1 } }).connection(of(world))
    await connection.authorize()
    expect(clientIdOf(redirectOf(await connection.authorize({ reregister: true })))).toBe('client-1')
  })
})
