import { describe, expect, onTestFinished, test } from 'vitest'
import type { RequestTokenInput } from '../../../../machines/ports.ts'
import type { ConnectionDependencies } from '../../../../src/actors/dependencies.ts'
import { createDiscoverServer } from '../../../../src/actors/discovery/discover-server.ts'
import { MetadataCache } from '../../../../src/actors/discovery/metadata.ts'
import { createRequestToken } from '../../../../src/actors/token-endpoint/grants.ts'
import { createRevokeTokens } from '../../../../src/actors/token-endpoint/revoke-tokens.ts'
import type { AssertionRequest } from '../../../../src/options/client-options.ts'
import type { ClientInformation } from '../../../../src/schemas/credentials.ts'
import { verifies } from '../../../support/verifies.ts'
import {
  type Answer,
  identityOf,
  makeDependencies,
  never,
  rejectionOf,
  sendBefore,
  serverAt,
  startPeer,
} from '../support.ts'

const SECRET = 'sk-very-secret'
const identity = identityOf('https://h/mcp')
const tokens: Answer = { body: { access_token: 't', token_type: 'Bearer', expires_in: 60 } }
const anonymous: Partial<ClientInformation> = { clientId: '', source: 'anonymous' }
const ID_JAG = 'urn:ietf:params:oauth:token-type:id-jag'
const exchanged: Answer = { body: { access_token: 'the-id-jag', issued_token_type: ID_JAG, token_type: 'N_A' } }
const form = (body: string | undefined): Record<string, string> => Object.fromEntries(new URLSearchParams(body))

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

async function startAs(answer: Answer = tokens, client: Partial<ClientInformation> = anonymous) {
  const peer = await startPeer({ '/token': answer, '/revoke': { body: '' } })
  const server = serverAt(peer.origin, { revocationEndpoint: `${peer.origin}/revoke` })
  const input: RequestTokenInput = {
    at: 5000,
    identity,
    server: { ...server, client: { ...server.client, ...client } },
    scope: 'a b',
    grant: 'jwt_bearer',
    sendBefore,
  }
  return { peer, input, forms: () => peer.seen.map(({ body }) => form(body)) }
}

