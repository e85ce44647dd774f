import { describe, expect, test } from 'vitest'
import type { Answer } from './peer.ts'
import { TestClock } from './test-clock.ts'
import { orchestrate, redirectOf, REDIRECT_URI, rejection, startWorld, type World } from './world.ts'

const of = (world: World) => ({ tenant: 't1', server: world.server })
const REQUEST_URI = 'urn:ietf:params:oauth:request_uri:one'

/** An authorization server that takes pushed requests only. */
async function pushingWorld(...answers: Answer[]): Promise<World & { pushed: () => Record<string, string>[] }> {
  const world = await startWorld()
  world.serverMetadata['pushed_authorization_request_endpoint'] = `${world.issuer}/par`
  world.serverMetadata['require_pushed_authorization_requests'] = true
  world.as.routes['POST /par'] = () =>
    answers.shift() ?? { status: 201, body: { request_uri: REQUEST_URI, expires_in: 60 } }
  const pushed = () =>
    world.as.seen.filter(({ path }) => path === '/par').map(({ body }) => Object.fromEntries(new URLSearchParams(body)))
  return Object.assign(world, { pushed })
}

describe('required pushed authorization requests', () => {
  test('a required pushed authorization request is authenticated, and the authorization URL contains only its request_uri', async () => {
    const world = await pushingWorld()
    world.serverMetadata['authorization_endpoint'] = `${world.issuer}/authorize?theme=dark`
    const connection = orchestrate().connection(of(world))
    const redirect = redirectOf(await connection.authorize({ parameters: { login_hint: 'me' } }))
    expect(redirect.authorizationUrl).toBe(
      `${world.issuer}/authorize?theme=dark&client_id=client-1&request_uri=${encodeURIComponent(REQUEST_URI)}`,
    )
    const [{ code_challenge: challenge, ...rest } = {}] = world.pushed()
    expect(challenge).toMatch(/^[\w-]{43}$/)
    expect(rest).toEqual({
      response_type: 'code',
      client_id: 'client-1',
      redirect_uri: REDIRECT_URI,
      scope: 'mcp:tools',
      resource: world.server,
      state: redirect.state,
      code_challenge_method: 'S256',
      login_hint: 'me',
    })
    expect(world.as.seen.at(-1)?.headers.authorization).toBe(
      `Basic ${Buffer.from('client-1:client-secret-1').toString('base64')}`,
    )
  })

  test('a callback of a pushed authorization request is completed like any other one', async () => {
    const world = await pushingWorld()
    const orchestrator = orchestrate()
    const redirect = redirectOf(await orchestrator.connection(of(world)).authorize())
    const asked = new URLSearchParams(world.pushed()[0])
    const whole = { ...redirect, authorizationUrl: `${world.issuer}/authorize?${asked.toString()}` }
    expect((await orchestrator.completeCallback(world.callback(whole))).status).toBe('authorized')
  })

  test.each(['invalid_client', 'unauthorized_client', 'invalid_redirect_uri'])(
    'a client that the PAR endpoint rejects with %s is registered once more',
    async (error) => {
      const world = await pushingWorld({ status: 400, body: { error } })
      const redirect = redirectOf(await orchestrate().connection(of(world)).authorize())
      expect(new URL(redirect.authorizationUrl).searchParams.get('client_id')).toBe('client-2')
      expect(world.pushed().map(({ client_id: id }) => id)).toEqual(['client-1', 'client-2'])
    },
  )

  test('a client that the PAR endpoint rejects twice is not registered a third time', async () => {
    const unauthorized = { status: 401, body: { error: 'invalid_client' } }
    const world = await pushingWorld(unauthorized, unauthorized)
    expect(await rejection(orchestrate().connection(of(world)).authorize())).toEqual({
      failure: {
        code: 'CLIENT_REJECTED',
        details: { url: `${world.issuer}/par`, status: 401, error: 'invalid_client', reason: 'dynamicClient' },
      },
      retryable: false,
      nextAction: 'authorize',
    })
    expect(world.pushed().map(({ client_id: id }) => id)).toEqual(['client-1', 'client-2'])
  })

  test('a configured client that the PAR endpoint rejects is not replaced by a registration', async () => {
    const world = await pushingWorld({ status: 401, body: { error: 'invalid_client' } })
    const clients = [{ issuer: world.issuer, clientId: 'mine', clientSecret: 's' }]
    expect(await rejection(orchestrate({ clients }).connection(of(world)).authorize())).toMatchObject({
      failure: { code: 'CLIENT_REJECTED', details: { error: 'invalid_client' } },
    })
    expect(world.as.asked()).not.toContain('POST /register')
  })

  test.each<[string, Answer, object]>([
    ['responds with 500', { status: 500, body: 'oops' }, { code: 'SERVER_UNAVAILABLE' }],
    ['closes the connection', { hangUp: true }, { code: 'HTTP_NETWORK' }],
    ['responds with 429 without Retry-After', { status: 429 }, { code: 'RATE_LIMITED' }],
    ['responds without JSON', { status: 201, body: 'hello' }, { code: 'RESPONSE_NOT_JSON' }],
    [
      'responds without a request_uri',
      { status: 201, body: {} },
      { code: 'RESPONSE_INVALID', details: { document: 'pushed authorization response', field: 'request_uri' } },
    ],
  ])(
    'a PAR endpoint that %s fails authorize(), and the next call pushes the request again',
    async (_name, answer, failure) => {
      const world = await pushingWorld(answer)
      const connection = orchestrate().connection(of(world))
      expect(await rejection(connection.authorize())).toMatchObject({ failure })
      expect((await connection.authorize()).status).toBe('redirect')
      expect(world.pushed()).toHaveLength(2)
    },
  )

  test.each<[number, string]>([
    [503, 'SERVER_UNAVAILABLE'],
    [429, 'RATE_LIMITED'],
  ])(
    'a PAR endpoint that responds with %i and Retry-After receives no request of any connection before',
    async (status, code) => {
      const world = await pushingWorld({ status, headers: { 'retry-after': '60' } })
      const clock = new TestClock()
      const orchestrator = orchestrate({ clock })
      const connectionOf = (user: string) => orchestrator.connection({ ...of(world), user })
      await rejection(connectionOf('u1').authorize())
      clock.advance(59_000)
      for (const user of ['u1', 'u2'])
        expect(await rejection(connectionOf(user).authorize())).toEqual({
          failure: { code, details: { url: `${world.issuer}/par`, status, retryAfterMs: 1_000 } },
          retryable: true,
          nextAction: 'retry',
        })
      expect(world.pushed()).toHaveLength(1)
      const own = { issuer: world.issuer, clientId: 'of-a-tenant' }
      const other = connectionOf('u3').authorize({ clientInformation: own })
      expect(await other.catch((error: unknown) => error)).toMatchObject({ status: 'redirect' })
      clock.advance(1_000)
      expect((await connectionOf('u2').authorize()).status).toBe('redirect')
    },
  )

  test('a scope that the PAR endpoint rejects is registered once more by the next authorize(), and then asked for', async () => {
    const invalidScope = { status: 400, body: { error: 'invalid_scope' } }
    const world = await pushingWorld(invalidScope, invalidScope)
    const connection = orchestrate().connection(of(world))
    expect(await rejection(connection.authorize())).toMatchObject({
      failure: { code: 'AUTHORIZATION_DENIED', details: { error: 'invalid_scope' } },
      nextAction: 'authorize',
    })
    expect(await rejection(connection.authorize())).toMatchObject({
      failure: { code: 'AUTHORIZATION_DENIED', details: { reason: 'contradictoryScopes', offered: 'mcp:tools' } },
      nextAction: 'configureClient',
    })
    expect(world.pushed().map(({ client_id: id }) => id)).toEqual(['client-1', 'client-2'])
  })

  test('a pushed authorization request that is rejected for another reason is for the host to correct', async () => {
    const world = await pushingWorld({ status: 400, body: { error: 'invalid_request' } })
    expect(await rejection(orchestrate().connection(of(world)).authorize())).toMatchObject({
      failure: { code: 'AUTHORIZATION_DENIED', details: { error: 'invalid_request', reason: 'pushedRequest' } },
      nextAction: 'configureClient',
    })
  })

  test('server metadata that requires pushed authorization requests without an endpoint is rejected', async () => {
    const world = await pushingWorld()
    delete world.serverMetadata['pushed_authorization_request_endpoint']
    expect(await rejection(orchestrate().connection(of(world)).authorize())).toMatchObject({
      failure: {
        code: 'RESPONSE_INVALID',
        details: { document: 'authorization server metadata', field: 'pushed_authorization_request_endpoint' },
      },
    })
  })
})

test('a pushed authorization request is not sent when the server supports but does not require it', async () => {
  const world = await pushingWorld()
  world.serverMetadata['require_pushed_authorization_requests'] = false
  await orchestrate().connection(of(world)).authorize()
  expect(world.pushed()).toEqual([])
})
