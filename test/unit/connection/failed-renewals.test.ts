import { describe, expect, test } from 'vitest'
import { MemoryStore } from '../../../src/index.ts'
import type { Answer } from './peer.ts'
import { TestClock } from './test-clock.ts'
import { orchestrate, redirectOf, rejection, signIn, startWorld } from './world.ts'

async function signedIn() {
  const world = await startWorld()
  const clock = new TestClock()
  const store = new MemoryStore({ clock })
  const orchestrator = orchestrate({ clock, store })
  const events: string[] = []
  for (const name of ['authorizationRequired', 'refreshed'] as const) orchestrator.on(name, () => events.push(name))
  const connection = await signIn(world, orchestrator)
  const elsewhere = orchestrate({ clock, store }).connection(connection.identity)
  const refreshes = (): number =>
    world.tokenRequests().filter(({ grant_type: grant }) => grant === 'refresh_token').length
  return { world, clock, orchestrator, connection, elsewhere, events, refreshes }
}

const REQUIRED = { failure: { code: 'AUTHORIZATION_REQUIRED' }, nextAction: 'authorize' }
const refused: [string, Answer][] = [
  ['invalid_request', { status: 400, body: { error: 'invalid_request' } }],
  ['unsupported_grant_type', { status: 400, body: { error: 'unsupported_grant_type' } }],
  ['a bare 401', { status: 401 }],
  ['a 403 in HTML', { status: 403, headers: { 'content-type': 'text/html' }, body: '<html>' }],
  ['an error in a 200', { body: { error: 'bad_refresh_token' } }],
]