describe('a workload', () => {
  test(
    'gives the JWT of its platform, and nothing of a client',
    verifies(200, async () => {
      const { asked, assertions } = host({ workload: 'the-jwt' })
      const { peer, input, forms } = await startAs()
      const result = await createRequestToken(makeDependencies({ assertions }))(input, never)
      expect(result).toMatchObject({ accessToken: 't', expiresInMs: 60_000 })
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

  test('names its client if it has one', async () => {
    const { input, forms } = await startAs(tokens, {})
    await createRequestToken(makeDependencies(host({ workload: 'j' })))(input, never)
    expect(forms()[0]?.['client_id']).toBe('c 1')
  })

  test.each(['invalid_grant', 'invalid_scope', 'unauthorized_client'])(
    'is refused with %s once',
    verifies(202, async (error) => {
      const { input, peer } = await startAs({ status: 400, body: { error, error_description: SECRET } })
      const run = createRequestToken(makeDependencies(host({ workload: 'j' })))
      expect(await rejectionOf(run(input, never))).toEqual({
        code: error === 'unauthorized_client' ? 'CLIENT_REJECTED' : 'EXCHANGE_REJECTED',
        outcome: 'rejected',
        details: { url: `${peer.origin}/token`, status: 400, error },
      })
      expect(peer.paths()).toEqual(['/token'])
    }),
  )

  test('revokes its tokens without a client as well', async () => {
    const { input, forms } = await startAs()
    const revocation = { ...input, accessToken: 't', refreshToken: undefined }
    await createRevokeTokens(makeDependencies())(revocation, never)
    expect(forms()).toEqual([{ token: 't', token_type_hint: 'access_token' }])
  })
})

describe('without an assertion nothing is sent', () => {
  const expected = { code: 'AUTHORIZATION_REQUIRED', outcome: 'notSent' }
  test.each<[string, Assertions | undefined, object]>([
    ['no option', undefined, { code: 'GRANT_UNSUPPORTED', outcome: 'notSent', details: { reason: 'noAssertions' } }],
    ['the host has none', () => Promise.resolve(undefined), expected],
    ['the host rejects', () => Promise.reject(new Error(SECRET)), expected],
    [
      'the host throws',
      () => {
        throw new Error(SECRET)
      },
      expected,
    ],
    ['the host gives something else', () => Promise.resolve({ jwt: SECRET } as never), expected],
    ['the host gives nothing at all', () => Promise.resolve(''), expected],
  ])('%s', async (_, assertions, wanted) => {
    const { input, peer } = await startAs()
    const rejected = await rejectionOf(createRequestToken(makeDependencies({ assertions }))(input, never))
    const details = { reason: 'assertionUnavailable', expected: 'workload' }
    expect(rejected).toEqual({ details, ...wanted })
    expect(JSON.stringify(rejected)).not.toContain(SECRET)
    expect(peer.seen).toEqual([])
  })

  test.each<[string, number, AbortSignal, string]>([
    ['the host is asked too late', 0, never, 'HTTP_TIMEOUT'],
    ['the run was ended', sendBefore, AbortSignal.abort(), 'ABORTED'],
  ])('%s', async (_, until, signal, code) => {
    const { promise, resolve } = Promise.withResolvers<string>()
    onTestFinished(() => resolve('late'))
    const { input, peer } = await startAs()
    const run = createRequestToken(makeDependencies({ assertions: () => promise }))
    expect(await rejectionOf(run({ ...input, sendBefore: until }, signal))).toEqual({
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
    known?: boolean
    clientSecret?: string | undefined
  }

  /** An identity provider, an authorization server, and one request that goes through both. */
  async function stage(
    has: Parameters<typeof host>[0],
    { exchange = exchanged, methods, metadata, known = false, clientSecret }: Provider = {},
    as: Answer = tokens,
  ) {
    const idp = await startPeer({ '/idp/token': exchange })
    const issuer = `${idp.origin}/idp`
    idp.routes['/idp/.well-known/openid-configuration'] = metadata ?? {
      body: { issuer, token_endpoint: `${issuer}/token`, token_endpoint_auth_methods_supported: methods },
    }
    const { asked, assertions } = host(has)
    const { peer, input, forms } = await startAs(as, {
      clientSecret: 's',
      tokenEndpointAuthMethod: 'client_secret_post',
    })
    const identityProvider = {
      issuer,
      clientId: 'at idp',
      clientSecret,
      ...(known && { tokenEndpoint: `${issuer}/token` }),
    }
    const deps = makeDependencies({ assertions, identityProvider })
    const run = createRequestToken({
      ...deps,
      discoverServer: createDiscoverServer(deps, new MetadataCache(deps.clock)),
    })
    const exchanges = (): Record<string, string>[] =>
      idp.seen.flatMap(({ path, body }) => (path === '/idp/token' ? [form(body)] : []))
    return {
      idp,
      issuer,
      peer,
      input: { ...input, grant: 'identity_assertion' as const },
      forms,
      asked,
      exchanges,
      run,
    }
  }

  test(
    'is made of an ID token at the identity provider, and is the grant at the authorization server',
    verifies([181, 183], async () => {
      const { issuer, peer, input, forms, asked, exchanges, run } = await stage({ id_token: 'the-id-token' })
      expect(await run(input, never)).toMatchObject({ accessToken: 't', expiresInMs: 60_000 })
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

  test('is made of a refresh token where the host has no ID token', async () => {
    const { input, asked, exchanges, run } = await stage({ refresh_token: 'the-refresh-token' })
    await run(input, never)
    expect(asked.map(({ kind }) => kind)).toEqual(['id_token', 'refresh_token'])
    expect(exchanges()[0]).toMatchObject({
      subject_token: 'the-refresh-token',
      subject_token_type: 'urn:ietf:params:oauth:token-type:refresh_token',
    })
  })

  test('names the endpoint itself where the server knows no resource', async () => {
    const { input, forms, exchanges, run } = await stage({ id_token: 'i' })
    await run({ ...input, server: { ...input.server, resource: undefined } }, never)
    expect([exchanges()[0]?.['resource'], forms()[0]?.['resource']]).toEqual(['https://h/mcp', undefined])
  })

  test('is asked for where the host says, without looking, and by a secret', async () => {
    const { idp, input, run } = await stage({ id_token: 'i' }, { known: true, clientSecret: 'idp secret' })
    await run(input, never)
    expect(idp.seen.map(({ path, headers }) => [path, headers.authorization])).toEqual([
      ['/idp/token', `Basic ${Buffer.from('at+idp:idp+secret').toString('base64')}`],
    ])
  })

  test('is asked for by the method that the identity provider lists', async () => {
    const { input, exchanges, run } = await stage(
      { id_token: 'i' },
      { methods: ['client_secret_post'], clientSecret: 'p' },
    )
    await run(input, never)
    expect(exchanges()[0]).toMatchObject({ client_id: 'at idp', client_secret: 'p' })
  })

  test.each<[string, Provider, object]>([
    [
      'the identity provider is another',
      { metadata: { body: { issuer: 'https://evil', token_endpoint: 'https://evil/token' } } },
      { code: 'SERVER_ISSUER_MISMATCH', outcome: 'notSent' },
    ],
    ['the identity provider is down', { metadata: { hangUp: true } }, { code: 'HTTP_NETWORK', outcome: 'notSent' }],
    [
      'the identity provider knows no method of ours',
      { methods: ['tls_client_auth'], clientSecret: 's' },
      { code: 'CLIENT_AUTH_UNSUPPORTED', outcome: 'notSent', details: { offered: 'tls_client_auth' } },
    ],
    [
      'the user has to sign in there again',
      { exchange: { status: 400, body: { error: 'insufficient_user_authentication', max_age: 60 } } },
      { code: 'EXCHANGE_REJECTED', outcome: 'rejected', details: { error: 'insufficient_user_authentication' } },
    ],
    [
      'the answer is an access token',
      { exchange: { body: { access_token: SECRET, token_type: 'Bearer' } } },
      {
        code: 'TOKEN_RESPONSE_INVALID',
        outcome: 'rejected',
        details: { document: 'token exchange response', field: 'issued_token_type' },
      },
    ],
    [
      'the answer is a page',
      { exchange: { body: `<html>${SECRET}` } },
      { code: 'TOKEN_RESPONSE_INVALID', outcome: 'unknown', details: { reason: 'unreadable' } },
    ],
  ])('goes no further where %s', async (_, provider, expected) => {
    const { peer, input, run } = await stage({ id_token: 'i' }, provider)
    const rejected = await rejectionOf(run(input, never))
    expect(rejected).toMatchObject(expected)
    expect(JSON.stringify(rejected)).not.toContain(SECRET)
    expect(peer.seen).toEqual([])
  })

  test('is never taken for an access token', async () => {
    const { input, run } = await stage({ id_token: 'i' }, {}, { body: { access_token: 'x', token_type: 'N_A' } })
    expect(await rejectionOf(run(input, never))).toMatchObject({
      code: 'TOKEN_RESPONSE_INVALID',
      details: { field: 'token_type' },
    })
  })

  test('is not exchanged, nor redeemed, once the fence has passed', async () => {
    const { idp, peer, input, run } = await stage({ id_token: 'i' })
    const late = await rejectionOf(run({ ...input, sendBefore: 0 }, never))
    expect(late).toMatchObject({ code: 'HTTP_TIMEOUT', outcome: 'notSent' })
    expect([idp.paths().includes('/idp/token'), peer.seen]).toEqual([false, []])
  })

  test('needs an identity provider', async () => {
    const { input } = await startAs()
    const deps = makeDependencies(host({ id_token: 'i' }))
    const run = createRequestToken({ ...deps, discoverServer: () => Promise.reject(new Error('unused')) })
    expect(await rejectionOf(run({ ...input, grant: 'identity_assertion' }, never))).toEqual({
      code: 'GRANT_UNSUPPORTED',
      outcome: 'notSent',
      details: { reason: 'noIdentityProvider' },
    })
  })

  test('passes on what no port should reject with', async () => {
    const { input } = await startAs()
    const identityProvider = { issuer: 'https://idp', clientId: 'x' }
    const deps = makeDependencies({ ...host({ id_token: 'i' }), identityProvider })
    const run = createRequestToken({ ...deps, discoverServer: () => Promise.reject(new Error('a bug')) })
    await expect(run({ ...input, grant: 'identity_assertion' }, never)).rejects.toThrow('a bug')
  })
})
