import { describe, expect, test } from 'vitest'
import { TestClock } from './test-clock.ts'
import { CLIENT, orchestrate, REDIRECT_URI, redirectOf, rejection, signIn, startWorld } from './world.ts'
import { verifies } from '../../support/verifies.ts'

const query = (url: string): Record<string, string> => Object.fromEntries(new URL(url).searchParams)

describe('authorize() at first', () => {
  test(
    'authorize() returns an authorization URL with PKCE, state, resource and scope after four requests',
    verifies([64, 67], async () => {
      const world = await startWorld()
      const clock = new TestClock()
      const connection = orchestrate({ clock }).connection({
        tenant: 't1',
        user: 'u1',
        server: world.server,
        label: 'mail',
      })
      const result = redirectOf(await connection.authorize())
      const { state, code_challenge: challenge, ...rest } = query(result.authorizationUrl)
      expect(new URL(result.authorizationUrl).origin).toBe(world.issuer)
      expect(rest).toEqual({
        response_type: 'code',
        client_id: 'client-1',
        redirect_uri: REDIRECT_URI,
        scope: 'mcp:tools',
        resource: world.server,
        code_challenge_method: 'S256',
      })
      expect(challenge).toMatch(/^[\w-]{43}$/)
      expect(state).toBe(result.state)
      expect(result.state).toMatch(/^[\w-]{22}\.[\w-]{43}$/)
      expect(result.expiresAt).toBe(clock.now() + 300_000)
      expect(result.actions).toEqual([
        {
          type: 'saveClientInformation',
          tenant: 't1',
          user: 'u1',
          server: world.server,
          label: 'mail',
          generation: 0,
          data: {
            issuer: world.issuer,
            clientId: 'client-1',
            clientSecret: 'client-secret-1',
            clientSecretExpiresAt: undefined,
            tokenEndpointAuthMethod: 'client_secret_basic',
            redirectUri: REDIRECT_URI,
          },
        },
      ])
      expect(world.rs.asked()).toEqual(['POST /mcp', 'GET /.well-known/oauth-protected-resource/mcp'])
      expect(world.as.asked()).toEqual(['GET /.well-known/oauth-authorization-server', 'POST /register'])
    }),
  )

  test('authorize() returns authorized with the stored tokens without any request', async () => {
    const world = await startWorld()
    const clock = new TestClock()
    const connection = await signIn(world, orchestrate({ clock }))
    const before = world.as.seen.length
    expect(await connection.authorize()).toEqual({
      status: 'authorized',
      actions: [
        expect.objectContaining({ type: 'saveClientInformation', generation: 1 }),
        {
          type: 'saveTokens',
          tenant: 't1',
          user: 'u1',
          server: world.server,
          label: undefined,
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
    expect(world.as.seen).toHaveLength(before)
  })

  test('authorize() refreshes an expired access token instead of redirecting the user', async () => {
    const world = await startWorld()
    const clock = new TestClock()
    const connection = await signIn(world, orchestrate({ clock }))
    clock.advance(3_600_000)
    const result = await connection.authorize()
    expect(result.status).toBe('authorized')
    expect(result.actions.at(-1)).toMatchObject({
      type: 'saveTokens',
      generation: 2,
      data: { accessToken: 'access-2' },
    })
    expect(world.tokenRequests().map(({ grant_type: grant }) => grant)).toEqual(['authorization_code', 'refresh_token'])
  })

  test('authorize() rejects with the error of the token endpoint when the refresh fails temporarily, and does not redirect the user', async () => {
    const world = await startWorld()
    const clock = new TestClock()
    const connection = await signIn(world, orchestrate({ clock }))
    clock.advance(3_600_000)
    world.tokenAnswers.push({ status: 503, headers: { 'retry-after': '7' }, body: {} })
    expect(await rejection(connection.authorize())).toEqual({
      failure: {
        code: 'SERVER_UNAVAILABLE',
        details: { url: `${world.issuer}/token`, status: 503, retryAfterMs: 7000 },
      },
      retryable: true,
      nextAction: 'retry',
    })
    expect((await connection.authorize()).status).toBe('authorized')
  })

  test('authorize() returns a redirect when the refresh token is rejected', async () => {
    const world = await startWorld()
    const clock = new TestClock()
    const connection = await signIn(world, orchestrate({ clock }))
    clock.advance(3_600_000)
    world.tokenAnswers.push({ status: 400, body: { error: 'invalid_grant' } })
    expect((await connection.authorize()).status).toBe('redirect')
  })
})

describe('repeated authorize() calls', () => {
  test('a repeated authorize() call starts a new attempt, and the older authorization URL still works', async () => {
    const world = await startWorld()
    const orchestrator = orchestrate()
    const connection = orchestrator.connection({ tenant: 't1', server: world.server })
    const first = redirectOf(await connection.authorize())
    const second = redirectOf(await connection.authorize())
    expect(second.state).not.toBe(first.state)
    expect((await orchestrator.completeCallback(world.callback(first))).status).toBe('authorized')
    expect((await orchestrator.completeCallback(world.callback(second))).status).toBe('alreadyAuthorized')
    expect(world.tokenRequests()).toHaveLength(1)
  })

  test('an attempt that requests more scope than another one was granted stays pending', async () => {
    const world = await startWorld()
    const orchestrator = orchestrate()
    const connection = orchestrator.connection({ tenant: 't1', server: world.server })
    const narrow = redirectOf(await connection.authorize({ scope: 'mcp:tools' }))
    const wide = redirectOf(await connection.authorize({ scope: 'mcp:tools mcp:admin' }))
    expect((await orchestrator.completeCallback(world.callback(narrow))).status).toBe('authorized')
    expect((await connection.status()).scope).toBe('mcp:tools')
    expect((await orchestrator.completeCallback(world.callback(wide))).status).toBe('authorized')
    expect((await connection.status()).scope).toBe('mcp:tools mcp:admin')
  })
})

describe('options of authorize()', () => {
  test('authorize({ force: true }) starts a new sign-in, and the current token stays usable', async () => {
    const world = await startWorld()
    const orchestrator = orchestrate()
    const connection = await signIn(world, orchestrator)
    const redirect = redirectOf(await connection.authorize({ force: true }))
    expect((await connection.accessToken()).value).toBe('access-1')
    expect((await orchestrator.completeCallback(world.callback(redirect))).status).toBe('authorized')
    expect((await connection.accessToken()).value).toBe('access-2')
  })

  test('authorize({ scope }) returns a redirect for a scope that was not granted, and authorized for a granted one', async () => {
    const world = await startWorld()
    const connection = await signIn(world, orchestrate(), undefined, { scope: 'mcp:tools' })
    expect((await connection.authorize({ scope: 'mcp:tools' })).status).toBe('authorized')
    const wide = redirectOf(await connection.authorize({ scope: 'mcp:admin' }))
    expect(query(wide.authorizationUrl)['scope']).toBe('mcp:admin')
  })

  test('authorize({ parameters }) adds them to the authorization URL, and throws a TypeError for a protocol parameter', async () => {
    const world = await startWorld()
    const connection = orchestrate().connection({ tenant: 't1', server: world.server })
    const result = redirectOf(
      await connection.authorize({ parameters: { prompt: 'login', login_hint: 'a@b.example' } }),
    )
    expect(query(result.authorizationUrl)).toMatchObject({ prompt: 'login', login_hint: 'a@b.example' })
    expect(await rejection(connection.authorize({ parameters: { redirect_uri: 'https://evil.example' } }))).toEqual({
      name: 'TypeError',
      message: 'authorize().parameters must not contain a parameter that authchart sets',
      code: 'ERR_INVALID_ARG_VALUE',
    })
  })

  test(
    'authorize({ issuer }) uses an issuer that the resource metadata lists, and rejects any other one',
    verifies(17, async () => {
      const world = await startWorld()
      const other = await startWorld()
      world.resourceMetadata['authorization_servers'] = [world.issuer, other.issuer]
      const connection = orchestrate().connection({ tenant: 't1', server: world.server })
      const result = redirectOf(await connection.authorize({ issuer: other.issuer }))
      expect(new URL(result.authorizationUrl).origin).toBe(other.issuer)
      expect(world.as.asked()).toEqual([])
      expect(await rejection(connection.authorize({ issuer: 'https://as.example' }))).toEqual({
        failure: {
          code: 'POLICY_REFUSED',
          details: {
            reason: 'issuerNotOffered',
            expected: 'https://as.example',
            offered: `${world.issuer} ${other.issuer}`,
          },
        },
        retryable: false,
        nextAction: 'none',
      })
    }),
  )

  test('authorize({ clientInformation }) uses the client instead of a registration and stores it for later calls', async () => {
    const world = await startWorld()
    const clock = new TestClock()
    const orchestrator = orchestrate({ clock })
    const connection = orchestrator.connection({ tenant: 't1', server: world.server })
    const clientInformation = { clientId: 'given', clientSecret: 'given-secret' }
    const redirect = redirectOf(await connection.authorize({ clientInformation }))
    expect(query(redirect.authorizationUrl)['client_id']).toBe('given')
    expect((await orchestrator.completeCallback(world.callback(redirect))).status).toBe('authorized')
    clock.advance(3_600_000)
    expect((await connection.accessToken()).value).toBe('access-2')
    const again = redirectOf(await connection.authorize({ force: true }))
    expect(query(again.authorizationUrl)['client_id']).toBe('given')
    expect(world.as.asked()).not.toContain('POST /register')
    const basic = `Basic ${Buffer.from('given:given-secret').toString('base64')}`
    const sent = world.as.seen.filter(({ path }) => path === '/token').map(({ headers }) => headers.authorization)
    expect(sent).toEqual([basic, basic])
  })

  test(
    'authorize({ clientInformation }) rejects client information of another issuer and does not send it',
    verifies(58, async () => {
      const world = await startWorld()
      const connection = orchestrate().connection({ tenant: 't1', server: world.server })
      const clientInformation = { issuer: 'https://other.example', clientId: 'given', clientSecret: 'given-secret' }
      expect(await rejection(connection.authorize({ clientInformation }))).toEqual({
        failure: {
          code: 'CLIENT_INFORMATION_REQUIRED',
          details: { reason: 'otherIssuer', expected: world.issuer, received: 'https://other.example' },
        },
        retryable: false,
        nextAction: 'configureClient',
      })
    }),
  )

  test('authorize() uses the client that options.clients configures for the issuer', async () => {
    const world = await startWorld()
    const clients = [
      {
        issuer: world.issuer,
        clientId: 'configured',
        clientSecret: 's',
        tokenEndpointAuthMethod: 'client_secret_post',
      },
    ]
    const connection = await signIn(world, orchestrate({ clients }))
    expect(world.tokenRequests()).toMatchObject([{ client_id: 'configured', client_secret: 's' }])
    expect((await connection.accessToken()).value).toBe('access-1')
  })

  test(
    'authorize() uses the client ID metadata document at a server that supports it',
    verifies(43, async () => {
      const world = await startWorld()
      world.serverMetadata['client_id_metadata_document_supported'] = true
      const metadataUrl = 'https://app.example/oauth/client.json'
      const orchestrator = orchestrate({ client: { ...CLIENT, metadataUrl } })
      await signIn(world, orchestrator)
      expect(world.tokenRequests()).toMatchObject([{ client_id: metadataUrl }])
      expect(world.as.asked()).not.toContain('POST /register')
    }),
  )

  test('authorize() requests the default scope when neither the caller nor the resource metadata names one', async () => {
    const world = await startWorld()
    delete world.resourceMetadata['scopes_supported']
    const connection = orchestrate({ client: { ...CLIENT, scope: 'fallback' } }).connection({
      tenant: 't1',
      server: world.server,
    })
    expect(query(redirectOf(await connection.authorize()).authorizationUrl)['scope']).toBe('fallback')
  })

  test('authorize({ returnTo }) throws a TypeError unless policy.returnToOrigins lists its origin', async () => {
    const world = await startWorld()
    const orchestrator = orchestrate({ policy: { returnToOrigins: ['https://app.example'] } })
    const connection = orchestrator.connection({ tenant: 't1', server: world.server })
    for (const returnTo of ['https://evil.example/', '/settings', 'https://app.example.evil.example/']) {
      expect(await rejection(connection.authorize({ returnTo }))).toEqual({
        name: 'TypeError',
        message: 'authorize().returnTo must have an origin that policy.returnToOrigins lists',
        code: 'ERR_INVALID_ARG_VALUE',
      })
    }
    expect(world.rs.seen).toEqual([])
    const redirect = redirectOf(await connection.authorize({ returnTo: 'https://app.example/settings?tab=2' }))
    const { status, returnTo } = await orchestrator.completeCallback(world.callback(redirect))
    expect({ status, returnTo }).toEqual({ status: 'authorized', returnTo: 'https://app.example/settings?tab=2' })
  })

  test('authorize({ returnTo }) throws a TypeError for a URL with credentials', async () => {
    const world = await startWorld()
    const orchestrator = orchestrate({ policy: { returnToOrigins: ['https://app.example'] } })
    const connection = orchestrator.connection({ tenant: 't1', server: world.server })
    for (const returnTo of ['https://user@app.example/', 'https://:password@app.example/'])
      expect(await rejection(connection.authorize({ returnTo }))).toEqual({
        name: 'TypeError',
        code: 'ERR_INVALID_ARG_VALUE',
        message: 'authorize().returnTo must not contain credentials',
      })
  })

  test('authorize({ returnTo }) throws a TypeError for a URL that browsers and parsers read in different ways', async () => {
    const world = await startWorld()
    const orchestrator = orchestrate({ policy: { returnToOrigins: ['https://app.example'] } })
    const connection = orchestrator.connection({ tenant: 't1', server: world.server })
    for (const url of [
      'https:\\\\app.example\\@h/',
      ' https://app.example/',
      'https://app.example/\r\na: b',
      'https://app.example/\0',
    ])
      expect(await rejection(connection.authorize({ returnTo: url }))).toEqual({
        name: 'TypeError',
        code: 'ERR_INVALID_ARG_VALUE',
        message: 'authorize().returnTo must not contain whitespace, control characters or backslashes',
      })
  })

  test('authorize({ returnTo }) throws a TypeError when policy.returnToOrigins is not set', async () => {
    const world = await startWorld()
    const connection = orchestrate().connection({ tenant: 't1', server: world.server })
    await expect(connection.authorize({ returnTo: 'https://app.example/' })).rejects.toThrow(TypeError)
  })
})

describe('authorize({ challenge })', () => {
  test('a 401 challenge makes authorize() refresh first', async () => {
    const world = await startWorld()
    const connection = await signIn(world, orchestrate())
    const challenge = 'Bearer error="invalid_token"'
    expect((await connection.authorize({ challenge })).status).toBe('authorized')
    expect((await connection.accessToken()).value).toBe('access-2')
  })

  test('a 401 challenge makes authorize() return a redirect when the refresh token is rejected', async () => {
    const world = await startWorld()
    const connection = await signIn(world, orchestrate())
    world.tokenAnswers.push({ status: 400, body: { error: 'invalid_grant' } })
    expect((await connection.authorize({ challenge: 'Bearer error="invalid_token"' })).status).toBe('redirect')
  })

  test(
    'the resource_metadata and scope of a challenge select the metadata URL and the requested scope',
    verifies([10, 11, 60], async () => {
      const world = await startWorld()
      world.rs.routes['GET /elsewhere'] = { body: world.resourceMetadata }
      const connection = orchestrate().connection({ tenant: 't1', server: world.server })
      const challenge = `Bearer resource_metadata="${world.rs.origin}/elsewhere", scope="files:read"`
      const result = redirectOf(await connection.authorize({ challenge, scope: 'files:write' }))
      expect(query(result.authorizationUrl)['scope']).toBe('files:write files:read')
      expect(world.rs.asked()).toEqual(['GET /elsewhere'])
    }),
  )

  test(
    'an insufficient_scope challenge requests the union of scopes, and the current token stays usable',
    verifies([123, 124], async () => {
      const world = await startWorld()
      const orchestrator = orchestrate()
      const connection = await signIn(world, orchestrator)
      const challenge = 'Bearer error="insufficient_scope", scope="mcp:admin"'
      const redirect = redirectOf(await connection.authorize({ challenge, scope: 'files:read' }))
      expect(query(redirect.authorizationUrl)['scope']?.split(' ').toSorted()).toEqual([
        'files:read',
        'mcp:admin',
        'mcp:tools',
      ])
      expect(world.tokenRequests()).toHaveLength(1)
      expect((await connection.accessToken()).value).toBe('access-1')
      expect((await orchestrator.completeCallback(world.callback(redirect))).status).toBe('authorized')
      expect((await connection.accessToken()).value).toBe('access-2')
    }),
  )

  test.each(['', 'Basic realm="x"', 'garbage,,=', `Bearer ${'a=b, '.repeat(20_000)}`])(
    'a challenge without usable parameters makes authorize() refresh: %.20s',
    async (challenge) => {
      const world = await startWorld()
      const connection = await signIn(world, orchestrate())
      expect((await connection.authorize({ challenge })).status).toBe('authorized')
      expect(world.tokenRequests().map(({ grant_type: grant }) => grant)).toEqual([
        'authorization_code',
        'refresh_token',
      ])
    },
  )

  test('a challenge whose resource_metadata is not an http URL leads to the well-known URL of the server', async () => {
    const world = await startWorld()
    const connection = orchestrate().connection({ tenant: 't1', server: world.server })
    const result = await connection.authorize({ challenge: 'Bearer resource_metadata="file:///etc/passwd"' })
    expect(new URL(redirectOf(result).authorizationUrl).origin).toBe(world.issuer)
    expect(world.rs.asked()).toEqual(['GET /.well-known/oauth-protected-resource/mcp'])
  })
})
