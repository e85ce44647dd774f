import { describe, expect, test } from 'vitest'
import { AuthorizationError, type AuthOrchestratorOptions, type Failure, MemoryStore } from '../../../src/index.ts'
import { type Answer, QUESTION, withoutQuestion } from './peer.ts'
import { TestClock } from './test-clock.ts'
import { orchestrate, redirectOf, rejection, signIn, startWorld } from './world.ts'

const PRM = 'GET /.well-known/oauth-protected-resource/mcp'
const ROOT = 'GET /.well-known/oauth-protected-resource'
const METADATA = 'GET /.well-known/oauth-authorization-server'
const RESULT = { jsonrpc: '2.0', id: 1, result: {} }

async function first(options: Partial<AuthOrchestratorOptions> = {}) {
  const world = await startWorld()
  const clock = new TestClock()
  const store = new MemoryStore({ clock })
  const start = () => orchestrate({ clock, store, ...options })
  const orchestrator = start()
  const identity = { tenant: 't1', user: 'u1', server: world.server }
  return { world, clock, store, start, orchestrator, identity, connection: orchestrator.connection(identity) }
}

/** A server that answers every request, and publishes no metadata. */
async function open(answer: Answer = { body: RESULT }) {
  const setup = await first()
  const { routes } = setup.world.rs
  delete routes[PRM]
  const protect = ['POST', 'GET'].map((method) => {
    const route = routes[`${method} /mcp`] ?? {}
    routes[`${method} /mcp`] = answer
    return () => (routes[`${method} /mcp`] = route)
  })
  return {
    ...setup,
    /** From now on the server requires a token. */
    protect: () => {
      for (const restore of protect) restore()
      routes[PRM] = { body: setup.world.resourceMetadata }
    },
  }
}

const errorOf = async (promise: Promise<unknown>): Promise<AuthorizationError> => {
  const error: unknown = await promise.catch((reason: unknown) => reason)
  if (error instanceof AuthorizationError) return error
  throw new Error('expected an AuthorizationError', { cause: error })
}
const scopeOf = (result: Parameters<typeof redirectOf>[0]): string | null =>
  new URL(redirectOf(result).authorizationUrl).searchParams.get('scope')
const questions = ({ rs }: Awaited<ReturnType<typeof startWorld>>): number =>
  rs.seen.filter(({ body }) => body === QUESTION).length

