import { describe, expect, test } from 'vitest'
import { MemoryStore } from '../../../src/index.ts'
import { TestClock } from './test-clock.ts'
import { CLIENT, orchestrate, redirectOf, rejection, signIn, startWorld } from './world.ts'
import { verifies } from '../../support/verifies.ts'

/** A world with a signed-in connection, and a count of what its store is asked from then on. */
async function signedIn(options: Parameters<typeof orchestrate>[0] = {}) {
  const world = await startWorld()
  const clock = new TestClock()
  const store = new MemoryStore({ clock })
  const orchestrator = orchestrate({ clock, store, ...options })
  const connection = await signIn(world, orchestrator)
  const asked: string[] = []
  const { load, save } = store
  store.load = (key) => {
    asked.push('load')
    return load.call(store, key)
  }
  store.save = (key, value, saving) => {
    asked.push('save')
    return save.call(store, key, value, saving)
  }
  return { world, clock, store, orchestrator, connection, asked }
}

const refreshes = (world: { tokenRequests(): Record<string, string>[] }): number =>
  world.tokenRequests().filter(({ grant_type: grant }) => grant === 'refresh_token').length

describe('the copy in this process', () => {
  test('is answered without the store until it is no longer trusted', async () => {
    const { clock, connection, asked } = await signedIn()
    const token = await connection.accessToken()
    expect(token).toEqual({
      value: 'access-1',
      type: 'Bearer',
      scope: 'mcp:tools',
      expiresAt: clock.now() + 3_600_000,
    })
    expect(asked).toEqual(['load'])
    clock.advance(9_999)
    expect(await connection.accessToken()).toEqual(token)
    expect(asked).toEqual(['load'])
    clock.advance(1)
    expect(await connection.accessToken()).toEqual(token)
    expect(asked).toEqual(['load', 'load'])
  })

  test('is dropped when another process disconnects or refreshes', async () => {
    const { world, clock, store, connection } = await signedIn()
    expect((await connection.accessToken()).value).toBe('access-1')
    const elsewhere = orchestrate({ clock, store }).connection(connection.identity)
    expect((await elsewhere.accessToken({ rejectedToken: 'access-1' })).value).toBe('access-2')
    expect((await connection.accessToken()).value).toBe('access-2')
    await elsewhere.disconnect()
    expect(await rejection(connection.accessToken())).toMatchObject({ failure: { code: 'AUTHORIZATION_REQUIRED' } })
    expect(refreshes(world)).toBe(1)
  })

  test('is shared by all handles on one connection, and by no other connection', async () => {
    const { world, orchestrator, connection, asked } = await signedIn()
    await connection.accessToken()
    await orchestrator.connection(connection.identity).accessToken()
    await orchestrator
      .connection({ tenant: 't1', user: 'u1', server: world.server.toUpperCase().replace('/MCP', '/mcp') })
      .accessToken()
    expect(asked).toEqual(['load'])
    for (const other of [
      { tenant: 't2', user: 'u1' },
      { tenant: 't1', user: 'u2' },
      { tenant: 't1' },
      { tenant: 't1', user: 'u1', label: 'x' },
    ]) {
      const stranger = orchestrator.connection({ ...other, server: world.server })
      expect(await rejection(stranger.accessToken())).toEqual({
        failure: { code: 'AUTHORIZATION_REQUIRED' },
        retryable: false,
        nextAction: 'authorize',
      })
    }
  })
})

