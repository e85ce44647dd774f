import { describe, expect, onTestFinished, test } from 'vitest'
import type { ConnectionDependencies } from '../../../../src/actors/dependencies.ts'
import { createDiscoverServer } from '../../../../src/actors/discovery/discover-server.ts'
import { MetadataCache } from '../../../../src/actors/discovery/metadata.ts'
import { systemClock } from '../../../../src/clock.ts'
import type { AssertionRequest } from '../../../../src/options/client-options.ts'
import type { ClientInformation } from '../../../../src/schemas/credentials.ts'
import { verifies } from '../../../support/verifies.ts'
import {
  type Answer,
  type Dependencies,
  formOf,
  identityOf,
  makeDependencies,
  never,
  rejectionOf,
  sendBefore,
  startPeer,
  startTokenEndpoint,
  type TokenEndpointSetup,
} from '../support.ts'

const SECRET = 'sk-very-secret'
const identity = identityOf('https://h/mcp')
const tokens: Answer = { body: { access_token: 't', token_type: 'Bearer', expires_in: 60 } }
const anonymous: Partial<ClientInformation> = { clientId: '', source: 'anonymous' }
const ID_JAG = 'urn:ietf:params:oauth:token-type:id-jag'
const exchanged: Answer = { body: { access_token: 'the-id-jag', issued_token_type: ID_JAG, token_type: 'N_A' } }

type Assertions = NonNullable<ConnectionDependencies['assertions']>

/** A host that has these, and writes down what it was asked for. */
function host(has: Partial<Record<AssertionRequest['kind'], string>>) {
  const asked: AssertionRequest[] = []
  const assertions: Assertions = (request) => {
    asked.push(request)
    return Promise.resolve(has[request.kind])
  }
  return { asked, assertions }
}

/** A token endpoint, and a request by the JWT-bearer grant: without a client unless the set-up names one. */
async function start(dependencies: Partial<Dependencies>, setup: TokenEndpointSetup = {}) {
  const world = await startTokenEndpoint({ token: tokens, client: anonymous, dependencies, ...setup })
  const input = { scope: 'a b', grant: 'jwt_bearer' as const }
  return {
    ...world,
    run: (overrides: Parameters<typeof world.request>[0] = {}, signal = never) =>
      world.request({ ...input, ...overrides }, signal),
  }
}

describe('a workload', () => {
  test(
    'sends the JWT of its platform without client authentication',
    verifies(200, async () => {
      const { asked, assertions } = host({ workload: 'the-jwt' })
      const { peer, run, forms } = await start({ assertions })
      expect(await run()).toMatchObject({ accessToken: 't', expiresInMs: 60_000 })
      expect(forms()).toEqual([
        {
          grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer',
          assertion: 'the-jwt',
          scope: 'a b',
          resource: 'https://h/mcp',
        },
      ])
      expect(peer.seen[0]?.headers.authorization).toBeUndefined()
      expect(asked).toEqual([
        {
          connection: identity,
          kind: 'workload',
          audience: peer.origin,
          tokenEndpoint: `${peer.origin}/token`,
          resource: 'https://h/mcp',
          scope: 'a b',
        },
      ])
    }),
  )

  test('is asked for a JWT for the issuer that the authorization server announces', async () => {
    const { asked, assertions } = host({ workload: 'the-jwt' })
    const { server, run } = await start({ assertions })
    await run({ server: { ...server, announcedIssuer: 'https://announced.example' } })
    expect(asked.map(({ audience }) => audience)).toEqual(['https://announced.example'])
  })

  test('sends its client_id when it has a client', async () => {
    const { run, forms } = await start(host({ workload: 'j' }), { client: {} })
    await run()
    expect(forms()[0]?.['client_id']).toBe('c 1')
  })

  test.each(['invalid_grant', 'invalid_scope', 'unauthorized_client'])(
    'rejected with %s is not retried',
    verifies(202, async (error) => {
      const token = { status: 400, body: { error, error_description: SECRET } }
      const { peer, run } = await start(host({ workload: 'j' }), { token })
      expect(await rejectionOf(run())).toEqual({
        code: error === 'unauthorized_client' ? 'CLIENT_REJECTED' : 'EXCHANGE_REJECTED',
        outcome: 'rejected',
        details: { url: `${peer.origin}/token`, status: 400, error },
      })
      expect(peer.paths()).toEqual(['/token'])
    }),
  )

  test('revokes its tokens without client authentication', async () => {
    const { revoke, forms } = await startTokenEndpoint({ client: anonymous })
    await revoke({ accessToken: 't', refreshToken: undefined })
    expect(forms()).toEqual([{ token: 't', token_type_hint: 'access_token' }])
  })
})

