import { decodeJwt } from 'jose'
import { describe, expect, test, vi } from 'vitest'
import type { AuthOrchestratorOptions } from '../../../src/index.ts'
import { hashOfToken, readProof } from '../../support/proofs.ts'
import { verifies } from '../../support/verifies.ts'
import { type Answer, type Seen, withoutQuestion } from './peer.ts'
import { TestClock } from './test-clock.ts'
import { orchestrate, redirectOf, rejection, signIn, startWorld, type World } from './world.ts'

const bound = (good: Record<string, unknown>): Answer => ({ body: { ...good, token_type: 'DPoP' } })
const nonceOf = ({ headers }: Seen): unknown => decodeJwt(String(headers['dpop'])).nonce

/** A world whose servers bind tokens, and a resource that asks for no nonce until a test says so. */
async function boundWorld(policy: AuthOrchestratorOptions['policy'] = { dpop: 'whenOffered' }) {
  const world = await startWorld()
  world.serverMetadata['dpop_signing_alg_values_supported'] = ['ES256']
  world.tokenAnswers.push(bound)
  /** What the resource wants next beside a token. */
  const wanted: { nonce: string | undefined; next: string | undefined } = { nonce: undefined, next: undefined }
  const serve = (seen: Seen): Answer => {
    const { method, path, headers, body } = seen
    const token = /^DPoP (.+)$/.exec(headers.authorization ?? '')?.[1] ?? ''
    if (wanted.nonce !== undefined && nonceOf(seen) !== wanted.nonce)
      return {
        status: 401,
        headers: { 'www-authenticate': 'DPoP error="use_dpop_nonce", algs="ES256"', 'dpop-nonce': wanted.nonce },
        body: { error: 'use_dpop_nonce' },
      }
    if (token === '' || world.rejectedToken.has(token))
      return { status: 401, headers: { 'www-authenticate': 'DPoP error="invalid_token"' }, body: {} }
    if (wanted.next !== undefined) wanted.nonce = wanted.next
    return { headers: { ...(wanted.next && { 'dpop-nonce': wanted.next }) }, body: { method, path, token, body } }
  }
  for (const method of ['GET', 'POST', 'HEAD']) world.rs.routes[`${method} /mcp`] = serve
  const clock = new TestClock()
  const orchestrator = orchestrate({ policy, clock })
  const connection = await signIn(world, orchestrator)
  const asked = (peer: World['as'], path: string): Seen[] => peer.seen.filter((seen) => seen.path.startsWith(path))
  return {
    world,
    wanted,
    clock,
    orchestrator,
    connection,
    mcp: () => withoutQuestion(asked(world.rs, '/mcp')),
    tokenRequests: () => asked(world.as, '/token'),
  }
}

describe('a DPoP-bound token', () => {
  test(
    'accessToken() returns a DPoP-bound token with its type and without its key',
    verifies(190, async () => {
      const { connection, world, clock } = await boundWorld()
      const expected = { value: 'access-1', type: 'DPoP', scope: 'mcp:tools', expiresAt: clock.now() + 3_600_000 }
      expect(await connection.accessToken()).toEqual(expected)
      // From memory as well.
      expect(await connection.accessToken()).toEqual(expected)
      expect(world.tokenRequests()).toHaveLength(1)
    }),
  )

  test(
    'a DPoP-bound token is sent with a fresh proof per request, signed with the key of its token request',
    verifies([190, 191], async () => {
      const { connection, world, mcp, tokenRequests } = await boundWorld()
      const init = { method: 'POST', headers: { 'x-own': '1', dpop: 'ignored' }, body: 'hello' }
      const response = await connection.fetch(`${world.server}?secret=1`, init)
      expect(await response.json()).toEqual({ method: 'POST', path: '/mcp?secret=1', token: 'access-1', body: 'hello' })
      await connection.fetch(world.server)
      expect(mcp().map(({ headers }) => [headers.authorization, headers['x-own']])).toEqual([
        ['DPoP access-1', '1'],
        ['DPoP access-1', undefined],
      ])
      const proofs = await Promise.all(mcp().map(({ headers }) => readProof(headers['dpop'])))
      expect(proofs.map(({ claims: { jti: _jti, iat: _iat, ...claims } }) => claims)).toEqual([
        { htm: 'POST', htu: world.server, ath: hashOfToken('access-1') },
        { htm: 'GET', htu: world.server, ath: hashOfToken('access-1') },
      ])
      const first = await readProof(tokenRequests()[0]?.headers['dpop'])
      const all = [first, ...proofs]
      expect(new Set(all.map(({ thumbprint }) => thumbprint)).size).toBe(1)
      expect(new Set(all.map(({ claims }) => claims.jti)).size).toBe(3)
    }),
  )

  test(
    'a DPoP-bound token is refreshed once after a 401 with the same key',
    verifies(193, async () => {
      const { connection, world, mcp, tokenRequests } = await boundWorld()
      world.rejectedToken.add('access-1')
      world.tokenAnswers.push(bound)
      expect(await (await connection.fetch(world.server)).json()).toMatchObject({ token: 'access-2' })
      const sent = [...tokenRequests(), ...mcp()].map(({ headers }) => readProof(headers['dpop']))
      expect(new Set((await Promise.all(sent)).map(({ thumbprint }) => thumbprint)).size).toBe(1)
      expect(tokenRequests()).toHaveLength(2)
    }),
  )

  test('each sign-in generates its own DPoP key', async () => {
    const { world, orchestrator, tokenRequests } = await boundWorld()
    world.tokenAnswers.push(bound)
    await signIn(world, orchestrator, { tenant: 't2', server: world.server })
    const keys = await Promise.all(tokenRequests().map(({ headers }) => readProof(headers['dpop'])))
    expect(new Set(keys.map(({ thumbprint }) => thumbprint)).size).toBe(2)
  })

  test('a DPoP challenge with insufficient_scope requests the union of scopes', async () => {
    const { connection } = await boundWorld()
    const challenge = 'DPoP error="insufficient_scope", scope="mcp:admin", algs="ES256"'
    const { authorizationUrl } = redirectOf(await connection.authorize({ challenge }))
    expect(new URL(authorizationUrl).searchParams.get('scope')).toBe('mcp:tools mcp:admin')
  })
})

