import { describe, expect, test } from 'vitest'
import { verifies } from '../../../support/verifies.ts'
import { type Answer, rejectionOf, startTokenEndpoint, steppingClock } from '../support.ts'

const tokens = { access_token: 't', token_type: 'bearer', expires_in: 3600, refresh_token: 'r2', scope: 'a' }
/** One code exchange against a server that answers this. */
async function exchangeWith(answer: Answer) {
  return (await startTokenEndpoint({ token: answer })).exchange()
}

describe('a token request', () => {
  test(
    'to exchange a code contains the code, the verifier, the redirect URI and the resource',
    verifies([64, 90], async () => {
      const { peer, exchange, forms } = await startTokenEndpoint({
        token: { body: tokens },
        dependencies: { clock: steppingClock() },
      })
      const result = await exchange({ code: 'c&d' })
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
      expect(forms()).toEqual([
        {
          grant_type: 'authorization_code',
          code: 'c&d',
          code_verifier: 'v',
          redirect_uri: 'https://app.example/callback',
          resource: 'https://h/mcp',
          client_id: 'c 1',
        },
      ])
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
    const { exchange, forms } = await startTokenEndpoint({
      server: { resource: undefined },
      client: { redirectUri: undefined },
      dependencies: { client: { name: 'Acme', redirectUri: 'https://app.example/other' } },
    })
    await exchange()
    expect(forms()[0]).toEqual({
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
      const { refresh, forms } = await startTokenEndpoint()
      const result = await refresh({ refreshToken: 'r1' })
      expect(forms()[0]).toEqual({
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
      const { peer, request, forms } = await startTokenEndpoint({
        client: {
          clientId: 'a:b-c.d_e*',
          clientSecret: 'p ü:~',
          tokenEndpointAuthMethod: 'client_secret_basic',
        },
      })
      await request({ scope: 'a b' })
      const [seen] = peer.seen
      expect(forms()[0]).toEqual({ grant_type: 'client_credentials', scope: 'a b', resource: 'https://h/mcp' })
      expect(seen?.headers.authorization).toBe(`Basic ${Buffer.from('a%3Ab-c.d_e*:p+%C3%BC%3A%7E').toString('base64')}`)
    }),
  )

  test(
    'for client credentials in the body omits an absent scope',
    verifies(91, async () => {
      const { peer, request, forms } = await startTokenEndpoint({
        client: { clientSecret: 's&', tokenEndpointAuthMethod: 'client_secret_post' },
      })
      await request()
      const [seen] = peer.seen
      expect(forms()[0]).toEqual({
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
      const { peer, server, refresh } = await startTokenEndpoint()
      peer.routes['/token?p=1'] = { body: tokens }
      await refresh({ server: { ...server, tokenEndpoint: `${peer.origin}/token?p=1` } })
      expect(peer.paths()).toEqual(['/token?p=1'])
    }),
  )
})

describe('a token request that must not be sent', () => {
  test.each([
    { tokenEndpointAuthMethod: 'private_key_jwt', clientSecret: 's' },
    { tokenEndpointAuthMethod: 'client_secret_basic' },
  ])('is rejected when the client cannot authenticate: %j', async (client) => {
    const { peer, refresh } = await startTokenEndpoint({ client })
    expect(await rejectionOf(refresh())).toEqual({
      code: 'CLIENT_AUTH_UNSUPPORTED',
      outcome: 'notSent',
      details: { received: client.tokenEndpointAuthMethod },
    })
    expect(peer.seen).toEqual([])
  })

  test('is rejected after its send deadline', async () => {
    const { peer, refresh } = await startTokenEndpoint()
    const rejected = await rejectionOf(refresh({ sendBefore: 0 }))
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
      'status 408',
      { status: 408, body: '' },
      { code: 'SERVER_UNAVAILABLE', outcome: 'rejected', details: { status: 408 } },
    ],
    [
      'status 425',
      { status: 425, body: '' },
      { code: 'SERVER_UNAVAILABLE', outcome: 'rejected', details: { status: 425 } },
    ],
    [
      'status 400 and temporarily_unavailable',
      { status: 400, body: { error: 'temporarily_unavailable' } },
      { code: 'SERVER_UNAVAILABLE', outcome: 'rejected', details: { status: 400, error: 'temporarily_unavailable' } },
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
        outcome: 'rejected',
        details: { status: 200, document: 'token response', field: 'token_type' },
      },
    ],
    [
      'an overlong refresh token',
      { body: { access_token: secret, token_type: 'Bearer', refresh_token: 'r'.repeat(32_769) } },
      {
        code: 'TOKEN_RESPONSE_INVALID',
        outcome: 'rejected',
        details: { status: 200, document: 'token response', field: 'refresh_token' },
      },
    ],
  ])('with %s fails with the matching code, and the error omits its text', async (_, answer, expected) => {
    const rejected = await rejectionOf(exchangeWith(answer))
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
      { body: 'access_token=t&scope=a+b&token_type=bearer' },
      { accessToken: 't', scope: 'a b', tokenType: 'Bearer' },
    ],
    ['status 201', { status: 201, body: tokens }, { accessToken: 't' }],
    ['expires_in 0', { body: { ...tokens, expires_in: '0' } }, { expiresInMs: 0 }],
  ])('with %s is parsed', async (_, answer, expected) => {
    expect(await exchangeWith(answer)).toMatchObject(expected)
  })

  test('that the transport rejects fails with the error of the transport', async () => {
    expect(await rejectionOf(exchangeWith({ hangUp: true }))).toMatchObject({
      code: 'HTTP_NETWORK',
      outcome: 'unknown',
    })
    const redirect = { status: 307, headers: { location: 'https://evil/' } }
    expect(await rejectionOf(exchangeWith(redirect))).toMatchObject({ code: 'TOO_MANY_REDIRECTS' })
    const large = { body: { ...tokens, x: 'x'.repeat(140_000) } }
    expect(await rejectionOf(exchangeWith(large))).toMatchObject({ code: 'RESPONSE_TOO_LARGE', outcome: 'unknown' })
  })

  test('to a refresh fails with REFRESH_REJECTED on invalid_grant', async () => {
    const { refresh } = await startTokenEndpoint({ token: { status: 400, body: { error: 'invalid_grant' } } })
    expect(await rejectionOf(refresh())).toMatchObject({
      code: 'REFRESH_REJECTED',
      outcome: 'rejected',
      details: { error: 'invalid_grant' },
    })
  })

  test('with status 503 is not retried', async () => {
    const { peer, refresh } = await startTokenEndpoint({ token: { status: 503 } })
    await rejectionOf(refresh())
    expect(peer.paths()).toEqual(['/token'])
  })
})
