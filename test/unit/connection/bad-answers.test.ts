import { describe, expect, test } from 'vitest'
import { type AuthOrchestratorOptions, MemoryStore } from '../../../src/index.ts'
import { TestClock } from './test-clock.ts'
import { orchestrate, redirectOf, rejection, startWorld, type World } from './world.ts'
import { verifies } from '../../support/verifies.ts'

/** What `authorize()` on a fresh connection rejects with; only the failure is stored. */
async function failureOf(world: World, options: Parameters<typeof orchestrate>[0] = {}): Promise<unknown> {
  const connection = orchestrate(options).connection({ tenant: 't1', server: world.server })
  const { failure } = (await rejection(connection.authorize())) as { failure: unknown }
  expect(await connection.status()).toMatchObject({ state: 'failed', authorized: false, failure, scope: undefined })
  return failure
}

describe('protected resource metadata', () => {
  const url = (world: World): string => `${world.rs.origin}/.well-known/oauth-protected-resource/mcp`
  const where = (world: World): object => ({ url: url(world), status: 200, document: 'protected resource metadata' })

  test.each<[string, object, string]>([
    ['without a resource', { resource: undefined }, 'resource'],
    [
      'whose authorization_servers is a string',
      { authorization_servers: 'https://as.example' },
      'authorization_servers',
    ],
    ['whose authorization server is not a URL', { authorization_servers: ['as.example'] }, 'authorization_servers.0'],
    [
      'whose authorization server has a fragment',
      { authorization_servers: ['https://as.example#x'] },
      'authorization_servers.0',
    ],
    ['whose scopes_supported is neither a list nor a text', { scopes_supported: { a: true } }, 'scopes_supported'],
  ])(
    'protected resource metadata %s is rejected with RESPONSE_INVALID and the name of the field',
    async (_name, change, field) => {
      const world = await startWorld()
      Object.assign(world.resourceMetadata, change)
      expect(await failureOf(world)).toEqual({ code: 'RESPONSE_INVALID', details: { ...where(world), field } })
      expect(world.as.seen).toEqual([])
    },
  )

  test('protected resource metadata that is a list is rejected with RESPONSE_INVALID', async () => {
    const world = await startWorld()
    world.rs.routes['GET /.well-known/oauth-protected-resource/mcp'] = { body: '[]' }
    expect(await failureOf(world)).toMatchObject({ code: 'RESPONSE_INVALID', details: where(world) })
  })

  test('protected resource metadata that is not JSON at any URL makes authorize() reject with AUTHORIZATION_NOT_OFFERED and the URLs', async () => {
    const world = await startWorld()
    const { origin } = world.rs
    const html = { headers: { 'content-type': 'text/html' }, body: '<html>' }
    world.rs.routes['GET /.well-known/oauth-protected-resource/mcp'] = html
    world.rs.routes['GET /.well-known/oauth-protected-resource'] = html
    expect(await failureOf(world)).toEqual({
      code: 'AUTHORIZATION_NOT_OFFERED',
      details: {
        urls: [
          world.server,
          `${origin}/.well-known/oauth-protected-resource/mcp`,
          `${origin}/.well-known/oauth-protected-resource`,
          `${origin}/.well-known/oauth-authorization-server`,
        ],
      },
    })
  })

  test('protected resource metadata of another resource is rejected with RESOURCE_MISMATCH', async () => {
    const world = await startWorld()
    world.resourceMetadata['resource'] = 'https://other.example/mcp'
    expect(await failureOf(world)).toEqual({
      code: 'RESOURCE_MISMATCH',
      details: { url: url(world), expected: world.server, received: 'https://other.example/mcp' },
    })
  })

  test('protected resource metadata of the whole origin is accepted unless policy.strictResource is set', async () => {
    const world = await startWorld()
    world.resourceMetadata['resource'] = world.rs.origin
    const redirect = redirectOf(await orchestrate().connection({ tenant: 't1', server: world.server }).authorize())
    expect(new URL(redirect.authorizationUrl).searchParams.get('resource')).toBe(world.rs.origin)
    expect(await failureOf(world, { policy: { strictResource: true } })).toMatchObject({ code: 'RESOURCE_MISMATCH' })
  })

  test('protected resource metadata that responds with 500 makes authorize() reject without a fallback to the origin', async () => {
    const world = await startWorld()
    world.rs.routes['GET /.well-known/oauth-protected-resource/mcp'] = { status: 500, body: {} }
    expect(await failureOf(world)).toEqual({
      code: 'RESOURCE_METADATA_UNAVAILABLE',
      details: { url: url(world), status: 500 },
    })
    expect(world.rs.asked()).not.toContain('GET /.well-known/oauth-authorization-server')
  })

  test('protected resource metadata that is too large makes authorize() reject without a fallback to the origin', async () => {
    const world = await startWorld()
    world.rs.routes['GET /.well-known/oauth-protected-resource/mcp'] = { body: { x: 'y'.repeat(300_000) } }
    expect(await failureOf(world)).toMatchObject({ code: 'RESPONSE_TOO_LARGE' })
  })

  test('protected resource metadata that is missing at the path of the resource is requested at the root', async () => {
    const world = await startWorld()
    delete world.rs.routes['GET /.well-known/oauth-protected-resource/mcp']
    world.rs.routes['GET /.well-known/oauth-protected-resource'] = { body: world.resourceMetadata }
    const connection = orchestrate().connection({ tenant: 't1', server: world.server })
    expect((await connection.authorize()).status).toBe('redirect')
    expect(world.rs.asked()).toEqual([
      'POST /mcp',
      'GET /.well-known/oauth-protected-resource/mcp',
      'GET /.well-known/oauth-protected-resource',
    ])
  })
})

