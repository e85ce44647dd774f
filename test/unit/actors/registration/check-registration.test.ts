import { describe, expect, test } from 'vitest'
import type { CheckRegistrationInput } from '../../../../machines/ports.ts'
import { createCheckRegistration } from '../../../../src/actors/registration/check-registration.ts'
import { verifies } from '../../../support/verifies.ts'
import {
  formOf,
  makeDependencies,
  never,
  rejectionOf,
  type Route,
  sendBefore,
  serverAt,
  startPeer,
  steppingClock,
} from '../support.ts'

async function startCheck(routes: Record<string, Route>, overrides: Partial<CheckRegistrationInput> = {}) {
  const peer = await startPeer(routes)
  const { client } = serverAt(peer.origin)
  const input: CheckRegistrationInput = {
    at: 5000,
    sendBefore,
    client: { ...client, clientSecret: 's', tokenEndpointAuthMethod: 'client_secret_basic' },
    configuration: undefined,
    tokenEndpoint: `${peer.origin}/token`,
    dpop: undefined,
    ...overrides,
  }
  const run = () => createCheckRegistration(makeDependencies({ clock: steppingClock() }))(input, never)
  return { peer, input, run }
}

/** A registration that has a client configuration endpoint, which answers this. */
async function startRead(answer: Route) {
  const { peer, input } = await startCheck({ '/client': answer })
  const configuration = { url: `${peer.origin}/client`, accessToken: 'registration-token' }
  const run = () =>
    createCheckRegistration(makeDependencies({ clock: steppingClock() }))({ ...input, configuration }, never)
  return { peer, input, configuration, run }
}

describe('a client configuration endpoint', () => {
  test(
    'is read with the registration access token, and nothing else is sent',
    verifies(55, async () => {
      const { peer, input, configuration, run } = await startRead({ body: { client_id: 'c 1' } })
      expect(await run()).toEqual({ at: 6000, isForgotten: false, client: input.client, configuration })
      expect(peer.seen.map(({ method, path, headers, body }) => [method, path, headers.authorization, body])).toEqual([
        ['GET', '/client', 'Bearer registration-token', ''],
      ])
    }),
  )

  test.each([401, 404, 410])('that answers %i has forgotten the registration', async (status) => {
    const { run } = await startRead({ status, body: 'gone' })
    expect(await run()).toEqual({ at: 6000, isForgotten: true })
  })

  test.each([201, 204, 400, 403, 429, 500, 503])('that answers %i decides nothing', async (status) => {
    const { peer, run } = await startRead({ status })
    expect(await rejectionOf(run())).toEqual({
      code: 'RESPONSE_INVALID',
      details: { url: `${peer.origin}/client`, status },
      outcome: 'rejected',
    })
  })

  test('that redirects decides nothing, and the token goes to no other URL', async () => {
    const { peer, run } = await startRead({ status: 302, headers: { location: '/other' } })
    expect((await rejectionOf(run())).code).toBe('TOO_MANY_REDIRECTS')
    expect(peer.paths()).toEqual(['/client'])
  })

  test(
    'may replace the secret and the registration access token',
    verifies(55, async () => {
      const { peer, input, run } = await startRead({ status: 500 })
      peer.routes['/client'] = {
        body: {
          client_id: 'c 1',
          client_secret: 's2',
          client_secret_expires_at: 1_700_000_060,
          registration_client_uri: `${peer.origin}/client/2`,
          registration_access_token: 'token-2',
        },
      }
      expect(await run()).toEqual({
        at: 6000,
        isForgotten: false,
        client: { ...input.client, clientSecret: 's2', clientSecretExpiresAt: 66_000 },
        configuration: { url: `${peer.origin}/client/2`, accessToken: 'token-2' },
      })
    }),
  )

  test.each<[string, Record<string, unknown> | string]>([
    ['is of another client', { client_id: 'another', client_secret: 's2', registration_access_token: 'token-2' }],
    ['is no JSON', '<html>'],
  ])('whose response %s still has the registration, and replaces nothing', async (_name, body) => {
    const { run } = await startRead({ body })
    expect(await run()).toEqual({ at: 6000, isForgotten: false })
  })

  test('of another origin in its response does not replace the stored one', async () => {
    const { configuration, run } = await startRead({
      body: { client_id: 'c 1', registration_client_uri: 'https://evil.example/', registration_access_token: 't' },
    })
    expect(await run()).toMatchObject({ isForgotten: false, configuration })
  })
})

