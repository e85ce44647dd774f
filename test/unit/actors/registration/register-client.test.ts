import { describe, expect, test } from 'vitest'
import { createRegisterClient } from '../../../../src/actors/registration/register-client.ts'
import type { ClientOptions } from '../../../../src/options/client-options.ts'
import { verifies } from '../../../support/verifies.ts'
import { type Answer, makeDependencies, never, rejectionOf, sendBefore, startPeer, steppingClock } from '../support.ts'

const redirectUri = 'https://app.example/callback'

interface Options {
  client?: ClientOptions
  redirectUri?: string
  supported?: string[]
  dpopBoundAccessTokens?: true
  scope?: string
}

async function register(answer: Answer | ((origin: string) => Answer), options: Options = {}) {
  const peer = await startPeer()
  peer.routes['/register'] = typeof answer === 'function' ? answer(peer.origin) : answer
  const clock = steppingClock()
  const run = createRegisterClient(makeDependencies({ clock, ...(options.client && { client: options.client }) }))
  const done = run(
    {
      at: 5000,
      issuer: 'https://as',
      redirectUri: options.redirectUri ?? redirectUri,
      registrationEndpoint: `${peer.origin}/register`,
      tokenEndpointAuthMethodsSupported: options.supported,
      dpopBoundAccessTokens: options.dpopBoundAccessTokens,
      ...(options.scope !== undefined && { scope: options.scope }),
      sendBefore,
    },
    never,
  )
  await Promise.allSettled([done])
  const { body, ...request } = peer.seen[0] ?? { body: 'null' }
  return { done, request, sent: JSON.parse(body) as unknown, asked: peer.seen.length }
}

describe('a registration request', () => {
  test(
    'contains the defaults of a client with few options',
    verifies(48, async () => {
      const { sent, request } = await register({ status: 201, body: { client_id: 'c' } })
      expect(sent).toEqual({
        client_name: 'Acme',
        redirect_uris: [redirectUri],
        grant_types: ['authorization_code', 'refresh_token'],
        response_types: ['code'],
        token_endpoint_auth_method: 'client_secret_basic',
        application_type: 'web',
      })
      expect(request).toMatchObject({
        method: 'POST',
        headers: { 'content-type': 'application/json', accept: 'application/json', 'user-agent': 'authchart/0.1.0' },
      })
    }),
  )

  test('contains dpop_bound_access_tokens for a client that requires DPoP', async () => {
    const { sent } = await register({ status: 201, body: { client_id: 'c' } }, { dpopBoundAccessTokens: true })
    expect(sent).toMatchObject({ client_name: 'Acme', dpop_bound_access_tokens: true })
  })

  test('contains all metadata of a fully configured client', async () => {
    const client = {
      name: 'Acme',
      redirectUri,
      uri: 'https://app.example',
      logoUri: 'https://app.example/logo',
      contacts: ['ops@app.example'],
      softwareId: 'acme',
      softwareVersion: '2',
      scope: 'a b',
    }
    const { sent } = await register(
      { status: 201, body: { client_id: 'c' } },
      { client, supported: ['client_secret_post'], scope: 'a b' },
    )
    expect(sent).toEqual({
      client_name: 'Acme',
      redirect_uris: [redirectUri],
      grant_types: ['authorization_code', 'refresh_token'],
      response_types: ['code'],
      token_endpoint_auth_method: 'client_secret_post',
      application_type: 'web',
      client_uri: 'https://app.example',
      logo_uri: 'https://app.example/logo',
      contacts: ['ops@app.example'],
      software_id: 'acme',
      software_version: '2',
      scope: 'a b',
    })
  })

  test.each([
    ['http://127.0.0.1:3000/cb', 'native'],
    ['http://localhost:3000/cb', 'native'],
    ['http://[::1]/cb', 'native'],
    ['com.acme.app:/cb', 'native'],
    ['https://app.example/cb', 'web'],
    ['http://app.internal/cb', 'web'],
  ])(
    'with the redirect URI %s has application_type %s',
    verifies(51, async (uri, application_type) => {
      const { sent } = await register({ body: { client_id: 'c' } }, { redirectUri: uri })
      expect(sent).toMatchObject({ application_type, redirect_uris: [uri] })
    }),
  )

  test('is not sent when the server supports none of the available authentication methods', async () => {
    const { done, asked } = await register({}, { supported: ['private_key_jwt', 'tls_client_auth'] })
    expect(await rejectionOf(done)).toEqual({
      code: 'CLIENT_AUTH_UNSUPPORTED',
      outcome: 'notSent',
      details: { offered: 'private_key_jwt tls_client_auth' },
    })
    expect(asked).toBe(0)
  })
})