describe('authorization server metadata', () => {
  const url = (world: World): string => `${world.issuer}/.well-known/oauth-authorization-server`
  const where = (world: World): object => ({ url: url(world), status: 200, document: 'authorization server metadata' })

  test.each<[string, object, string]>([
    ['without an issuer', { issuer: undefined }, 'issuer'],
    ['without a token endpoint', { token_endpoint: undefined }, 'token_endpoint'],
    ['whose token endpoint is not a URL', { token_endpoint: '/token' }, 'token_endpoint'],
    [
      'whose authorization endpoint is a javascript: URL',
      { authorization_endpoint: 'javascript:alert(1)' },
      'authorization_endpoint',
    ],
    [
      'whose registration endpoint contains credentials',
      { registration_endpoint: 'https://u:p@as.example/' },
      'registration_endpoint',
    ],
    [
      'whose code_challenge_methods_supported is not a list',
      { code_challenge_methods_supported: 'S256' },
      'code_challenge_methods_supported',
    ],
  ])(
    'authorization server metadata %s is rejected with RESPONSE_INVALID and the name of the field',
    async (_name, change, field) => {
      const world = await startWorld()
      Object.assign(world.serverMetadata, change)
      expect(await failureOf(world)).toEqual({ code: 'RESPONSE_INVALID', details: { ...where(world), field } })
      expect(world.as.asked()).not.toContain('POST /register')
    },
  )

  test(
    'authorization server metadata of another issuer is rejected, even if only its path differs',
    verifies(35, async () => {
      const world = await startWorld()
      for (const issuer of [`${world.issuer}//`, `${world.issuer}/t1`, 'https://evil.example']) {
        world.serverMetadata['issuer'] = issuer
        expect(await failureOf(world)).toEqual({
          code: 'SERVER_ISSUER_MISMATCH',
          details: { url: url(world), expected: world.issuer, received: issuer },
        })
      }
      expect(world.as.asked()).not.toContain('POST /register')
    }),
  )

  test('authorization server metadata that is missing or unusable is requested from the OpenID Connect URL', async () => {
    for (const first of [
      { status: 404 },
      { status: 500 },
      { body: '<html>' },
      { status: 302, headers: { location: '/' } },
    ]) {
      const world = await startWorld()
      world.as.routes['GET /.well-known/oauth-authorization-server'] = first
      world.as.routes['GET /.well-known/openid-configuration'] = { body: world.serverMetadata }
      const connection = orchestrate().connection({ tenant: 't1', server: world.server })
      expect((await connection.authorize()).status).toBe('redirect')
    }
  })

  test('authorization server metadata that is missing at every URL makes authorize() reject with SERVER_METADATA_UNAVAILABLE', async () => {
    const world = await startWorld()
    delete world.as.routes['GET /.well-known/oauth-authorization-server']
    expect(await failureOf(world)).toEqual({
      code: 'SERVER_METADATA_UNAVAILABLE',
      details: { url: `${world.issuer}/.well-known/openid-configuration`, status: 404, reason: 'notPublished' },
    })
  })

  test(
    'authorization server metadata without S256 or without the response type code is rejected',
    verifies(68, async () => {
      const world = await startWorld()
      delete world.serverMetadata['code_challenge_methods_supported']
      expect(await failureOf(world)).toEqual({ code: 'PKCE_UNSUPPORTED', details: { expected: 'S256' } })
      const other = await startWorld()
      other.serverMetadata['response_types_supported'] = ['token']
      expect(await failureOf(other)).toEqual({
        code: 'GRANT_UNSUPPORTED',
        details: { reason: 'responseType', expected: 'code', offered: 'token' },
      })
    }),
  )

  test(
    'authorization server metadata at a forbidden network address is not requested',
    verifies(141, async () => {
      const world = await startWorld()
      world.resourceMetadata['authorization_servers'] = ['https://169.254.169.254']
      expect(await failureOf(world)).toEqual({
        code: 'ADDRESS_FORBIDDEN',
        details: {
          url: 'https://169.254.169.254/.well-known/oauth-authorization-server',
          host: '169.254.169.254',
          allow: '169.254.169.254:443',
        },
      })
    }),
  )
})