describe('a token', () => {
  test('is renewed early, by the margin of the policy', async () => {
    const { world, clock, connection } = await signedIn({ policy: { minTokenTtlMs: 60_000 } })
    clock.advance(3_539_999)
    expect((await connection.accessToken()).value).toBe('access-1')
    clock.advance(1)
    expect((await connection.accessToken()).value).toBe('access-2')
    expect(refreshes(world)).toBe(1)
  })

  test('is renewed for a caller who needs more life, from the copy too', async () => {
    const { clock, connection, asked } = await signedIn()
    await connection.accessToken()
    clock.advance(1_000)
    expect((await connection.accessToken({ minTtlMs: 3_598_000 })).value).toBe('access-1')
    expect(asked).toEqual(['load'])
    expect((await connection.accessToken({ minTtlMs: 3_599_000 })).value).toBe('access-2')
  })

  test('that lives for less than is asked for is answered all the same once it is new', async () => {
    const { world, connection } = await signedIn()
    expect((await connection.accessToken({ minTtlMs: 86_400_000 })).value).toBe('access-2')
    expect(refreshes(world)).toBe(1)
  })

  test('that a server refused is refreshed only if it is still the stored one', async () => {
    const { world, connection } = await signedIn()
    const { value } = await connection.accessToken()
    const renewed = await Promise.all(Array.from({ length: 8 }, () => connection.accessToken({ rejectedToken: value })))
    expect(new Set(renewed.map((token) => token.value))).toEqual(new Set(['access-2']))
    expect((await connection.accessToken({ rejectedToken: value })).value).toBe('access-2')
    expect(refreshes(world)).toBe(1)
  })

  test(
    'is refreshed once, however many callers in two processes ask',
    verifies(114, async () => {
      const { world, clock, store, connection } = await signedIn()
      const elsewhere = orchestrate({ clock, store }).connection(connection.identity)
      clock.advance(3_600_000)
      const tokens = await Promise.all(
        [connection, elsewhere].flatMap((asker) => Array.from({ length: 10 }, () => asker.accessToken())),
      )
      expect(new Set(tokens.map(({ value }) => value))).toEqual(new Set(['access-2']))
      expect(refreshes(world)).toBe(1)
    }),
  )

  test('that is still good is answered while it is being renewed', async () => {
    const { world, clock, store, connection } = await signedIn()
    clock.advance(3_580_000)
    const gate = Promise.withResolvers<void>()
    const arrived = Promise.withResolvers<void>()
    world.tokenAnswers.push((good) => {
      arrived.resolve()
      return { body: good, until: gate.promise }
    })
    const renewing = connection.accessToken()
    await arrived.promise
    const elsewhere = orchestrate({ clock, store }).connection(connection.identity)
    expect((await elsewhere.accessToken()).value).toBe('access-1')
    expect(await elsewhere.status()).toMatchObject({ state: 'refreshing', authorized: true })
    gate.resolve()
    expect((await renewing).value).toBe('access-2')
  })
})