describe('a refresh that is rejected', () => {
  test.each(refused)('with %s is not sent again by callers of any process', async (_, answer) => {
    const { world, clock, connection, elsewhere, events, refreshes } = await signedIn()
    clock.advance(3_600_000)
    world.tokenAnswers.push(answer)
    for (const by of [connection, elsewhere, connection, elsewhere]) {
      expect(await rejection(by.accessToken())).toMatchObject(REQUIRED)
      expect(await rejection(by.fetch(world.server))).toMatchObject(REQUIRED)
      expect((await by.status()).authorized).toBe(false)
    }
    expect((await elsewhere.authorize()).status).toBe('redirect')
    expect([refreshes(), events]).toEqual([1, ['authorizationRequired']])
  })

  test('is retried by wake() with backoff, and reported once', async () => {
    const { world, clock, connection, events, refreshes } = await signedIn()
    clock.advance(3_600_000)
    const answer: Answer = { status: 400, body: { error: 'invalid_request' } }
    world.tokenAnswers.push(answer, answer, answer)
    await connection.wake()
    for (const delay of [5_000, 10_000]) {
      expect((await connection.status()).nextWakeAt).toBe(clock.now() + delay)
      clock.advance(delay - 1)
      await connection.wake()
      clock.advance(1)
      await connection.wake()
    }
    expect([refreshes(), events]).toEqual([3, ['authorizationRequired']])
    clock.advance(20_000)
    await connection.wake()
    expect(await connection.status()).toMatchObject({ state: 'authorized', authorized: true, failure: undefined })
    expect(events).toEqual(['authorizationRequired', 'refreshed'])
  })

  test.each(['0', 'Thu, 01 Jan 1970 00:00:00 GMT'])(
    'with `Retry-After: %s` still has the backoff, which doubles',
    async (retryAfter) => {
      const { world, clock, connection, elsewhere, refreshes } = await signedIn()
      clock.advance(3_600_000)
      for (const delay of [5_000, 10_000, 20_000]) {
        world.tokenAnswers.push({ status: 503, headers: { 'retry-after': retryAfter } })
        for (const by of [connection, elsewhere])
          expect(await rejection(by.accessToken())).toMatchObject({
            failure: { code: 'SERVER_UNAVAILABLE', details: { retryAfterMs: delay } },
          })
        expect((await elsewhere.status()).nextWakeAt).toBe(clock.now() + delay)
        clock.advance(delay)
      }
      expect(refreshes()).toBe(3)
    },
  )

  test('before its token has expired is reported by status() and by callers from then on, and by the event at the next change', async () => {
    const { world, clock, connection, elsewhere, events } = await signedIn()
    const answer: Answer = { status: 400, body: { error: 'invalid_request' } }
    world.tokenAnswers.push(answer, answer)
    clock.advance(3_570_001)
    expect((await connection.accessToken()).value).toBe('access-1')
    const failure = { code: 'REFRESH_REJECTED', details: { error: 'invalid_request' } }
    expect(await connection.status()).toMatchObject({ state: 'authorized', authorized: true, failure })
    clock.advance(30_000)
    expect(await rejection(elsewhere.accessToken())).toMatchObject(REQUIRED)
    expect(await connection.status()).toMatchObject({ state: 'reauthorizationRequired', authorized: false, failure })
    expect(events).toEqual([])
    await connection.wake()
    expect(events).toEqual(['authorizationRequired'])
  })

  test('after a long wait has a backoff that begins with the response', async () => {
    const { world, clock, connection } = await signedIn()
    clock.advance(3_600_000)
    world.tokenAnswers.push(() => {
      clock.advance(8_000)
      return { status: 503 }
    })
    expect(await rejection(connection.accessToken())).toMatchObject({ failure: { code: 'SERVER_UNAVAILABLE' } })
    expect((await connection.status()).nextWakeAt).toBe(clock.now() + 5_000)
  })

  test('before the expiry leaves the access token usable until then', async () => {
    const { world, clock, connection, refreshes } = await signedIn()
    clock.advance(3_575_000)
    world.tokenAnswers.push({ status: 400, body: { error: 'invalid_request' } })
    for (let turn = 0; turn < 3; turn += 1) expect((await connection.accessToken()).value).toBe('access-1')
    expect(await connection.status()).toMatchObject({
      state: 'authorized',
      authorized: true,
      failure: { code: 'REFRESH_REJECTED' },
      nextAction: 'authorize',
    })
    expect((await connection.authorize()).status).toBe('authorized')
    clock.advance(25_000)
    expect(await rejection(connection.accessToken())).toMatchObject(REQUIRED)
    expect(await connection.status()).toMatchObject({ state: 'reauthorizationRequired', authorized: false })
    expect(refreshes()).toBe(1)
  })

  test('after a 401 ends the connection, also of tokens without an expiry', async () => {
    const { world, clock, orchestrator, refreshes } = await signedIn()
    world.tokenAnswers.push(({ expires_in: _life, ...rest }) => ({ body: rest }))
    const connection = await signIn(world, orchestrator, { tenant: 't2', server: world.server })
    world.rejectedToken.add('access-2')
    world.tokenAnswers.push({ status: 400, body: { error: 'invalid_request' } })
    expect(await rejection(connection.fetch(world.server))).toMatchObject(REQUIRED)
    expect(await connection.status()).toMatchObject({ authorized: false, nextWakeAt: clock.now() + 5_000 })
    clock.advance(5_000)
    await connection.wake()
    expect(refreshes()).toBe(2)
    // The renewed token is only as good as its first success.
    expect((await connection.status()).authorized).toBe(false)
    expect((await connection.fetch(world.server)).status).toBe(200)
    expect((await connection.status()).authorized).toBe(true)
  })

  test('of a non-interactive grant is sent again by authorize()', async () => {
    const world = await startWorld()
    const clock = new TestClock()
    const clients = [{ issuer: world.issuer, clientId: 'worker', clientSecret: 's' }]
    const connection = orchestrate({ clock, clients }).connection({ tenant: 't1', server: world.server })
    await connection.authorize({ grant: 'client_credentials' })
    clock.advance(3_600_000)
    world.tokenAnswers.push({ status: 400, body: { error: 'invalid_scope' } })
    const rejected = { failure: { code: 'EXCHANGE_REJECTED' }, nextAction: 'authorize' }
    expect(await rejection(connection.accessToken())).toMatchObject(rejected)
    expect(await rejection(connection.accessToken())).toMatchObject(rejected)
    expect(await connection.status()).toMatchObject({ state: 'reauthorizationRequired', authorized: false })
    expect(world.tokenRequests()).toHaveLength(2)
    expect((await connection.authorize({ grant: 'client_credentials' })).status).toBe('authorized')
    expect((await connection.accessToken()).value).toBe('access-2')
  })
})

