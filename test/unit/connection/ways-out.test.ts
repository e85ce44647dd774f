import { inspect } from 'node:util'
import { describe, expect, test } from 'vitest'
import { type AuthorizationError, MemoryStore } from '../../../src/index.ts'
import { TestClock } from './test-clock.ts'
import { orchestrate, redirectOf, rejection, signIn, startWorld } from './world.ts'

const INVALID_GRANT = { status: 400, body: { error: 'invalid_grant' } }
const UNAVAILABLE = { status: 503 }
const challengeOf = (error: string, scope: string) => ({
  'www-authenticate': `Bearer error="${error}", scope="${scope}"`,
})

async function signedIn() {
  const world = await startWorld()
  const clock = new TestClock()
  const store = new MemoryStore({ clock })
  const orchestrator = orchestrate({ clock, store })
  const connection = await signIn(world, orchestrator)
  const elsewhere = orchestrate({ clock, store }).connection(connection.identity)
  const call = (by = connection) => by.fetch(world.server, { method: 'POST', body: 'x' })
  const grants = (): (string | undefined)[] => world.tokenRequests().map(({ grant_type: grant }) => grant)
  return { world, clock, store, orchestrator, connection, elsewhere, call, grants }
}

describe('a person who wants to sign in', () => {
  test.each([403, 401])(
    'reaches the authorization server after a %i for a scope that was granted, once the tokens are over',
    async (status) => {
      const { world, connection, elsewhere, call } = await signedIn()
      world.rs.routes['POST /mcp'] = { status, headers: challengeOf('insufficient_scope', 'mcp:tools') }
      await rejection(call())
      world.tokenAnswers.push(INVALID_GRANT)
      world.rejectedToken.add('access-1')
      await rejection(connection.accessToken({ rejectedToken: 'access-1' }))
      expect(await connection.status()).toMatchObject({ authorized: false, nextAction: 'authorize' })
      for (const options of [{}, { force: true }]) expect((await elsewhere.authorize(options)).status).toBe('redirect')
    },
  )

  test('reaches the authorization server after two failed renewals, although the rejected token has not expired', async () => {
    const { world, clock, connection, call, grants } = await signedIn()
    world.rejectedToken.add('access-1')
    world.tokenAnswers.push(UNAVAILABLE, UNAVAILABLE, UNAVAILABLE)
    for (let turn = 0; turn < 2; turn += 1) {
      expect(await rejection(call())).toMatchObject({ failure: { code: 'SERVER_UNAVAILABLE' }, nextAction: 'retry' })
      clock.advance(10_000)
    }
    expect((await connection.authorize()).status).toBe('redirect')
    expect(grants()).toEqual(['authorization_code', 'refresh_token', 'refresh_token'])
  })

  test('does not reach it for a non-interactive grant that failed: authorize() requests that grant again', async () => {
    const world = await startWorld()
    const clock = new TestClock()
    const clients = [{ issuer: world.issuer, clientId: 'worker', clientSecret: 's' }]
    const connection = orchestrate({ clock, clients }).connection({ tenant: 't1', server: world.server })
    await connection.authorize({ grant: 'client_credentials', parameters: { audience: 'a' } })
    clock.advance(3_600_000)
    world.tokenAnswers.push({ status: 400, body: { error: 'invalid_scope' } })
    expect(await rejection(connection.accessToken())).toMatchObject({ failure: { code: 'EXCHANGE_REJECTED' } })
    expect((await connection.authorize()).status).toBe('authorized')
    expect(world.tokenRequests().map(({ audience }) => audience)).toEqual(['a', 'a', 'a'])
  })

  test('keeps the scope that lapsed tokens had, besides the scope that a challenge names', async () => {
    const { world, clock, connection, call } = await signedIn()
    world.rs.routes['POST /mcp'] = { status: 403, headers: challengeOf('insufficient_scope', 'mcp:write') }
    await rejection(call())
    clock.advance(3_600_000)
    world.tokenAnswers.push(INVALID_GRANT)
    await rejection(connection.accessToken())
    const redirect = redirectOf(await connection.authorize())
    expect(new URL(redirect.authorizationUrl).searchParams.get('scope')).toBe('mcp:tools mcp:write')
  })

  test('is not needed because of a late challenge for the token that was just replaced', async () => {
    const { connection, elsewhere } = await signedIn()
    const challenge = 'Bearer error="invalid_token"'
    expect((await connection.authorize({ challenge })).status).toBe('authorized')
    await connection.accessToken()
    await connection.authorize({ challenge })
    expect((await elsewhere.accessToken()).value).toBe('access-2')
  })

  test('is needed in every process as soon as a host passes on a challenge that no renewal cures', async () => {
    const { world, connection, elsewhere } = await signedIn()
    world.tokenAnswers.push(INVALID_GRANT)
    expect((await connection.authorize({ challenge: 'Bearer error="invalid_token"' })).status).toBe('redirect')
    expect(await elsewhere.status()).toMatchObject({ state: 'awaitingCallback', authorized: false })
    expect(await rejection(elsewhere.accessToken())).toMatchObject({ failure: { code: 'AUTHORIZATION_REQUIRED' } })
  })
})

