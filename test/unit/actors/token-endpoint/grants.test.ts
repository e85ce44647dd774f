import { describe, expect, test } from 'vitest'
import {
  createExchangeCode,
  createRefreshTokens,
  createRequestToken,
} from '../../../../src/actors/token-endpoint/grants.ts'
import type { AuthorizationServer, ClientInformation } from '../../../../src/schemas/credentials.ts'
import { verifies } from '../../../support/verifies.ts'
import { makeTransport } from '../../http/support.ts'
import {
  type Answer,
  identityOf,
  makeDependencies,
  never,
  rejectionOf,
  sendBefore,
  serverAt,
  startPeer,
  steppingClock,
} from '../support.ts'

const identity = identityOf('https://h/mcp')
const tokens = { access_token: 't', token_type: 'bearer', expires_in: 3600, refresh_token: 'r2', scope: 'a' }
const publicClient = serverAt('https://as').client

function withClient(origin: string, client: Partial<ClientInformation>): AuthorizationServer {
  return serverAt(origin, { client: { ...publicClient, ...client } })
}

function form(text: string | undefined) {
  return Object.fromEntries(new URLSearchParams(text))
}

/** One code exchange against a server that answers this. */
async function exchange(answer: Answer, overrides: Parameters<typeof makeDependencies>[0] = {}) {
  const peer = await startPeer({ '/token': answer })
  const run = createExchangeCode(makeDependencies(overrides))
  return run(
    {
      at: 5000,
      identity,
      server: serverAt(peer.origin),
      code: 'the-code',
      verifier: 'the-verifier',
      expectedSubject: undefined,
      sendBefore,
    },
    never,
  )
}

describe('a token request', () => {
  test(
    'to exchange a code contains the code, the verifier, the redirect URI and the resource',
    verifies([64, 90], async () => {
      const peer = await startPeer({ '/token': { body: tokens } })
      const clock = steppingClock()
      const run = createExchangeCode(makeDependencies({ clock, transport: makeTransport() }))
      const server = serverAt(peer.origin)
      const result = await run(
        { at: 5000, identity, server, code: 'c&d', verifier: 'v', expectedSubject: undefined, sendBefore },
        never,
      )
      expect(result).toEqual({
        at: 7000,
        accessToken: 't',
        tokenType: 'Bearer',
        scope: 'a',
        expiresInMs: 3_600_000,
        refreshToken: 'r2',
        refreshTokenExpiresInMs: undefined,
        subject: undefined,
      })
      const [seen] = peer.seen
      expect(form(seen?.body)).toEqual({
        grant_type: 'authorization_code',
        code: 'c&d',
        code_verifier: 'v',
        redirect_uri: 'https://app.example/callback',
        resource: 'https://h/mcp',
        client_id: 'c 1',
      })
      expect(seen).toMatchObject({
        method: 'POST',
        headers: {
          accept: 'application/json',
          'content-type': 'application/x-www-form-urlencoded;charset=UTF-8',
          'user-agent': 'authchart/0.1.0',
        },
      })
      expect(seen?.headers.authorization).toBeUndefined()
    }),
  )

  test("to exchange a code falls back to the host's redirect URI and omits an absent resource", async () => {
    const peer = await startPeer({ '/token': { body: tokens } })
    const server = { ...withClient(peer.origin, { redirectUri: undefined }), resource: undefined }
    const run = createExchangeCode(
      makeDependencies({ client: { name: 'Acme', redirectUri: 'https://app.example/other' } }),
    )
    await run({ at: 0, identity, server, code: 'c', verifier: 'v', expectedSubject: undefined, sendBefore }, never)
    expect(form(peer.seen[0]?.body)).toEqual({
      grant_type: 'authorization_code',
      code: 'c',
      code_verifier: 'v',
      redirect_uri: 'https://app.example/other',
      client_id: 'c 1',
    })
  })

  test(
    'to refresh omits the scope, so that the granted scope is retained',
    verifies(64, async () => {
      const peer = await startPeer({ '/token': { body: { access_token: 't', token_type: 'Bearer' } } })
      const run = createRefreshTokens(makeDependencies())
      const result = await run(
        { at: 0, identity, server: serverAt(peer.origin), refreshToken: 'r1', sendBefore },
        never,
      )
      expect(form(peer.seen[0]?.body)).toEqual({
        grant_type: 'refresh_token',
        refresh_token: 'r1',
        resource: 'https://h/mcp',
        client_id: 'c 1',
      })
      expect(result).toMatchObject({ accessToken: 't', refreshToken: undefined, expiresInMs: undefined })
    }),
  )

  test(
    'for client credentials by Basic form-encodes both parts',
    verifies([64, 93, 170], async () => {
      const peer = await startPeer({ '/token': { body: tokens } })
      const server = withClient(peer.origin, {
        clientId: 'a:b-c.d_e*',
        clientSecret: 'p ü:~',
        tokenEndpointAuthMethod: 'client_secret_basic',
      })
      const run = createRequestToken(makeDependencies())
      await run({ at: 0, identity, server, scope: 'a b', grant: 'client_credentials', sendBefore }, never)
      const [seen] = peer.seen
      expect(form(seen?.body)).toEqual({ grant_type: 'client_credentials', scope: 'a b', resource: 'https://h/mcp' })
      expect(seen?.headers.authorization).toBe(`Basic ${Buffer.from('a%3Ab-c.d_e*:p+%C3%BC%3A%7E').toString('base64')}`)
    }),
  )

  test(
    'for client credentials in the body omits an absent scope',
    verifies(91, async () => {
      const peer = await startPeer({ '/token': { body: tokens } })
      const server = withClient(peer.origin, { clientSecret: 's&', tokenEndpointAuthMethod: 'client_secret_post' })
      await createRequestToken(makeDependencies())(
        { at: 0, identity, server, scope: undefined, grant: 'client_credentials', sendBefore },
        never,
      )
      const [seen] = peer.seen
      expect(form(seen?.body)).toEqual({
        grant_type: 'client_credentials',
        resource: 'https://h/mcp',
        client_id: 'c 1',
        client_secret: 's&',
      })
      expect(seen?.headers.authorization).toBeUndefined()
    }),
  )

  test(
    'keeps the query of the token endpoint',
    verifies(39, async () => {
      const peer = await startPeer({ '/token?p=1': { body: tokens } })
      const server = serverAt(peer.origin, { tokenEndpoint: `${peer.origin}/token?p=1` })
      await createRefreshTokens(makeDependencies())({ at: 0, identity, server, refreshToken: 'r', sendBefore }, never)
      expect(peer.paths()).toEqual(['/token?p=1'])
    }),
  )
})