describe('a renewal without a user that is rejected', () => {
  test('stays rejected after wake() met a 503 or a lost connection: a call does not say that it may succeed', async () => {
    const world = await startWorld()
    const clock = new TestClock()
    const clients = [{ issuer: world.issuer, clientId: 'worker', clientSecret: 's' }]
    const policy = { leaseMs: 15_000, graceMs: 1_000 }
    const connection = orchestrate({ clock, clients, policy }).connection({ tenant: 't1', server: world.server })
    await connection.authorize({ grant: 'client_credentials' })
    clock.advance(3_600_000)
    world.tokenAnswers.push({ status: 400, body: { error: 'invalid_scope' } })
    const rejected = { failure: { code: 'EXCHANGE_REJECTED' }, nextAction: 'authorize' }
    expect(await rejection(connection.accessToken())).toMatchObject(rejected)
    world.tokenAnswers.push({ status: 503 }, { hangUp: true }, { hangUp: true })
    for (const delay of [5_000, 10_000, 16_000]) {
      clock.advance(delay)
      await connection.wake()
    }
    expect(world.tokenRequests()).toHaveLength(5)
    expect(await rejection(connection.accessToken())).toMatchObject(rejected)
    expect(await connection.status()).toMatchObject({ authorized: false, ...rejected })
  })

  test('because the server no longer lists its grant is not discovered anew by every caller, and wake() tries it again', async () => {
    const world = await startWorld()
    const clock = new TestClock()
    const store = new MemoryStore({ clock })
    const connection = orchestrate({ clock, store }).connection({ tenant: 't1', server: world.server })
    const tokens = { accessToken: 'old', expiresAt: clock.now(), grant: 'client_credentials' } as const
    await connection.import({ tokens, clientInformation: { clientId: 'robot', clientSecret: 's' } })
    const listed = world.serverMetadata['grant_types_supported']
    world.serverMetadata['grant_types_supported'] = ['authorization_code']
    const failure = {
      code: 'GRANT_UNSUPPORTED',
      details: { expected: 'client_credentials', offered: 'authorization_code' },
    }
    expect(await rejection(connection.accessToken())).toMatchObject({ failure, nextAction: 'configureClient' })
    const asked = world.rs.asked().length
    const elsewhere = orchestrate({ clock, store }).connection(connection.identity)
    expect(await rejection(elsewhere.accessToken())).toMatchObject({ failure, nextAction: 'configureClient' })
    expect(await connection.status()).toMatchObject({ authorized: false, failure, nextWakeAt: clock.now() + 5_000 })
    expect(world.rs.asked()).toHaveLength(asked)
    world.serverMetadata['grant_types_supported'] = listed
    clock.advance(300_000)
    await elsewhere.wake()
    expect((await connection.accessToken()).value).toBe('access-1')
  })
})

