import { describe, expect, test } from 'vitest'
import { SimulatedClock } from '../../../src/testing/simulated-clock.ts'
import type { Connection } from '../../../src/index.ts'
import { orchestrate, redirectOf, signIn, startWorld } from '../../unit/connection/world.ts'
import { callTool, connectionOf, facts, registrations, requested } from './world.ts'

describe('a registration', () => {
  test('names the scopes that are requested (NyxID#1217, openwork#2629, appstrate#1267, @hono/mcp, python-sdk validate_scope)', async () => {
    const world = await startWorld()
    const { scope } = await requested(connectionOf(orchestrate(), world))
    expect(scope).toBe('mcp:tools')
    expect(registrations(world)).toMatchObject([{ scope: 'mcp:tools' }])
  })

  test('is repeated once after invalid_scope, and a second one says that the scope has to be configured (NyxID#1217)', async () => {
    const world = await startWorld()
    const orchestrator = orchestrate()
    const connection = connectionOf(orchestrator, world)
    const deny = async () => {
      const redirect = redirectOf(await connection.authorize())
      return await orchestrator.completeCallback(world.callback(redirect, { code: undefined, error: 'invalid_scope' }))
    }
    expect((await deny()).status).toBe('denied')
    expect(registrations(world)).toHaveLength(1)
    const second = await deny()
    expect(registrations(world)).toHaveLength(2)
    expect(second.failure).toMatchObject({
      code: 'AUTHORIZATION_DENIED',
      details: { error: 'invalid_scope', reason: 'contradictoryScopes' },
    })
    await deny()
    expect(registrations(world)).toHaveLength(2)
  })

  test.each([
    ['token_endpoint_auth_method: "" (sigbit/mcp-auth-proxy#173)', { token_endpoint_auth_method: '' }],
    ['redirect_uris: [] (hermes-agent#51934)', { redirect_uris: [] }],
  ])('answered with %s is used as it was sent', async (_case, change) => {
    const world = await startWorld()
    const register = world.as.routes['POST /register']
    world.as.routes['POST /register'] = (seen) => {
      const answer = typeof register === 'function' ? register(seen) : {}
      return { ...answer, body: { ...(answer.body as object), ...change } }
    }
    const connection = await signIn(world, orchestrate())
    expect((await callTool(connection)).status).toBe(200)
    expect(registrations(world)).toHaveLength(1)
  })

  test('is sent with the next listed method after invalid_client_metadata (claude-ai-mcp#1043, better-auth#8588)', async () => {
    const world = await startWorld()
    world.serverMetadata['token_endpoint_auth_methods_supported'] = ['client_secret_basic', 'client_secret_post']
    const register = world.as.routes['POST /register']
    world.as.routes['POST /register'] = (seen) => {
      const asked = JSON.parse(seen.body) as { token_endpoint_auth_method?: string }
      if (asked.token_endpoint_auth_method !== 'client_secret_post')
        return { status: 400, body: { error: 'invalid_client_metadata' } }
      return typeof register === 'function' ? register(seen) : {}
    }
    const connection = await signIn(world, orchestrate())
    expect((await callTool(connection)).status).toBe(200)
    expect(registrations(world).map((one) => one['token_endpoint_auth_method'])).toEqual([
      'client_secret_basic',
      'client_secret_post',
    ])
  })
})

describe('a server that has lost its registrations, while nobody has tokens', () => {
  const REPORTS = 'claude-code#84614 (Supabase), #79505, bifrost#7228, mcp-remote#36, pi-mcp-adapter#90'
  const clientIdOf = async (connection: Connection, options = {}) => (await requested(connection, options))['client_id']
  /** A server whose own page rejects the first client, so that no browser comes back, and its token endpoint as well. */
  const startLossyWorld = async () => {
    const world = await startWorld()
    const exchange = world.as.routes['POST /token']
    world.as.routes['POST /token'] = (seen) => {
      const [clientId] = atob(seen.headers.authorization?.slice('Basic '.length) ?? '').split(':')
      if (clientId === 'client-1') return { status: 401, body: { error: 'invalid_client' } }
      return typeof exchange === 'function' ? exchange(seen) : {}
    }
    return world
  }

  test(`is sent users with another client after the first attempt ran out (${REPORTS})`, async () => {
    const world = await startLossyWorld()
    const clock = new SimulatedClock()
    const orchestrator = orchestrate({ clock })
    expect(await clientIdOf(connectionOf(orchestrator, world))).toBe('client-1')
    clock.advance(300_000)
    const redirect = redirectOf(await connectionOf(orchestrator, world).authorize())
    expect((await orchestrator.completeCallback(world.callback(redirect))).status).toBe('authorized')
    expect(registrations(world)).toHaveLength(2)
    expect(await clientIdOf(orchestrator.connection({ tenant: 't2', server: world.server }))).toBe('client-2')
  })

  test(`is sent users with another client as soon as the host says so (${REPORTS})`, async () => {
    const world = await startLossyWorld()
    const orchestrator = orchestrate()
    const connection = connectionOf(orchestrator, world)
    expect(await clientIdOf(connection)).toBe('client-1')
    expect(await clientIdOf(connection, { reregister: true })).toBe('client-2')
    await orchestrator.forgetRegistration({ issuer: world.issuer })
    expect(await clientIdOf(connection)).toBe('client-3')
    expect(world.tokenRequests()).toEqual([])
  })
})

describe('a token endpoint that lists client_secret_basic and reads only the body', () => {
  test('is sent the other method after one invalid_client, never both (batpred#4799, punkpeye/fastmcp#214, inspector#627)', async () => {
    const world = await startWorld()
    const exchange = world.as.routes['POST /token']
    world.as.routes['POST /token'] = (seen) => {
      const isInBody = new URLSearchParams(seen.body).has('client_secret')
      if (!isInBody) return { status: 401, body: { error: 'invalid_client' } }
      return typeof exchange === 'function' ? exchange(seen) : {}
    }
    const orchestrator = orchestrate()
    const connection = connectionOf(orchestrator, world)
    const first = redirectOf(await connection.authorize())
    expect((await orchestrator.completeCallback(world.callback(first))).failure?.code).toBe('CLIENT_REJECTED')
    const second = redirectOf(await connection.authorize())
    expect((await orchestrator.completeCallback(world.callback(second))).status).toBe('authorized')
    expect(registrations(world)).toHaveLength(2)
    const sent = world.as.seen.filter(({ path }) => path === '/token')
    expect(
      sent.map(({ headers, body }) => [
        headers.authorization !== undefined,
        new URLSearchParams(body).has('client_secret'),
      ]),
    ).toEqual([
      [true, false],
      [false, true],
    ])
  })

  test('is sent the secret of a pre-registered client in the body once the host says so (batpred#4799)', async () => {
    const world = await startWorld()
    const clients = [{ issuer: world.issuer, clientId: 'c1', clientSecret: 'the-secret' }]
    await signIn(world, orchestrate({ clients, ...facts(world, { clientAuthentication: 'client_secret_post' }) }))
    expect(world.tokenRequests()).toMatchObject([{ client_id: 'c1', client_secret: 'the-secret' }])
  })
})