describe('an assertion request', () => {
  const expected = { code: 'AUTHORIZATION_REQUIRED', outcome: 'notSent' }
  test.each<[string, Assertions | undefined, object]>([
    [
      'the host has not configured assertions',
      undefined,
      { code: 'GRANT_UNSUPPORTED', outcome: 'notSent', details: { reason: 'noAssertions' } },
    ],
    ['the host returns undefined', () => Promise.resolve(undefined), expected],
    ['the host rejects', () => Promise.reject(new Error(SECRET)), expected],
    [
      'the host throws',
      () => {
        throw new Error(SECRET)
      },
      expected,
    ],
    ['the host returns a value that is not a string', () => Promise.resolve({ jwt: SECRET } as never), expected],
    ['the host returns an empty string', () => Promise.resolve(''), expected],
  ])('is not sent when %s', async (_, assertions, wanted) => {
    const { peer, run } = await start({ assertions })
    const rejected = await rejectionOf(run())
    const details = { reason: 'assertionUnavailable', expected: 'workload' }
    expect(rejected).toEqual({ details, ...wanted })
    expect(JSON.stringify(rejected)).not.toContain(SECRET)
    expect(peer.seen).toEqual([])
  })

  test.each<[string, number, AbortSignal, string]>([
    ['the send deadline passes while the host is pending', 0, never, 'HTTP_TIMEOUT'],
    ['the operation is aborted while the host is pending', sendBefore, AbortSignal.abort(), 'ABORTED'],
  ])('is not sent when %s', async (_, until, signal, code) => {
    const { promise, resolve } = Promise.withResolvers<string>()
    onTestFinished(() => resolve('late'))
    const { peer, run } = await start({ assertions: () => promise })
    expect(await rejectionOf(run({ sendBefore: until }, signal))).toEqual({
      code,
      outcome: 'notSent',
      details: { reason: 'assertionTooLate' },
    })
    expect(peer.seen).toEqual([])
  })
})

