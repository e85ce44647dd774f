import { describe, expect, test } from 'vitest'
import type { Answer, Seen } from './peer.ts'
import { orchestrate, redirectOf, rejection, signIn, startWorld, type World } from './world.ts'

const of = (world: World) => ({ tenant: 't1', user: 'u1', server: world.server })

/** The authentication methods of the registration requests, in order. */
const registered = (world: World): unknown[] =>
  world.as.seen
    .filter(({ path }) => path === '/register')
    .map(({ body }) => (JSON.parse(body) as Record<string, unknown>)['token_endpoint_auth_method'])

/** How the client of each token request was authenticated. */
const authenticated = (world: World): string[] =>
  world.as.seen
    .filter(({ path }) => path === '/token')
    .map(({ headers, body }) => {
      const basic = headers.authorization === undefined ? [] : ['Basic']
      return [...basic, ...(new URLSearchParams(body).has('client_secret') ? ['body'] : [])].join(' and ')
    })

/** Replaces a route by one that may let the old one answer. */
function intercept(world: World, name: string, answer: (seen: Seen, good: () => Answer) => Answer): void {
  const route = world.as.routes[name] as (seen: Seen) => Answer
  world.as.routes[name] = (seen) => answer(seen, () => route(seen))
}

describe('the authentication method of a registration', () => {
  test.each([
    ['client_secret_post', ['client_secret_basic', 'client_secret_post']],
    ['none', ['client_secret_basic', 'client_secret_post', 'none']],
  ])(
    'a server that refuses every method but %s is registered with it (claude-ai-mcp#1043, better-auth#8588)',
    async (accepted, requested) => {
      const world = await startWorld()
      intercept(world, 'POST /register', ({ body }, good) =>
        body.includes(`"${accepted}"`) ? good() : { status: 400, body: { error: 'invalid_client_metadata' } },
      )
      const connection = await signIn(world, orchestrate(), of(world))
      expect(registered(world)).toEqual(requested)
      expect(await connection.status()).toMatchObject({ state: 'authorized', failure: undefined })
    },
  )

  test('a server that reads the client secret only from the body gets one registration with client_secret_post after invalid_client (batpred#4799, punkpeye/fastmcp#214)', async () => {
    const world = await startWorld()
    intercept(world, 'POST /token', ({ body }, good) =>
      new URLSearchParams(body).has('client_secret') ? good() : { status: 401, body: { error: 'invalid_client' } },
    )
    const orchestrator = orchestrate()
    const connection = orchestrator.connection(of(world))
    const first = redirectOf(await connection.authorize())
    expect(await orchestrator.completeCallback(world.callback(first))).toMatchObject({
      status: 'failed',
      failure: { code: 'CLIENT_REJECTED', details: { error: 'invalid_client' } },
    })
    expect((await connection.status()).nextAction).toBe('authorize')
    await signIn(world, orchestrator, of(world))
    expect(registered(world)).toEqual(['client_secret_basic', 'client_secret_post'])
    expect(authenticated(world)).toEqual(['Basic', 'body'])
  })

  test('a server that rejects a client with either method gets one further registration, and the user can still sign in', async () => {
    const world = await startWorld()
    world.as.routes['POST /token'] = { status: 401, body: { error: 'invalid_client' } }
    const orchestrator = orchestrate()
    const connection = orchestrator.connection(of(world))
    for (let signIns = 0; signIns < 4; signIns += 1) {
      const redirect = redirectOf(await connection.authorize())
      expect((await orchestrator.completeCallback(world.callback(redirect))).status).toBe('failed')
    }
    expect(registered(world)).toEqual(['client_secret_basic', 'client_secret_post'])
    expect(authenticated(world)).toEqual(['Basic', 'body', 'body', 'body'])
  })

  test('a client that had tokens is registered anew with the same method after invalid_client', async () => {
    const world = await startWorld()
    const orchestrator = orchestrate()
    for (let times = 0; times < 3; times += 1) {
      const connection = await signIn(world, orchestrator, of(world))
      world.tokenAnswers.push({ status: 401, body: { error: 'invalid_client' } })
      await rejection(connection.accessToken({ rejectedToken: (await connection.accessToken()).value }))
    }
    expect(registered(world)).toEqual(['client_secret_basic', 'client_secret_basic', 'client_secret_basic'])
  })
})

describe('a registration response', () => {
  test.each<[string, object]>([
    [
      'null lists and an empty method (sigbit/mcp-auth-proxy#173)',
      { grant_types: null, response_types: null, redirect_uris: null, token_endpoint_auth_method: '' },
    ],
    ['null instead of a method', { token_endpoint_auth_method: null, redirect_uris: null }],
    ['an empty list of redirect URIs (hermes-agent#51934)', { redirect_uris: [], grant_types: [] }],
    ['empty URLs (hydra#4116)', { contacts: null, client_uri: '', logo_uri: '', tos_uri: '', policy_uri: '' }],
    ['a scope of the wrong type', { scope: 7 }],
  ])('a registration response with %s leaves the requested values in force', async (_name, change) => {
    const world = await startWorld()
    intercept(world, 'POST /register', (_seen, good) => {
      const answer = good()
      return { ...answer, body: { ...Object(answer.body), ...change } }
    })
    const connection = await signIn(world, orchestrate(), of(world))
    await connection.authorize({ force: true })
    expect([registered(world), authenticated(world)]).toEqual([['client_secret_basic'], ['Basic']])
  })
})
