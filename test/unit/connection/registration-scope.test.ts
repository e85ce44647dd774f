import { describe, expect, test } from 'vitest'
import { type AuthOrchestrator, describeFailure } from '../../../src/index.ts'
import type { Answer, Seen } from './peer.ts'
import { TestClock } from './test-clock.ts'
import { orchestrate, type Redirect, redirectOf, signIn, startWorld, type World } from './world.ts'

const of = (world: World, user = 'u1') => ({ tenant: 't1', user, server: world.server })
const clientIdOf = ({ authorizationUrl }: Redirect): string | null =>
  new URL(authorizationUrl).searchParams.get('client_id')
const scopeOf = ({ authorizationUrl }: Redirect): string | null => new URL(authorizationUrl).searchParams.get('scope')

/** The scopes of the registration requests, in order. */
const registered = (world: World): unknown[] =>
  world.as.seen
    .filter(({ path }) => path === '/register')
    .map(({ body }) => (JSON.parse(body) as { scope?: string }).scope)

/** Registrations are answered by this; by default as they should be. */
function onRegistration(world: World, answer: (seen: Seen, good: () => Answer) => Answer): void {
  const route = world.as.routes['POST /register'] as (seen: Seen) => Answer
  world.as.routes['POST /register'] = (seen) => answer(seen, () => route(seen))
}

const denied = (world: World, orchestrator: AuthOrchestrator, redirect: Redirect) =>
  orchestrator.completeCallback(world.callback(redirect, { code: undefined, error: 'invalid_scope' }))

describe('the scope of a registration', () => {
  test('a registration names the scope that will be requested, with offline_access (NyxID#1217, openwork#2629)', async () => {
    const world = await startWorld()
    world.serverMetadata['scopes_supported'] = ['mcp:tools', 'offline_access']
    const redirect = redirectOf(await orchestrate().connection(of(world)).authorize())
    expect(registered(world)).toEqual(['mcp:tools offline_access'])
    expect(scopeOf(redirect)).toBe('mcp:tools offline_access')
  })

  test('a registration names the scope that the host configured as well', async () => {
    const world = await startWorld()
    const client = { name: 'Acme', redirectUri: 'https://app.example/oauth/callback', scope: 'openid' }
    await orchestrate({ client }).connection(of(world)).authorize()
    expect(registered(world)).toEqual(['openid mcp:tools'])
  })

  test('a connection that requests more than was registered registers again before the redirect (appstrate#1267)', async () => {
    const world = await startWorld()
    const orchestrator = orchestrate()
    const connection = await signIn(world, orchestrator, of(world))
    const redirect = redirectOf(await connection.authorize({ scope: 'mcp:admin' }))
    expect(registered(world)).toEqual(['mcp:tools', 'mcp:tools mcp:admin'])
    expect([clientIdOf(redirect), scopeOf(redirect)]).toEqual(['client-2', 'mcp:admin'])
    // The new registration serves every connection, and the old tokens are still refreshed with the old one.
    const other = redirectOf(await orchestrator.connection(of(world, 'u2')).authorize({ scope: 'mcp:admin' }))
    expect(clientIdOf(other)).toBe('client-2')
    expect((await connection.accessToken({ rejectedToken: 'access-1' })).value).toBe('access-2')
    expect(registered(world)).toHaveLength(2)
  })

  test('an attempt is finished with the client that it was made with, after a registration for more scope', async () => {
    const world = await startWorld()
    const orchestrator = orchestrate()
    const connection = orchestrator.connection(of(world))
    const first = redirectOf(await connection.authorize())
    redirectOf(await connection.authorize({ scope: 'mcp:admin' }))
    expect((await orchestrator.completeCallback(world.callback(first))).status).toBe('authorized')
    const [exchange] = world.as.seen.filter(({ path }) => path === '/token')
    expect(exchange?.headers.authorization).toBe(`Basic ${btoa('client-1:client-secret-1')}`)
  })

  test.each<[string, Answer]>([
    ['is refused', { status: 403, body: { error: 'access_denied' } }],
    ['finds the server down', { status: 500 }],
    ['is rate limited by the server', { status: 429 }],
  ])(
    'a sign-in that requests more continues with the registered client when its registration %s',
    async (_name, answer) => {
      const world = await startWorld()
      const connection = await signIn(world, orchestrate(), of(world))
      world.as.routes['POST /register'] = answer
      const redirect = redirectOf(await connection.authorize({ scope: 'mcp:admin' }))
      expect([clientIdOf(redirect), scopeOf(redirect)]).toEqual(['client-1', 'mcp:admin'])
      expect(registered(world)).toHaveLength(2)
    },
  )

  test('a sign-in that requests more continues with the registered client beyond policy.registrationsPerIssuerPerHour', async () => {
    const world = await startWorld()
    const connection = await signIn(world, orchestrate({ policy: { registrationsPerIssuerPerHour: 1 } }), of(world))
    const redirect = redirectOf(await connection.authorize({ scope: 'mcp:admin' }))
    expect([clientIdOf(redirect), registered(world)]).toEqual(['client-1', ['mcp:tools']])
  })

  test.each(['invalid_client_metadata', 'invalid_scope'])(
    'a server that answers %s to a scope registers the client without one',
    async (error) => {
      const world = await startWorld()
      world.serverMetadata['token_endpoint_auth_methods_supported'] = ['none']
      onRegistration(world, ({ body }, good) =>
        'scope' in Object(JSON.parse(body)) ? { status: 400, body: { error } } : good(),
      )
      const connection = await signIn(world, orchestrate(), of(world))
      expect(registered(world)).toEqual(['mcp:tools', undefined])
      expect((await connection.authorize({ force: true })).status).toBe('redirect')
      expect(registered(world)).toHaveLength(2)
    },
  )
})