describe('a renewal that keeps failing', () => {
  const passing: [string, Answer][] = [
    ['503', { status: 503, headers: { 'retry-after': '3600' } }],
    ['429', { status: 429, headers: { 'retry-after': '3600' } }],
    ['408', { status: 408 }],
    ['425', { status: 425 }],
    ['temporarily_unavailable', { status: 400, body: { error: 'temporarily_unavailable' } }],
  ]
  test.each(passing)('with %s is tried twice by authorize(), which then redirects', async (_, answer) => {
    const { world, clock, orchestrator, connection, elsewhere, refreshes } = await signedIn()
    clock.advance(3_600_000)
    world.tokenAnswers.push(answer, answer)
    expect(await rejection(connection.authorize())).toMatchObject({ retryable: true, nextAction: 'retry' })
    const redirect = redirectOf(await elsewhere.authorize())
    expect((await connection.authorize()).status).toBe('redirect')
    expect(refreshes()).toBe(2)
    // The tokens are untouched: callers may still renew them.
    expect((await connection.status()).authorized).toBe(true)
    expect((await orchestrator.completeCallback(world.callback(redirect))).status).toBe('authorized')
  })

  test('with an unknown outcome is repeated once after the lease, then sent once by authorize(), which redirects', async () => {
    const { world, clock, connection, refreshes } = await signedIn()
    clock.advance(3_600_000)
    const broken: Answer = { status: 500 }
    world.tokenAnswers.push(broken, broken, broken, broken)
    const unknown = { failure: { code: 'TOKEN_OUTCOME_UNKNOWN' }, nextAction: 'retry' }
    expect(await rejection(connection.authorize())).toMatchObject(unknown)
    clock.advance(35_000)
    expect(await rejection(connection.accessToken())).toMatchObject(unknown)
    expect(refreshes()).toBe(2)
    expect((await connection.authorize()).status).toBe('redirect')
    expect(refreshes()).toBe(3)
    expect((await connection.authorize()).status).toBe('redirect')
    expect(refreshes()).toBe(3)
  })

  test('with an unknown outcome is repeated after a lease once, also if a 503 came in between, until its outcome is known', async () => {
    const { world, clock, connection, refreshes } = await signedIn()
    clock.advance(3_600_000)
    const lost: Answer = { hangUp: true }
    world.tokenAnswers.push(lost, { status: 503 }, lost, lost)
    const unknown = { failure: { code: 'TOKEN_OUTCOME_UNKNOWN' } }
    expect(await rejection(connection.accessToken())).toMatchObject(unknown)
    clock.advance(35_000)
    expect(await rejection(connection.accessToken())).toMatchObject({ failure: { code: 'SERVER_UNAVAILABLE' } })
    for (const [sent, delay] of [
      [3, 5_000],
      [4, 10_000],
    ] as const) {
      clock.advance(delay)
      await rejection(connection.accessToken())
      expect(await connection.status()).toMatchObject({ state: 'authorized', nextWakeAt: clock.now() + 2 * delay })
      expect(refreshes()).toBe(sent)
    }
    clock.advance(20_000)
    await connection.accessToken()
    clock.advance(3_600_000)
    world.tokenAnswers.push(lost)
    expect(await rejection(connection.accessToken())).toMatchObject(unknown)
    expect((await connection.status()).state).toBe('refreshing')
  })

  test('is tried again by authorize() after a success in between', async () => {
    const { world, clock, connection, refreshes } = await signedIn()
    clock.advance(3_600_000)
    world.tokenAnswers.push({ status: 503 })
    await rejection(connection.accessToken())
    clock.advance(5_000)
    await connection.accessToken()
    clock.advance(3_600_000)
    world.tokenAnswers.push({ status: 503 })
    expect(await rejection(connection.authorize())).toMatchObject({ failure: { code: 'SERVER_UNAVAILABLE' } })
    expect((await connection.authorize()).status).toBe('authorized')
    expect(refreshes()).toBe(4)
  })
})