describe('an identity assertion', () => {
  interface Provider {
    exchange?: Answer
    methods?: string[]
    metadata?: Answer
    withEndpoint?: boolean
    clientSecret?: string | undefined
  }

  /** An identity provider, an authorization server, and one request that goes through both. */
  async function stage(
    has: Parameters<typeof host>[0],
    { exchange = exchanged, methods, metadata, withEndpoint = false, clientSecret }: Provider = {},
    as: Answer = tokens,
  ) {
    const idp = await startPeer({ '/idp/token': exchange })
    const issuer = `${idp.origin}/idp`
    idp.routes['/idp/.well-known/openid-configuration'] = metadata ?? {
      body: { issuer, token_endpoint: `${issuer}/token`, token_endpoint_auth_methods_supported: methods },
    }
    const { asked, assertions } = host(has)
    const identityProvider = {
      issuer,
      clientId: 'at idp',
      clientSecret,
      ...(withEndpoint && { tokenEndpoint: `${issuer}/token` }),
    }
    const discoverServer = createDiscoverServer(makeDependencies(), new MetadataCache(systemClock))
    const { peer, server, run, forms } = await start(
      { assertions, identityProvider, discoverServer },
      { token: as, client: { clientSecret: 's', tokenEndpointAuthMethod: 'client_secret_post' } },
    )
    return {
      idp,
      issuer,
      peer,
      server,
      forms,
      asked,
      exchanges: () => idp.seen.flatMap(({ path, body }) => (path === '/idp/token' ? [formOf(body)] : [])),
      run: (overrides: Parameters<typeof run>[0] = {}) => run({ grant: 'identity_assertion', ...overrides }),
    }
  }

  test(
    'is obtained from the identity provider for an ID token and redeemed at the authorization server',
    verifies([181, 183], async () => {
      const { issuer, peer, forms, asked, exchanges, run } = await stage({ id_token: 'the-id-token' })
      expect(await run()).toMatchObject({ accessToken: 't', expiresInMs: 60_000 })
      expect(exchanges()).toEqual([
        {
          grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
          requested_token_type: ID_JAG,
          audience: peer.origin,
          resource: 'https://h/mcp',
          scope: 'a b',
          subject_token: 'the-id-token',
          subject_token_type: 'urn:ietf:params:oauth:token-type:id_token',
          client_id: 'at idp',
        },
      ])
      expect(forms()).toEqual([
        {
          grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer',
          assertion: 'the-id-jag',
          resource: 'https://h/mcp',
          client_id: 'c 1',
          client_secret: 's',
        },
      ])
      expect(asked).toEqual([
        {
          connection: identity,
          kind: 'id_token',
          audience: peer.origin,
          tokenEndpoint: `${issuer}/token`,
          resource: 'https://h/mcp',
          scope: 'a b',
        },
      ])
    }),
  )

  test('is obtained and exchanged for the issuer that the authorization server announces', async () => {
    const { server, asked, exchanges, run } = await stage({ id_token: 'the-id-token' })
    await run({ server: { ...server, announcedIssuer: 'https://announced.example' } })
    expect(asked.map(({ audience }) => audience)).toEqual(['https://announced.example'])
    expect(exchanges().map(({ audience }) => audience)).toEqual(['https://announced.example'])
  })

  test('is obtained for a refresh token when the host has no ID token', async () => {
    const { asked, exchanges, run } = await stage({ refresh_token: 'the-refresh-token' })
    await run()
    expect(asked.map(({ kind }) => kind)).toEqual(['id_token', 'refresh_token'])
    expect(exchanges()[0]).toMatchObject({
      subject_token: 'the-refresh-token',
      subject_token_type: 'urn:ietf:params:oauth:token-type:refresh_token',
    })
  })

  test('is requested for the URL of the server when the server has no resource identifier', async () => {
    const { server, forms, exchanges, run } = await stage({ id_token: 'i' })
    await run({ server: { ...server, resource: undefined } })
    expect([exchanges()[0]?.['resource'], forms()[0]?.['resource']]).toEqual(['https://h/mcp', undefined])
  })

  test('is requested at the configured token endpoint, without discovery, with the client secret', async () => {
    const { idp, run } = await stage({ id_token: 'i' }, { withEndpoint: true, clientSecret: 'idp secret' })
    await run()
    expect(idp.seen.map(({ path, headers }) => [path, headers.authorization])).toEqual([
      ['/idp/token', `Basic ${Buffer.from('at+idp:idp+secret').toString('base64')}`],
    ])
  })

  test('is requested with an authentication method that the identity provider lists', async () => {
    const { exchanges, run } = await stage({ id_token: 'i' }, { methods: ['client_secret_post'], clientSecret: 'p' })
    await run()
    expect(exchanges()[0]).toMatchObject({ client_id: 'at idp', client_secret: 'p' })
  })

  test.each<[string, Provider, object]>([
    [
      'the identity provider has another issuer',
      { metadata: { body: { issuer: 'https://evil', token_endpoint: 'https://evil/token' } } },
      { code: 'SERVER_ISSUER_MISMATCH', outcome: 'notSent' },
    ],
    [
      'the identity provider is unreachable',
      { metadata: { hangUp: true } },
      { code: 'HTTP_NETWORK', outcome: 'notSent' },
    ],
    [
      'the identity provider supports no available authentication method',
      { methods: ['tls_client_auth'], clientSecret: 's' },
      { code: 'CLIENT_AUTH_UNSUPPORTED', outcome: 'notSent', details: { offered: 'tls_client_auth' } },
    ],
    [
      'the user has to sign in to the identity provider again',
      { exchange: { status: 400, body: { error: 'insufficient_user_authentication', max_age: 60 } } },
      { code: 'EXCHANGE_REJECTED', outcome: 'rejected', details: { error: 'insufficient_user_authentication' } },
    ],
    [
      'the token exchange returns an access token',
      { exchange: { body: { access_token: SECRET, token_type: 'Bearer' } } },
      {
        code: 'TOKEN_RESPONSE_INVALID',
        outcome: 'rejected',
        details: { document: 'token exchange response', field: 'issued_token_type' },
      },
    ],
    [
      'the token exchange returns an HTML page',
      { exchange: { body: `<html>${SECRET}` } },
      { code: 'TOKEN_RESPONSE_INVALID', outcome: 'unknown', details: { reason: 'unreadable' } },
    ],
  ])('is not redeemed when %s', async (_, provider, expected) => {
    const { peer, run } = await stage({ id_token: 'i' }, provider)
    const rejected = await rejectionOf(run())
    expect(rejected).toMatchObject(expected)
    expect(JSON.stringify(rejected)).not.toContain(SECRET)
    expect(peer.seen).toEqual([])
  })

  test('is not accepted as an access token', async () => {
    const { run } = await stage({ id_token: 'i' }, {}, { body: { access_token: 'x', token_type: 'N_A' } })
    expect(await rejectionOf(run())).toMatchObject({
      code: 'TOKEN_RESPONSE_INVALID',
      details: { field: 'token_type' },
    })
  })

  test('is neither requested nor redeemed after the send deadline', async () => {
    const { idp, peer, run } = await stage({ id_token: 'i' })
    const late = await rejectionOf(run({ sendBefore: 0 }))
    expect(late).toMatchObject({ code: 'HTTP_TIMEOUT', outcome: 'notSent' })
    expect([idp.paths().includes('/idp/token'), peer.seen]).toEqual([false, []])
  })

  test('requires an identity provider', async () => {
    const { run } = await start(host({ id_token: 'i' }))
    expect(await rejectionOf(run({ grant: 'identity_assertion' }))).toEqual({
      code: 'GRANT_UNSUPPORTED',
      outcome: 'notSent',
      details: { reason: 'noIdentityProvider' },
    })
  })

  test('rejects with an unexpected error of discovery unchanged', async () => {
    const { run } = await start({
      ...host({ id_token: 'i' }),
      identityProvider: { issuer: 'https://idp', clientId: 'x' },
      discoverServer: () => Promise.reject(new Error('a bug')),
    })
    await expect(run({ grant: 'identity_assertion' })).rejects.toThrow('a bug')
  })
})
