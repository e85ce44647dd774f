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

describe('the token cache of a process', () => {
  test('accessToken() returns the cached token without loading the record until policy.cacheMs has elapsed', async () => {
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

  test('the cached token is dropped when another process refreshes or disconnects the connection', async () => {
    const { world, clock, store, connection } = await signedIn()
    expect((await connection.accessToken()).value).toBe('access-1')
    const elsewhere = orchestrate({ clock, store }).connection(connection.identity)
    expect((await elsewhere.accessToken({ rejectedToken: 'access-1' })).value).toBe('access-2')
    expect((await connection.accessToken()).value).toBe('access-2')
    await elsewhere.disconnect()
    expect(await rejection(connection.accessToken())).toMatchObject({ failure: { code: 'AUTHORIZATION_REQUIRED' } })
    expect(refreshes(world)).toBe(1)
  })

  test('the cached token is shared by all handles of one connection and by no other connection', async () => {
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
      const unrelated = orchestrator.connection({ ...other, server: world.server })
      expect(await rejection(unrelated.accessToken())).toEqual({
        failure: { code: 'AUTHORIZATION_REQUIRED' },
        retryable: false,
        nextAction: 'authorize',
      })
    }
  })
})

describe('access token lifetime', () => {
  test('accessToken() refreshes a token whose remaining lifetime is at most policy.minTokenTtlMs', async () => {
    const { world, clock, connection } = await signedIn({ policy: { minTokenTtlMs: 60_000 } })
    clock.advance(3_539_999)
    expect((await connection.accessToken()).value).toBe('access-1')
    clock.advance(1)
    expect((await connection.accessToken()).value).toBe('access-2')
    expect(refreshes(world)).toBe(1)
  })

  test('accessToken({ minTtlMs }) refreshes a token with less remaining lifetime, also when the token is cached', async () => {
    const { clock, connection, asked } = await signedIn()
    await connection.accessToken()
    clock.advance(1_000)
    expect((await connection.accessToken({ minTtlMs: 3_598_000 })).value).toBe('access-1')
    expect(asked).toEqual(['load'])
    expect((await connection.accessToken({ minTtlMs: 3_599_000 })).value).toBe('access-2')
  })

  test('accessToken({ minTtlMs }) of more than the lifetime refreshes after a quarter of it, and not by each call', async () => {
    const { world, clock, connection } = await signedIn()
    const values = async (): Promise<unknown[]> => {
      const found = []
      // Loaded, then cached.
      for (const minTtlMs of [86_400_000, 3_600_000, 86_400_000])
        found.push((await connection.accessToken({ minTtlMs })).value)
      return found
    }
    expect(await values()).toEqual(Array(3).fill('access-1'))
    clock.advance(900_000)
    expect(await values()).toEqual(Array(3).fill('access-2'))
    expect(await values()).toEqual(Array(3).fill('access-2'))
    expect(refreshes(world)).toBe(1)
  })

  test('accessToken({ rejectedToken }) refreshes only if the rejected token is still the stored one', async () => {
    const { world, connection } = await signedIn()
    const { value } = await connection.accessToken()
    const renewed = await Promise.all(Array.from({ length: 8 }, () => connection.accessToken({ rejectedToken: value })))
    expect(new Set(renewed.map((token) => token.value))).toEqual(new Set(['access-2']))
    expect((await connection.accessToken({ rejectedToken: value })).value).toBe('access-2')
    expect(refreshes(world)).toBe(1)
  })

  test(
    'an expired token is refreshed once for twenty concurrent callers in two processes',
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

  test('a token that is still valid is returned in another process while it is being refreshed', async () => {
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

describe('a failed refresh', () => {
  const passing = [
    ['answers 503', { status: 503, headers: { 'retry-after': '20' }, body: {} }, 'SERVER_UNAVAILABLE'],
    ['answers 429', { status: 429, headers: { 'retry-after': '20' }, body: {} }, 'RATE_LIMITED'],
  ] as const
  test.each(passing)(
    'when the token endpoint %s before expiry, accessToken() returns the old token and does not refresh again until Retry-After has elapsed',
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

  test.each(passing)(
    'when the token endpoint %s after expiry, accessToken() rejects with the reason and keeps the refresh token',
    async (_name, answer, code) => {
      const { world, clock, connection } = await signedIn()
      clock.advance(3_600_000)
      world.tokenAnswers.push(answer)
      const failureAfter = (retryAfterMs: number) => ({
        failure: { code, details: { url: `${world.issuer}/token`, status: answer.status, retryAfterMs } },
        retryable: true,
        nextAction: 'retry',
      })
      expect(await rejection(connection.accessToken())).toEqual(failureAfter(20_000))
      clock.advance(19_999)
      expect(await rejection(connection.accessToken())).toEqual(failureAfter(1))
      expect(await connection.status()).toMatchObject({ state: 'authorized', authorized: true })
      expect(refreshes(world)).toBe(1)
      clock.advance(1)
      expect((await connection.accessToken()).value).toBe('access-2')
    },
  )

  test('when the token endpoint refuses the network connection, accessToken() rejects and keeps the refresh token', async () => {
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

  test('a refresh with an unknown outcome is retried once with the same refresh token after the lease', async () => {
    const { world, clock, connection } = await signedIn()
    clock.advance(3_600_000)
    world.tokenAnswers.push({ status: 500, body: {} })
    expect(await rejection(connection.accessToken())).toEqual({
      failure: { code: 'TOKEN_OUTCOME_UNKNOWN', details: { url: `${world.issuer}/token`, status: 500 } },
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

  test('a rejected refresh token requires reauthorization, and a still valid access token is returned until it expires', async () => {
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

  test('the refresh token is retained when the token endpoint rejects the refresh with an error other than invalid_grant, and only wake() sends it again', async () => {
    const { world, clock, connection } = await signedIn()
    clock.advance(3_600_000)
    world.tokenAnswers.push({ status: 400, body: { error: 'invalid_request' } })
    const expected = {
      failure: {
        code: 'AUTHORIZATION_REQUIRED',
        details: {
          url: `${world.issuer}/token`,
          status: 400,
          error: 'invalid_request',
          reason: 'REFRESH_REJECTED',
        },
      },
      retryable: false,
      nextAction: 'authorize',
    }
    expect(await rejection(connection.accessToken())).toEqual(expected)
    expect(await rejection(connection.accessToken())).toEqual(expected)
    expect(await connection.status()).toMatchObject({
      state: 'reauthorizationRequired',
      authorized: false,
      nextAction: 'authorize',
      nextWakeAt: clock.now() + 5_000,
    })
    await connection.wake()
    expect(refreshes(world)).toBe(1)
    clock.advance(5_000)
    await connection.wake()
    expect((await connection.accessToken()).value).toBe('access-2')
    expect(await connection.status()).toMatchObject({ state: 'authorized', authorized: true, failure: undefined })
  })

  test('invalid_client at the refresh retires the dynamic registration, and the next sign-in registers a new client', async () => {
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

  test('invalid_client at the refresh of a configured client makes accessToken() reject with CLIENT_REJECTED and registers no other client', async () => {
    const world = await startWorld()
    const clock = new TestClock()
    const clients = [{ issuer: world.issuer, clientId: 'configured', clientSecret: 's' }]
    const connection = await signIn(world, orchestrate({ clock, clients, client: CLIENT }))
    clock.advance(3_600_000)
    world.tokenAnswers.push({ status: 401, body: { error: 'invalid_client' } })
    expect(await rejection(connection.accessToken())).toMatchObject({
      failure: { code: 'CLIENT_REJECTED', details: { error: 'invalid_client', retryAfterMs: 5_000 } },
      nextAction: 'configureClient',
    })
    clock.advance(5_000)
    expect((await connection.accessToken()).value).toBe('access-2')
    expect(world.as.asked()).not.toContain('POST /register')
  })
})

test('an aborted accessToken() call rejects at once while the refresh continues for other callers', async () => {
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

test('accessToken() rejects with STORE_UNAVAILABLE while the store is down unless the token is cached in this process', async () => {
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