describe('the backoff after a failed renewal', () => {
  const UNAVAILABLE = { failure: { code: 'SERVER_UNAVAILABLE' }, retryable: true, nextAction: 'retry' }

  test('is the same for every process, whose callers send no request until it has elapsed, and then one', async () => {
    const { world, clock, connection, elsewhere, refreshes } = await signedIn()
    clock.advance(3_600_000)
    world.tokenAnswers.push({ status: 503 }, { status: 503 })
    const both = async () =>
      await Promise.all(
        [connection, elsewhere].map((each) => rejection(each.accessToken({ rejectedToken: 'access-1' }))),
      )
    for (const [delayMs, waitedMs, sent] of [
      [5_000, 0, 1],
      [1, 4_999, 1],
      [10_000, 1, 2],
      [1, 9_999, 2],
    ] as const) {
      clock.advance(waitedMs)
      for (const error of await both())
        expect(error).toMatchObject({ ...UNAVAILABLE, failure: { details: { retryAfterMs: delayMs } } })
      expect(refreshes()).toBe(sent)
    }
    clock.advance(1)
    const tokens = await Promise.all([connection.accessToken(), elsewhere.accessToken()])
    expect(tokens.map(({ value }) => value)).toEqual(['access-2', 'access-2'])
    expect(refreshes()).toBe(3)
  })

  test('applies to connection.fetch and to a longer lifetime, and leaves a usable token to its callers', async () => {
    const { world, clock, connection, refreshes } = await signedIn()
    world.tokenAnswers.push({ status: 503 })
    clock.advance(900_000)
    expect((await connection.accessToken({ minTtlMs: 7_200_000 })).value).toBe('access-1')
    expect((await connection.accessToken({ minTtlMs: 7_200_000 })).value).toBe('access-1')
    clock.advance(4_000)
    world.rejectedToken.add('access-1')
    expect(await rejection(connection.fetch(world.server))).toMatchObject({
      ...UNAVAILABLE,
      failure: { details: { retryAfterMs: 1_000 } },
    })
    expect(refreshes()).toBe(1)
  })

  test('still applies when an authorization that began in the meantime has removed the failure', async () => {
    const { world, clock, connection, refreshes } = await signedIn()
    clock.advance(3_600_000)
    world.tokenAnswers.push({ status: 503, headers: { 'retry-after': '60' } })
    await rejection(connection.accessToken())
    await connection.authorize({ force: true })
    expect(await rejection(connection.accessToken())).toEqual({
      ...UNAVAILABLE,
      failure: {
        code: 'SERVER_UNAVAILABLE',
        details: { url: `${world.issuer}/token`, status: 503, retryAfterMs: 60_000 },
      },
    })
    expect(refreshes()).toBe(1)
  })
})

