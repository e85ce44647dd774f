import { describe, expect, test, vi } from 'vitest'
import { AuthorizationError, MemoryStore } from '../../../src/index.ts'
import { withoutQuestion } from './peer.ts'
import { orchestrate, redirectOf, rejection, signIn, startWorld } from './world.ts'
import { verifies } from '../../support/verifies.ts'

async function signedIn() {
  const world = await startWorld()
  const connection = await signIn(world, orchestrate())
  return { world, connection, mcp: () => withoutQuestion(world.rs.seen).filter(({ path }) => path.startsWith('/mcp')) }
}

const text = (body: string): ReadableStream => new Blob([body]).stream()

describe('connection.fetch', () => {
  test(
    'connection.fetch adds the access token and keeps the other headers, the method, the query and the body',
    verifies([97, 98], async () => {
      const { world, connection, mcp } = await signedIn()
      const response = await connection.fetch(`${world.server}?x=1`, {
        method: 'POST',
        headers: { 'content-type': 'text/plain', authorization: 'Basic ignored', 'mcp-session-id': 's' },
        body: 'hello',
      })
      expect({ status: response.status, body: await response.json() }).toEqual({
        status: 200,
        body: { method: 'POST', path: '/mcp?x=1', token: 'access-1', body: 'hello' },
      })
      expect(mcp()[0]?.headers).toMatchObject({
        'content-type': 'text/plain',
        'mcp-session-id': 's',
        authorization: 'Bearer access-1',
      })
    }),
  )

  test('connection.fetch accepts a URL, a string, a path of the server, and a Request', async () => {
    const { world, connection } = await signedIn()
    const request = new Request(world.server, { method: 'POST', body: 'hello' })
    for (const input of [world.server, new URL(world.server), '/mcp', new Request(world.server), request]) {
      expect((await connection.fetch(input)).status).toBe(200)
    }
  })

  test(
    'connection.fetch throws a TypeError for a URL of another origin and sends nothing',
    verifies(99, async () => {
      const { world, connection, mcp } = await signedIn()
      const { port } = new URL(world.server)
      for (const url of [
        `${world.issuer}/mcp`,
        `http://localhost:${port}/mcp`,
        `https://127.0.0.1:${port}/mcp`,
        '//evil.example/mcp',
        `blob:${world.server}`,
      ]) {
        expect(await rejection(connection.fetch(url))).toEqual({
          name: 'TypeError',
          message: `fetch() sends this connection's token to ${world.rs.origin} only`,
          code: 'ERR_INVALID_ARG_VALUE',
        })
      }
      expect(mcp()).toEqual([])
    }),
  )

  test('connection.fetch throws a TypeError for a URL with credentials or an invalid one, does not show it and sends nothing', async () => {
    const { world, connection, mcp } = await signedIn()
    const withCredentials = new URL(world.server)
    withCredentials.username = 'alice'
    withCredentials.password = 'opensesame'
    const misuse = (problem: string) => ({
      name: 'TypeError',
      message: `fetch() ${problem}`,
      code: 'ERR_INVALID_ARG_VALUE',
    })
    const { href } = withCredentials
    const others = [new String(href), [href], { href, toString: () => href }]
    for (const url of [withCredentials, href, ...others])
      expect(await rejection(connection.fetch(url as URL))).toEqual(
        misuse('accepts no URL with a user name or a password: it sends the token of the connection'),
      )
    const invalid = [{ href }, { url: href, headers: new Headers() }, undefined, null, 5, '/mcp'.split('/')]
    for (const url of ['http://alice:opensesame@', ['http://alice:opensesame@'], ...invalid])
      expect(await rejection(connection.fetch(url as URL))).toEqual(misuse('needs a valid URL'))
    expect(mcp()).toEqual([])
  })

  test('connection.fetch accepts a URL of another implementation, and reads it once', async () => {
    const { world, connection } = await signedIn()
    const toString = vi.fn(() => world.server)
    expect((await connection.fetch({ toString } as never)).status).toBe(200)
    expect(toString).toHaveBeenCalledTimes(1)
  })

  test('connection.fetch throws a TypeError for a header that HTTP clients set themselves', async () => {
    const { world, connection, mcp } = await signedIn()
    const init = { method: 'POST', body: 'x', headers: { 'transfer-encoding': 'chunked' } }
    expect(await rejection(connection.fetch(world.server, init))).toEqual({
      name: 'TypeError',
      message: 'fetch() cannot send the header transfer-encoding as it is in this request: leave it out, or correct it',
      code: 'ERR_INVALID_ARG_VALUE',
    })
    expect(mcp()).toEqual([])
  })

  test('connection.fetch refreshes once after a 401 and retries the request once', async () => {
    const { world, connection, mcp } = await signedIn()
    world.rejectedToken.add('access-1')
    const response = await connection.fetch(world.server, { method: 'POST', body: 'hello' })
    expect(await response.json()).toMatchObject({ token: 'access-2', body: 'hello' })
    expect(mcp().map(({ headers, body }) => [headers.authorization, body])).toEqual([
      ['Bearer access-1', 'hello'],
      ['Bearer access-2', 'hello'],
    ])
  })

  test(
    'connection.fetch rejects with the challenge after a second 401',
    verifies(121, async () => {
      const { world, connection, mcp } = await signedIn()
      world.rejectedToken.add('access-1').add('access-2')
      const error: unknown = await connection.fetch(world.server).catch((reason: unknown) => reason)
      expect(error).toMatchObject({
        failure: { code: 'AUTHORIZATION_REQUIRED', details: { status: 401, reason: 'rejectedAgain' } },
        challenge: `Bearer error="invalid_token", resource_metadata="${world.rs.origin}/.well-known/oauth-protected-resource/mcp"`,
      })
      expect(mcp()).toHaveLength(2)
      expect(world.tokenRequests()).toHaveLength(2)
    }),
  )

  test('connection.fetch retries a request whose URLSearchParams body can be replayed', async () => {
    const { world, connection, mcp } = await signedIn()
    world.rejectedToken.add('access-1')
    const form = new URLSearchParams({ a: 'b' })
    expect(await (await connection.fetch(world.server, { method: 'POST', body: form })).json()).toMatchObject({
      body: 'a=b',
    })
    expect(mcp()).toHaveLength(2)
  })

  test.each([
    ['a stream', () => text('streamed')],
    [
      'an async iterable',
      () =>
        (async function* () {
          yield Buffer.from('streamed')
        })() as never,
    ],
  ])(
    'connection.fetch rejects a 401 for %s body with the retryable BODY_NOT_REPLAYABLE after a refresh',
    async (_name, body) => {
      const { world, connection, mcp } = await signedIn()
      world.rejectedToken.add('access-1')
      const send = (): Promise<Response> =>
        connection.fetch(world.server, { method: 'POST', body: body(), duplex: 'half' } as RequestInit)
      expect(await rejection(send())).toEqual({
        failure: { code: 'BODY_NOT_REPLAYABLE', details: { status: 401 } },
        retryable: true,
        nextAction: 'retry',
      })
      expect(mcp().map(({ body: sent }) => sent)).toEqual(['streamed'])
      expect(await (await send()).json()).toMatchObject({ token: 'access-2', body: 'streamed' })
    },
  )

  test('connection.fetch sends one refresh for eight concurrent 401s', async () => {
    const { world, connection } = await signedIn()
    world.rejectedToken.add('access-1')
    const responses = await Promise.all(Array.from({ length: 8 }, () => connection.fetch(world.server)))
    expect(responses.map(({ status }) => status)).toEqual(Array.from({ length: 8 }, () => 200))
    expect(world.tokenRequests()).toHaveLength(2)
  })

  test('connection.fetch rejects with the challenge of the 401 when the refresh token is rejected', async () => {
    const { world, connection } = await signedIn()
    world.rejectedToken.add('access-1')
    world.tokenAnswers.push({ status: 400, body: { error: 'invalid_grant' } })
    const error: unknown = await connection.fetch(world.server).catch((reason: unknown) => reason)
    if (!(error instanceof AuthorizationError)) throw error
    expect(error.code).toBe('AUTHORIZATION_REQUIRED')
    const challenge = `Bearer error="invalid_token", resource_metadata="${world.rs.origin}/.well-known/oauth-protected-resource/mcp"`
    expect(error.challenge).toBe(challenge)
    expect((await connection.authorize({ challenge })).status).toBe('redirect')
  })

  test('connection.fetch rejects without a challenge when the 401 has no challenge and the refresh token is rejected', async () => {
    const { world, connection } = await signedIn()
    world.rejectedToken.add('access-1')
    world.rs.routes['GET /mcp'] = { status: 401 }
    world.tokenAnswers.push({ status: 400, body: { error: 'invalid_grant' } })
    const error: unknown = await connection.fetch(world.server).catch((reason: unknown) => reason)
    expect(error).toMatchObject({ code: 'AUTHORIZATION_REQUIRED', challenge: undefined })
  })

  test("connection.fetch rejects with AUTHORIZATION_REQUIRED and sends nothing without a token by policy.unauthenticatedRequests: 'never'", async () => {
    const world = await startWorld()
    const connection = orchestrate({ policy: { unauthenticatedRequests: 'never' } }).connection({
      tenant: 't1',
      server: world.server,
    })
    expect(await rejection(connection.fetch(world.server))).toMatchObject({
      failure: { code: 'AUTHORIZATION_REQUIRED' },
    })
    expect(world.rs.seen).toEqual([])
  })

  test('connection.fetch rejects with HTTP_NETWORK and the host, without the query, when the connection is lost', async () => {
    const { world, connection } = await signedIn()
    world.rs.routes['GET /mcp'] = { hangUp: true }
    const { host } = new URL(world.server)
    expect(await rejection(connection.fetch(`${world.server}?token=secret`))).toEqual({
      failure: { code: 'HTTP_NETWORK', details: { url: world.server, host, reason: 'connectionLost' } },
      retryable: true,
      nextAction: 'retry',
    })
  })

  test('connection.fetch rejects with ABORTED when its signal aborts', async () => {
    const { world, connection } = await signedIn()
    const arrived = Promise.withResolvers<void>()
    world.rs.routes['GET /mcp'] = () => {
      arrived.resolve()
      return { until: new Promise(() => {}) }
    }
    const controller = new AbortController()
    const response = rejection(connection.fetch(world.server, { signal: controller.signal }))
    await arrived.promise
    controller.abort()
    expect(await response).toMatchObject({ failure: { code: 'ABORTED' } })
  })
})

