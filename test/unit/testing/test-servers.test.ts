import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { type AuthOrchestrator, type AuthOrchestratorOptions, createAuthOrchestrator } from '../../../src/index.ts'
import {
  type AuthorizationServerSwitches,
  fingerprint,
  inProcessFetch,
  SimulatedClock,
  TestAuthorizationServer,
  TestMcpServer,
} from '../../../src/testing/index.ts'

const client = { name: 'Acme', redirectUri: 'https://app.example/callback' }
const GIVEN = { clientId: 'given', clientSecret: 'a secret: of + words' }

/** Both servers without a network, an orchestrator, and a connection. */
function stage(switches: AuthorizationServerSwitches = {}, options: Partial<AuthOrchestratorOptions> = {}) {
  const clock = new SimulatedClock()
  const as = new TestAuthorizationServer({ clock, clients: [GIVEN], ...switches })
  const mcp = new TestMcpServer({ clock, authorizationServers: [as], requiredScope: 'tools' })
  const auth: AuthOrchestrator = createAuthOrchestrator({
    client,
    clock,
    network: { allow: ['127.0.0.1'], fetch: inProcessFetch(as, mcp) },
    policy: { cacheMs: 1 },
    authorizationServers: [
      { server: 'Test', issuers: [as.issuer], tokens: { scopeSeparator: ',', bearerTypes: ['user'] } },
    ],
    ...options,
  })
  onTestFinished(() => auth.close())
  const connection = auth.connection({ tenant: 't1', user: 'u1', server: mcp.url })
  const begin = async (scope?: string): Promise<string> => {
    const result = await connection.authorize({ scope, force: true })
    if (result.status !== 'redirect') throw new Error(`expected a redirect, not ${result.status}`)
    return result.authorizationUrl
  }
  const signIn = async (scope?: string) => await auth.completeCallback(await as.approve(await begin(scope)))
  const callTool = async (method = 'tools/list', id: number | null = 1) =>
    await connection.fetch(mcp.url, {
      method: 'POST',
      body: JSON.stringify({ jsonrpc: '2.0', ...(id !== null && { id }), method }),
    })
  return { clock, as, mcp, auth, connection, begin, signIn, callTool }
}

const refreshing = { endpoint: 'token', grantType: 'refresh_token' } as const