describe('authorize() with a grant that needs no user', () => {
  async function machine(supported: readonly string[] = ['client_credentials']) {
    const world = await startWorld()
    world.serverMetadata['grant_types_supported'] = supported
    const clock = new TestClock()
    const store = new MemoryStore({ clock })
    const clients = [{ issuer: world.issuer, clientId: 'worker', clientSecret: 's' }]
    const identity = { tenant: 't1', server: world.server }
    const connection = orchestrate({ clock, store, clients }).connection(identity)
    const elsewhere = orchestrate({ clock, store, clients }).connection(identity)
    const unavailable = (retryAfterMs: number) => ({
      failure: { code: 'SERVER_UNAVAILABLE', details: { status: 503, retryAfterMs } },
      nextAction: 'retry',
    })
    return { world, clock, connection, elsewhere, unavailable }
  }
  const retryIn30 = { status: 503, headers: { 'retry-after': '30' } }

  test.each([
    ['that the caller names', { grant: 'client_credentials' }],
    ['that the server chooses', {}],
    ['by force', { grant: 'client_credentials', force: true }],
  ] as const)('%s sends one request until Retry-After has elapsed, from every process', async (_, options) => {
    const { world, clock, connection, elsewhere, unavailable } = await machine()
    world.tokenAnswers.push(retryIn30)
    const together = await Promise.all([connection, elsewhere].map((by) => rejection(by.authorize(options))))
    expect(together).toMatchObject([unavailable(30_000), unavailable(30_000)])
    clock.advance(29_999)
    for (const by of [connection, elsewhere])
      expect(await rejection(by.authorize(options))).toMatchObject(unavailable(1))
    expect(world.tokenRequests()).toHaveLength(1)
    clock.advance(1)
    expect((await elsewhere.authorize(options)).status).toBe('authorized')
    expect((await connection.accessToken()).value).toBe('access-1')
  })

  test('sends one request until Retry-After has elapsed also where its tokens have expired, however often that fails', async () => {
    const { world, clock, connection, elsewhere, unavailable } = await machine()
    await connection.authorize({ grant: 'client_credentials' })
    clock.advance(3_600_000)
    for (let failures = 1; failures <= 4; failures += 1) {
      world.tokenAnswers.push(retryIn30)
      for (const by of [connection, elsewhere, connection])
        for (const options of [{ grant: 'client_credentials' }, {}] as const)
          expect(await rejection(by.authorize(options))).toMatchObject(unavailable(30_000))
      expect(world.tokenRequests()).toHaveLength(1 + failures)
      clock.advance(30_000)
    }
    expect((await elsewhere.authorize({ grant: 'client_credentials' })).status).toBe('authorized')
  })

  test('is deferred for an anonymous client, whose id is empty', async () => {
    const world = await startWorld()
    const clock = new TestClock()
    const orchestrator = orchestrate({ clock, assertions: () => Promise.resolve('an-assertion') })
    const connection = orchestrator.connection({ tenant: 't1', server: world.server })
    world.tokenAnswers.push(retryIn30)
    for (const retryAfterMs of [30_000, 20_000]) {
      expect(await rejection(connection.authorize({ grant: 'jwt_bearer' }))).toMatchObject({
        failure: { code: 'SERVER_UNAVAILABLE', details: { retryAfterMs } },
      })
      clock.advance(10_000)
    }
    expect(world.tokenRequests()).toHaveLength(1)
  })

  test('is deferred after its second lost connection as well', async () => {
    const { world, clock, connection } = await machine()
    world.tokenAnswers.push({ hangUp: true }, { hangUp: true })
    const options = { grant: 'client_credentials' } as const
    expect(await rejection(connection.authorize(options))).toMatchObject({ failure: { code: 'HTTP_NETWORK' } })
    clock.advance(60_000)
    expect(await rejection(connection.authorize(options))).toMatchObject({ failure: { code: 'HTTP_NETWORK' } })
    expect(await rejection(connection.authorize(options))).toMatchObject({
      failure: { code: 'HTTP_NETWORK', details: { retryAfterMs: 5_000 } },
    })
    expect(world.tokenRequests()).toHaveLength(2)
  })

  test('is deferred after its second redirect by an unknown outcome, which says to retry', async () => {
    const { world, clock, connection } = await machine()
    const redirect = { status: 302, headers: { location: '/elsewhere' } }
    world.tokenAnswers.push(redirect, redirect)
    const options = { grant: 'client_credentials' } as const
    expect(await rejection(connection.authorize(options))).toMatchObject({ failure: { code: 'TOO_MANY_REDIRECTS' } })
    clock.advance(60_000)
    for (let calls = 1; calls <= 2; calls += 1)
      expect(await rejection(connection.authorize(options))).toMatchObject({
        failure: { code: 'TOKEN_OUTCOME_UNKNOWN', details: { retryAfterMs: 5_000 } },
        nextAction: 'retry',
      })
    expect(world.tokenRequests()).toHaveLength(2)
  })

  test('is deferred at the server and for the client whose request failed, and not at another issuer or by another client', async () => {
    const { world, connection, elsewhere, unavailable } = await machine()
    const other = await startWorld()
    other.serverMetadata['grant_types_supported'] = ['client_credentials']
    world.resourceMetadata['authorization_servers'] = [world.issuer, other.issuer]
    const grant = 'client_credentials'
    const issuer = world.issuer
    const of = (clientId: string, at: string) => ({ clientId, clientSecret: 's', issuer: at })
    world.tokenAnswers.push(retryIn30)
    expect(await rejection(connection.authorize({ grant, issuer }))).toMatchObject(unavailable(30_000))
    for (const clientInformation of [undefined, of('worker', issuer)])
      expect(await rejection(elsewhere.authorize({ grant, issuer, clientInformation }))).toMatchObject(
        unavailable(30_000),
      )
    expect(world.tokenRequests()).toHaveLength(1)
    const second = { grant, issuer: other.issuer, clientInformation: of('worker', other.issuer) } as const
    other.tokenAnswers.push(retryIn30)
    expect(await rejection(connection.authorize(second))).toMatchObject(unavailable(30_000))
    expect(await rejection(elsewhere.authorize(second))).toMatchObject(unavailable(30_000))
    expect(other.tokenRequests()).toHaveLength(1)
    const third = { ...second, clientInformation: of('another', other.issuer) }
    expect((await elsewhere.authorize(third)).status).toBe('authorized')
    expect(other.tokenRequests()).toHaveLength(2)
  })

  test('does not defer a sign-in of a person', async () => {
    const { world, connection } = await machine(['authorization_code', 'client_credentials'])
    world.tokenAnswers.push(retryIn30)
    await rejection(connection.authorize({ grant: 'client_credentials' }))
    expect((await connection.authorize()).status).toBe('redirect')
    expect((await connection.authorize({ grant: 'authorization_code' })).status).toBe('redirect')
  })
})

