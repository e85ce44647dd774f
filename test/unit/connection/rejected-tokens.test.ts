import { describe, expect, test } from 'vitest'
import type { AuthOrchestrator, Connection } from '../../../src/index.ts'
import { MemoryStore, type SaveOptions } from '../../../src/index.ts'
import type { Answer, Seen } from './peer.ts'
import { TestClock } from './test-clock.ts'
import { orchestrate, redirectOf, rejection, signIn, startWorld } from './world.ts'

const INVALID_GRANT: Answer = { status: 400, body: { error: 'invalid_grant' } }

class CountingStore extends MemoryStore {
  saves = 0

  override async save(key: string, value: string, options: SaveOptions): ReturnType<MemoryStore['save']> {
    this.saves += 1
    return await super.save(key, value, options)
  }
}

/** A signed-in connection, in two processes, and the events of both. */
async function signedIn(answer: (good: Record<string, unknown>) => Answer = (body) => ({ body })) {
  const world = await startWorld()
  const clock = new TestClock()
  const store = new CountingStore({ clock })
  const [here, there] = [orchestrate({ clock, store }), orchestrate({ clock, store })]
  const required: unknown[] = []
  for (const orchestrator of [here, there])
    orchestrator.on('authorizationRequired', (event) => required.push(event.connection.tenant))
  world.tokenAnswers.push(answer)
  const connection = await signIn(world, here)
  const elsewhere = there.connection(connection.identity)
  const call = (by: Connection = connection) => by.fetch(world.server, { method: 'POST', body: 'x' })
  return { world, clock, store, here, there, connection, elsewhere, required, call }
}

/** As a GitHub OAuth app: no `expires_in`, no refresh token. */
const forever = ({ expires_in: _life, refresh_token: _token, ...rest }: Record<string, unknown>): Answer => ({
  body: rest,
})

const refreshes = ({ tokenRequests }: Awaited<ReturnType<typeof startWorld>>): number =>
  tokenRequests().filter(({ grant_type: grant }) => grant === 'refresh_token').length

const REQUIRED = { failure: { code: 'AUTHORIZATION_REQUIRED' }, nextAction: 'authorize' }

/** The connection needs its user, in every way that it can be asked. */
async function expectRejected(connection: Connection): Promise<void> {
  expect(await connection.status()).toMatchObject({ state: 'reauthorizationRequired', authorized: false })
  expect(await rejection(connection.accessToken())).toMatchObject(REQUIRED)
}

async function signInAgain(
  world: Awaited<ReturnType<typeof startWorld>>,
  orchestrator: AuthOrchestrator,
  connection: Connection,
): Promise<void> {
  const { status } = await orchestrator.completeCallback(world.callback(redirectOf(await connection.authorize())))
  expect(status).toBe('authorized')
}