describe('the test servers', () => {
  test('the test servers listen on loopback ports, sign a user in and serve tools', async () => {
    const as = await new TestAuthorizationServer().listen()
    const mcp = await new TestMcpServer({ authorizationServers: [as] }).listen()
    const auth = createAuthOrchestrator({ client, network: { allow: ['127.0.0.1'] } })
    onTestFinished(async () => {
      await auth.close()
      await Promise.all([as.close(), mcp.close()])
    })
    const connection = auth.connection({ tenant: 't1', server: mcp.url })
    const result = await connection.authorize()
    const url = result.status === 'redirect' ? result.authorizationUrl : ''
    const answer = await fetch(url, { redirect: 'manual' })
    const { status } = await auth.completeCallback(answer.headers.get('location') ?? '')
    expect(status).toBe('authorized')
    const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'whoami' } })
    const called = await connection.fetch(mcp.url, { method: 'POST', body })
    expect(await called.json()).toEqual({
      jsonrpc: '2.0',
      id: 1,
      result: { content: [{ type: 'text', text: 'you are user-1' }] },
    })
    await as.close()
  })

  test.each([
    ['before', 'on a port'],
    ['after', 'on a port'],
    ['before', 'in process'],
    ['after', 'in process'],
  ] as const)(
    'a fault that resets the connection %s the request is handled is connectionLost, and prints nothing, %s',
    async (when, where) => {
      const as = new TestAuthorizationServer()
      const mcp = new TestMcpServer({ authorizationServers: [as] })
      if (where === 'on a port') await Promise.all([as.listen(), mcp.listen()])
      const network = { allow: ['127.0.0.1'], ...(where === 'in process' && { fetch: inProcessFetch(as, mcp) }) }
      const auth = createAuthOrchestrator({ client, network })
      const printed = vi.spyOn(console, 'error')
      const warned = vi.spyOn(process, 'emitWarning')
      onTestFinished(async () => {
        vi.restoreAllMocks()
        await auth.close()
        await Promise.all([as.close(), mcp.close()])
      })
      as.injectFault({ endpoint: 'registration', when, answer: 'reset' })
      const connection = auth.connection({ tenant: 't1', server: mcp.url })
      await expect(connection.authorize()).rejects.toMatchObject({
        failure: { code: 'HTTP_NETWORK', details: { reason: 'connectionLost' } },
        nextAction: 'retry',
      })
      expect([printed.mock.calls, warned.mock.calls]).toEqual([[], []])
      expect(as.requestLog.count({ endpoint: 'registration', fault: `${when} reset` })).toBe(1)
    },
  )

  test('the request logs count the requests and contain no secret', async () => {
    const { as, mcp, signIn, callTool } = stage()
    await signIn()
    expect((await callTool()).status).toBe(200)
    expect(as.requestLog.counts()).toEqual({
      'serverMetadata ok': 1,
      'registration ok': 1,
      'authorization ok': 1,
      'token authorization_code ok': 1,
    })
    expect(mcp.requestLog.counts()).toEqual({
      'mcp unauthorized': 1,
      'resourceMetadata ok': 1,
      'mcp ok': 1,
    })
    expect([...as.requestLog.credentialUses().values()]).toEqual([{ presented: 1, accepted: 1, isOwn: true }])
    expect(JSON.stringify([as.requestLog.entries, mcp.requestLog.entries])).not.toMatch(/(code|access|refresh|secret)-/)
    as.requestLog.clear()
    expect(as.requestLog.count()).toBe(0)
  })

  test('the test MCP server responds in JSON-RPC, and with 404 on unknown paths', async () => {
    const { signIn, callTool, mcp } = stage()
    await signIn()
    expect((await callTool('notifications/initialized', null)).status).toBe(202)
    expect(await (await callTool('initialize')).json()).toMatchObject({ result: { capabilities: { tools: {} } } })
    expect(await (await callTool('nothing')).json()).toMatchObject({ error: { code: -32_601 } })
    const unknown = await inProcessFetch(mcp)(`${mcp.origin}/nothing`)
    expect(unknown.status).toBe(404)
    await expect(inProcessFetch(mcp)('http://127.0.0.1:9/')).rejects.toThrow(TypeError)
  })

  test('the test MCP server challenges a request without a token or with too little scope', async () => {
    const { mcp, callTool, signIn } = stage()
    const answer = await mcp.handle(new Request(mcp.url, { method: 'POST', body: 'no JSON' }))
    expect([answer.status, answer.headers.get('www-authenticate')]).toEqual([
      401,
      `Bearer scope="tools", resource_metadata="${mcp.origin}/.well-known/oauth-protected-resource/mcp"`,
    ])
    await signIn()
    mcp.requiredScope = 'tools admin'
    await expect(callTool()).rejects.toMatchObject({
      code: 'AUTHORIZATION_REQUIRED',
      challenge: expect.stringContaining('Bearer error="insufficient_scope", scope="tools admin"'),
    })
    expect(mcp.requestLog.counts()).toMatchObject({ 'mcp unauthorized': 2, 'mcp insufficient_scope': 1 })
  })

  test('the test authorization server rejects a reused code and revokes the tokens of its first use', async () => {
    const { as, begin, auth, connection } = stage()
    const callback = new URL(await as.approve(await begin()))
    await auth.completeCallback(callback)
    const { value } = await connection.accessToken()
    const code = callback.searchParams.get('code') ?? ''
    const form = new URLSearchParams({ grant_type: 'authorization_code', code, client_id: 'given' })
    const answer = await as.handle(new Request(`${as.origin}/token`, { method: 'POST', body: form }))
    expect([answer.status, await answer.json()]).toEqual([400, { error: 'invalid_grant' }])
    expect(as.introspect(value)).toBeUndefined()
    expect(as.requestLog.credentialUses().get(fingerprint(code))).toEqual({ presented: 2, accepted: 1, isOwn: true })
  })

  test.each([
    [{}, [200, 400, 'revoked']],
    [{ reuseDetection: false }, [200, 400, 'alive']],
    [{ graceMs: 1_000 }, [200, 200, 'alive']],
    [{ rotation: false }, [200, 200, 'alive']],
  ] as const)('the switches %j decide about the second use of a refresh token', async (switches, expected) => {
    const { as, signIn } = stage(switches)
    const { actions } = await signIn()
    const refreshToken =
      actions.flatMap((each) => (each.type === 'saveTokens' ? [each.data.refreshToken ?? ''] : []))[0] ?? ''
    const saved = actions.find(({ type }) => type === 'saveClientInformation')
    const { clientId = '', clientSecret = '' } = saved?.type === 'saveClientInformation' ? saved.data : {}
    const form = { grant_type: 'refresh_token', refresh_token: refreshToken }
    const ask = async () =>
      await as.handle(
        new Request(`${as.origin}/token`, {
          method: 'POST',
          body: new URLSearchParams({ ...form, client_id: clientId, client_secret: clientSecret }),
        }),
      )
    const one = await ask()
    const { access_token: token } = (await one.json()) as { access_token: string }
    const two = await ask()
    expect([one.status, two.status, as.introspect(token) ? 'alive' : 'revoked']).toEqual(expected)
  })

  test.each(['github', 'slack', 'stringExpiresIn'] as const)(
    'the test authorization server sends token responses with the quirk %s',
    async (quirk) => {
      const { as, signIn, connection, clock, callTool } = stage({ quirk })
      const { status } = await signIn('tools more')
      expect(status).toBe('authorized')
      const { scope, expiresAt } = await connection.accessToken()
      expect([scope, expiresAt]).toEqual(['tools more', clock.now() + 3_600_000])
      as.expireAccessTokens()
      expect((await callTool()).status).toBe(200)
      as.revokeEverything()
      await expect(callTool()).rejects.toMatchObject({ code: 'AUTHORIZATION_REQUIRED' })
      expect(as.requestLog.count({ ...refreshing, outcome: 'invalid_grant' })).toBe(1)
    },
  )

  test('the test authorization server omits the refresh token from refresh responses, or from all responses', async () => {
    const { as, signIn, callTool } = stage({ omitsRefreshToken: true })
    await signIn()
    for (const _ of [1, 2]) {
      as.expireAccessTokens()
      expect((await callTool()).status).toBe(200)
    }
    as.switches.refreshTokens = false
    as.switches.accessTokenTtlSeconds = undefined
    const { actions } = await signIn()
    const tokens = actions.flatMap((action) => (action.type === 'saveTokens' ? [action.data] : []))
    expect(tokens).toMatchObject([{ refreshToken: undefined, expiresAt: undefined }])
  })

  test('the user of the test authorization server can deny, and is named by its ID token', async () => {
    const { as, begin, auth, signIn } = stage({ subject: 'alice' })
    expect(await auth.completeCallback(await as.deny(await begin()))).toMatchObject({ status: 'denied' })
    expect(await signIn('openid tools')).toMatchObject({ status: 'authorized' })
    expect(as.requestLog.counts()).toMatchObject({ 'authorization access_denied': 1, 'authorization ok': 1 })
  })

  test.each([
    [true, { status: 'failed', failure: { code: 'ACCOUNT_CHANGED' } }, 0],
    [false, { status: 'authorized' }, 1],
  ])(
    'a sign-in as another subject is an account change, with refuseAccountChange: %j',
    async (refuse, result, count) => {
      const { as, auth, connection } = stage({}, { policy: { refuseAccountChange: refuse } })
      const changes: unknown[] = []
      auth.on('accountChanged', (event) => changes.push(event))
      const signInAs = async (subject: string) => {
        as.switches.subject = subject
        const request = { scope: 'openid tools', force: true, parameters: { nonce: `of-${subject}` } }
        const { authorizationUrl = '' } = (await connection.authorize(request)) as { authorizationUrl?: string }
        return await auth.completeCallback(await as.approve(authorizationUrl))
      }
      for (const _ of [1, 2]) expect(await signInAs('alice')).toMatchObject({ status: 'authorized' })
      expect(changes).toEqual([])
      expect(await signInAs('bob')).toMatchObject(result)
      expect(changes).toHaveLength(count)
    },
  )

  test('the test authorization server can announce another issuer, disable registration and delete registrations', async () => {
    const wrong = stage({ announcedIssuer: 'https://evil.example' })
    await expect(wrong.begin()).rejects.toMatchObject({ code: 'SERVER_ISSUER_MISMATCH' })
    const closed = stage({ dynamicRegistration: false })
    await expect(closed.begin()).rejects.toMatchObject({ code: 'REGISTRATION_UNAVAILABLE' })
    const { as, signIn, callTool } = stage()
    await signIn()
    as.pruneRegistrations()
    as.expireAccessTokens()
    await expect(callTool()).rejects.toMatchObject({ code: 'AUTHORIZATION_REQUIRED' })
    expect(as.requestLog.count({ ...refreshing, outcome: 'invalid_client' })).toBe(1)
    expect(await signIn()).toMatchObject({ status: 'authorized' })
  })

  test('the test authorization server issues tokens for client credentials, and revokes them', async () => {
    const clients = [{ issuer: 'http://127.0.0.1:1', ...GIVEN }]
    const { as, connection } = stage({}, { clients })
    expect(await connection.authorize({ grant: 'client_credentials', scope: 'tools' })).toMatchObject({
      status: 'authorized',
    })
    const { value } = await connection.accessToken()
    expect(as.introspect(value)).toMatchObject({ subject: 'given', scope: 'tools' })
    await connection.disconnect()
    expect(as.introspect(value)).toBeUndefined()
    expect(as.requestLog.counts()).toMatchObject({ 'token client_credentials ok': 1, 'revocation ok': 1 })
  })

  test('injected faults replace or delay responses before or after the request is processed', async () => {
    const { as, signIn, callTool, clock } = stage()
    await signIn()
    as.expireAccessTokens()
    as.injectFault({ when: 'before', answer: 503, retryAfterSeconds: 0 })
    await expect(callTool()).rejects.toMatchObject({ code: 'SERVER_UNAVAILABLE' })
    clock.advance(5_000)
    as.injectFault({ when: 'after', answer: 'hold' })
    const call = callTool()
    await vi.waitFor(() => expect(as.delayed).toBe(1))
    as.release()
    expect((await call).status).toBe(200)
    as.injectFault({ endpoint: 'token', when: 'after', answer: 500, times: 2 })
    as.clearFaults()
    as.expireAccessTokens()
    expect((await callTool()).status).toBe(200)
    expect(as.requestLog.entries.filter(({ grantType }) => grantType === 'refresh_token')).toMatchObject([
      { outcome: 'ok', fault: 'after hold' },
      { outcome: 'ok' },
    ])
    expect(as.requestLog.count({ fault: 'before 503' })).toBe(1)
  })

  test.each([
    ['register', { method: 'POST', body: '{}' }, 400],
    ['authorize?client_id=nobody', {}, 400],
    ['authorize?client_id=given&redirect_uri=no', {}, 400],
    ['authorize?client_id=given&redirect_uri=https://app.example/', {}, 302],
    ['token', { method: 'POST', body: new URLSearchParams({ client_id: 'nobody' }) }, 401],
    ['token', { method: 'POST', body: new URLSearchParams({ client_id: 'given', grant_type: 'x' }) }, 400],
    ['nothing', {}, 404],
    ['introspect', { method: 'POST', body: new URLSearchParams({ token: 'none' }) }, 200],
  ])('the test authorization server responds to an invalid request to %s %j', async (path, init, status) => {
    const { as } = stage()
    expect((await as.handle(new Request(`${as.origin}/${path}`, init))).status).toBe(status)
  })

  test('approve() rejects if the authorization endpoint does not redirect', async () => {
    const { as } = stage()
    await expect(as.approve(`${as.origin}/authorize`)).rejects.toThrow('400')
  })
})