describe('a registration response', () => {
  const base = { issuer: 'https://as', clientId: 'c', redirectUri, source: 'dynamic' }

  test.each<[string, object, string[] | undefined, object]>([
    ['no secret', { client_id: 'c' }, undefined, { tokenEndpointAuthMethod: 'none' }],
    [
      'a secret and no method',
      { client_id: 'c', client_secret: 's', client_secret_expires_at: 0 },
      undefined,
      { clientSecret: 's', tokenEndpointAuthMethod: 'client_secret_basic' },
    ],
    [
      'a method chosen by the server',
      { client_id: 'c', client_secret: 's', token_endpoint_auth_method: 'client_secret_post' },
      undefined,
      { clientSecret: 's', tokenEndpointAuthMethod: 'client_secret_post' },
    ],
    [
      'a secret that the method does not use',
      {
        client_id: 'c',
        client_secret: 's',
        client_secret_expires_at: 1_700_000_060,
        token_endpoint_auth_method: 'client_secret_post',
      },
      ['none'],
      { tokenEndpointAuthMethod: 'none' },
    ],
    [
      'an expiring secret',
      { client_id: 'c', client_secret: 's', client_secret_expires_at: 1_700_000_060 },
      undefined,
      { clientSecret: 's', clientSecretExpiresAt: 66_000, tokenEndpointAuthMethod: 'client_secret_basic' },
    ],
  ])('with %s is parsed into a client', async (_, body, supported, expected) => {
    const { done } = await register({ status: 201, body }, supported ? { supported } : {})
    expect(await done).toEqual({ at: 6000, client: { ...base, ...expected } })
  })

  test(
    'with a client configuration endpoint at the origin of the registration endpoint is stored with its access token',
    verifies(55, async () => {
      const { done } = await register((origin) => ({
        status: 201,
        body: {
          client_id: 'c',
          registration_client_uri: `${origin}/register/c`,
          registration_access_token: 'registration-token',
        },
      }))
      const { configuration, client } = await done
      expect(configuration).toEqual({
        url: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+\/register\/c$/),
        accessToken: 'registration-token',
      })
      expect(client).toEqual({ ...base, tokenEndpointAuthMethod: 'none' })
    }),
  )

  test.each<[string, (origin: string) => object]>([
    ['that is a blob: URL', (origin) => ({ registration_client_uri: `blob:${origin}/c` })],
    ['of another origin', () => ({ registration_client_uri: 'https://evil.example/c' })],
    ['without an access token', () => ({ registration_access_token: undefined })],
    ['without a URL', () => ({ registration_client_uri: undefined })],
    ['with a token that no header can carry', () => ({ registration_access_token: 'a\nb' })],
    ['with a token that is too long', () => ({ registration_access_token: 'x'.repeat(4_097) })],
    ['with an invalid URL', () => ({ registration_client_uri: '/register/c' })],
    ['with credentials in its URL', (origin) => ({ registration_client_uri: origin.replace('//', '//u:p@') })],
  ])('with a client configuration endpoint %s is stored without it', async (_name, change) => {
    const { done } = await register((origin) => ({
      status: 201,
      body: {
        client_id: 'c',
        registration_client_uri: `${origin}/register/c`,
        registration_access_token: 'registration-token',
        ...change(origin),
      },
    }))
    expect(await done).toEqual({ at: 6000, client: { ...base, tokenEndpointAuthMethod: 'none' } })
  })

  test.each<[string, Answer, object]>([
    [
      'status 400 and an error code',
      { status: 400, body: { error: 'invalid_redirect_uri', error_description: 'x' } },
      { code: 'REGISTRATION_REJECTED', outcome: 'rejected', details: { status: 400, error: 'invalid_redirect_uri' } },
    ],
    [
      'status 401',
      { status: 401, body: '' },
      { code: 'REGISTRATION_REJECTED', outcome: 'rejected', details: { status: 401 } },
    ],
    ['status 429', { status: 429 }, { code: 'RATE_LIMITED', outcome: 'rejected', details: { status: 429 } }],
    ['status 503', { status: 503 }, { code: 'SERVER_UNAVAILABLE', outcome: 'rejected', details: { status: 503 } }],
    ['status 500', { status: 500 }, { code: 'SERVER_UNAVAILABLE', outcome: 'unknown', details: { status: 500 } }],
    [
      'an HTML page',
      { status: 201, body: '<html>' },
      {
        code: 'RESPONSE_NOT_JSON',
        outcome: 'unknown',
        details: { status: 201, document: 'registration response' },
      },
    ],
    [
      'an invalid document',
      { status: 201, body: { client_id: 7, client_secret: 'hunter2' } },
      {
        code: 'RESPONSE_INVALID',
        outcome: 'rejected',
        details: { status: 201, document: 'registration response', field: 'client_id' },
      },
    ],
    [
      'an unsupported authentication method',
      { status: 201, body: { client_id: 'c', token_endpoint_auth_method: 'private_key_jwt' } },
      {
        code: 'CLIENT_AUTH_UNSUPPORTED',
        outcome: 'rejected',
        details: { status: 201, document: 'registration response', received: 'private_key_jwt' },
      },
    ],
  ])('with %s fails with the matching code', async (_, answer, expected) => {
    const { done, asked } = await register(answer)
    const url: unknown = expect.stringMatching(/\/register$/)
    expect(await rejectionOf(done)).toEqual({
      ...expected,
      details: { url, ...('details' in expected && (expected.details as object)) },
    })
    expect(asked).toBe(1)
  })
})