describe('a token that the server rejects', () => {
  test('without a renewal is remembered in every process, and emits authorizationRequired once', async () => {
    const { world, there, connection, elsewhere, required, call } = await signedIn(forever)
    await elsewhere.accessToken()
    world.rejectedToken.add('access-1')
    for (let turn = 0; turn < 3; turn += 1) expect(await rejection(call())).toMatchObject(REQUIRED)
    await expectRejected(connection)
    await expectRejected(elsewhere)
    expect(required).toEqual(['t1'])
    expect(world.rs.asked().filter((asked) => asked === 'POST /mcp').length).toBe(4)
    let isReady = false
    const waiting = connection.awaitAuthorized().then(() => (isReady = true))
    const redirect = redirectOf(await elsewhere.authorize())
    expect(isReady).toBe(false)
    expect((await there.completeCallback(world.callback(redirect))).status).toBe('authorized')
    await waiting
    expect(await connection.status()).toMatchObject({ state: 'authorized', authorized: true })
    expect((await call()).status).toBe(200)
  })

  test('after a renewal that did not help is not renewed again', async () => {
    const { world, connection, call } = await signedIn()
    for (const token of ['access-1', 'access-2', 'access-3']) world.rejectedToken.add(token)
    for (let turn = 0; turn < 3; turn += 1) expect(await rejection(call())).toMatchObject(REQUIRED)
    await expectRejected(connection)
    await connection.wake()
    expect(refreshes(world)).toBe(1)
  })

  test('is written once', async () => {
    const { world, store, call } = await signedIn(forever)
    world.rejectedToken.add('access-1')
    const { saves } = store
    for (let turn = 0; turn < 3; turn += 1) await rejection(call())
    expect(store.saves).toBe(saves + 1)
  })

  test('is in the error of accessToken() with its challenge', async () => {
    const { world, elsewhere, call } = await signedIn(forever)
    world.rejectedToken.add('access-1')
    await rejection(call())
    await expect(elsewhere.accessToken()).rejects.toMatchObject({
      challenge: expect.stringMatching(/^Bearer error="invalid_token"/) as unknown,
    })
  })

  test('is accepted again after a 2xx, which is one write, and none without a rejection', async () => {
    const { world, store, connection, elsewhere, call } = await signedIn(forever)
    world.rejectedToken.add('access-1')
    await rejection(call())
    world.rejectedToken.clear()
    const { saves } = store
    expect((await call(elsewhere)).status).toBe(200)
    expect(store.saves).toBe(saves + 1)
    expect(await connection.status()).toMatchObject({ state: 'authorized', authorized: true })
    expect((await connection.accessToken()).value).toBe('access-1')
    expect(await connection.authorize()).toMatchObject({ status: 'authorized' })
    await call(elsewhere)
    expect(store.saves).toBe(saves + 1)
    // A second rejection of the same token is recorded as well.
    world.rejectedToken.add('access-1')
    await rejection(call())
    await expectRejected(connection)
  })

  test.each([302, 403, 404, 429, 500, 503])('stays rejected after a %s', async (status) => {
    const { world, connection, call } = await signedIn(forever)
    world.rejectedToken.add('access-1')
    await rejection(call())
    world.rs.routes['POST /mcp'] = { status }
    expect((await call()).status).toBe(status)
    await expectRejected(connection)
  })

  test('stays rejected after a late 2xx to the token before it', async () => {
    const { world, connection, call } = await signedIn(forever)
    world.rejectedToken.add('access-1')
    await rejection(call())
    const served = world.rs.routes['POST /mcp'] ?? {}
    const [arrived, gate] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
    world.rs.routes['POST /mcp'] = () => {
      arrived.resolve()
      return { body: {}, until: gate.promise }
    }
    const late = call()
    await arrived.promise
    world.rs.routes['POST /mcp'] = served
    await connection.import({ tokens: { accessToken: 'imported' }, issuer: world.issuer })
    await rejection(call())
    gate.resolve()
    expect((await late).status).toBe(200)
    await expectRejected(connection)
  })

  test('stays rejected after a late 2xx to a request that was sent before its last rejection', async () => {
    const { world, clock, connection, call } = await signedIn(forever)
    world.rejectedToken.add('access-1')
    await rejection(call())
    const served = world.rs.routes['POST /mcp'] ?? {}
    const [arrived, gate] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
    world.rs.routes['POST /mcp'] = () => {
      arrived.resolve()
      return { body: {}, until: gate.promise }
    }
    const late = call()
    await arrived.promise
    world.rs.routes['POST /mcp'] = served
    world.rejectedToken.clear()
    expect((await call()).status).toBe(200)
    clock.advance(1)
    world.rejectedToken.add('access-1')
    await rejection(call())
    gate.resolve()
    expect((await late).status).toBe(200)
    await expectRejected(connection)
  })

  test('while a sign-in is pending emits authorizationRequired, and the end of that sign-in does as well', async () => {
    const { world, clock, connection, required, call } = await signedIn(forever)
    redirectOf(await connection.authorize({ force: true }))
    world.rejectedToken.add('access-1')
    await rejection(call())
    expect(await connection.status()).toMatchObject({ state: 'awaitingCallback', authorized: false })
    expect(required).toEqual(['t1'])
    redirectOf(await connection.authorize())
    expect(required).toEqual(['t1'])
    clock.advance(360_000)
    await connection.wake()
    expect(required).toEqual(['t1', 't1'])
  })

  test('stays rejected after a 2xx of another path', async () => {
    const { world, connection, call } = await signedIn(forever)
    world.rejectedToken.add('access-1')
    await rejection(call())
    world.rs.routes['GET /health'] = { body: {} }
    expect((await connection.fetch('/health')).status).toBe(200)
    await expectRejected(connection)
  })

  test('is not sent once it has expired, and stays rejected after wake() renews it, until a 2xx', async () => {
    const { world, clock, connection, call } = await signedIn()
    for (const token of ['access-1', 'access-2']) world.rejectedToken.add(token)
    await rejection(call())
    clock.advance(3_600_000)
    const sent = world.rs.seen.length
    expect(await rejection(call())).toMatchObject(REQUIRED)
    expect(world.rs.seen).toHaveLength(sent)
    await connection.wake()
    expect(refreshes(world)).toBe(2)
    await expectRejected(connection)
    expect((await call()).status).toBe(200)
    expect(await connection.status()).toMatchObject({ state: 'authorized', authorized: true })
  })

  test('is not returned to a caller that waited for the renewal of wake()', async () => {
    const { world, clock, connection, elsewhere, call } = await signedIn()
    for (const token of ['access-1', 'access-2']) world.rejectedToken.add(token)
    await rejection(call())
    clock.advance(3_600_000)
    const [arrived, gate] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
    world.tokenAnswers.push((good) => {
      arrived.resolve()
      return { body: good, until: gate.promise }
    })
    const waking = connection.wake()
    await arrived.promise
    const waiting = rejection(elsewhere.accessToken())
    const sending = call(elsewhere)
    gate.resolve()
    await waking
    expect(await waiting).toMatchObject(REQUIRED)
    expect((await sending).status).toBe(200)
  })

  test('does not hide a failed renewal that may succeed later', async () => {
    const { world, clock, connection, call } = await signedIn()
    world.rejectedToken.add('access-1')
    world.tokenAnswers.push({ status: 503 })
    expect(await rejection(call())).toMatchObject({ failure: { code: 'SERVER_UNAVAILABLE' }, nextAction: 'retry' })
    expect(await connection.status()).toMatchObject({ state: 'authorized', authorized: true })
    clock.advance(5_000)
    expect((await call()).status).toBe(200)
  })

  test.each(['fetch', 'accessToken', 'authorize'] as const)(
    'is recorded if its renewal ends with a rejection of the client: %s()',
    async (door) => {
      const { world, clock, store } = await signedIn()
      const clients = [{ issuer: world.issuer, clientId: 'host', clientSecret: 's' }]
      const [here, there] = [orchestrate({ clock, store, clients }), orchestrate({ clock, store, clients })]
      const connection = await signIn(world, here, { tenant: 't2', user: 'u1', server: world.server })
      const elsewhere = there.connection(connection.identity)
      const { value } = await elsewhere.accessToken()
      world.rejectedToken.add(value)
      world.tokenAnswers.push({ status: 401, body: { error: 'invalid_client' } })
      const rejected = { failure: { code: 'CLIENT_REJECTED' }, nextAction: 'configureClient' }
      if (door === 'fetch') expect(await rejection(connection.fetch(world.server))).toMatchObject(rejected)
      else if (door === 'accessToken')
        expect(await rejection(connection.accessToken({ rejectedToken: value }))).toMatchObject(rejected)
      else redirectOf(await connection.authorize({ challenge: 'Bearer error="invalid_token"' }))
      for (const by of [connection, elsewhere]) {
        expect(await by.status()).toMatchObject({ authorized: false })
        expect(await rejection(by.accessToken())).toMatchObject(rejected)
      }
      // The host has corrected its client.
      clock.advance(5_000)
      await elsewhere.wake()
      expect(await elsewhere.accessToken()).not.toMatchObject({ value })
      expect((await connection.fetch(world.server)).status).toBe(200)
      expect(await elsewhere.status()).toMatchObject({ state: 'authorized', authorized: true })
    },
  )

  test('is recorded if it was imported without the client that its renewal needs', async () => {
    const { world, here } = await signedIn()
    const connection = here.connection({ tenant: 't2', server: world.server })
    await connection.import({ tokens: { accessToken: 'imported', refreshToken: 'r' } })
    const required = { failure: { code: 'CLIENT_INFORMATION_REQUIRED' } }
    expect(await rejection(connection.fetch(world.server))).toMatchObject(required)
    expect(await connection.status()).toMatchObject({ state: 'reauthorizationRequired', authorized: false })
    expect(await rejection(connection.accessToken())).toMatchObject(required)
    const clientInformation = { issuer: world.issuer, clientId: 'host', clientSecret: 's' }
    await connection.import({ clientInformation })
    world.tokenAnswers.push((good) => ({ body: { access_token: 'renewed', token_type: 'Bearer', ...good } }))
    expect((await connection.accessToken()).value).toBe('renewed')
  })

  describe.each(['user', 'client_credentials'] as const)('whose renewal ended with CLIENT_REJECTED (%s)', (grant) => {
    const start = async () => {
      const world = await startWorld()
      const clock = new TestClock()
      const store = new MemoryStore({ clock })
      const clients = [{ issuer: world.issuer, clientId: 'host', clientSecret: 's' }]
      const [here, there] = [orchestrate({ clock, store, clients }), orchestrate({ clock, store, clients })]
      const connection =
        grant === 'user' ? await signIn(world, here) : here.connection({ tenant: 'm', server: world.server })
      if (grant !== 'user') await connection.authorize({ grant })
      world.rejectedToken.add('access-1')
      world.tokenAnswers.push({ status: 401, body: { error: 'invalid_client' } })
      expect(await rejection(connection.fetch(world.server))).toMatchObject({ failure: { code: 'CLIENT_REJECTED' } })
      const elsewhere = there.connection(connection.identity)
      return { world, clock, elsewhere }
    }

    test.each(['accessToken', 'fetch', 'authorize', 'wake'] as const)(
      'is replaced after the backoff, once the client is corrected, without the user: %s()',
      async (door) => {
        const { world, clock, elsewhere } = await start()
        const deferred = { failure: { code: 'CLIENT_REJECTED', details: { retryAfterMs: 5_000 } } }
        expect(await rejection(elsewhere.accessToken())).toMatchObject(deferred)
        expect(await rejection(elsewhere.fetch(world.server))).toMatchObject(deferred)
        expect(world.tokenRequests()).toHaveLength(2)
        clock.advance(5_000)
        if (door === 'accessToken') expect((await elsewhere.accessToken()).value).toBe('access-2')
        else if (door === 'fetch') expect((await elsewhere.fetch(world.server)).status).toBe(200)
        else if (door === 'authorize') expect(await elsewhere.authorize()).toMatchObject({ status: 'authorized' })
        else await elsewhere.wake()
        expect(await elsewhere.status()).toMatchObject({ state: 'authorized', authorized: true, failure: undefined })
        expect((await elsewhere.accessToken()).value).toBe('access-2')
        expect(world.tokenRequests()).toHaveLength(3)
      },
    )

    test('is replaced once the server answers, although it did not for a while', async () => {
      const { world, clock, elsewhere } = await start()
      world.tokenAnswers.push({ status: 503 })
      clock.advance(5_000)
      await rejection(elsewhere.accessToken())
      expect(await elsewhere.status()).toMatchObject({ authorized: false })
      clock.advance(10_000)
      expect((await elsewhere.accessToken()).value).toBe('access-2')
    })

    test('is not replaced once more if the server rejects its replacement as well', async () => {
      const { world, clock, elsewhere } = await start()
      world.rejectedToken.add('access-2')
      clock.advance(5_000)
      for (let turn = 0; turn < 3; turn += 1)
        expect(await rejection(elsewhere.fetch(world.server))).toMatchObject(REQUIRED)
      await expectRejected(elsewhere)
      expect(world.tokenRequests()).toHaveLength(3)
    })
  })

  test('of a non-interactive grant is recorded with the failure of its renewal, which callers get', async () => {
    const { world, store, clock } = await signedIn()
    const clients = [{ issuer: world.issuer, clientId: 'worker', clientSecret: 's' }]
    const connection = orchestrate({ clock, store, clients }).connection({ tenant: 't2', server: world.server })
    await connection.authorize({ grant: 'client_credentials' })
    world.rejectedToken.add('access-2')
    world.tokenAnswers.push({ status: 401, body: { error: 'invalid_client' } })
    const rejected = { failure: { code: 'CLIENT_REJECTED' }, nextAction: 'configureClient' }
    expect(await rejection(connection.fetch(world.server))).toMatchObject(rejected)
    expect(await rejection(connection.accessToken())).toMatchObject(rejected)
    expect(await connection.status()).toMatchObject({ authorized: false, ...rejected })
  })

  test('is returned by no process, and renewed by one that can, if only this process cannot renew it', async () => {
    const { world, store, clock } = await signedIn()
    const [assertions, connection] = [() => Promise.resolve('jwt'), { tenant: 't2', server: world.server }]
    await orchestrate({ clock, store, assertions }).connection(connection).authorize({ grant: 'jwt_bearer' })
    const here = orchestrate({ clock, store }).connection(connection)
    const rejectedToken = 'access-2'
    const unsupported = { failure: { code: 'GRANT_UNSUPPORTED', details: { reason: 'noAssertions' } } }
    expect(await rejection(here.accessToken({ rejectedToken }))).toMatchObject(unsupported)
    expect((await here.status()).authorized).toBe(false)
    expect(await rejection(here.accessToken())).toMatchObject(unsupported)
    const elsewhere = orchestrate({ clock, store, assertions }).connection(connection)
    clock.advance(5_000)
    expect((await elsewhere.accessToken()).value).toBe('access-3')
  })

  test('does not need another sign-in where the server requires stronger authentication', async () => {
    const { world, connection, call } = await signedIn()
    const served = world.rs.routes['POST /mcp'] ?? {}
    const challenge = 'Bearer error="insufficient_user_authentication", acr_values="urn:mfa"'
    world.rs.routes['POST /mcp'] = { status: 401, headers: { 'www-authenticate': challenge } }
    expect(await rejection(call())).toMatchObject(REQUIRED)
    expect(await connection.status()).toMatchObject({ state: 'authorized', authorized: true })
    world.rs.routes['POST /mcp'] = served
    expect((await call()).status).toBe(200)
  })

  test.each([400, 403])('may be answered with a %i: invalid_token is handled as a 401', async (status) => {
    const { world, connection, elsewhere, call } = await signedIn()
    const served = world.rs.routes['POST /mcp'] as (seen: Seen) => Answer
    world.rs.routes['POST /mcp'] = (seen) => {
      const answer = served(seen)
      return answer.status === 401 ? { ...answer, status } : answer
    }
    world.rejectedToken.add('access-1')
    expect((await call()).status).toBe(200)
    expect(refreshes(world)).toBe(1)
    for (const token of ['access-2', 'access-3']) world.rejectedToken.add(token)
    const required = { code: 'AUTHORIZATION_REQUIRED', details: { status, reason: 'rejectedAgain' } }
    expect(await rejection(call())).toMatchObject({ failure: required, nextAction: 'authorize' })
    await expectRejected(connection)
    await expectRejected(elsewhere)
  })

  test('is not rejected by a 403 or 400 without invalid_token', async () => {
    const { world, connection, call } = await signedIn()
    for (const [status, challenge] of [
      [403, 'Bearer error="forbidden"'],
      [400, 'Bearer error="invalid_request"'],
      [404, 'Bearer error="invalid_token"'],
    ] as const) {
      world.rs.routes['POST /mcp'] = { status, headers: { 'www-authenticate': challenge } }
      expect((await call()).status).toBe(status)
    }
    expect(await connection.status()).toMatchObject({ state: 'authorized', authorized: true })
  })

  test('is not one that lacks scope: a 401 with insufficient_scope is handled as a 403', async () => {
    const { world, connection, elsewhere, call } = await signedIn()
    const challenge = 'Bearer error="insufficient_scope", scope="mcp:admin"'
    world.rs.routes['POST /mcp'] = { status: 401, headers: { 'www-authenticate': challenge } }
    const required = { code: 'AUTHORIZATION_REQUIRED', details: { status: 401, reason: 'insufficientScope' } }
    for (const by of [connection, elsewhere]) {
      expect(await rejection(call(by))).toMatchObject({ failure: required })
      expect((await by.accessToken()).value).toBe('access-1')
    }
    expect(await elsewhere.status()).toMatchObject({ state: 'authorized', authorized: true })
    expect(refreshes(world)).toBe(0)
    const redirect = redirectOf(await elsewhere.authorize())
    expect(new URL(redirect.authorizationUrl).searchParams.get('scope')).toBe('mcp:tools mcp:admin')
  })

  test('is replaced by one of wider scope after a 401 with insufficient_scope, if that needs no user', async () => {
    const { world, store, clock } = await signedIn()
    const clients = [{ issuer: world.issuer, clientId: 'worker', clientSecret: 's' }]
    const connection = orchestrate({ clock, store, clients }).connection({ tenant: 't2', server: world.server })
    await connection.authorize({ grant: 'client_credentials' })
    const served = world.rs.routes['POST /mcp'] as (seen: Seen) => Answer
    const challenge = 'Bearer error="insufficient_scope", scope="mcp:admin"'
    world.rs.routes['POST /mcp'] = (seen) =>
      seen.headers.authorization === 'Bearer access-2'
        ? { status: 401, headers: { 'www-authenticate': challenge } }
        : served(seen)
    expect((await connection.fetch(world.server, { method: 'POST', body: '{}' })).status).toBe(200)
    expect(await connection.status()).toMatchObject({ authorized: true, scope: 'mcp:tools mcp:admin' })
  })
})