describe('a DPoP nonce', () => {
  test(
    'a DPoP nonce that the resource requires is used in one retry and costs no refresh',
    verifies(192, async () => {
      const { connection, world, wanted, mcp } = await boundWorld()
      wanted.nonce = 'n1'
      const response = await connection.fetch(world.server, { method: 'POST', body: 'hello' })
      expect(await response.json()).toMatchObject({ body: 'hello' })
      expect(mcp().map(nonceOf)).toEqual([undefined, 'n1'])
      // The next request has it at once.
      await connection.fetch(world.server)
      expect(mcp().map(nonceOf)).toEqual([undefined, 'n1', 'n1'])
      expect(world.tokenRequests()).toHaveLength(1)
    }),
  )

  test(
    'a DPoP nonce of the resource is read from every response and never sent to the authorization server',
    verifies(192, async () => {
      const { connection, world, wanted, mcp, tokenRequests } = await boundWorld()
      wanted.next = 'n1'
      await connection.fetch(world.server)
      wanted.next = 'n2'
      await connection.fetch(world.server)
      wanted.next = undefined
      world.rejectedToken.add('access-1')
      world.tokenAnswers.push(bound)
      await connection.fetch(world.server)
      expect(mcp().map(nonceOf)).toEqual([undefined, 'n1', 'n2', 'n2'])
      expect(tokenRequests().map(nonceOf)).toEqual([undefined, undefined])
    }),
  )

  test('a second DPoP nonce that the server requires is a failure that may pass, and none of the token', async () => {
    const { connection, world, mcp } = await boundWorld()
    let asked = 0
    world.rs.routes['GET /mcp'] = () => {
      asked += 1
      const headers = { 'www-authenticate': 'DPoP error="use_dpop_nonce"', 'dpop-nonce': `n${asked}` }
      return { status: 401, headers, body: {} }
    }
    expect(await rejection(connection.fetch(world.server))).toMatchObject({
      failure: { code: 'SERVER_UNAVAILABLE', details: { error: 'use_dpop_nonce', reason: 'dpopProof' } },
      nextAction: 'retry',
    })
    expect(await connection.status()).toMatchObject({ authorized: true, failure: undefined })
    expect(mcp().map(nonceOf)).toEqual([undefined, 'n1'])
    expect(world.tokenRequests()).toHaveLength(1)
  })

  test('a DPoP nonce that is required of a bearer token rejects that token', async () => {
    const world = await startWorld()
    const connection = await signIn(world, orchestrate())
    const headers = { 'www-authenticate': 'Bearer, DPoP error="use_dpop_nonce"', 'dpop-nonce': 'n1' }
    world.rs.routes['GET /mcp'] = { status: 401, headers }
    expect(await rejection(connection.fetch(world.server))).toMatchObject({
      failure: { code: 'AUTHORIZATION_REQUIRED', details: { reason: 'rejectedAgain' } },
    })
    expect(await connection.status()).toMatchObject({ authorized: false })
  })

  test('a DPoP nonce for a body that cannot be replayed is used for the next request', async () => {
    const { connection, world, wanted, mcp } = await boundWorld()
    wanted.nonce = 'n1'
    const body = new Blob(['streamed']).stream()
    const init = { method: 'POST', body, duplex: 'half' } as RequestInit
    expect(await rejection(connection.fetch(world.server, init))).toEqual({
      failure: { code: 'BODY_NOT_REPLAYABLE', details: { status: 401 } },
      retryable: true,
      nextAction: 'retry',
    })
    expect((await connection.fetch(world.server)).status).toBe(200)
    expect(mcp().map(nonceOf)).toEqual([undefined, 'n1'])
    expect(world.tokenRequests()).toHaveLength(1)
  })

  test('a request can need both a DPoP nonce and a refresh', async () => {
    const { connection, world, wanted, mcp } = await boundWorld()
    wanted.nonce = 'n1'
    world.rejectedToken.add('access-1')
    world.tokenAnswers.push(bound)
    const response = await connection.fetch(world.server, { method: 'POST', body: 'hello' })
    expect(await response.json()).toMatchObject({ token: 'access-2', body: 'hello' })
    expect(mcp().map((seen) => [seen.headers.authorization, nonceOf(seen)])).toEqual([
      ['DPoP access-1', undefined],
      ['DPoP access-1', 'n1'],
      ['DPoP access-2', 'n1'],
    ])
  })

  test('a DPoP nonce that the authorization server requires does not consume the authorization code', async () => {
    const { world, orchestrator, connection, tokenRequests } = await boundWorld()
    const redirect = redirectOf(await connection.authorize({ force: true }))
    world.tokenAnswers.push(
      { status: 400, headers: { 'dpop-nonce': 'of the server' }, body: { error: 'use_dpop_nonce' } },
      bound,
    )
    expect((await orchestrator.completeCallback(world.callback(redirect))).status).toBe('authorized')
    expect(tokenRequests().map(nonceOf)).toEqual([undefined, undefined, 'of the server'])
  })
})

