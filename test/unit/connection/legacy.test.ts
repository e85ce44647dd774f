import { describe, expect, test } from 'vitest'
import { orchestrate, redirectOf, rejection, startWorld, type World } from './world.ts'

const of = (world: World) => ({ tenant: 't1', server: world.server })
const PRM = 'GET /.well-known/oauth-protected-resource/mcp'
const METADATA = 'GET /.well-known/oauth-authorization-server'

/** A world in which the MCP server is its own authorization server, as in 2025-03-26. */
async function legacyWorld(): Promise<World> {
  const world = await startWorld()
  delete world.rs.routes[PRM]
  for (const place of ['POST /register', 'POST /token', 'POST /revoke'])
    world.rs.routes[place] = world.as.routes[place] ?? {}
  return world
}

describe('a server without resource metadata', () => {
  test('a server without protected resource metadata acts as its own authorization server with metadata at its origin', async () => {
    const world = await legacyWorld()
    const { origin } = world.rs
    world.rs.routes[METADATA] = {
      body: {
        issuer: origin,
        authorization_endpoint: `${origin}/sign-in`,
        token_endpoint: `${origin}/token`,
        registration_endpoint: `${origin}/register`,
        code_challenge_methods_supported: ['S256'],
      },
    }
    const orchestrator = orchestrate()
    const connection = orchestrator.connection(of(world))
    const redirect = redirectOf(await connection.authorize())
    const url = new URL(redirect.authorizationUrl)
    expect([url.origin, url.pathname, url.searchParams.get('resource')]).toEqual([origin, '/sign-in', null])
    expect((await orchestrator.completeCallback(world.callback(redirect, { iss: undefined }))).status).toBe(
      'authorized',
    )
    expect((await connection.accessToken()).value).toBe('access-1')
    expect(world.rs.asked()).toEqual([
      'POST /mcp',
      PRM,
      'GET /.well-known/oauth-protected-resource',
      METADATA,
      'POST /register',
      'POST /token',
    ])
    const form = new URLSearchParams(world.rs.seen.at(-1)?.body)
    expect(form.has('resource')).toBe(false)
  })

  test('a server without any metadata is used with the default endpoints', async () => {
    const world = await legacyWorld()
    const { origin } = world.rs
    const orchestrator = orchestrate()
    const connection = orchestrator.connection(of(world))
    const redirect = redirectOf(await connection.authorize())
    const url = new URL(redirect.authorizationUrl)
    expect([url.origin, url.pathname]).toEqual([origin, '/authorize'])
    expect(url.searchParams.get('code_challenge_method')).toBe('S256')
    expect((await orchestrator.completeCallback(world.callback(redirect, { iss: undefined }))).status).toBe(
      'authorized',
    )
    expect((await connection.accessToken({ rejectedToken: 'access-1' })).value).toBe('access-2')
    expect(world.rs.asked().slice(4)).toEqual(['POST /register', 'POST /token', 'POST /token'])
    expect(world.as.seen).toEqual([])
  })

  test('a server without protected resource metadata is accepted when its issuer has a trailing slash', async () => {
    const world = await legacyWorld()
    const { origin } = world.rs
    world.rs.routes[METADATA] = { body: { ...world.serverMetadata, issuer: `${origin}/` } }
    const orchestrator = orchestrate()
    const redirect = redirectOf(await orchestrator.connection(of(world)).authorize())
    expect((await orchestrator.completeCallback(world.callback(redirect, { iss: `${origin}/` }))).status).toBe(
      'authorized',
    )
  })

  test('a server without protected resource metadata uses the issuer that authorize({ issuer }) names', async () => {
    const world = await startWorld()
    delete world.rs.routes[PRM]
    const redirect = redirectOf(await orchestrate().connection(of(world)).authorize({ issuer: world.issuer }))
    const url = new URL(redirect.authorizationUrl)
    expect([url.origin, url.searchParams.get('resource')]).toEqual([world.issuer, world.server])
  })

  test.each([400, 401, 403, 404, 410])(
    'a server acts as its own authorization server when the metadata request responds with %s',
    async (status) => {
      const world = await legacyWorld()
      world.rs.routes[PRM] = { status }
      expect((await orchestrate().connection(of(world)).authorize()).status).toBe('redirect')
    },
  )

  test.each<[string, object, string]>([
    [
      'a redirect loop',
      { status: 302, headers: { location: '/.well-known/oauth-protected-resource/mcp' } },
      'TOO_MANY_REDIRECTS',
    ],
    ['a 429', { status: 429 }, 'RATE_LIMITED'],
    ['a 500', { status: 500 }, 'RESOURCE_METADATA_UNAVAILABLE'],
    ['a 503', { status: 503 }, 'RESOURCE_METADATA_UNAVAILABLE'],
    ['a lost connection', { hangUp: true }, 'HTTP_NETWORK'],
    ['a document that is too large', { body: 'x'.repeat(300_000) }, 'RESPONSE_TOO_LARGE'],
  ])(
    'a server does not act as its own authorization server when the metadata request ends with %s',
    async (_name, answer, code) => {
      const world = await legacyWorld()
      world.rs.routes[PRM] = answer
      expect(await rejection(orchestrate().connection(of(world)).authorize())).toMatchObject({ failure: { code } })
      expect(world.rs.asked()).not.toContain(METADATA)
      expect(world.rs.asked()).not.toContain('POST /register')
    },
  )
})