describe('a sign-in after two tokens that the server rejected', () => {
  const EVERY_TOKEN_REJECTED = {
    failure: { code: 'AUTHORIZATION_REQUIRED', details: { reason: 'everyTokenRejected' } },
    nextAction: 'fixServer',
  }

  test.each([
    ['with refresh tokens', (body: Record<string, unknown>): Answer => ({ body }), 1],
    ['without them', forever, 2],
  ])(
    '%s has a failure of its own if its token is rejected too, and authorize() redirects',
    async (_name, answer, signIns) => {
      const { world, clock, here, connection, elsewhere, call } = await signedIn(answer)
      world.rs.routes['POST /mcp'] = { status: 401, headers: { 'www-authenticate': 'Bearer error="invalid_token"' } }
      for (let turn = 0; turn < signIns; turn += 1) {
        expect(await rejection(call())).toMatchObject(REQUIRED)
        world.tokenAnswers.push(answer)
        await signInAgain(world, here, connection)
        clock.advance(60_000)
      }
      for (const by of [connection, elsewhere]) {
        expect(await rejection(call(by))).toMatchObject(EVERY_TOKEN_REJECTED)
        expect(await rejection(by.accessToken())).toMatchObject(EVERY_TOKEN_REJECTED)
        expect(await by.status()).toMatchObject({ authorized: false, ...EVERY_TOKEN_REJECTED })
      }
      expect((await connection.authorize()).status).toBe('redirect')
      clock.advance(540_000)
      expect(await rejection(connection.accessToken())).toMatchObject(REQUIRED)
      expect(await connection.status()).toMatchObject({
        authorized: false,
        failure: undefined,
        nextAction: 'authorize',
      })
    },
  )

  test('has it for a host with its own requests as well', async () => {
    const { world, here, connection } = await signedIn(forever)
    for (const rejectedToken of ['access-1', 'access-2']) {
      expect(await rejection(connection.accessToken({ rejectedToken }))).toMatchObject(REQUIRED)
      world.tokenAnswers.push(forever)
      await signInAgain(world, here, connection)
    }
    const rejected = connection.accessToken({ rejectedToken: 'access-3' })
    expect(await rejection(rejected)).toMatchObject(EVERY_TOKEN_REJECTED)
  })

  test('has it not if one of those was good for ten minutes', async () => {
    const { world, clock, here, connection, call } = await signedIn(forever)
    for (const token of ['access-1', 'access-2', 'access-3']) {
      world.rejectedToken.add(token)
      expect(await rejection(call())).toMatchObject(REQUIRED)
      expect(await connection.status()).toMatchObject({ nextAction: 'authorize' })
      world.tokenAnswers.push(forever)
      await signInAgain(world, here, connection)
      if (token === 'access-1') clock.advance(600_000)
    }
  })
})