describe('a server that requires no authorization', () => {
  test('a server that requires no authorization is used without a token and without a record', async () => {
    const { world, store, connection } = await open({ status: 202, headers: { 'x-own': '1' }, body: RESULT })
    const headers = { 'mcp-session-id': 's', accept: 'application/json' }
    const response = await connection.fetch(world.server, { method: 'POST', headers, body: 'hello' })
    expect([response.status, response.headers.get('x-own'), await response.json()]).toEqual([202, '1', RESULT])
    expect(world.rs.seen).toMatchObject([{ method: 'POST', path: '/mcp', headers, body: 'hello' }])
    expect(world.rs.seen[0]?.headers).not.toHaveProperty('authorization')
    expect(store.size).toBe(0)
  })

  test.each([301, 400, 403, 404, 405, 429, 500, 503])(
    'connection.fetch returns a %s of a connection without tokens unchanged',
    async (status) => {
      const { world, connection } = await open({ status, body: { why: 'not you' } })
      const response = await connection.fetch(world.server, { method: 'POST', body: 'x' })
      expect([response.status, await response.json()]).toEqual([status, { why: 'not you' }])
    },
  )

  test('authorize() returns notRequired, which counts for a day in every process', async () => {
    const { world, clock, start, identity, connection } = await open()
    const t0 = clock.now()
    expect(await connection.authorize()).toEqual({ status: 'notRequired', actions: [] })
    expect(world.rs.asked()).toEqual(['POST /mcp', PRM, ROOT, METADATA])
    const elsewhere = start().connection(identity)
    const expected = {
      state: 'disconnected',
      authorized: false,
      notRequired: true,
      scope: undefined,
      expiresAt: undefined,
      nextWakeAt: undefined,
      failure: undefined,
      nextAction: 'none',
      facts: [],
      journal: [{ at: t0, from: 'disconnected', to: 'disconnected', reason: 'discoverServer.done' }],
    }
    expect(await elsewhere.status()).toEqual(expected)
    await elsewhere.awaitAuthorized({ timeoutMs: 1 })
    expect(await rejection(elsewhere.accessToken())).toEqual({
      failure: { code: 'AUTHORIZATION_NOT_OFFERED', details: { reason: 'notRequired' } },
      retryable: false,
      nextAction: 'none',
    })
    expect((await elsewhere.fetch(world.server)).status).toBe(200)
    clock.advance(86_399_999)
    expect(await connection.status()).toEqual(expected)
    clock.advance(1)
    expect(clock.now()).toBe(t0 + 86_400_000)
    expect(await connection.status()).toMatchObject({ notRequired: false, nextAction: 'authorize' })
  })

  test('authorize() asks again after notRequired', async () => {
    const { world, connection, protect } = await open()
    await connection.authorize()
    await connection.authorize()
    expect(questions(world)).toBe(2)
    protect()
    expect(scopeOf(await connection.authorize())).toBe('mcp:tools')
    expect(await connection.status()).toMatchObject({
      state: 'awaitingCallback',
      notRequired: false,
      nextAction: 'authorize',
    })
    expect(await rejection(connection.accessToken())).toMatchObject({ failure: { code: 'AUTHORIZATION_REQUIRED' } })
  })

  test.each<[string, Answer, Failure]>([
    ['a 503', { status: 503 }, { code: 'SERVER_UNAVAILABLE', details: { status: 503 } }],
    ['a 429', { status: 429 }, { code: 'RATE_LIMITED', details: { status: 429 } }],
    ['a lost connection', { hangUp: true }, { code: 'HTTP_NETWORK', details: { reason: 'connectionLost' } }],
  ])(
    '%s in response to the question after notRequired makes authorize() reject, and status() says both',
    async (_name, answer, failure) => {
      const { world, clock, start, identity, connection } = await open()
      await connection.authorize()
      const { routes } = world.rs
      const served = routes['POST /mcp'] ?? {}
      routes['POST /mcp'] = answer
      expect(await rejection(connection.authorize())).toMatchObject({ failure, retryable: true, nextAction: 'retry' })
      const elsewhere = start().connection(identity)
      clock.advance(86_399_999)
      const remembered = { state: 'disconnected', authorized: false, notRequired: true }
      expect(await elsewhere.status()).toMatchObject({ ...remembered, failure, nextAction: 'retry' })
      await elsewhere.awaitAuthorized({ timeoutMs: 1 })
      routes['POST /mcp'] = served
      expect(await elsewhere.authorize()).toEqual({ status: 'notRequired', actions: [] })
      expect(await elsewhere.status()).toMatchObject({ ...remembered, failure: undefined, nextAction: 'none' })
    },
  )

  test('a server that begins to require authorization is signed in to after its 401', async () => {
    const { world, orchestrator, connection, protect } = await open()
    await connection.authorize()
    expect((await connection.fetch(world.server)).status).toBe(200)
    protect()
    const { code, challenge } = await errorOf(connection.fetch(world.server))
    expect([code, challenge]).toEqual([
      'AUTHORIZATION_REQUIRED',
      `Bearer error="invalid_token", resource_metadata="${world.rs.origin}/.well-known/oauth-protected-resource/mcp"`,
    ])
    expect(await connection.status()).toMatchObject({ notRequired: false, nextAction: 'authorize' })
    expect(await rejection(connection.accessToken())).toMatchObject({ failure: { code: 'AUTHORIZATION_REQUIRED' } })
    const redirect = redirectOf(await connection.authorize())
    expect((await orchestrator.completeCallback(world.callback(redirect))).status).toBe('authorized')
    expect(await (await connection.fetch(world.server)).json()).toMatchObject({ token: 'access-1' })
  })

  test('a server that responds without a token and publishes metadata is signed in to', async () => {
    const { world, connection } = await open()
    world.rs.routes[PRM] = { body: world.resourceMetadata }
    expect(scopeOf(await connection.authorize())).toBe('mcp:tools')
  })

  test('a web page instead of an MCP server makes authorize() reject with AUTHORIZATION_NOT_OFFERED and the URLs', async () => {
    const { world, connection } = await open({ headers: { 'content-type': 'text/html' }, body: '<html>' })
    const { origin } = world.rs
    expect(await rejection(connection.authorize())).toEqual({
      failure: {
        code: 'AUTHORIZATION_NOT_OFFERED',
        details: { urls: [world.server, ...[PRM, ROOT, METADATA].map((name) => origin + name.slice(4))] },
      },
      retryable: false,
      nextAction: 'configureClient',
    })
    expect(await connection.status()).toMatchObject({ notRequired: false, state: 'failed' })
  })

  test.each<[string, Answer, object]>([
    [
      'a 503',
      { status: 503, headers: { 'retry-after': '7' } },
      { code: 'SERVER_UNAVAILABLE', details: { status: 503, retryAfterMs: 7_000 } },
    ],
    ['a 429', { status: 429 }, { code: 'RATE_LIMITED', details: { status: 429 } }],
    ['a lost connection', { hangUp: true }, { code: 'HTTP_NETWORK', details: { reason: 'connectionLost' } }],
  ])(
    '%s in response to the question makes authorize() reject before any metadata is requested',
    async (_, answer, failure) => {
      const { world, connection } = await open(answer)
      expect(await rejection(connection.authorize())).toMatchObject({ failure, retryable: true })
      expect(world.rs.asked()).toEqual(['POST /mcp'])
    },
  )
})