const insufficient = (scope: string): string =>
  `Bearer error="insufficient_scope", scope="${scope}", error_description="scope=\\"other\\", please"`

describe('a 403 response', () => {
  test(
    'connection.fetch rejects a 403 with insufficient_scope with its challenge, which leads to the union of scopes',
    verifies([122, 124, 129], async () => {
      const { world, connection, mcp } = await signedIn()
      world.rs.routes['POST /mcp'] = { status: 403, headers: { 'www-authenticate': insufficient('mcp:admin') } }
      const error: unknown = await connection
        .fetch(world.server, { method: 'POST', body: 'x' })
        .catch((reason: unknown) => reason)
      if (!(error instanceof AuthorizationError)) throw error
      expect([error.failure, error.challenge]).toEqual([
        { code: 'AUTHORIZATION_REQUIRED', details: { status: 403, reason: 'insufficientScope' } },
        insufficient('mcp:admin'),
      ])
      expect([mcp().length, world.tokenRequests().length]).toEqual([1, 1])
      const redirect = redirectOf(await connection.authorize({ challenge: error.challenge }))
      expect(new URL(redirect.authorizationUrl).searchParams.get('scope')).toBe('mcp:tools mcp:admin')
      expect((await connection.accessToken()).value).toBe('access-1')
    }),
  )

  test(
    'connection.fetch returns a 403 with neither insufficient_scope nor invalid_token unchanged',
    verifies(122, async () => {
      const { world, connection } = await signedIn()
      for (const headers of [{}, { 'www-authenticate': 'Bearer error="invalid_request"' }]) {
        world.rs.routes['GET /mcp'] = { status: 403, headers, body: { why: 'not you' } }
        const response = await connection.fetch(world.server)
        expect([response.status, await response.json()]).toEqual([403, { why: 'not you' }])
      }
      expect(world.tokenRequests()).toHaveLength(1)
    }),
  )

  test.each(['Bearer error="forbidden", scope="mcp:admin,mcp:tools"', 'Bearer scope="mcp:admin mcp:tools"'])(
    'connection.fetch rejects a 403 with scopes that were not granted, whatever its error, and authorize() requests them: %s',
    async (challenge) => {
      const { world, connection } = await signedIn()
      world.rs.routes['GET /mcp'] = { status: 403, headers: { 'www-authenticate': challenge } }
      const error: unknown = await connection.fetch(world.server).catch((reason: unknown) => reason)
      expect(error).toMatchObject({
        failure: { code: 'AUTHORIZATION_REQUIRED', details: { status: 403, reason: 'insufficientScope' } },
        challenge,
      })
      const redirect = redirectOf(await connection.authorize({ challenge }))
      expect(new URL(redirect.authorizationUrl).searchParams.get('scope')).toBe('mcp:tools mcp:admin')
      expect([(await connection.accessToken()).value, world.tokenRequests().length]).toEqual(['access-1', 1])
    },
  )

  test('connection.fetch returns a 403 that names only granted scopes unchanged', async () => {
    const { world, connection } = await signedIn()
    const headers = { 'www-authenticate': 'Bearer error="forbidden", scope="mcp:tools"' }
    world.rs.routes['GET /mcp'] = { status: 403, headers, body: { why: 'not you' } }
    const response = await connection.fetch(world.server)
    expect([response.status, await response.json()]).toEqual([403, { why: 'not you' }])
  })

  test.each([
    ['retries a string body', () => 'hello', 200],
    ['rejects a stream body', () => text('hello'), 'BODY_NOT_REPLAYABLE'],
  ])(
    'connection.fetch requests a wider token for a non-interactive grant after a 403 and %s',
    async (_name, body, outcome) => {
      const world = await startWorld()
      const connection = orchestrate({
        clients: [{ issuer: world.issuer, clientId: 'c', clientSecret: 's', scope: 'mcp:tools' }],
      }).connection({ tenant: 't1', server: world.server })
      await connection.authorize({ grant: 'client_credentials' })
      const served = world.rs.routes['POST /mcp']
      if (typeof served !== 'function') throw new Error('no such route')
      world.rs.routes['POST /mcp'] = (seen) =>
        seen.headers.authorization === 'Bearer access-1'
          ? { status: 403, headers: { 'www-authenticate': insufficient('mcp:admin') } }
          : served(seen)
      const sent = connection.fetch(world.server, { method: 'POST', body: body(), duplex: 'half' } as RequestInit)
      const came = await sent.then(
        ({ status }) => status,
        (reason: unknown) => Reflect.get(Object(reason), 'code') as unknown,
      )
      expect(came).toBe(outcome)
      expect(world.tokenRequests().map(({ grant_type: grant, scope }) => [grant, scope])).toEqual([
        ['client_credentials', 'mcp:tools'],
        ['client_credentials', 'mcp:tools mcp:admin'],
      ])
      expect((await connection.accessToken()).scope).toBe('mcp:tools mcp:admin')
    },
  )

  test.each<['this process' | 'others']>([['this process'], ['others']])(
    'connection.fetch retries a late 403 with the wider token that was requested by %s',
    async (who) => {
      const world = await startWorld()
      const store = new MemoryStore()
      const start = () =>
        orchestrate({
          store,
          clients: [{ issuer: world.issuer, clientId: 'c', clientSecret: 's', scope: 'mcp:tools' }],
        }).connection({ tenant: 't1', server: world.server })
      const connection = start()
      await connection.authorize({ grant: 'client_credentials' })
      const served = world.rs.routes['GET /mcp']
      if (typeof served !== 'function') throw new Error('no such route')
      const arrived = Promise.withResolvers<void>()
      const late = Promise.withResolvers<void>()
      world.rs.routes['GET /mcp'] = (seen) => {
        if (seen.headers.authorization !== 'Bearer access-1') return served(seen)
        if (seen.path.includes('late')) arrived.resolve()
        const forbidden = { status: 403, headers: { 'www-authenticate': insufficient('mcp:admin') } }
        return seen.path.includes('late') ? { ...forbidden, until: late.promise } : forbidden
      }
      const waiting = connection.fetch(`${world.server}?late=1`)
      await arrived.promise
      const first = await (who === 'others' ? start() : connection).fetch(world.server)
      late.resolve()
      expect([first.status, (await waiting).status]).toEqual([200, 200])
      expect(world.tokenRequests()).toHaveLength(2)
      expect((await connection.status()).failure).toBeUndefined()
    },
  )

  test('authorize() in three processes that meet the same 403 sends one request for a wider token', async () => {
    const world = await startWorld()
    const store = new MemoryStore()
    const clients = [{ issuer: world.issuer, clientId: 'c', clientSecret: 's', scope: 'mcp:tools' }]
    const start = () => orchestrate({ store, clients }).connection({ tenant: 't1', server: world.server })
    await start().authorize({ grant: 'client_credentials' })
    const results = await Promise.all([1, 2, 3].map(() => start().authorize({ challenge: insufficient('mcp:admin') })))
    expect(results.map(({ status }) => status)).toEqual(['authorized', 'authorized', 'authorized'])
    expect(world.tokenRequests()).toHaveLength(2)
  })

  test('connection.fetch rejects with INSUFFICIENT_SCOPE and the challenge when a 403 names a scope that was already granted', async () => {
    const world = await startWorld()
    const connection = orchestrate({
      clients: [{ issuer: world.issuer, clientId: 'c', clientSecret: 's' }],
    }).connection({ tenant: 't1', server: world.server })
    await connection.authorize({ grant: 'client_credentials' })
    world.rs.routes['GET /mcp'] = { status: 403, headers: { 'www-authenticate': insufficient('mcp:admin') } }
    const challenge = insufficient('mcp:admin')
    expect(await connection.fetch(world.server).catch((reason: unknown) => reason)).toMatchObject({
      failure: { code: 'AUTHORIZATION_REQUIRED', details: { status: 403, reason: 'insufficientScope' } },
      challenge,
    })
    expect(await connection.fetch(world.server).catch((reason: unknown) => reason)).toMatchObject({
      failure: { code: 'INSUFFICIENT_SCOPE', details: { expected: 'mcp:admin' } },
      challenge,
    })
    expect(world.tokenRequests()).toHaveLength(2)
  })
})

