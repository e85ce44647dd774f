import { describe, expect, test } from 'vitest'
import { MemoryStore } from '../../../src/index.ts'
import { TestClock } from './test-clock.ts'
import { orchestrate, redirectOf, rejection, startWorld } from './world.ts'

const query = (url: string): Record<string, string> => Object.fromEntries(new URL(url).searchParams)

describe('policy limits of authorize()', () => {
  const reasonOf = async (promise: Promise<unknown>): Promise<unknown> =>
    ((await rejection(promise)) as { failure: unknown }).failure

  test('authorize() rejects a disallowed server, scope or grant before any request is sent', async () => {
    const world = await startWorld()
    const { origin } = new URL(world.server)
    const refuses = async (policy: object, options: object, reason: string, received: string): Promise<void> => {
      const connection = orchestrate({ policy }).connection({ tenant: 't1', server: world.server })
      expect(await reasonOf(connection.authorize(options))).toEqual({
        code: 'POLICY_REFUSED',
        details: { received, reason },
      })
    }
    await refuses({ allowedServers: ['https://mcp.example/mcp'] }, {}, 'allowedServers', `${origin}/mcp`)
    const keyed = orchestrate({ policy: { allowedServers: [] } })
    const server = `${origin}/mcp/${'k'.repeat(40)}?key=k`
    expect(await reasonOf(keyed.connection({ tenant: 't1', server }).authorize())).toMatchObject({
      details: { received: `${origin}/mcp/kkkk…` },
    })
    await refuses({ allowedScopes: ['mcp:tools'] }, { scope: 'mcp:tools mcp:admin' }, 'allowedScopes', 'mcp:admin')
    await refuses(
      { allowedGrants: ['authorization_code'] },
      { grant: 'client_credentials' },
      'allowedGrants',
      'client_credentials',
    )
    expect(world.rs.seen).toEqual([])
    for (const allowedServers of [[world.server], [origin]]) {
      const connection = orchestrate({ policy: { allowedServers } }).connection({ tenant: 't1', server: world.server })
      expect((await connection.authorize()).status).toBe('redirect')
    }
  })

  test('authorize() rejects a disallowed issuer and a disallowed grant that the server metadata selects', async () => {
    const world = await startWorld()
    const authorize = (policy: object, options = {}) =>
      orchestrate({ policy }).connection({ tenant: 't1', server: world.server }).authorize(options)
    expect(await reasonOf(authorize({ allowedIssuers: ['https://as.example'] }))).toEqual({
      code: 'POLICY_REFUSED',
      details: { received: world.issuer, reason: 'issuerNotAllowed' },
    })
    expect(await reasonOf(authorize({ allowedGrants: ['client_credentials'] }))).toEqual({
      code: 'POLICY_REFUSED',
      details: { received: 'authorization_code', reason: 'allowedGrants' },
    })
  })

  test('authorize() omits offered scopes that policy.allowedScopes does not list', async () => {
    const world = await startWorld()
    world.resourceMetadata['scopes_supported'] = ['mcp:tools', 'mcp:admin']
    const connection = orchestrate({ policy: { allowedScopes: ['mcp:tools'] } }).connection({
      tenant: 't1',
      server: world.server,
    })
    expect(query(redirectOf(await connection.authorize()).authorizationUrl)['scope']).toBe('mcp:tools')
  })

  test.each([
    ['the protected resource lists', ['mcp:admin', 'mcp:all'], undefined, undefined],
    ['the challenge requires', undefined, undefined, 'Bearer scope="mcp:admin mcp:all"'],
    ['the authorization server lists', undefined, ['mcp:admin', 'mcp:all'], undefined],
  ])(
    'authorize() rejects before the user is sent anywhere if policy.allowedScopes lists no scope that %s',
    async (_who, ofResource, ofServer, challenge) => {
      const world = await startWorld()
      world.resourceMetadata['scopes_supported'] = ofResource
      world.serverMetadata['scopes_supported'] = ofServer
      const { server } = world
      const connection = orchestrate({ policy: { allowedScopes: ['read'] } }).connection({ tenant: 't1', server })
      expect(await rejection(connection.authorize({ challenge }))).toMatchObject({
        failure: { code: 'POLICY_REFUSED', details: { received: 'mcp:admin mcp:all', reason: 'allowedScopes' } },
        nextAction: 'none',
      })
      expect(await connection.status()).toMatchObject({ state: 'failed', authorized: false, nextAction: 'none' })
    },
  )

  test('authorize() requests no scope, and the default of the server is stored, if nobody names any scope', async () => {
    const world = await startWorld()
    delete world.resourceMetadata['scopes_supported']
    delete world.serverMetadata['scopes_supported']
    const orchestrator = orchestrate({ policy: { allowedScopes: ['read'] } })
    const connection = orchestrator.connection({ tenant: 't1', server: world.server })
    const redirect = redirectOf(await connection.authorize())
    expect(query(redirect.authorizationUrl)['scope']).toBeUndefined()
    world.tokenAnswers.push(({ scope: _, ...good }) => ({ body: good }))
    expect((await orchestrator.completeCallback(world.callback(redirect))).status).toBe('authorized')
  })

  test('options.policy may be a function of the connection that also chooses the issuer', async () => {
    const world = await startWorld()
    const other = await startWorld()
    world.resourceMetadata['authorization_servers'] = [world.issuer, other.issuer]
    const asked: unknown[] = []
    const orchestrator = orchestrate({
      policy: (connection) => {
        asked.push(connection)
        return { chooseIssuer: (issuers) => issuers.at(-1), attemptTtlMs: connection.tenant === 't2' ? 1_000 : 2_000 }
      },
      clock: new TestClock(),
    })
    const of = { tenant: 't1', user: undefined, server: world.server, label: undefined }
    const first = redirectOf(await orchestrator.connection({ tenant: 't1', server: world.server }).authorize())
    expect(asked).toContainEqual(of)
    expect(first.expiresAt).toBe(new TestClock().now() + 2_000)
    expect(new URL(first.authorizationUrl).origin).toBe(other.issuer)
    const second = redirectOf(await orchestrator.connection({ tenant: 't2', server: world.server }).authorize())
    expect(second.expiresAt).toBe(new TestClock().now() + 1_000)
  })
})