describe('a server that requires authorization', () => {
  test('a server whose metadata is named only by its 401, with a query, is signed in to', async () => {
    const { world, orchestrator } = await first()
    const path = '/runtimes/arn%3Aaws%3Abedrock-agentcore%3Aus-east-1%3A111122223333%3Aruntime%2Fdemo/invocations'
    const server = `${world.rs.origin}${path}?qualifier=DEFAULT`
    const named = `${path}/.well-known/oauth-protected-resource?qualifier=DEFAULT`
    const challenge = `Bearer resource_metadata="${world.rs.origin}${named}"`
    world.rs.routes[`POST ${path}`] = { status: 401, headers: { 'www-authenticate': challenge } }
    world.rs.routes[`GET ${named.split('?')[0]}`] = { body: { ...world.resourceMetadata, resource: server } }
    const asked = orchestrator.connection({ tenant: 't1', server })
    const redirect = redirectOf(await asked.authorize())
    expect(new URL(redirect.authorizationUrl).searchParams.get('resource')).toBe(server)
    expect((await orchestrator.completeCallback(world.callback(redirect))).status).toBe('authorized')
    const fetched = orchestrator.connection({ tenant: 't2', server })
    expect((await errorOf(fetched.fetch(server, { method: 'POST', body: 'x' }))).challenge).toBe(challenge)
    expect(new URL(redirectOf(await fetched.authorize()).authorizationUrl).origin).toBe(world.issuer)
    expect(world.rs.seen.map(({ method, path: seen }) => `${method} ${seen}`)).toEqual([
      `POST ${path}?qualifier=DEFAULT`,
      `GET ${named}`,
      `POST ${path}?qualifier=DEFAULT`,
      `GET ${named}`,
    ])
  })

  test('authorize() requests the scope of the challenge instead of the scopes of the metadata', async () => {
    const { world, orchestrator, connection } = await first()
    world.resourceMetadata['scopes_supported'] = ['files:read', 'files:write', 'admin:all']
    world.rs.routes['POST /mcp'] = { status: 401, headers: { 'www-authenticate': 'Bearer scope="files:read"' } }
    await errorOf(connection.fetch(world.server, { method: 'POST', body: 'x' }))
    expect(scopeOf(await connection.authorize())).toBe('files:read')
    expect(questions(world)).toBe(0)
    const other = orchestrator.connection({ tenant: 't2', server: world.server })
    expect(scopeOf(await other.authorize())).toBe('files:read')
    expect(questions(world)).toBe(1)
  })

  test('authorize() of a thousand connections asks the server once', async () => {
    const { world, orchestrator } = await first()
    const results = await Promise.all(
      Array.from({ length: 1_000 }, (_, user) =>
        orchestrator.connection({ tenant: 't1', user: `u${user}`, server: world.server }).authorize(),
      ),
    )
    expect(new Set(results.map((result) => redirectOf(result).state)).size).toBe(1_000)
    expect(world.rs.asked()).toEqual(['POST /mcp', PRM])
  })

  test('authorize() of another connection asks again five minutes later', async () => {
    const { world, clock, orchestrator, connection } = await first()
    await connection.authorize()
    const others = ['t2', 't3'].map((tenant) => orchestrator.connection({ tenant, server: world.server }))
    clock.advance(299_999)
    await others[0]?.authorize()
    expect(questions(world)).toBe(1)
    clock.advance(1)
    await others[1]?.authorize()
    expect(questions(world)).toBe(2)
  })

  test('connection.fetch leaves the 401 to a caller with an authorization header of its own, and stores nothing', async () => {
    const { world, store, connection } = await first()
    const response = await connection.fetch(world.server, { headers: { authorization: 'Basic own' } })
    expect([response.status, await response.json()]).toEqual([401, { error: 'invalid_token' }])
    expect(world.rs.seen[0]?.headers.authorization).toBe('Basic own')
    expect(store.size).toBe(0)
  })

  test("connection.fetch sends nothing without a token by policy.unauthenticatedRequests: 'never'", async () => {
    const { world, connection } = await first({ policy: { unauthenticatedRequests: 'never' } })
    expect(await rejection(connection.fetch(world.server))).toEqual({
      failure: { code: 'AUTHORIZATION_REQUIRED' },
      retryable: false,
      nextAction: 'authorize',
    })
    expect(world.rs.seen).toEqual([])
  })

  test("connection.fetch names policy.unauthenticatedRequests: 'never' once the server was found to require no token", async () => {
    const { world, clock, store, connection, identity } = await open()
    await connection.authorize()
    const sent = world.rs.seen.length
    const policy = { unauthenticatedRequests: 'never' } as const
    const never = orchestrate({ clock, store, policy }).connection(identity)
    const error = await errorOf(never.fetch(world.server))
    expect(error).toMatchObject({
      failure: { code: 'AUTHORIZATION_NOT_OFFERED', details: { reason: 'unauthenticatedRequests' } },
      nextAction: 'none',
    })
    expect(error.message).toContain("policy.unauthenticatedRequests is 'never'")
    expect(await rejection(never.accessToken())).toMatchObject({ failure: { details: { reason: 'notRequired' } } })
    expect(world.rs.seen).toHaveLength(sent)
  })

  test.each(['without a record', 'of a server that requires no token'])(
    'a connection %s, to a server that policy.allowedServers does not list, is refused in every call, and sends nothing',
    async (how) => {
      const { world, clock, store, connection: before, identity } = await open()
      if (how !== 'without a record') await before.authorize()
      const sent = world.rs.seen.length
      const policy = { allowedServers: ['https://mcp.example'] }
      const connection = orchestrate({ clock, store, policy }).connection(identity)
      const refused = {
        failure: { code: 'POLICY_REFUSED', details: { received: world.server, reason: 'allowedServers' } },
        nextAction: 'none',
      }
      for (const call of [() => connection.fetch(world.server), () => connection.accessToken()])
        expect(await rejection(call())).toEqual({ ...refused, retryable: false })
      expect(await connection.status()).toMatchObject({ ...refused, state: 'disconnected', authorized: false })
      expect(world.rs.seen).toHaveLength(sent)
    },
  )

  test('connection.fetch sends to a server that policy.allowedServers lists by its origin', async () => {
    const { world } = await open()
    const orchestrator = orchestrate({ policy: { allowedServers: [world.rs.origin] } })
    const connection = orchestrator.connection({ tenant: 't1', server: world.server })
    expect((await connection.fetch(world.server)).status).toBe(200)
  })

  test('connection.fetch of a connection whose tokens lapsed sends nothing without a token', async () => {
    const { world, clock, orchestrator, identity } = await first()
    const connection = await signIn(world, orchestrator, identity)
    const sent = withoutQuestion(world.rs.seen).length
    clock.advance(3_600_000)
    world.tokenAnswers.push({ status: 400, body: { error: 'invalid_grant' } })
    for (let call = 0; call < 2; call += 1)
      expect((await errorOf(connection.fetch(world.server))).code).toBe('AUTHORIZATION_REQUIRED')
    expect(withoutQuestion(world.rs.seen)).toHaveLength(sent)
  })

  test('connection.fetch sends a streamed body without a token, and rejects its 401 with AUTHORIZATION_REQUIRED', async () => {
    const { world, connection, protect } = await open()
    const send = () => {
      const body = new Blob(['streamed']).stream()
      return connection.fetch(world.server, { method: 'POST', body, duplex: 'half' } as RequestInit)
    }
    expect((await send()).status).toBe(200)
    expect(world.rs.seen[0]?.body).toBe('streamed')
    protect()
    expect(await rejection(send())).toEqual({
      failure: { code: 'AUTHORIZATION_REQUIRED', details: { status: 401 } },
      retryable: false,
      nextAction: 'authorize',
    })
    expect(scopeOf(await connection.authorize())).toBe('mcp:tools')
  })
})