describe('a token that the host rejects', () => {
  test('is remembered, and not accepted again after a 2xx', async () => {
    const { connection, elsewhere, required, call } = await signedIn(forever)
    for (let turn = 0; turn < 3; turn += 1)
      expect(await rejection(connection.accessToken({ rejectedToken: 'access-1' }))).toMatchObject(REQUIRED)
    expect((await call()).status).toBe(200)
    await expectRejected(elsewhere)
    expect(required).toEqual(['t1'])
    expect((await elsewhere.authorize()).status).toBe('redirect')
  })

  test('is renewed five times in a row, and then recorded', async () => {
    const { world, connection } = await signedIn()
    for (const number of [1, 2, 3, 4, 5])
      expect((await connection.accessToken({ rejectedToken: `access-${number}` })).value).toBe(`access-${number + 1}`)
    expect(await rejection(connection.accessToken({ rejectedToken: 'access-6' }))).toMatchObject(REQUIRED)
    await expectRejected(connection)
    expect(refreshes(world)).toBe(5)
  })

  test('is renewed however often, if a minute passes each time', async () => {
    const { clock, connection } = await signedIn()
    for (const number of [1, 2, 3, 4, 5, 6]) {
      await connection.accessToken({ rejectedToken: `access-${number}` })
      clock.advance(60_000)
    }
    expect((await connection.accessToken()).value).toBe('access-7')
  })

  test('is not recorded if it is no longer the stored one', async () => {
    const { world, clock, connection } = await signedIn()
    clock.advance(3_600_000)
    world.tokenAnswers.push(INVALID_GRANT)
    const { failure } = await connection.status()
    expect(failure).toBeUndefined()
    expect(await rejection(connection.accessToken({ rejectedToken: 'access-0' }))).toMatchObject(REQUIRED)
    expect((await connection.status()).journal.map(({ reason }) => reason)).not.toContain('token.rejected')
  })
})