describe('dynamic client registration', () => {
  const details = (world: World, status: number): object => ({ url: `${world.issuer}/register`, status })

  test(
    'a rejected registration makes authorize() reject, and the next call registers again',
    verifies(52, async () => {
      const world = await startWorld()
      const register = world.as.routes['POST /register']
      world.as.routes['POST /register'] = {
        status: 400,
        body: { error: 'invalid_redirect_uri', error_description: 'secret' },
      }
      const store = new MemoryStore()
      const connection = orchestrate({ store }).connection({ tenant: 't1', server: world.server })
      expect(await rejection(connection.authorize())).toEqual({
        failure: { code: 'REGISTRATION_REJECTED', details: { ...details(world, 400), error: 'invalid_redirect_uri' } },
        retryable: false,
        nextAction: 'configureClient',
      })
      world.as.routes['POST /register'] = register ?? {}
      expect((await connection.authorize()).status).toBe('redirect')
    }),
  )

  test('a server without a registration endpoint makes authorize() reject with REGISTRATION_UNAVAILABLE', async () => {
    const world = await startWorld()
    delete world.serverMetadata['registration_endpoint']
    expect(await failureOf(world)).toEqual({
      code: 'REGISTRATION_UNAVAILABLE',
      details: { reason: 'noRegistrationEndpoint', expected: world.issuer },
    })
  })

  test.each<[string, unknown, object]>([
    ['is not JSON', '<html>', { code: 'RESPONSE_NOT_JSON' }],
    ['lacks a client_id', { client_secret: 's' }, { code: 'RESPONSE_INVALID', field: 'client_id' }],
    [
      'has a client_secret that is not a string',
      { client_id: 'c', client_secret: 7 },
      { code: 'RESPONSE_INVALID', field: 'client_secret' },
    ],
    [
      'has a client_secret_expires_at that is not a time',
      { client_id: 'c', client_secret: 's', client_secret_expires_at: 'soon' },
      { code: 'RESPONSE_INVALID', field: 'client_secret_expires_at' },
    ],
  ])(
    'a registration response that %s is rejected with the name of the field, and the client is not stored',
    async (_name, body, wrong) => {
      const world = await startWorld()
      const { code, ...field } = wrong as { code: string }
      world.as.routes['POST /register'] = { status: 201, body }
      expect(await failureOf(world)).toEqual({
        code,
        details: { ...details(world, 201), document: 'registration response', ...field },
      })
    },
  )

  test('a registration with an unsupported token_endpoint_auth_method is rejected with CLIENT_AUTH_UNSUPPORTED', async () => {
    const world = await startWorld()
    world.as.routes['POST /register'] = {
      status: 201,
      body: { client_id: 'c', client_secret: 's', token_endpoint_auth_method: 'tls_client_auth' },
    }
    expect(await failureOf(world)).toMatchObject({
      code: 'CLIENT_AUTH_UNSUPPORTED',
      details: { received: 'tls_client_auth' },
    })
  })

  test('a registration whose client secret has expired is replaced by a new one', async () => {
    const world = await startWorld()
    const clock = new TestClock()
    const register = world.as.routes['POST /register']
    world.as.routes['POST /register'] = (seen) => {
      const answer = typeof register === 'function' ? register(seen) : {}
      const endsAt = Math.floor(clock.now() / 1000) + 1_000
      return { ...answer, body: { ...(answer.body as object), client_secret_expires_at: String(endsAt) } }
    }
    const connection = orchestrate({ clock }).connection({ tenant: 't1', server: world.server })
    const clientOf = async (): Promise<string | null> =>
      new URL(redirectOf(await connection.authorize()).authorizationUrl).searchParams.get('client_id')
    expect(await clientOf()).toBe('client-1')
    expect(await clientOf()).toBe('client-1')
    clock.advance(1_000_000)
    expect(await clientOf()).toBe('client-2')
  })

  test('a registration is shared within a deployment, a tenant or one connection, as policy.registrationScope says', async () => {
    const world = await startWorld()
    const count = async (registrationScope: 'deployment' | 'tenant' | 'connection'): Promise<number> => {
      const before = world.as.asked().length
      const orchestrator = orchestrate({ policy: { registrationScope } })
      for (const of of [
        { tenant: 't1' },
        { tenant: 't1', user: 'u1' },
        { tenant: 't2' },
        { tenant: 't2', label: 'x' },
      ]) {
        await orchestrator.connection({ ...of, server: world.server }).authorize()
      }
      return world.as
        .asked()
        .slice(before)
        .filter((asked) => asked === 'POST /register').length
    }
    expect([await count('deployment'), await count('tenant'), await count('connection')]).toEqual([1, 2, 4])
  })
})

