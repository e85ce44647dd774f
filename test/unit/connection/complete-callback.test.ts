import { describe, expect, test, vi } from 'vitest'
import { MemoryStore } from '../../../src/index.ts'
import { TestClock } from './test-clock.ts'
import { orchestrate, type Redirect, REDIRECT_URI, redirectOf, startWorld, type World } from './world.ts'
import { verifies } from '../../support/verifies.ts'

const of = (world: World) => ({ tenant: 't1', user: 'u1', server: world.server })
const about = (world: World) => ({ ...of(world), label: undefined })
const failed = (failure: object, retryable = false): object => ({ status: 'failed', failure, retryable, actions: [] })

/** A world in which one attempt waits. */
async function waiting(options: Parameters<typeof orchestrate>[0] = {}, wishes: { binding?: string } = {}) {
  const world = await startWorld()
  const clock = new TestClock()
  const store = new MemoryStore({ clock })
  const orchestrator = orchestrate({ clock, store, ...options })
  const connection = orchestrator.connection(of(world))
  const redirect: Redirect = redirectOf(await connection.authorize(wishes))
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

describe('a callback', () => {
  test(
    'signs in, and a second time changes nothing',
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

  test('that comes twice at the same instant asks for one token', async () => {
    const { world, orchestrator, redirect } = await waiting()
    const url = world.callback(redirect)
    const results = await Promise.all([orchestrator.completeCallback(url), orchestrator.completeCallback(url)])
    expect(results.map(({ status }) => status).toSorted()).toEqual(['alreadyAuthorized', 'authorized'])
    expect(world.tokenRequests()).toHaveLength(1)
  })

  test('of a denied consent ends its attempt and nothing else', async () => {
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

  test('with an error that is no error code says so in a word of ours', async () => {
    const { world, orchestrator, redirect } = await waiting()
    const url = world.callback(redirect, { code: undefined, error: '<script>' })
    expect(await orchestrator.completeCallback(url)).toMatchObject({
      status: 'denied',
      failure: { code: 'AUTHORIZATION_DENIED', details: { error: 'other' } },
    })
  })

  test('that comes too late is told so, also when its attempt is gone', async () => {
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

  test('after a disconnect is superseded', async () => {
    const { world, orchestrator, connection, redirect } = await waiting()
    await connection.disconnect()
    expect(await orchestrator.completeCallback(world.callback(redirect))).toMatchObject({
      status: 'superseded',
      connection: about(world),
    })
  })

  test(
    'of which nothing is known costs at most one load, and no write',
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

  test('that is no authorization response is a status, never an exception', async () => {
    const { world, store, orchestrator, redirect } = await waiting()
    const counts = counting(store)
    const malformed = (reason: string): object => failed({ code: 'CALLBACK_MALFORMED', details: { reason } })
    const good = world.callback(redirect)
    expect(await orchestrator.completeCallback('/oauth/callback?code=x&state=y')).toEqual(malformed('notAUrl'))
    expect(await orchestrator.completeCallback(undefined as never)).toEqual(malformed('notAUrl'))
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
    'from another browser is refused, and the right one still works',
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

  test('of an attempt without a binding needs none', async () => {
    const { world, orchestrator, redirect } = await waiting()
    expect((await orchestrator.completeCallback(world.callback(redirect), { binding: 'any' })).status).toBe(
      'authorized',
    )
  })

  test(
    'from another issuer, or from none where one is promised, is refused',
    verifies([80, 81, 143], async () => {
      const { world, orchestrator, redirect } = await waiting()
      const mismatch = {
        ...failed({ code: 'CALLBACK_ISSUER_MISMATCH' }),
        connection: about(world),
        returnTo: undefined,
      }
      for (const iss of ['https://as.example', `${world.issuer}/`, undefined]) {
        expect(await orchestrator.completeCallback(world.callback(redirect, { iss }))).toEqual(mismatch)
      }
      expect(world.tokenRequests()).toEqual([])
      expect((await orchestrator.completeCallback(world.callback(redirect))).status).toBe('authorized')
    }),
  )

  test(
    'without an issuer is fine where none is promised',
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

  test('whose code is refused has failed, for good', async () => {
    const { world, orchestrator, connection, redirect } = await waiting()
    const url = `${REDIRECT_URI}?state=${redirect.state}&code=made-up&iss=${world.issuer}`
    const refusal = {
      ...failed({
        code: 'EXCHANGE_REJECTED',
        details: { url: `${world.issuer}/token`, status: 400, error: 'invalid_grant' },
      }),
      connection: about(world),
      returnTo: undefined,
    }
    expect(await orchestrator.completeCallback(url)).toEqual(refusal)
    expect(await orchestrator.completeCallback(url)).toEqual(refusal)
    expect(world.tokenRequests()).toHaveLength(1)
    expect(await connection.status()).toMatchObject({ state: 'failed', authorized: false, nextAction: 'authorize' })
  })

  test.each([
    ['which answers 429', { status: 429, headers: { 'retry-after': '2' }, body: {} }, 'RATE_LIMITED'],
    ['which answers 503', { status: 503, body: {} }, 'SERVER_UNAVAILABLE'],
  ])('at a server %s can be repeated', async (_name, answer, code) => {
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

  test('at a server that is gone keeps its code, and whoever asks next carries on', async () => {
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

  test('whose code has outlived its server is expired', async () => {
    const { world, clock, orchestrator, connection, redirect } = await waiting()
    const url = world.callback(redirect)
    world.tokenAnswers.push({ status: 503, body: {} })
    await orchestrator.completeCallback(url)
    clock.advance(60_000)
    expect((await orchestrator.completeCallback(url)).status).toBe('expired')
    await connection.wake()
    expect(await connection.status()).toMatchObject({ authorized: false })
  })

  test('whose outcome nobody knows is repeated once after the lease, and then explained', async () => {
    const world = await startWorld()
    const policy = { leaseMs: 600, graceMs: 50 }
    const orchestrator = orchestrate({ policy, network: { allow: ['127.0.0.1'], timeoutMs: 200 } })
    const connection = orchestrator.connection(of(world))
    const redirect = redirectOf(await connection.authorize())
    const url = world.callback(redirect)
    world.tokenAnswers.push({ status: 500, body: {} })
    const unknown = { code: 'TOKEN_OUTCOME_UNKNOWN', details: { url: `${world.issuer}/token`, status: 500 } }
    expect(await orchestrator.completeCallback(url)).toEqual({
      ...failed(unknown, false),
      connection: about(world),
      returnTo: undefined,
    })
    expect(await connection.status()).toMatchObject({ state: 'exchanging', failure: unknown, nextAction: 'retry' })
    // The server had not spent the code: the one repeat succeeds.
    await vi.waitFor(async () => expect((await orchestrator.completeCallback(url)).status).toMatch(/uthorized$/), {
      timeout: 4_000,
    })
    expect(world.tokenRequests()).toHaveLength(2)
  })

  test('brings back its record only: a record that cannot be read is a failure, and stays', async () => {
    const { world, store, orchestrator, redirect } = await waiting()
    const key = `authchart:{${redirect.state.split('.')[0]}}:connection`
    const record = await store.load(key)
    await store.save(key, '{"format":1}', { expectedVersion: record?.version, writeId: 'w' })
    expect(await orchestrator.completeCallback(world.callback(redirect))).toEqual(
      failed({ code: 'SNAPSHOT_UNREADABLE', details: { reason: 'notAnEnvelope' } }),
    )
    expect((await store.load(key))?.value).toBe('{"format":1}')
  })

  test('while the store is down can be repeated', async () => {
    const { world, store, orchestrator, redirect } = await waiting()
    const { load } = store
    store.load = () => Promise.reject(new Error('redis://user:password@host is gone'))
    expect(await orchestrator.completeCallback(world.callback(redirect))).toEqual(
      failed({ code: 'STORE_UNAVAILABLE' }, true),
    )
    store.load = load
    expect((await orchestrator.completeCallback(world.callback(redirect))).status).toBe('authorized')
  })
})
