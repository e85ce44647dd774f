import { describe, expect, test } from 'vitest'
import { MemoryStore } from '../../../src/index.ts'
import { TestClock } from './test-clock.ts'
import { orchestrate, redirectOf, startWorld } from './world.ts'
import { verifies } from '../../support/verifies.ts'

/** A connection whose one callback meets this token response. */
async function exchanged(answer: object | string, options: { status?: number; type?: string } = {}) {
  const world = await startWorld()
  const clock = new TestClock()
  const orchestrator = orchestrate({ clock, store: new MemoryStore({ clock }) })
  const connection = orchestrator.connection({ tenant: 't1', server: world.server })
  const redirect = redirectOf(await connection.authorize())
  const { status = 200, type = 'application/json' } = options
  world.tokenAnswers.push({ status, headers: { 'content-type': type }, body: answer })
  const result = await orchestrator.completeCallback(world.callback(redirect))
  return { world, clock, connection, result }
}

const good = { access_token: 'a', token_type: 'Bearer', refresh_token: 'r' }

describe('access token expiry', () => {
  test.each([
    ['is missing', undefined, undefined],
    ['is null', null, undefined],
    ['is a number', 3600, 3_600_000],
    ['is a numeric string', '3600', 3_600_000],
    ['is zero', 0, 0],
    ['is a negative number', -5, 0],
    ['is a negative numeric string', '-5', 0],
    ['exceeds ten years', 1e300, 10 * 365 * 86_400_000],
  ])('an access token whose expires_in %s is stored with the matching expiry', async (_name, expiresIn, lifetimeMs) => {
    const { clock, connection, result } = await exchanged({ ...good, expires_in: expiresIn })
    expect(result.status).toBe('authorized')
    const { expiresAt, authorized } = await connection.status()
    expect({ expiresAt, authorized }).toEqual({
      expiresAt: lifetimeMs === undefined ? undefined : clock.now() + lifetimeMs,
      authorized: true,
    })
  })

  test('an access token without an expiry is used until a server rejects it', async () => {
    const { clock, connection } = await exchanged({ ...good, refresh_token: undefined })
    clock.advance(365 * 86_400_000)
    expect((await connection.accessToken()).value).toBe('a')
    expect(await connection.status()).toMatchObject({ state: 'authorized', nextWakeAt: undefined })
  })

  test('a refreshed access token with expires_in 0 is returned to the callers that requested it', async () => {
    const { world, connection } = await exchanged({ ...good, expires_in: 0 })
    world.tokenAnswers.push({ body: { ...good, access_token: 'b', expires_in: 0 } })
    world.tokenAnswers.push({ body: { ...good, access_token: 'c', expires_in: 0 } })
    expect((await connection.accessToken()).value).toBe('b')
    expect((await connection.accessToken()).value).toBe('c')
  })
})

describe('token endpoint quirks', () => {
  test('a form-encoded token response is accepted', async () => {
    const form = 'access_token=gho_1&token_type=bearer&scope=repo+gist&expires_in=28800&refresh_token=ghr_1'
    const { clock, connection } = await exchanged(form, { type: 'application/x-www-form-urlencoded' })
    expect(await connection.accessToken()).toEqual({
      value: 'gho_1',
      type: 'Bearer',
      scope: 'repo gist',
      expiresAt: clock.now() + 28_800_000,
    })
  })

  test(
    'a refresh response without a refresh token keeps the current refresh token',
    verifies(113, async () => {
      const { world, clock, connection } = await exchanged({ ...good, expires_in: 60, scope: 'narrow' })
      for (const value of ['b', 'c']) {
        clock.advance(60_000)
        world.tokenAnswers.push({ body: { access_token: value, token_type: 'bearer', expires_in: 60 } })
        expect(await connection.accessToken()).toEqual({
          value,
          type: 'Bearer',
          scope: 'narrow',
          expiresAt: clock.now() + 60_000,
        })
      }
      const sent = world.tokenRequests().filter(({ grant_type: grant }) => grant === 'refresh_token')
      expect(sent).toEqual([
        { grant_type: 'refresh_token', refresh_token: 'r', resource: world.server },
        { grant_type: 'refresh_token', refresh_token: 'r', resource: world.server },
      ])
    }),
  )

  test('a token response with status 200 and an error is rejected with EXCHANGE_REJECTED', async () => {
    const { world, result } = await exchanged({ error: 'bad_verification_code' })
    expect(result).toMatchObject({
      status: 'failed',
      failure: {
        code: 'EXCHANGE_REJECTED',
        details: { url: `${world.issuer}/token`, status: 200, error: 'bad_verification_code' },
      },
    })
  })

  test.each([
    { expires_in: 'never' },
    { expires_in: [3600] },
    { refresh_token_expires_in: '2027-01-01T00:00:00Z' },
    { scope: 'x'.repeat(4_097) },
    { id_token: {} },
  ])('a refresh response is stored without an optional member that is unreadable: %j', async (unreadable) => {
    const { world, clock, connection } = await exchanged({ ...good, expires_in: 60, scope: 'a' })
    clock.advance(60_000)
    const renewed = { access_token: 'b', token_type: 'Bearer', refresh_token: 's', expires_in: 60 }
    world.tokenAnswers.push({ body: { ...renewed, ...unreadable } }, { body: good })
    const expiresAt = 'expires_in' in unreadable ? undefined : clock.now() + 60_000
    expect(await connection.accessToken()).toEqual({ value: 'b', type: 'Bearer', scope: 'a', expiresAt })
    expect(await connection.status()).toMatchObject({ authorized: true, failure: undefined })
    clock.advance(60_000)
    await connection.accessToken({ rejectedToken: 'b' })
    expect(world.tokenRequests().at(-1)).toMatchObject({ grant_type: 'refresh_token', refresh_token: 's' })
  })

  test('a refresh token expires when its refresh_token_expires_in has elapsed', async () => {
    const { clock, connection } = await exchanged({ ...good, expires_in: 60, refresh_token_expires_in: 120 })
    clock.advance(119_999)
    expect(await connection.status()).toMatchObject({ state: 'authorized', authorized: true })
    clock.advance(1)
    expect(await connection.status()).toMatchObject({ state: 'reauthorizationRequired', authorized: false })
  })
})