describe('an unreadable record', () => {
  const keys = { name: new Uint8Array(32).fill(1), sealing: [{ id: '1', secret: new Uint8Array(32).fill(2) }] }

  /** A connection whose record holds this text instead of what was saved. */
  async function spoilt(
    text: (sealed: string) => string,
    options: Pick<AuthOrchestratorOptions, 'keys' | 'sealer'> = { keys },
  ) {
    const world = await startWorld()
    const store = new MemoryStore()
    const orchestrator = orchestrate({ store, keys, ...(options.sealer && options) })
    const identity = { tenant: 't1', server: world.server }
    const redirect = redirectOf(await orchestrator.connection(identity).authorize())
    const key = `authchart:{${redirect.state.split('.')[0]}}:connection`
    const record = await store.load(key)
    const value = text(record?.value ?? '')
    await store.save(key, value, { expectedVersion: record?.version, writeId: 'spoilt' })
    const connection = orchestrate({ store, ...options }).connection(identity)
    return { connection, isUntouched: async () => (await store.load(key))?.value === value }
  }

  test.each<[string, (sealed: string) => string, object]>([
    ['is not a sealed record', () => 'hello', { code: 'SNAPSHOT_UNREADABLE', details: { reason: 'doesNotOpen' } }],
    [
      'was modified',
      (sealed) => `${sealed.slice(0, -3)}AAA`,
      { code: 'SNAPSHOT_UNREADABLE', details: { reason: 'doesNotOpen' } },
    ],
    ['is empty', () => '', { code: 'SNAPSHOT_UNREADABLE', details: { reason: 'doesNotOpen' } }],
  ])('a stored record that %s makes every call reject, and stays unchanged', async (_name, text, failure) => {
    const { connection, isUntouched } = await spoilt(text)
    const calls = [
      () => connection.authorize(),
      () => connection.authorize({ force: true }),
      () => connection.accessToken(),
      () => connection.status(),
      () => connection.wake(),
      () => connection.awaitAuthorized(),
      () => connection.disconnect(),
      () => connection.import({ tokens: { accessToken: 'a' } }),
    ]
    for (const call of calls) expect(await rejection(call())).toEqual({ failure, retryable: false, nextAction: 'none' })
    expect(await isUntouched()).toBe(true)
  })

  test.each<[string, (text: string) => string, object]>([
    [
      'violates the schema',
      (text) => text.replace('"tenant":"t1"', '"tenant":7'),
      { code: 'SNAPSHOT_UNREADABLE', details: { field: 'context.identity.tenant' } },
    ],
    [
      'belongs to another chart',
      (text) => text.replace('"connection"', '"registration"'),
      { code: 'SNAPSHOT_UNREADABLE', details: { field: 'machine' } },
    ],
    ['has a newer format', (text) => text.replace('"format":1', '"format":99'), { code: 'SNAPSHOT_TOO_NEW' }],
    [
      'is in an unknown state',
      (text) => text.replace('"awaitingCallback"}', '"nowhere"}'),
      { code: 'SNAPSHOT_INCOMPATIBLE' },
    ],
  ])(
    'a decrypted record that %s makes authorize() and disconnect() reject, and stays unchanged',
    async (_name, text, failure) => {
      const sealer = { seal: async (plain: string) => plain, open: async (plain: string) => plain }
      const { connection, isUntouched } = await spoilt(text, { keys: { name: keys.name }, sealer })
      expect(await rejection(connection.authorize())).toEqual({ failure, retryable: false, nextAction: 'none' })
      expect(await rejection(connection.disconnect())).toEqual({ failure, retryable: false, nextAction: 'none' })
      expect(await isUntouched()).toBe(true)
    },
  )

  test('a record that was sealed with a missing key makes authorize() reject with SNAPSHOT_KEY_UNKNOWN, and stays unchanged', async () => {
    const other = { ...keys, sealing: [{ id: '2', secret: new Uint8Array(32).fill(3) }] }
    const { connection, isUntouched } = await spoilt((sealed) => sealed, { keys: other })
    expect(await rejection(connection.authorize())).toMatchObject({ failure: { code: 'SNAPSHOT_KEY_UNKNOWN' } })
    const rotated = await spoilt((sealed) => sealed, {
      keys: { ...keys, sealing: [...other.sealing, ...keys.sealing] },
    })
    expect((await rotated.connection.status()).state).toBe('awaitingCallback')
    expect(await isUntouched()).toBe(true)
  })
})