describe('a 401 response', () => {
  test(
    'connection.fetch rejects a 401 with insufficient_user_authentication without a refresh',
    verifies(131, async () => {
      const { world, connection } = await signedIn()
      const challenge = 'Bearer error="insufficient_user_authentication", acr_values="myACR strong", max_age="5"'
      world.rs.routes['GET /mcp'] = { status: 401, headers: { 'www-authenticate': challenge } }
      expect(await connection.fetch(world.server).catch((reason: unknown) => reason)).toMatchObject({
        failure: { code: 'AUTHORIZATION_REQUIRED', details: { status: 401, reason: 'insufficientAuthentication' } },
        challenge,
      })
      expect(world.tokenRequests()).toHaveLength(1)
      const redirect = redirectOf(await connection.authorize({ challenge, parameters: { max_age: '0' } }))
      const asked = Object.fromEntries(new URL(redirect.authorizationUrl).searchParams)
      expect(asked).toMatchObject({ acr_values: 'myACR strong', max_age: '0', scope: 'mcp:tools' })
    }),
  )
})

describe('redirects', () => {
  test.each([301, 302, 303, 307, 308])(
    'connection.fetch follows a %s within the origin for GET and sends the token',
    async (status) => {
      const { world, connection } = await signedIn()
      world.rs.routes['GET /old'] = { status, headers: { location: '/mcp?moved=1' } }
      expect(await (await connection.fetch('/old')).json()).toMatchObject({
        method: 'GET',
        path: '/mcp?moved=1',
        token: 'access-1',
      })
    },
  )

  test('connection.fetch follows redirects for HEAD and not for POST', async () => {
    const { world, connection, mcp } = await signedIn()
    world.rs.routes['HEAD /old'] = { status: 307, headers: { location: '/mcp' } }
    expect((await connection.fetch('/old', { method: 'HEAD' })).status).toBe(200)
    expect(mcp().map(({ method }) => method)).toEqual(['HEAD'])
    world.rs.routes['POST /old'] = { status: 307, headers: { location: '/mcp' } }
    expect((await connection.fetch('/old', { method: 'POST', body: 'x' })).status).toBe(307)
    expect(mcp()).toHaveLength(1)
  })

  test(
    'connection.fetch returns a redirect to another origin and does not send the token there',
    verifies(99, async () => {
      const { world, connection } = await signedIn()
      world.rs.routes['GET /away'] = { status: 302, headers: { location: `${world.issuer}/collect` } }
      const asked = world.as.seen.length
      const response = await connection.fetch('/away')
      expect([response.status, response.headers.get('location')]).toEqual([302, `${world.issuer}/collect`])
      expect(world.as.seen).toHaveLength(asked)
    }),
  )

  test('connection.fetch returns a redirect to a blob: URL of the origin', async () => {
    const { world, connection } = await signedIn()
    world.rs.routes['GET /blob'] = { status: 302, headers: { location: `blob:${world.rs.origin}/a` } }
    await expect(connection.fetch('/blob')).resolves.toMatchObject({ status: 302, redirected: false })
  })

  test('connection.fetch returns a redirect without a location and one with an invalid location', async () => {
    const { world, connection } = await signedIn()
    world.rs.routes['GET /nowhere'] = { status: 302 }
    expect((await connection.fetch('/nowhere')).status).toBe(302)
    world.rs.routes['GET /broken'] = { status: 302, headers: { location: 'http://[' } }
    expect((await connection.fetch('/broken')).status).toBe(302)
  })

  test('connection.fetch returns the redirect after it has followed five', async () => {
    const { world, connection } = await signedIn()
    world.rs.routes['GET /loop'] = { status: 302, headers: { location: '/loop' } }
    expect((await connection.fetch('/loop')).status).toBe(302)
    expect(world.rs.asked().filter((asked) => asked === 'GET /loop')).toHaveLength(6)
  })

  test('connection.fetch refreshes and retries from the start when a redirect leads to a 401', async () => {
    const { world, connection } = await signedIn()
    world.rejectedToken.add('access-1')
    world.rs.routes['GET /old'] = { status: 302, headers: { location: '/mcp' } }
    expect(await (await connection.fetch('/old')).json()).toMatchObject({ token: 'access-2' })
    await vi.waitFor(() => expect(world.rs.asked().filter((asked) => asked === 'GET /old')).toHaveLength(2))
  })
})
