import { describe, expect, test, vi } from 'vitest'
import { MemoryStore } from '../../../src/index.ts'
import { TestClock } from './test-clock.ts'
import { orchestrate, rejection, startWorld } from './world.ts'
import { verifies } from '../../support/verifies.ts'

const clientInformation = { clientId: 'robot', clientSecret: 'robot secret' }
const BASIC = `Basic ${Buffer.from('robot:robot+secret').toString('base64')}`

describe('the client_credentials grant', () => {
  test('client_credentials with clientInformation signs in without the user and renews the token in the same way', async () => {
    const world = await startWorld()
    const clock = new TestClock()
    const connection = orchestrate({ clock }).connection({ tenant: 't1', server: world.server })
    const result = await connection.authorize({ grant: 'client_credentials', clientInformation, scope: 'mcp:tools' })
    expect(result).toEqual({
      status: 'authorized',
      actions: [
        expect.objectContaining({ type: 'saveClientInformation' }),
        {
          type: 'saveTokens',
          tenant: 't1',
          user: undefined,
          server: world.server,
          label: undefined,
          generation: 1,
          data: {
            accessToken: 'access-1',
            tokenType: 'Bearer',
            scope: 'mcp:tools',
            expiresAt: clock.now() + 3_600_000,
            refreshToken: undefined,
            grant: 'client_credentials',
            issuer: world.issuer,
          },
        },
      ],
    })
    expect(await connection.status()).toMatchObject({ state: 'authorized', authorized: true, scope: 'mcp:tools' })
    clock.advance(3_600_000)
    expect(await connection.status()).toMatchObject({ state: 'authorized', authorized: true })
    expect((await connection.accessToken()).value).toBe('access-2')
    const asked = { grant_type: 'client_credentials', scope: 'mcp:tools', resource: world.server }
    expect(world.tokenRequests()).toEqual([asked, asked])
    const sent = world.as.seen.filter(({ path }) => path === '/token').map(({ headers }) => headers.authorization)
    expect(sent).toEqual([BASIC, BASIC])
    expect(world.as.asked()).not.toContain('POST /register')
  })

  test('authorize() and accessToken() that renew the same token share one run', async () => {
    const world = await startWorld()
    const clock = new TestClock()
    const store = new MemoryStore({ clock })
    const connection = orchestrate({ clock, store }).connection({ tenant: 't1', server: world.server })
    await connection.authorize({ grant: 'client_credentials', clientInformation })
    const saves = vi.spyOn(store, 'save')
    const loads = vi.spyOn(store, 'load')
    const requestsOf = async (other: () => Promise<unknown>): Promise<number[]> => {
      clock.advance(3_600_000)
      saves.mockClear()
      loads.mockClear()
      await Promise.all([connection.accessToken(), other()])
      return [loads.mock.calls.length, saves.mock.calls.length]
    }
    const ofEqualCalls = await requestsOf(() => connection.accessToken({}))
    expect(await requestsOf(() => connection.authorize())).toEqual(ofEqualCalls)
  })

  test('client_credentials of a configured client requests its configured scope', async () => {
    const world = await startWorld()
    const clients = [{ issuer: world.issuer, ...clientInformation, scope: 'robots' }]
    const connection = orchestrate({ clients }).connection({ tenant: 't1', server: world.server })
    expect((await connection.authorize({ grant: 'client_credentials' })).status).toBe('authorized')
    expect(world.tokenRequests()).toEqual([
      { grant_type: 'client_credentials', scope: 'robots', resource: world.server },
    ])
  })

  test('client_credentials is chosen when the server supports no other grant', async () => {
    const world = await startWorld()
    world.serverMetadata['grant_types_supported'] = ['Client_Credentials']
    const connection = orchestrate().connection({ tenant: 't1', server: world.server })
    expect((await connection.authorize({ clientInformation })).status).toBe('authorized')
  })

  test(
    'client_credentials without a client or a secret rejects with CLIENT_INFORMATION_REQUIRED before any token request',
    verifies(170, async () => {
      const world = await startWorld()
      const connection = orchestrate().connection({ tenant: 't1', server: world.server })
      const missing = (reason: string): object => ({
        failure: { code: 'CLIENT_INFORMATION_REQUIRED', details: expect.objectContaining({ reason }) },
        retryable: false,
        nextAction: 'configureClient',
      })
      expect(await rejection(connection.authorize({ grant: 'client_credentials' }))).toEqual(
        missing('nonInteractiveGrant'),
      )
      const withoutSecret = { grant: 'client_credentials', clientInformation: { clientId: 'robot' } } as const
      expect(await rejection(connection.authorize(withoutSecret))).toEqual(missing('secretMissing'))
      expect(await connection.status()).toMatchObject({
        state: 'failed',
        authorized: false,
        failure: { code: 'CLIENT_INFORMATION_REQUIRED' },
        nextAction: 'configureClient',
      })
      expect(world.as.asked()).toEqual(['GET /.well-known/oauth-authorization-server'])
    }),
  )

  test('client_credentials that the server rejects fail with CLIENT_REJECTED', async () => {
    const world = await startWorld()
    world.tokenAnswers.push({
      status: 401,
      body: { error: 'invalid_client', error_description: 'robot secret is wrong' },
    })
    const connection = orchestrate().connection({ tenant: 't1', server: world.server })
    expect(await rejection(connection.authorize({ grant: 'client_credentials', clientInformation }))).toEqual({
      failure: {
        code: 'CLIENT_REJECTED',
        details: { url: `${world.issuer}/token`, status: 401, error: 'invalid_client' },
      },
      retryable: false,
      nextAction: 'configureClient',
    })
  })

  test('client_credentials that the server rejects are requested at once after import() of another secret', async () => {
    const world = await startWorld()
    const connection = orchestrate().connection({ tenant: 't1', server: world.server })
    await connection.import({ clientInformation })
    world.tokenAnswers.push({ status: 401, body: { error: 'invalid_client' } })
    const authorize = () => connection.authorize({ grant: 'client_credentials' })
    expect(await rejection(authorize())).toMatchObject({ failure: { code: 'CLIENT_REJECTED' } })
    await connection.import({ clientInformation: { ...clientInformation, clientSecret: 'corrected' } })
    expect(await authorize().catch((error: unknown) => error)).toMatchObject({ status: 'authorized' })
  })

  test('an assertion that the server rejects is followed by the next one at once', async () => {
    const world = await startWorld()
    const assertions = vi.fn(() => Promise.resolve('assertion'))
    const clients = [{ issuer: world.issuer, ...clientInformation }]
    const connection = orchestrate({ clients, assertions }).connection({ tenant: 't1', server: world.server })
    world.tokenAnswers.push({ status: 400, body: { error: 'invalid_grant' } })
    const authorize = () => connection.authorize({ grant: 'jwt_bearer' })
    expect(await rejection(authorize())).toMatchObject({ failure: { code: 'EXCHANGE_REJECTED' } })
    expect(await authorize().catch((error: unknown) => error)).toMatchObject({ status: 'authorized' })
    expect(assertions).toHaveBeenCalledTimes(2)
  })

  test('client_credentials that the server rejects are requested again after the backoff, with other options or by force', async () => {
    const world = await startWorld()
    const clock = new TestClock()
    const connection = orchestrate({ clock }).connection({ tenant: 't1', server: world.server })
    const options = { grant: 'client_credentials', clientInformation } as const
    const invalidScope = { status: 400, body: { error: 'invalid_scope' } }
    const rejected = { code: 'EXCHANGE_REJECTED', details: { reason: 'nonInteractiveGrant', error: 'invalid_scope' } }
    world.tokenAnswers.push(...Array.from({ length: 5 }, () => invalidScope))
    for (let call = 0; call < 5; call += 1)
      expect(await rejection(connection.authorize(options))).toMatchObject({
        failure: rejected,
        nextAction: 'configureClient',
      })
    expect(world.tokenRequests()).toHaveLength(1)
    clock.advance(4_000)
    expect(await rejection(connection.authorize(options))).toMatchObject({
      failure: { ...rejected, details: { ...rejected.details, retryAfterMs: 1_000 } },
    })
    clock.advance(1_000)
    await rejection(connection.authorize(options))
    expect(world.tokenRequests()).toHaveLength(2)
    await rejection(connection.authorize({ ...options, parameters: { audience: 'a' } }))
    await rejection(
      connection.authorize({ ...options, clientInformation: { ...clientInformation, clientSecret: 'x' } }),
    )
    await rejection(connection.authorize({ ...options, force: true }))
    expect(world.tokenRequests()).toHaveLength(5)
    expect((await connection.authorize({ ...options, scope: 'mcp:read' })).status).toBe('authorized')
  })

  test('client_credentials tokens are replaced by a user sign-in only if the grant authorization_code is requested', async () => {
    const world = await startWorld()
    const connection = orchestrate().connection({ tenant: 't1', server: world.server })
    await connection.authorize({ grant: 'client_credentials', clientInformation })
    expect((await connection.authorize()).status).toBe('authorized')
    expect((await connection.authorize({ grant: 'authorization_code' })).status).toBe('redirect')
    expect((await connection.accessToken()).value).toBe('access-1')
  })
})

describe('grant selection', () => {
  test('authorize() selects authorization_code when the server metadata lists no grants, unless the caller names another grant', async () => {
    const world = await startWorld()
    delete world.serverMetadata['grant_types_supported']
    const connection = orchestrate().connection({ tenant: 't1', server: world.server })
    expect((await connection.authorize({ clientInformation })).status).toBe('redirect')
    expect((await connection.authorize({ grant: 'client_credentials', clientInformation })).status).toBe('authorized')
  })

  test('authorize() rejects with GRANT_UNSUPPORTED when the server metadata lists only other grants', async () => {
    const world = await startWorld()
    world.serverMetadata['grant_types_supported'] = ['implicit', 'password']
    const connection = orchestrate().connection({ tenant: 't1', server: world.server })
    expect(await rejection(connection.authorize())).toEqual({
      failure: { code: 'GRANT_UNSUPPORTED', details: { expected: 'authorization_code', offered: 'implicit password' } },
      retryable: false,
      nextAction: 'configureClient',
    })
  })
})