describe('an invalid token response', () => {
  test.each([
    ['is not JSON', '<html>'],
    ['is a list', '[]'],
  ])(
    'a token response that %s has an unknown outcome: the code is sent once more after the lease',
    async (_name, answer) => {
      const { world, clock, connection, result } = await exchanged(answer)
      const details = { url: `${world.issuer}/token`, status: 200, document: 'token response', reason: 'unreadable' }
      const failure = { code: 'TOKEN_RESPONSE_INVALID', details }
      expect(result).toMatchObject({ status: 'failed', failure })
      expect(await connection.status()).toMatchObject({ state: 'exchanging', authorized: false, failure })
      clock.advance(35_000)
      world.tokenAnswers.push({ body: answer })
      await connection.wake()
      expect(await connection.status()).toMatchObject({ state: 'failed', failure, nextWakeAt: undefined })
      expect(world.tokenRequests()).toHaveLength(2)
    },
  )

  test.each([
    ['lacks an access token', { token_type: 'Bearer' }, { field: 'access_token' }],
    [
      'has an access token that cannot be sent in a header',
      { ...good, access_token: 'a b' },
      { field: 'access_token' },
    ],
    ['lacks a token type', { access_token: 'a' }, { field: 'token_type' }],
    ['has an unsupported token type', { ...good, token_type: 'mac' }, { field: 'token_type' }],
  ])(
    'a token response that %s is rejected with the name of the field, and the code is not sent again (mcp-context-forge#4594)',
    async (_name, answer, wrong) => {
      const { world, clock, connection, result } = await exchanged(answer)
      const failure = {
        code: 'TOKEN_RESPONSE_INVALID',
        details: { url: `${world.issuer}/token`, status: 200, document: 'token response', ...wrong },
      }
      expect(result).toMatchObject({ status: 'failed', failure })
      clock.advance(35_000)
      await connection.wake()
      expect(await connection.status()).toMatchObject({
        state: 'failed',
        failure,
        expiresAt: undefined,
        nextWakeAt: undefined,
      })
      expect(world.tokenRequests()).toHaveLength(1)
    },
  )

  test('a token response whose scope is a list is stored as a scope (mcp-context-forge#4594)', async () => {
    const { connection, result } = await exchanged({ ...good, scope: ['files:read', 'files:write'] })
    expect(result.status).toBe('authorized')
    expect((await connection.accessToken()).scope).toBe('files:read files:write')
  })

  test('a refresh that is answered without tokens keeps the connection until the server rejects its refresh token', async () => {
    const { world, clock, connection } = await exchanged({ ...good, expires_in: 3600 })
    world.tokenAnswers.push({ body: { ok: true } })
    clock.advance(3_580_000)
    expect((await connection.accessToken()).value).toBe('a')
    const details = { url: `${world.issuer}/token`, status: 200, document: 'token response', field: 'access_token' }
    expect(await connection.status()).toMatchObject({
      state: 'authorized',
      authorized: true,
      failure: { code: 'TOKEN_RESPONSE_INVALID', details },
    })
    expect(world.tokenRequests()).toHaveLength(2)
    // The first refresh may have consumed the refresh token: its reuse may have revoked the access token as well.
    world.tokenAnswers.push({ status: 400, body: { error: 'invalid_grant' } })
    clock.advance(6_000)
    // Callers do not send it again.
    expect((await connection.accessToken()).value).toBe('a')
    await connection.wake()
    expect(await connection.status()).toMatchObject({ state: 'reauthorizationRequired', authorized: false })
  })
})