describe('a token request that must not be sent', () => {
  test.each([
    { tokenEndpointAuthMethod: 'private_key_jwt', clientSecret: 's' },
    { tokenEndpointAuthMethod: 'client_secret_basic' },
  ])('is rejected when the client cannot authenticate: %j', async (client) => {
    const peer = await startPeer()
    const server = withClient(peer.origin, client)
    const run = createRefreshTokens(makeDependencies())
    const input = { at: 0, identity, server, refreshToken: 'r', sendBefore }
    expect(await rejectionOf(run(input, never))).toEqual({
      code: 'CLIENT_AUTH_UNSUPPORTED',
      outcome: 'notSent',
      details: { received: client.tokenEndpointAuthMethod },
    })
    expect(peer.seen).toEqual([])
  })

  test('is rejected after its send deadline', async () => {
    const peer = await startPeer({ '/token': { body: tokens } })
    const input = { at: 0, identity, server: serverAt(peer.origin), refreshToken: 'r', sendBefore: 0 }
    const rejected = await rejectionOf(createRefreshTokens(makeDependencies())(input, never))
    expect(rejected).toMatchObject({ code: 'HTTP_TIMEOUT', outcome: 'notSent', details: { reason: 'leaseTooShort' } })
    expect(peer.seen).toEqual([])
  })
})

