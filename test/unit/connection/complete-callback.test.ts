import { describe, expect, test, vi } from 'vitest'
import { MemoryStore } from '../../../src/index.ts'
import { TestClock } from './test-clock.ts'
import { orchestrate, type Redirect, REDIRECT_URI, redirectOf, startWorld, type World } from './world.ts'
import { verifies } from '../../support/verifies.ts'

const of = (world: World) => ({ tenant: 't1', user: 'u1', server: world.server })
const about = (world: World) => ({ ...of(world), label: undefined })
const failed = (failure: object, retryable = false): object => ({ status: 'failed', failure, retryable, actions: [] })

/** A world in which one attempt waits. */
async function waiting(options: Parameters<typeof orchestrate>[0] = {}, authorizeOptions: { binding?: string } = {}) {
  const world = await startWorld()
  const clock = new TestClock()
  const store = new MemoryStore({ clock })
  const orchestrator = orchestrate({ clock, store, ...options })
  const connection = orchestrator.connection(of(world))
  const redirect: Redirect = redirectOf(await connection.authorize(authorizeOptions))
  return { world, clock, store, orchestrator, connection, redirect }
}

/** Counts what a store is asked from now on. */
function counting(store: MemoryStore): { loads: number; saves: number } {
  const counts = { loads: 0, saves: 0 }
  const { load, save } = store
  store.load = (key) => {
    counts.loads += 1
    return load.call(store, key)
  }
  store.save = (key, value, options) => {
    counts.saves += 1
    return save.call(store, key, value, options)
  }
  return counts
}