describe('when the server does not renew', () => {
  const passing = [
    ['answers 503', { status: 503, headers: { 'retry-after': '20' }, body: {} }, 'SERVER_UNAVAILABLE'],
    ['answers 429', { status: 429, headers: { 'retry-after': '20' }, body: {} }, 'RATE_LIMITED'],
  ] as const
  test.each(passing)(
    'early, because it %s, the old token is answered and left alone for a while',
    async (_name, answer, code) => {
      const { world, clock, connection } = await signedIn()
      clock.advance(3_575_000)
      world.tokenAnswers.push(answer)
      expect((await connection.accessToken()).value).toBe('access-1')
      expect(await connection.status()).toMatchObject({
        state: 'authorized',
        authorized: true,
        failure: { code },
        nextAction: 'retry',
      })
      expect((await connection.accessToken()).value).toBe('access-1')
      expect(refreshes(world)).toBe(1)
      clock.advance(20_000)
      expect((await connection.accessToken()).value).toBe('access-2')
      expect((await connection.status()).failure).toBeUndefined()
    },
  )

  test.each(passing)('late, because it %s, the reason is told and nothing is lost', async (_name, answer, code) => {
    const { world, clock, connection } = await signedIn()
    clock.advance(3_600_000)
    world.tokenAnswers.push(answer, answer)
    const told = {
      failure: { code, details: { url: `${world.issuer}/token`, status: answer.status, retryAfterMs: 20_000 } },
      retryable: true,
      nextAction: 'retry',
    }
    expect(await rejection(connection.accessToken())).toEqual(told)
    expect(await rejection(connection.accessToken())).toEqual(told)
    expect(await connection.status()).toMatchObject({ state: 'authorized', authorized: true })
    expect((await connection.accessToken()).value).toBe('access-2')
  })

  test('because nobody listens, nothing is lost either', async () => {
    const { world, clock, connection } = await signedIn()
    clock.advance(3_600_000)
    const { origin } = world.as
    world.as.close()
    expect(await rejection(connection.accessToken())).toMatchObject({
      failure: { code: 'HTTP_NETWORK', details: { url: `${origin}/token`, reason: 'connectionRefused' } },
      retryable: true,
    })
    expect(await connection.status()).toMatchObject({ state: 'authorized', authorized: true })
  })

  test('because nobody knows what became of the request, the same is sent once more after the lease', async () => {
    const { world, clock, connection } = await signedIn()
    clock.advance(3_600_000)
    world.tokenAnswers.push({ status: 500, body: {} })
    expect(await rejection(connection.accessToken())).toEqual({
      failure: { code: 'TOKEN_OUTCOME_UNKNOWN' },
      retryable: true,
      nextAction: 'retry',
    })
    expect(await connection.status()).toMatchObject({
      state: 'refreshing',
      failure: { code: 'TOKEN_OUTCOME_UNKNOWN', details: { status: 500 } },
      nextWakeAt: clock.now() + 35_000,
    })
    clock.advance(35_000)
    await connection.wake()
    expect((await connection.accessToken()).value).toBe('access-2')
    expect(refreshes(world)).toBe(2)
  })

  test('because the refresh token is refused, only the user can help; a token that is still good is the last one', async () => {
    const { world, clock, connection } = await signedIn()
    clock.advance(3_580_000)
    world.tokenAnswers.push({ status: 400, body: { error: 'invalid_grant' } })
    expect((await connection.accessToken()).value).toBe('access-1')
    const failure = {
      code: 'REFRESH_REJECTED',
      details: { url: `${world.issuer}/token`, status: 400, error: 'invalid_grant' },
    }
    expect(await connection.status()).toMatchObject({
      state: 'reauthorizationRequired',
      failure,
      nextAction: 'authorize',
    })
    clock.advance(20_000)
    expect(await rejection(connection.accessToken())).toEqual({
      failure: { code: 'AUTHORIZATION_REQUIRED', details: { ...failure.details, reason: 'REFRESH_REJECTED' } },
      retryable: false,
      nextAction: 'authorize',
    })
    expect(await connection.status()).toMatchObject({
      state: 'reauthorizationRequired',
      authorized: false,
      nextWakeAt: undefined,
    })
    expect(refreshes(world)).toBe(1)
  })

  test('because it refuses for another reason, the refresh token is kept', async () => {
    const { world, clock, connection } = await signedIn()
    clock.advance(3_600_000)
    world.tokenAnswers.push({ status: 400, body: { error: 'invalid_request' } })
    expect(await rejection(connection.accessToken())).toMatchObject({
      failure: { code: 'REFRESH_REJECTED', details: { error: 'invalid_request' } },
    })
    expect((await connection.accessToken()).value).toBe('access-2')
  })

  test('because it no longer knows our registration, the registration is retired and the next sign-in registers anew', async () => {
    const { world, clock, connection } = await signedIn()
    clock.advance(3_600_000)
    world.tokenAnswers.push({ status: 401, body: { error: 'invalid_client' } })
    expect(await rejection(connection.accessToken())).toMatchObject({
      failure: { code: 'AUTHORIZATION_REQUIRED', details: { error: 'invalid_client' } },
      nextAction: 'authorize',
    })
    expect(await connection.status()).toMatchObject({ state: 'reauthorizationRequired', authorized: false })
    const redirect = redirectOf(await connection.authorize())
    expect(new URL(redirect.authorizationUrl).searchParams.get('client_id')).toBe('client-2')
    expect(world.as.asked().filter((asked) => asked === 'POST /register')).toHaveLength(2)
  })

  test('because it no longer knows a client that the host configured, nothing is registered', async () => {
    const world = await startWorld()
    const clock = new TestClock()
    const clients = [{ issuer: world.issuer, clientId: 'configured', clientSecret: 's' }]
    const connection = await signIn(world, orchestrate({ clock, clients, client: CLIENT }))
    clock.advance(3_600_000)
    world.tokenAnswers.push({ status: 401, body: { error: 'invalid_client' } })
    expect(await rejection(connection.accessToken())).toMatchObject({
      failure: { code: 'CLIENT_REJECTED', details: { error: 'invalid_client' } },
    })
    expect((await connection.accessToken()).value).toBe('access-2')
    expect(world.as.asked()).not.toContain('POST /register')
  })
})

test('a caller that gives up is let go at once, and the refresh goes on', async () => {
  const { world, clock, connection } = await signedIn()
  clock.advance(3_600_000)
  const gate = Promise.withResolvers<void>()
  const arrived = Promise.withResolvers<void>()
  world.tokenAnswers.push((good) => {
    arrived.resolve()
    return { body: good, until: gate.promise }
  })
  const controller = new AbortController()
  const leaving = connection.accessToken({ signal: controller.signal })
  await arrived.promise
  const staying = connection.accessToken()
  controller.abort()
  expect(await rejection(leaving)).toEqual({ failure: { code: 'ABORTED' }, retryable: true, nextAction: 'retry' })
  gate.resolve()
  expect((await staying).value).toBe('access-2')
  expect(refreshes(world)).toBe(1)
})

test('a store that is down is told, and a copy in this process outlives it', async () => {
  const { store, clock, connection } = await signedIn()
  const { load } = store
  store.load = () => Promise.reject(new Error('down'))
  const down = { failure: { code: 'STORE_UNAVAILABLE' }, retryable: true, nextAction: 'retry' }
  expect(await rejection(connection.accessToken())).toEqual(down)
  store.load = load
  expect((await connection.accessToken()).value).toBe('access-1')
  store.load = () => Promise.reject(new Error('down'))
  expect((await connection.accessToken()).value).toBe('access-1')
  clock.advance(10_000)
  expect(await rejection(connection.accessToken())).toEqual(down)
})