describe('a token response', () => {
  const secret = 'sk-very-secret'
  const description = { error_description: secret }

  test.each<[string, Answer, object]>([
    [
      'an OAuth error',
      { status: 400, body: { error: 'invalid_grant', ...description } },
      { code: 'EXCHANGE_REJECTED', outcome: 'rejected', details: { status: 400, error: 'invalid_grant' } },
    ],
    [
      'invalid_client',
      { status: 401, body: { error: 'invalid_client' } },
      {
        code: 'CLIENT_REJECTED',
        outcome: 'rejected',
        details: { status: 401, error: 'invalid_client', reason: 'dynamicClient' },
      },
    ],
    [
      'status 403 and no JSON',
      { status: 403, body: `<html>${secret}` },
      { code: 'EXCHANGE_REJECTED', outcome: 'rejected', details: { status: 403 } },
    ],
    [
      'free text as error code',
      { status: 400, body: { error: `bad ${secret}` } },
      { code: 'EXCHANGE_REJECTED', outcome: 'rejected', details: { status: 400 } },
    ],
    [
      'status 429',
      { status: 429, headers: { 'retry-after': '2' }, body: '' },
      { code: 'RATE_LIMITED', outcome: 'rejected', details: { status: 429, retryAfterMs: 2000 } },
    ],
    [
      'status 503',
      { status: 503, body: { error: 'temporarily_unavailable' } },
      { code: 'SERVER_UNAVAILABLE', outcome: 'rejected', details: { status: 503, error: 'temporarily_unavailable' } },
    ],
    [
      'status 500',
      { status: 500, body: secret },
      { code: 'TOKEN_OUTCOME_UNKNOWN', outcome: 'unknown', details: { status: 500 } },
    ],
    [
      'an error in a 200 (Slack)',
      { body: { ok: false, error: 'invalid_code' } },
      { code: 'EXCHANGE_REJECTED', outcome: 'rejected', details: { status: 200, error: 'invalid_code' } },
    ],
    [
      'an error in a form (GitHub)',
      {
        headers: { 'content-type': 'application/x-www-form-urlencoded' },
        body: 'error=bad_verification_code&error_uri=x',
      },
      { code: 'EXCHANGE_REJECTED', outcome: 'rejected', details: { status: 200, error: 'bad_verification_code' } },
    ],
    [
      'an HTML page',
      { body: `<html>${secret}` },
      {
        code: 'TOKEN_RESPONSE_INVALID',
        outcome: 'unknown',
        details: { status: 200, document: 'token response', reason: 'unreadable' },
      },
    ],
    [
      'an empty body',
      { body: '' },
      {
        code: 'TOKEN_RESPONSE_INVALID',
        outcome: 'unknown',
        details: { status: 200, document: 'token response', reason: 'unreadable' },
      },
    ],
    [
      'another token type',
      { body: { access_token: secret, token_type: 'mac' } },
      {
        code: 'TOKEN_RESPONSE_INVALID',
        outcome: 'unknown',
        details: { status: 200, document: 'token response', field: 'token_type' },
      },
    ],
    [
      'an invalid expires_in',
      { body: { access_token: secret, token_type: 'Bearer', expires_in: '3600abc' } },
      {
        code: 'TOKEN_RESPONSE_INVALID',
        outcome: 'unknown',
        details: { status: 200, document: 'token response', field: 'expires_in' },
      },
    ],
  ])('with %s fails with the matching code, and the error omits its text', async (_, answer, expected) => {
    const rejected = await rejectionOf(exchange(answer))
    expect(rejected).toEqual({
      ...expected,
      details: {
        url: expect.stringMatching(/^http:\/\/127.0.0.1:\d+\/token$/) as string,
        ...('details' in expected && (expected.details as object)),
      },
    })
    expect(JSON.stringify(rejected)).not.toContain(secret)
  })

  test.each<[string, Answer, object]>([
    [
      'a form-encoded body',
      { body: 'access_token=t&scope=a%2Cb&token_type=bearer' },
      { accessToken: 't', scope: 'a b', tokenType: 'Bearer' },
    ],
    [
      'the Slack format',
      { body: { ok: true, access_token: 't', token_type: 'user', scope: 'a,b' } },
      { accessToken: 't', scope: 'a b' },
    ],
    ['status 201', { status: 201, body: tokens }, { accessToken: 't' }],
    ['expires_in 0', { body: { ...tokens, expires_in: '0' } }, { expiresInMs: 0 }],
  ])('with %s is parsed', async (_, answer, expected) => {
    expect(await exchange(answer)).toMatchObject(expected)
  })

  test('that the transport rejects fails with the error of the transport', async () => {
    expect(await rejectionOf(exchange({ hangUp: true }))).toMatchObject({ code: 'HTTP_NETWORK', outcome: 'unknown' })
    const redirect = { status: 307, headers: { location: 'https://evil/' } }
    expect(await rejectionOf(exchange(redirect))).toMatchObject({ code: 'TOO_MANY_REDIRECTS' })
    const large = { body: { ...tokens, x: 'x'.repeat(70_000) } }
    expect(await rejectionOf(exchange(large))).toMatchObject({ code: 'RESPONSE_TOO_LARGE', outcome: 'unknown' })
  })

  test('to a refresh fails with REFRESH_REJECTED on invalid_grant', async () => {
    const peer = await startPeer({ '/token': { status: 400, body: { error: 'invalid_grant' } } })
    const input = { at: 0, identity, server: serverAt(peer.origin), refreshToken: 'r', sendBefore }
    expect(await rejectionOf(createRefreshTokens(makeDependencies())(input, never))).toMatchObject({
      code: 'REFRESH_REJECTED',
      outcome: 'rejected',
      details: { error: 'invalid_grant' },
    })
  })

  test('with status 503 is not retried', async () => {
    const peer = await startPeer({ '/token': { status: 503 } })
    const input = { at: 0, identity, server: serverAt(peer.origin), refreshToken: 'r', sendBefore }
    await rejectionOf(createRefreshTokens(makeDependencies())(input, never))
    expect(peer.paths()).toEqual(['/token'])
  })
})