describe('a failure of another operation', () => {
  test('a failed exchange says nothing about the tokens that callers renew', async () => {
    const { world, connection, elsewhere, orchestrator, grants } = await signedIn()
    const url = world.callback(redirectOf(await connection.authorize({ force: true })))
    const [arrived, gate] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
    world.tokenAnswers.push(() => {
      arrived.resolve()
      return { ...INVALID_GRANT, until: gate.promise }
    })
    const callback = orchestrator.completeCallback(url)
    await arrived.promise
    const replacement = elsewhere.accessToken({ rejectedToken: 'access-1' })
    gate.resolve()
    expect((await callback).status).toBe('failed')
    expect((await replacement).value).not.toBe('access-1')
    expect(grants()).toEqual(['authorization_code', 'authorization_code', 'refresh_token'])
    expect(await connection.status()).toMatchObject({ state: 'authorized', authorized: true })
  })

  test('failed callbacks defer no renewal', async () => {
    const { world, clock, connection, orchestrator } = await signedIn()
    for (let turn = 0; turn < 3; turn += 1) {
      world.tokenAnswers.push(INVALID_GRANT)
      await orchestrator.completeCallback(world.callback(redirectOf(await connection.authorize({ force: true }))))
    }
    clock.advance(3_600_000)
    expect((await connection.accessToken()).value).toMatch(/^access-/)
  })

  test('a denied sign-in does not end the time that the server asked for', async () => {
    const { world, clock, connection, orchestrator, grants } = await signedIn()
    clock.advance(3_600_000)
    world.tokenAnswers.push({ status: 429, headers: { 'retry-after': '300' } })
    await rejection(connection.accessToken())
    const redirect = redirectOf(await connection.authorize({ force: true }))
    await orchestrator.completeCallback(world.callback(redirect, { code: undefined, error: 'access_denied' }))
    expect(await rejection(connection.accessToken())).toMatchObject({
      failure: { code: 'RATE_LIMITED', details: { status: 429, retryAfterMs: 300_000 } },
    })
    expect(grants()).toEqual(['authorization_code', 'refresh_token'])
  })
})

describe('connection.fetch', () => {
  test('returns a response to a rejected token at once, while another process renews it', async () => {
    const { world, clock, connection, elsewhere, call } = await signedIn()
    for (const token of ['access-1', 'access-2']) world.rejectedToken.add(token)
    await rejection(call())
    world.rejectedToken.delete('access-2')
    clock.advance(3_580_000)
    const [arrived, gate] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
    world.tokenAnswers.push((good) => {
      arrived.resolve()
      return { body: good, until: gate.promise }
    })
    const waking = elsewhere.wake()
    await arrived.promise
    expect((await call()).status).toBe(200)
    gate.resolve()
    await waking
    expect((await call()).status).toBe(200)
    expect(await connection.status()).toMatchObject({ state: 'authorized', authorized: true })
  })

  test('renews at most five tokens in a row for a path that rejects every token', async () => {
    const { world, connection, grants } = await signedIn()
    world.rs.routes['POST /messages'] = { status: 401 }
    for (let turn = 0; turn < 8; turn += 1)
      await rejection(connection.fetch('/messages', { method: 'POST', body: 'x' }))
    expect(grants().filter((grant) => grant === 'refresh_token')).toHaveLength(5)
    expect((await connection.fetch(world.server, { method: 'POST', body: 'x' })).status).toBe(200)
  })

  test('throws an error whose challenge is not in its printed form', async () => {
    const { world, connection, call } = await signedIn()
    world.rs.routes['POST /mcp'] = { status: 401, headers: { 'www-authenticate': 'Bearer realm="secret"' } }
    const error = await call().catch((thrown: unknown) => thrown as AuthorizationError)
    expect(error).toMatchObject({ challenge: 'Bearer realm="secret"' })
    expect(inspect(error)).not.toContain('secret')
    expect(JSON.stringify(error)).not.toContain('secret')
    await connection.disconnect()
  })

  test('does not take a web page for an answer of MCP to a request without a token', async () => {
    const world = await startWorld()
    const store = new MemoryStore()
    const connection = orchestrate({ store }).connection({ tenant: 't1', server: world.server })
    world.rs.routes['GET /mcp'] = { headers: { 'content-type': 'text/html' }, body: '<html>' }
    world.rs.routes['POST /mcp'] = { headers: { 'content-type': 'text/html' }, body: '<html>' }
    await connection.fetch(world.server)
    await connection.fetch(world.server, { method: 'POST', body: 'x' })
    expect(store.size).toBe(0)
  })
})