describe('older resource metadata', () => {
  test.each([
    ['a string', (issuer: string) => issuer],
    ['a list', (issuer: string) => [issuer]],
  ])('protected resource metadata with a singular authorization_server_url as %s is accepted', async (_name, form) => {
    const world = await startWorld()
    delete world.resourceMetadata['authorization_servers']
    world.resourceMetadata['authorization_server_url'] = form(world.issuer)
    const orchestrator = orchestrate()
    const redirect = redirectOf(await orchestrator.connection(of(world)).authorize())
    expect(new URL(redirect.authorizationUrl).origin).toBe(world.issuer)
    expect((await orchestrator.completeCallback(world.callback(redirect))).status).toBe('authorized')
  })

  test('protected resource metadata without an authorization server makes the origin the authorization server', async () => {
    const world = await legacyWorld()
    world.rs.routes[PRM] = { body: { resource: world.server } }
    const { origin } = world.rs
    world.rs.routes[METADATA] = {
      body: { ...world.serverMetadata, issuer: origin, authorization_endpoint: `${origin}/sign-in` },
    }
    const redirect = redirectOf(await orchestrate().connection(of(world)).authorize())
    const url = new URL(redirect.authorizationUrl)
    expect([url.origin, url.searchParams.get('resource')]).toEqual([world.rs.origin, world.server])
    delete world.rs.routes[METADATA]
    expect(await rejection(orchestrate().connection(of(world)).authorize())).toMatchObject({
      failure: { code: 'AUTHORIZATION_NOT_OFFERED', details: { reason: 'noAuthorizationServer' } },
      nextAction: 'fixServer',
    })
    // A server that serves everybody names nobody who could issue a token: status() and accessToken() say the same.
    const open = orchestrate().connection({ ...of(world), label: 'open' })
    world.rs.routes['POST /mcp'] = { body: {} }
    await rejection(open.authorize())
    const failed = { failure: { code: 'AUTHORIZATION_NOT_OFFERED' }, nextAction: 'fixServer' }
    expect([await open.status(), await rejection(open.accessToken())]).toMatchObject([failed, failed])
    // The remedy that the message names.
    const metadata = { ...world.serverMetadata, issuer: origin, authorization_endpoint: `${origin}/sign-in` }
    const authorizationServers = [{ server: 'its own', issuers: [origin], discovery: { metadata } }]
    const configured = redirectOf(await orchestrate({ authorizationServers }).connection(of(world)).authorize())
    expect(new URL(configured.authorizationUrl).origin).toBe(origin)
  })
})