describe('the scopes of other tenants', () => {
  test('a scope that the authorization server rejects to register does not keep other tenants from signing in', async () => {
    const world = await startWorld()
    onRegistration(world, ({ body }, good) =>
      (JSON.parse(body) as { scope?: string }).scope?.includes('nonsense')
        ? { status: 400, body: { error: 'invalid_client_metadata' } }
        : good(),
    )
    const orchestrator = orchestrate()
    const stranger = orchestrator.connection({ ...of(world), tenant: 't2' })
    redirectOf(await stranger.authorize({ challenge: 'Bearer scope="nonsense"' }))
    const connection = await signIn(world, orchestrator, of(world))
    expect((await connection.status()).state).toBe('authorized')
    redirectOf(await stranger.authorize({ challenge: 'Bearer scope="nonsense"' }))
    expect(registered(world)).toEqual(['nonsense', 'nonsense', 'nonsense', undefined, 'mcp:tools'])
  })

  test('a server that names another scope each time causes at most policy.registrationsPerServerPerHour registrations', async () => {
    const world = await startWorld()
    const clock = new TestClock()
    const orchestrator = orchestrate({ clock })
    const ask = async (index: number) =>
      redirectOf(
        await orchestrator.connection(of(world, `u${index}`)).authorize({ challenge: `Bearer scope="evil:${index}"` }),
      )
    for (let index = 0; index < 30; index += 1) await ask(index)
    expect(registered(world)).toHaveLength(20)
    expect(clientIdOf(await ask(30))).toBe('client-20')
    clock.advance(3_600_000)
    expect(clientIdOf(await ask(31))).toBe('client-21')
  })

  test('policy.registrationsPerServerPerHour of 0 registers a client once, for the scope of its first request', async () => {
    const world = await startWorld()
    const orchestrator = orchestrate({ policy: { registrationsPerServerPerHour: 0 } })
    const connection = await signIn(world, orchestrator, of(world))
    expect(clientIdOf(redirectOf(await connection.authorize({ scope: 'mcp:admin' })))).toBe('client-1')
    expect(registered(world)).toEqual(['mcp:tools'])
  })
})

describe('invalid_scope at the callback', () => {
  test('the authorize() after an invalid_scope registers once more, and a second one asks for `scope`', async () => {
    const world = await startWorld()
    const orchestrator = orchestrate()
    const connection = orchestrator.connection(of(world))
    const first = redirectOf(await connection.authorize())
    const failure = { code: 'AUTHORIZATION_DENIED', details: { error: 'invalid_scope' } }
    expect(await denied(world, orchestrator, first)).toMatchObject({ status: 'denied', failure })
    expect((await connection.status()).nextAction).toBe('authorize')

    const second = redirectOf(await connection.authorize())
    expect([clientIdOf(first), clientIdOf(second)]).toEqual(['client-1', 'client-2'])
    const result = await denied(world, orchestrator, second)
    expect(result).toMatchObject({
      status: 'denied',
      failure: {
        code: 'AUTHORIZATION_DENIED',
        details: { error: 'invalid_scope', reason: 'contradictoryScopes', offered: 'mcp:tools' },
      },
    })
    expect(describeFailure(result.failure ?? { code: 'CLOSED' })).toBe(
      'the scope lists of the server contradict each other: it rejects what it lists; pass a `scope` that it accepts to authorize() (error "invalid_scope", offered "mcp:tools", reason "contradictoryScopes")',
    )
    expect(await connection.status()).toMatchObject({ state: 'failed', nextAction: 'configureClient' })

    // No way out is closed, and no further registration is made for the same scope.
    expect(clientIdOf(redirectOf(await connection.authorize()))).toBe('client-2')
    const narrow = redirectOf(await connection.authorize({ scope: 'mcp:read' }))
    expect(registered(world)).toEqual(['mcp:tools', 'mcp:tools', 'mcp:tools mcp:read'])
    expect((await orchestrator.completeCallback(world.callback(narrow))).status).toBe('authorized')
    expect(await connection.status()).toMatchObject({ state: 'authorized', failure: undefined })
  })

  test('two connections whose shared client was refused a scope replace it once', async () => {
    const world = await startWorld()
    const orchestrator = orchestrate()
    const connections = ['u1', 'u2'].map((user) => orchestrator.connection(of(world, user)))
    for (const connection of connections) await denied(world, orchestrator, redirectOf(await connection.authorize()))
    const again = []
    for (const connection of connections) again.push(clientIdOf(redirectOf(await connection.authorize())))
    expect(again).toEqual(['client-2', 'client-2'])
    expect(registered(world)).toHaveLength(2)
  })
})