describe('an aborted authorize() call', () => {
  test('an aborted authorize() call rejects at once while the operation continues for other callers', async () => {
    const world = await startWorld()
    const connection = orchestrate().connection({ tenant: 't1', server: world.server })
    const registration = Promise.withResolvers<void>()
    const register = world.as.routes['POST /register']
    const arrived = new Promise<void>((resolve) => {
      world.as.routes['POST /register'] = (seen) => {
        resolve()
        const answer = typeof register === 'function' ? register(seen) : (register ?? {})
        return { ...answer, until: registration.promise }
      }
    })
    const controller = new AbortController()
    const leaving = connection.authorize({ signal: controller.signal })
    const staying = connection.authorize()
    await arrived
    controller.abort()
    expect(await rejection(leaving)).toEqual({ failure: { code: 'ABORTED' }, retryable: true, nextAction: 'retry' })
    registration.resolve()
    expect((await staying).status).toBe('redirect')
    expect((await connection.status()).state).toBe('awaitingCallback')
    expect(await rejection(connection.authorize({ signal: AbortSignal.abort() }))).toMatchObject({
      failure: { code: 'ABORTED' },
    })
  })
})

describe('concurrent authorize() calls', () => {
  test('forty concurrent authorize() calls with equal options share one run and return one authorization URL', async () => {
    const world = await startWorld()
    const store = new MemoryStore()
    let saves = 0
    const save = store.save.bind(store)
    store.save = (key, value, options) => {
      if (key.endsWith(':connection')) saves += 1
      return save(key, value, options)
    }
    const orchestrator = orchestrate({ store })
    const of = { tenant: 't1', user: 'u1', server: world.server }
    const results = await Promise.all(
      Array.from({ length: 40 }, () => orchestrator.connection(of).authorize({ scope: 'mcp:tools' })),
    )
    expect(new Set(results.map((result) => redirectOf(result).authorizationUrl)).size).toBe(1)
    expect(saves).toBe(1)
    expect(world.rs.asked()).toEqual(['POST /mcp', 'GET /.well-known/oauth-protected-resource/mcp'])
    expect(world.as.asked()).toEqual(['GET /.well-known/oauth-authorization-server', 'POST /register'])
  })

  test('forty authorize() calls with different bindings discover and register once, and the newest eight attempts supersede the others', async () => {
    const world = await startWorld()
    const orchestrator = orchestrate()
    const of = { tenant: 't1', user: 'u1', server: world.server }
    const results = await Promise.all(
      Array.from({ length: 40 }, async (_, index) => {
        const binding = `browser-${index}`
        return { binding, redirect: redirectOf(await orchestrator.connection(of).authorize({ binding })) }
      }),
    )
    expect(new Set(results.map(({ redirect }) => redirect.state)).size).toBe(40)
    expect(world.rs.asked()).toEqual(['POST /mcp', 'GET /.well-known/oauth-protected-resource/mcp'])
    expect(world.as.asked()).toEqual(['GET /.well-known/oauth-authorization-server', 'POST /register'])

    const statuses: string[] = []
    // A denied attempt ends and touches no other: so each can be asked about.
    for (const { binding, redirect } of results) {
      const url = world.callback(redirect, { code: undefined, error: 'access_denied' })
      statuses.push((await orchestrator.completeCallback(url, { binding })).status)
    }
    expect(statuses.filter((status) => status === 'superseded')).toHaveLength(32)
    expect(statuses.filter((status) => status === 'denied')).toHaveLength(8)
  })
})