describe('a request whose outcome is unknown, and whose Retry-After is longer than the lease', () => {
  const later = (status: number): Answer => ({ status, headers: { 'retry-after': '45' }, body: {} })
  const requests = ({ tokenRequests }: { tokenRequests(): object[] }) => tokenRequests().length
  const unknown = (retryAfterMs?: number) => ({
    failure: { code: 'TOKEN_OUTCOME_UNKNOWN', details: retryAfterMs === undefined ? {} : { retryAfterMs } },
    nextAction: 'retry',
  })

  test.each([500, 502, 504])('a refresh answered with %d is repeated once that has elapsed', async (status) => {
    const { world, clock, connection, elsewhere, refreshes } = await signedIn()
    clock.advance(3_600_000)
    world.tokenAnswers.push(later(status))
    expect(await rejection(connection.accessToken())).toMatchObject(unknown())
    clock.advance(35_001)
    for (const by of [elsewhere, connection]) expect(await rejection(by.accessToken())).toMatchObject(unknown(9_999))
    expect((await connection.status()).nextWakeAt).toBe(clock.now() + 9_999)
    clock.advance(9_998)
    expect(await rejection(connection.accessToken())).toMatchObject(unknown(1))
    expect(refreshes()).toBe(1)
    clock.advance(1)
    expect((await elsewhere.accessToken()).value).toBe('access-2')
    expect(refreshes()).toBe(2)
  })

  test('a code is sent again once that has elapsed, and if the outcome is unknown then as well, never again', async () => {
    for (const second of [undefined, later(502)]) {
      const world = await startWorld()
      const clock = new TestClock()
      const orchestrator = orchestrate({ clock })
      const connection = orchestrator.connection({ tenant: 't1', server: world.server })
      const url = world.callback(redirectOf(await connection.authorize()))
      world.tokenAnswers.push(later(502), ...(second ? [second] : []))
      expect(await orchestrator.completeCallback(url)).toMatchObject({ status: 'failed', retryable: true })
      clock.advance(35_001)
      const waited = { status: 'failed', failure: unknown(9_999).failure, retryable: true }
      expect(await orchestrator.completeCallback(url)).toMatchObject(waited)
      expect(requests(world)).toBe(1)
      clock.advance(9_999)
      await connection.wake()
      expect(requests(world)).toBe(2)
      expect((await connection.status()).state).toBe(second === undefined ? 'authorized' : 'failed')
    }
  })

  test('a code that does not live as long is not sent again', async () => {
    const world = await startWorld()
    const clock = new TestClock()
    const orchestrator = orchestrate({ clock, policy: { codeTtlMs: 45_000 } })
    const connection = orchestrator.connection({ tenant: 't1', server: world.server })
    const url = world.callback(redirectOf(await connection.authorize()))
    world.tokenAnswers.push(later(500))
    expect(await orchestrator.completeCallback(url)).toMatchObject({ status: 'failed', retryable: false })
    clock.advance(35_001)
    expect(await orchestrator.completeCallback(url)).toMatchObject({ status: 'failed', retryable: false })
    clock.advance(9_999)
    await connection.wake()
    expect(requests(world)).toBe(1)
  })

  test('a non-interactive grant is requested again by authorize() once that has elapsed', async () => {
    const world = await startWorld()
    const clock = new TestClock()
    const clients = [{ issuer: world.issuer, clientId: 'machine', clientSecret: 'secret' }]
    const connection = orchestrate({ clock, clients }).connection({ tenant: 't1', server: world.server })
    const authorize = () => connection.authorize({ grant: 'client_credentials' })
    world.tokenAnswers.push(later(504))
    expect(await rejection(authorize())).toMatchObject(unknown())
    clock.advance(35_001)
    expect(await rejection(authorize())).toMatchObject(unknown(9_999))
    expect(requests(world)).toBe(1)
    clock.advance(9_999)
    expect((await authorize()).status).toBe('authorized')
  })
})