describe('a token request with an invented code', () => {
  test('authenticates the client by its own method, with a random code and verifier', async () => {
    const { peer, run } = await startCheck({ '/token': { status: 400, body: { error: 'invalid_grant' } } })
    expect(await run()).toEqual({ at: 6000, isForgotten: false })
    const random = Buffer.alloc(32, 7).toString('base64url')
    expect(peer.seen.map(({ path, body }) => [path, formOf(body)])).toEqual([
      [
        '/token',
        {
          grant_type: 'authorization_code',
          code: `registration-check-${random}`,
          code_verifier: random,
          redirect_uri: 'https://app.example/callback',
        },
      ],
    ])
    expect(peer.seen[0]?.headers.authorization).toBe(`Basic ${btoa('c+1:s')}`)
  })

  test('has a DPoP proof where the server requires one', async () => {
    const { peer, run } = await startCheck(
      { '/token': { status: 400, body: { error: 'invalid_grant' } } },
      { dpop: { alg: 'ES256' } },
    )
    expect((await run()).isForgotten).toBe(false)
    expect(peer.seen[0]?.headers['dpop']).toMatch(/^[\w-]+\.[\w-]+\.[\w-]+$/)
  })

  test.each<[string, Route, boolean]>([
    ['invalid_client', { status: 401, body: { error: 'invalid_client' } }, true],
    ['invalid_client with 400', { status: 400, body: { error: 'invalid_client' } }, true],
    ['invalid_client with 200', { body: { error: 'invalid_client' } }, true],
    ['unauthorized_client', { status: 400, body: { error: 'unauthorized_client' } }, true],
    ['401 without an OAuth error', { status: 401, body: { message: 'no' } }, true],
    ['401 with an error of its own', { status: 401, body: { error: 'unauthorized' } }, true],
    ['incorrect_client_credentials', { body: { error: 'incorrect_client_credentials' } }, true],
    ['401 invalid_grant', { status: 401, body: { error: 'invalid_grant' } }, false],
    ['401 invalid_dpop_proof', { status: 401, body: { error: 'invalid_dpop_proof' } }, false],
    ['invalid_request', { status: 400, body: { error: 'invalid_request' } }, false],
    ['403 without an OAuth error', { status: 403, body: '' }, false],
    ['invalid_redirect_uri', { status: 400, body: { error: 'invalid_redirect_uri' } }, false],
    ['tokens', { body: { access_token: 't', token_type: 'Bearer' } }, false],
  ])('that is answered with %s shows whether the registration is forgotten', async (_name, answer, isForgotten) => {
    const { run } = await startCheck({ '/token': answer })
    expect(await run()).toEqual({ at: 6000, isForgotten })
  })

  test.each<[string, Route, string]>([
    ['500', { status: 500, body: { error: 'invalid_client' } }, 'TOKEN_OUTCOME_UNKNOWN'],
    ['503', { status: 503, body: { error: 'invalid_client' } }, 'SERVER_UNAVAILABLE'],
    ['429', { status: 429, body: { error: 'invalid_client' } }, 'RATE_LIMITED'],
    ['a reset', { hangUp: true }, 'HTTP_NETWORK'],
  ])('that is answered with %s decides nothing', async (_name, answer, code) => {
    const { run } = await startCheck({ '/token': answer })
    expect((await rejectionOf(run())).code).toBe(code)
  })

  test('throws an unexpected error unchanged', async () => {
    const { input } = await startCheck({})
    const deps = makeDependencies({
      transport: { ...makeDependencies().transport, exchange: () => Promise.reject(new RangeError('a bug')) },
    })
    await expect(createCheckRegistration(deps)(input, never)).rejects.toThrow('a bug')
  })
})