test('connection.fetch signs a separate DPoP proof for a redirect within the origin', async () => {
  const { connection, world } = await boundWorld()
  world.rs.routes['GET /old'] = { status: 307, headers: { location: '/mcp?moved=1' } }
  expect((await connection.fetch('/old')).status).toBe(200)
  const sent = world.rs.seen.slice(-2).map(({ headers }) => readProof(headers['dpop']))
  const { origin } = world.rs
  expect((await Promise.all(sent)).map(({ claims }) => claims['htu'])).toEqual([`${origin}/old`, `${origin}/mcp`])
})

describe('policy.dpop', () => {
  test("policy.dpop 'never' sends no proof, even if both servers support DPoP", async () => {
    const world = await startWorld()
    world.serverMetadata['dpop_signing_alg_values_supported'] = ['ES256']
    world.resourceMetadata['dpop_bound_access_tokens_required'] = true
    await signIn(world, orchestrate())
    expect(world.as.seen.filter(({ headers }) => 'dpop' in headers)).toEqual([])
  })

  test("policy.dpop 'whenOffered' sends no proof where DPoP is not offered, and accepts a Bearer token where the server does not bind it", async () => {
    const world = await startWorld()
    const orchestrator = orchestrate({ policy: { dpop: 'whenOffered' } })
    await signIn(world, orchestrator)
    expect(world.as.seen.filter(({ headers }) => 'dpop' in headers)).toEqual([])
    world.resourceMetadata['dpop_bound_access_tokens_required'] = true
    const other = await signIn(world, orchestrate({ policy: { dpop: 'whenOffered' } }))
    expect(world.as.seen.filter(({ headers }) => 'dpop' in headers)).toHaveLength(1)
    expect(await (await other.fetch(world.server)).json()).toMatchObject({ token: 'access-2' })
    expect(world.rs.seen.at(-1)?.headers).not.toHaveProperty('dpop')
  })

  test(
    "policy.dpop 'required' discards tokens that are not DPoP-bound, with the reason, and revokes them",
    verifies(193, async () => {
      const world = await startWorld()
      const orchestrator = orchestrate({ policy: { dpop: 'required' } })
      const connection = orchestrator.connection({ tenant: 't1', server: world.server })
      const redirect = redirectOf(await connection.authorize())
      const details = {
        url: `${world.issuer}/token`,
        status: 200,
        document: 'token response',
        field: 'token_type',
        expected: 'DPoP',
        received: 'Bearer',
      }
      expect(await orchestrator.completeCallback(world.callback(redirect))).toMatchObject({
        status: 'failed',
        retryable: false,
        failure: { code: 'TOKEN_RESPONSE_INVALID', details },
        actions: [],
      })
      expect(await connection.status()).toMatchObject({ state: 'failed', authorized: false })
      expect(await rejection(connection.accessToken())).toMatchObject({ failure: { code: 'AUTHORIZATION_REQUIRED' } })
      const revoked = () =>
        world.as.seen.filter(({ path }) => path === '/revoke').map(({ body }) => new URLSearchParams(body).get('token'))
      await vi.waitFor(() => expect(revoked()).toEqual(['refresh-1', 'access-1']))
    }),
  )

  test("policy.dpop 'required' does not store an unbound token of a refresh", async () => {
    const world = await startWorld()
    const clock = new TestClock()
    const orchestrator = orchestrate({ clock, policy: { dpop: 'required' } })
    world.tokenAnswers.push(bound)
    const connection = await signIn(world, orchestrator)
    world.tokenAnswers.push((good) => ({ body: { ...good, token_type: 'Bearer' } }))
    clock.advance(3_580_000)
    expect((await connection.accessToken()).value).toBe('access-1')
    expect(await connection.status()).toMatchObject({ authorized: true, failure: { code: 'TOKEN_RESPONSE_INVALID' } })
    expect(world.as.seen.filter(({ path }) => path === '/revoke')).toEqual([])
  })

  test("policy.dpop 'required' registers a separate client with dpop_bound_access_tokens", async () => {
    const world = await startWorld()
    const orchestrator = orchestrate({ policy: ({ tenant }) => ({ dpop: tenant === 'strict' ? 'required' : 'never' }) })
    world.tokenAnswers.push(bound)
    for (const tenant of ['strict', 'lax', 'lax too'])
      await signIn(world, orchestrator, { tenant, server: world.server })
    const registrations = world.as.seen.filter(({ path }) => path === '/register')
    expect(registrations.map(({ body }) => (JSON.parse(body) as object)['dpop_bound_access_tokens' as never])).toEqual([
      true,
      undefined,
    ])
  })

  test("policy.dpop 'required' rejects a server that supports none of our signing algorithms before it registers a client", async () => {
    const world = await startWorld()
    world.serverMetadata['dpop_signing_alg_values_supported'] = ['RS256']
    const connection = orchestrate({ policy: { dpop: 'required' } }).connection({ tenant: 't1', server: world.server })
    expect(await rejection(connection.authorize())).toEqual({
      failure: {
        code: 'POLICY_REFUSED',
        details: { reason: 'dpop', expected: 'ES256 ES384 ES512 EdDSA Ed25519', offered: 'RS256' },
      },
      retryable: false,
      nextAction: 'none',
    })
    expect(world.as.asked()).not.toContain('POST /register')
  })

  test("policy.dpop 'required' binds client_credentials tokens too, with a new key for each token", async () => {
    const world = await startWorld()
    const clock = new TestClock()
    const orchestrator = orchestrate({
      clock,
      policy: { dpop: 'required' },
      clients: [{ issuer: world.issuer, clientId: 'c', clientSecret: 's' }],
    })
    world.tokenAnswers.push(bound, bound)
    const connection = orchestrator.connection({ tenant: 't1', server: world.server })
    await connection.authorize({ grant: 'client_credentials' })
    expect(await connection.accessToken()).toMatchObject({ value: 'access-1', type: 'DPoP' })
    clock.advance(3_600_000)
    expect(await connection.accessToken()).toMatchObject({ value: 'access-2', type: 'DPoP' })
    const sent = world.as.seen.filter(({ path }) => path === '/token').map(({ headers }) => readProof(headers['dpop']))
    expect(new Set((await Promise.all(sent)).map(({ thumbprint }) => thumbprint)).size).toBe(2)
  })
})

test('import() throws a TypeError for a DPoP-bound token because its key is missing', async () => {
  const world = await startWorld()
  const connection = orchestrate().connection({ tenant: 't1', server: world.server })
  expect(await rejection(connection.import({ tokens: { accessToken: 'secret', tokenType: 'dpop' } }))).toEqual({
    name: 'TypeError',
    message: 'import().tokens.tokenType must not be DPoP: such a token cannot be used without its key',
    code: 'ERR_INVALID_ARG_VALUE',
  })
  expect((await connection.status()).state).toBe('disconnected')
})