describe('completeCallback()', () => {
  test(
    'a callback signs the connection in, and a repeated one returns alreadyAuthorized',
    verifies(70, async () => {
      const { world, clock, orchestrator, connection, redirect } = await waiting()
      const url = world.callback(redirect)
      const result = await orchestrator.completeCallback(new URL(url))
      expect(result).toEqual({
        status: 'authorized',
        connection: about(world),
        returnTo: undefined,
        actions: [
          expect.objectContaining({ type: 'saveClientInformation', generation: 1 }),
          {
            type: 'saveTokens',
            ...about(world),
            generation: 1,
            data: {
              accessToken: 'access-1',
              tokenType: 'Bearer',
              scope: 'mcp:tools',
              expiresAt: clock.now() + 3_600_000,
              refreshToken: 'refresh-1',
              grant: 'authorization_code',
              issuer: world.issuer,
            },
          },
        ],
      })
      expect(await orchestrator.completeCallback(url)).toEqual({
        status: 'alreadyAuthorized',
        connection: about(world),
        returnTo: undefined,
        actions: [],
      })
      expect(world.tokenRequests()).toHaveLength(1)
      expect((await connection.accessToken()).value).toBe('access-1')
    }),
  )

  test('a callback that is repeated after the sign-in lapsed or was disconnected does not return alreadyAuthorized', async () => {
    const { world, orchestrator, connection, redirect } = await waiting()
    const url = world.callback(redirect)
    await orchestrator.completeCallback(url)
    world.rejectedToken.add('access-1')
    world.tokenAnswers.push({ status: 400, body: { error: 'invalid_grant' } })
    await connection.fetch(world.server).catch(() => undefined)
    const base = { connection: about(world), returnTo: undefined, actions: [] }
    expect(await orchestrator.completeCallback(url)).toEqual({
      ...base,
      ...failed({
        code: 'REFRESH_REJECTED',
        details: { url: `${world.issuer}/token`, status: 400, error: 'invalid_grant' },
      }),
    })
    await connection.disconnect()
    expect(await orchestrator.completeCallback(url)).toEqual({ ...base, status: 'superseded' })
    expect(world.tokenRequests()).toHaveLength(2)
  })

  test('a callback that arrives twice at the same time sends one token request', async () => {
    const { world, orchestrator, redirect } = await waiting()
    const url = world.callback(redirect)
    const results = await Promise.all([orchestrator.completeCallback(url), orchestrator.completeCallback(url)])
    expect(results.map(({ status }) => status).toSorted()).toEqual(['alreadyAuthorized', 'authorized'])
    expect(world.tokenRequests()).toHaveLength(1)
  })

  test('a callback with access_denied ends its own attempt and no other one', async () => {
    const { world, orchestrator, connection, redirect } = await waiting()
    const other = redirectOf(await connection.authorize({ force: true }))
    const url = world.callback(redirect, { code: undefined, error: 'access_denied', error_description: 'secret words' })
    const denied = { code: 'AUTHORIZATION_DENIED', details: { error: 'access_denied' } }
    expect(await orchestrator.completeCallback(url)).toEqual({
      status: 'denied',
      connection: about(world),
      returnTo: undefined,
      failure: denied,
      actions: [],
    })
    expect(await orchestrator.completeCallback(url)).toMatchObject({ status: 'denied', actions: [] })
    expect(await connection.status()).toMatchObject({ state: 'awaitingCallback', failure: denied })
    expect((await orchestrator.completeCallback(world.callback(other))).status).toBe('authorized')
  })

  test.each(['temporarily_unavailable', 'server_error'])(
    'a callback with %s ends its attempt with SERVER_UNAVAILABLE, and nobody has denied anything',
    async (error) => {
      const { world, orchestrator, connection, redirect } = await waiting()
      const url = world.callback(redirect, { code: undefined, error })
      const failure = { code: 'SERVER_UNAVAILABLE', details: { error } }
      expect(await orchestrator.completeCallback(url)).toMatchObject({ status: 'denied', failure })
      // Also when it is repeated after another failure.
      const other = redirectOf(await connection.authorize())
      await orchestrator.completeCallback(world.callback(other, { code: undefined, error: 'access_denied' }))
      expect(await orchestrator.completeCallback(url)).toMatchObject({ status: 'denied', failure })
      expect(await connection.status()).toMatchObject({ state: 'failed', nextAction: 'authorize' })
    },
  )

  test("a callback with a malformed error code returns denied with the error code 'other'", async () => {
    const { world, orchestrator, redirect } = await waiting()
    const url = world.callback(redirect, { code: undefined, error: '<script>' })
    expect(await orchestrator.completeCallback(url)).toMatchObject({
      status: 'denied',
      failure: { code: 'AUTHORIZATION_DENIED', details: { error: 'other' } },
    })
  })

  test('a late callback returns expired, also after its attempt was removed', async () => {
    const { world, clock, orchestrator, connection, redirect } = await waiting()
    clock.advance(300_000)
    expect(await orchestrator.completeCallback(world.callback(redirect))).toMatchObject({
      status: 'expired',
      connection: about(world),
    })
    await connection.wake()
    expect(await connection.status()).toMatchObject({ state: 'disconnected', authorized: false })
    expect(await orchestrator.completeCallback(world.callback(redirect))).toMatchObject({
      status: 'expired',
      connection: about(world),
    })
    expect(world.tokenRequests()).toEqual([])
  })

  test('a callback after disconnect() returns superseded', async () => {
    const { world, orchestrator, connection, redirect } = await waiting()
    await connection.disconnect()
    expect(await orchestrator.completeCallback(world.callback(redirect))).toMatchObject({
      status: 'superseded',
      connection: about(world),
    })
  })

  test(
    'a callback with an unknown state returns unknown after at most one load and no save',
    verifies([70, 83], async () => {
      const { world, store, orchestrator, redirect } = await waiting()
      const [id = '', random = ''] = redirect.state.split('.')
      const counts = counting(store)
      const ask = async (state: string | undefined): Promise<unknown> =>
        orchestrator.completeCallback(world.callback(redirect, { state }))
      const unknown = { status: 'unknown', actions: [] }

      for (const state of [
        undefined,
        '',
        'x',
        id,
        `${id}.${random}.${random}`,
        `${id}.${random.slice(1)}`,
        `${id}.${random}=`,
      ]) {
        expect(await ask(state)).toEqual(unknown)
      }
      expect(counts).toEqual({ loads: 0, saves: 0 })
      const other = (text: string): string => (text.startsWith('A') ? 'B' : 'A') + text.slice(1)
      expect(await ask(`${other(id)}.${random}`)).toEqual(unknown)
      expect(counts).toEqual({ loads: 1, saves: 0 })
      expect(await ask(`${id}.${other(random)}`)).toEqual(unknown)
      expect(counts).toEqual({ loads: 2, saves: 0 })
      expect(world.tokenRequests()).toEqual([])
    }),
  )

  test('a callback that is not an authorization response returns a failed status and never throws', async () => {
    const { world, store, orchestrator, redirect } = await waiting()
    const counts = counting(store)
    const malformed = (reason: string): object => failed({ code: 'CALLBACK_MALFORMED', details: { reason } })
    const good = world.callback(redirect)
    expect(await orchestrator.completeCallback('https://[/oauth/callback?code=x&state=y')).toEqual(malformed('notAUrl'))
    expect(await orchestrator.completeCallback(`${good}&x=${'y'.repeat(100_000)}`)).toEqual(malformed('tooLong'))
    expect(await orchestrator.completeCallback(`${good}&code=another`)).toEqual(malformed('repeatedParameter'))
    expect(await orchestrator.completeCallback(`${good}&state=${redirect.state}`)).toEqual(
      malformed('repeatedParameter'),
    )
    expect(await orchestrator.completeCallback(`${good}&error=access_denied`)).toEqual(malformed('codeAndError'))
    expect(counts).toEqual({ loads: 0, saves: 0 })
    expect(await orchestrator.completeCallback(world.callback(redirect, { code: undefined }))).toEqual({
      ...malformed('noCode'),
      connection: about(world),
      returnTo: undefined,
    })
    expect(counts).toEqual({ loads: 1, saves: 0 })
    expect((await orchestrator.completeCallback(good)).status).toBe('authorized')
  })

  test(
    'a callback from another browser is rejected, and the browser that started the sign-in can still complete it',
    verifies(144, async () => {
      const { world, orchestrator, redirect } = await waiting({}, { binding: 'this browser' })
      const url = world.callback(redirect)
      const mismatch = {
        ...failed({ code: 'CALLBACK_BINDING_MISMATCH' }),
        connection: about(world),
        returnTo: undefined,
      }
      expect(await orchestrator.completeCallback(url)).toEqual(mismatch)
      expect(await orchestrator.completeCallback(url, { binding: 'another browser' })).toEqual(mismatch)
      const denied = world.callback(redirect, { code: undefined, error: 'access_denied' })
      expect(await orchestrator.completeCallback(denied, { binding: 'another browser' })).toEqual(mismatch)
      expect(world.tokenRequests()).toEqual([])
      expect((await orchestrator.completeCallback(url, { binding: 'this browser' })).status).toBe('authorized')
    }),
  )

  test('a callback of an attempt without a binding is accepted with any binding', async () => {
    const { world, orchestrator, redirect } = await waiting()
    expect((await orchestrator.completeCallback(world.callback(redirect), { binding: 'any' })).status).toBe(
      'authorized',
    )
  })

  test(
    'a callback from another issuer, or without an announced issuer, is rejected with CALLBACK_ISSUER_MISMATCH',
    verifies([80, 81, 143], async () => {
      const { world, orchestrator, redirect } = await waiting()
      const mismatch = (details: object): object => ({
        ...failed({ code: 'CALLBACK_ISSUER_MISMATCH', details: { expected: world.issuer, ...details } }),
        connection: about(world),
        returnTo: undefined,
      })
      const long = `https://as.example${'/xxxx'.repeat(60)}`
      for (const [iss, details] of [
        ['https://as.example', { received: 'https://as.example' }],
        [`${world.issuer}/`, { received: `${world.issuer}/` }],
        [long, { received: `${long.slice(0, 200)}…` }],
        [undefined, { reason: 'issNotSent' }],
      ] as const) {
        expect(await orchestrator.completeCallback(world.callback(redirect, { iss }))).toEqual(mismatch(details))
      }
      expect(world.tokenRequests()).toEqual([])
      expect((await orchestrator.completeCallback(world.callback(redirect))).status).toBe('authorized')
    }),
  )

  test(
    'a callback without an issuer is accepted when the server metadata does not announce one',
    verifies(80, async () => {
      const world = await startWorld()
      delete world.serverMetadata['authorization_response_iss_parameter_supported']
      const orchestrator = orchestrate()
      const redirect = redirectOf(await orchestrator.connection(of(world)).authorize())
      expect(
        await orchestrator.completeCallback(world.callback(redirect, { iss: 'https://as.example' })),
      ).toMatchObject({
        failure: { code: 'CALLBACK_ISSUER_MISMATCH' },
      })
      expect((await orchestrator.completeCallback(world.callback(redirect, { iss: undefined }))).status).toBe(
        'authorized',
      )
    }),
  )

  test('a callback whose code is rejected returns failed, also when it is repeated', async () => {
    const { world, orchestrator, connection, redirect } = await waiting()
    const url = `${REDIRECT_URI}?state=${redirect.state}&code=made-up&iss=${world.issuer}`
    const rejected = {
      ...failed({
        code: 'EXCHANGE_REJECTED',
        details: { url: `${world.issuer}/token`, status: 400, error: 'invalid_grant' },
      }),
      connection: about(world),
      returnTo: undefined,
    }
    expect(await orchestrator.completeCallback(url)).toEqual(rejected)
    expect(await orchestrator.completeCallback(url)).toEqual(rejected)
    expect(world.tokenRequests()).toHaveLength(1)
    expect(await connection.status()).toMatchObject({ state: 'failed', authorized: false, nextAction: 'authorize' })
  })

  test.each([
    ['that responds with 429', { status: 429, headers: { 'retry-after': '2' }, body: {} }, 'RATE_LIMITED'],
    ['that responds with 503', { status: 503, body: {} }, 'SERVER_UNAVAILABLE'],
  ])('a callback at a token endpoint %s is retryable', async (_name, answer, code) => {
    const { world, orchestrator, connection, redirect } = await waiting()
    const url = world.callback(redirect)
    world.tokenAnswers.push(answer)
    expect(await orchestrator.completeCallback(url)).toMatchObject({
      status: 'failed',
      failure: { code },
      retryable: true,
    })
    expect((await connection.status()).state).toBe('awaitingCallback')
    expect((await orchestrator.completeCallback(url)).status).toBe('authorized')
    expect(world.tokenRequests()).toHaveLength(2)
  })

  test('the code is retained when the token endpoint is unavailable, and the next call of any kind redeems it', async () => {
    for (const carryOn of ['accessToken', 'authorize', 'wake', 'callback'] as const) {
      const { world, clock, orchestrator, connection, redirect } = await waiting()
      const url = world.callback(redirect)
      world.tokenAnswers.push({ status: 503, body: {} })
      expect(await orchestrator.completeCallback(url)).toMatchObject({ status: 'failed', retryable: true })
      clock.advance(10_000)
      if (carryOn === 'accessToken') expect((await connection.accessToken()).value).toBe('access-1')
      if (carryOn === 'authorize') expect((await connection.authorize()).status).toBe('authorized')
      if (carryOn === 'wake') await connection.wake()
      if (carryOn === 'callback') expect((await orchestrator.completeCallback(url)).status).toBe('authorized')
      expect(await connection.status()).toMatchObject({ state: 'authorized', failure: undefined })
      if (carryOn !== 'callback') expect((await orchestrator.completeCallback(url)).status).toBe('alreadyAuthorized')
    }
  })

  test('a retained code that was not redeemed within policy.codeTtlMs makes the callback return failed, and the user sign in', async () => {
    const { world, clock, orchestrator, connection, redirect } = await waiting()
    const url = world.callback(redirect)
    world.tokenAnswers.push({ status: 503, body: {} })
    await orchestrator.completeCallback(url)
    clock.advance(60_000)
    const result = { status: 'failed', failure: { code: 'SERVER_UNAVAILABLE' }, retryable: false }
    expect(await orchestrator.completeCallback(url)).toMatchObject(result)
    await connection.wake()
    expect(await connection.status()).toMatchObject({
      state: 'failed',
      authorized: false,
      failure: { code: 'SERVER_UNAVAILABLE' },
      nextAction: 'authorize',
      nextWakeAt: undefined,
    })
    expect(await orchestrator.completeCallback(url)).toMatchObject(result)
  })

  test('a code exchange with an unknown outcome is retried once after the lease', async () => {
    const world = await startWorld()
    const policy = { leaseMs: 1_500, graceMs: 50 }
    const orchestrator = orchestrate({ policy, network: { allow: ['127.0.0.1'], timeoutMs: 1_000 } })
    const connection = orchestrator.connection(of(world))
    const redirect = redirectOf(await connection.authorize())
    const url = world.callback(redirect)
    world.tokenAnswers.push({ status: 500, body: {} })
    const unknown = { code: 'TOKEN_OUTCOME_UNKNOWN', details: { url: `${world.issuer}/token`, status: 500 } }
    expect(await orchestrator.completeCallback(url)).toEqual({
      ...failed(unknown, true),
      connection: about(world),
      returnTo: undefined,
    })
    expect(await connection.status()).toMatchObject({ state: 'exchanging', failure: unknown, nextAction: 'retry' })
    // The server had not consumed the code: the one retry succeeds.
    await vi.waitFor(async () => expect((await orchestrator.completeCallback(url)).status).toMatch(/uthorized$/), {
      timeout: 10_000,
    })
    expect(world.tokenRequests()).toHaveLength(2)
  })

  test('a callback whose record is unreadable returns failed, and the record stays unchanged', async () => {
    const { world, store, orchestrator, redirect } = await waiting()
    const key = `authchart:{${redirect.state.split('.')[0]}}:connection`
    const record = await store.load(key)
    await store.save(key, '{"format":1}', { expectedVersion: record?.version, writeId: 'w' })
    expect(await orchestrator.completeCallback(world.callback(redirect))).toEqual(
      failed({ code: 'SNAPSHOT_UNREADABLE', details: { reason: 'notAnEnvelope' } }),
    )
    expect((await store.load(key))?.value).toBe('{"format":1}')
  })

  test('a callback while the store is down is retryable', async () => {
    const { world, store, orchestrator, redirect } = await waiting()
    const { load } = store
    store.load = () => Promise.reject(new Error('redis://user:password@host is gone'))
    expect(await orchestrator.completeCallback(world.callback(redirect))).toEqual(
      failed({ code: 'STORE_UNAVAILABLE' }, true),
    )
    store.load = load
    expect((await orchestrator.completeCallback(world.callback(redirect))).status).toBe('authorized')
  })

  test('a callback that arrives while its process closes is retryable, and succeeds in another process', async () => {
    const { world, clock, store, orchestrator, redirect } = await waiting()
    const other = orchestrate({ clock, store })
    const { load } = store
    const gate = Promise.withResolvers<void>()
    store.load = async (key) => {
      await gate.promise
      return await load.call(store, key)
    }
    const url = world.callback(redirect)
    const result = orchestrator.completeCallback(url)
    const closing = orchestrator.close()
    gate.resolve()
    expect(await result).toEqual(failed({ code: 'CLOSED' }, true))
    await closing
    expect((await other.completeCallback(url)).status).toBe('authorized')
  })
})