describe('a server that serves some requests without a token', () => {
  const open = async () => {
    const world = await startWorld()
    const store = new CountingStore()
    const served = world.rs.routes['POST /mcp']
    world.rs.routes['POST /mcp'] = (seen) =>
      seen.body === 'tools/call' ? (typeof served === 'function' ? served(seen) : {}) : { body: {} }
    const [here, there] = [orchestrate({ store }), orchestrate({ store })]
    const connection = here.connection({ tenant: 't1', user: 'u1', server: world.server })
    const elsewhere = there.connection(connection.identity)
    const send = (body: string, by = connection) => by.fetch(world.server, { method: 'POST', body })
    return { world, store, here, connection, elsewhere, send }
  }

  test('is recorded once, and a 2xx clears no rejection there', async () => {
    const { world, store, here, connection, elsewhere, send } = await open()
    await send('initialize')
    await send('tools/list', elsewhere)
    expect(store.saves).toBe(1)
    await signIn(world, here)
    world.rejectedToken.add('access-1').add('access-2')
    expect(await rejection(send('tools/call'))).toMatchObject(REQUIRED)
    expect((await send('tools/list', elsewhere)).status).toBe(200)
    await expectRejected(connection)
    await expectRejected(elsewhere)
    await signInAgain(world, here, connection)
    expect((await send('tools/call')).status).toBe(200)
  })

  test('is recorded when authorize() asks it', async () => {
    const { world, here, connection, send } = await open()
    await signIn(world, here)
    world.rejectedToken.add('access-1').add('access-2')
    await rejection(send('tools/call'))
    expect((await send('tools/list')).status).toBe(200)
    await expectRejected(connection)
  })

  test('is not recorded from a request with credentials of the caller', async () => {
    const { world, store, connection } = await open()
    await connection.fetch(world.server, { method: 'POST', body: 'x', headers: { authorization: 'Bearer own' } })
    expect(store.size).toBe(0)
  })

  test('is used although the store is down', async () => {
    const { store, send } = await open()
    store.save = () => Promise.reject(new Error('down'))
    expect((await send('initialize')).status).toBe(200)
  })
})
