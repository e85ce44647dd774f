import { describe, expect, test } from 'vitest'
import { MemoryStore } from '../../../src/index.ts'
import { TestClock } from './test-clock.ts'
import { orchestrate, redirectOf, rejection, signIn, startWorld } from './world.ts'
import { verifies } from '../../support/verifies.ts'

describe('import()', () => {
  test('import() stores tokens and a client without any request, and the first refresh discovers the server and binds them to it', async () => {
    const world = await startWorld()
    const clock = new TestClock()
    const orchestrator = orchestrate({ clock })
    // The world knows refresh-1 because somebody else signed in with it before.
    await signIn(world, orchestrator, { tenant: 'before', server: world.server })
    const connection = orchestrator.connection({ tenant: 't1', server: world.server })
    const expiresAt = clock.now() + 60_000
    const tokens = { accessToken: 'access-1', refreshToken: 'refresh-1', expiresAt, scope: 'mcp:tools' }
    const clientInformation = { clientId: 'given', clientSecret: 's', tokenEndpointAuthMethod: 'client_secret_post' }
    const asked = world.as.seen.length
    expect(await connection.import({ tokens, clientInformation })).toEqual({
      imported: true,
      actions: [
        {
          type: 'saveTokens',
          tenant: 't1',
          user: undefined,
          server: world.server,
          label: undefined,
          generation: 1,
          data: { ...tokens, tokenType: 'Bearer', grant: 'authorization_code', issuer: undefined },
        },
      ],
    })
    expect(world.as.seen).toHaveLength(asked)
    expect(await connection.status()).toMatchObject({
      state: 'authorized',
      authorized: true,
      scope: 'mcp:tools',
      expiresAt,
    })
    expect(await connection.accessToken()).toEqual({ value: 'access-1', type: 'Bearer', scope: 'mcp:tools', expiresAt })
    clock.advance(60_000)
    expect((await connection.accessToken()).value).toBe('access-2')
    expect(world.tokenRequests().at(-1)).toEqual({
      grant_type: 'refresh_token',
      refresh_token: 'refresh-1',
      resource: world.server,
      client_id: 'given',
      client_secret: 's',
    })
    // From now on its server is known.
    const places = world.rs.seen.length
    clock.advance(3_600_000)
    expect((await connection.accessToken()).value).toBe('access-3')
    expect(world.rs.seen).toHaveLength(places)
    expect((await connection.disconnect()).actions).toMatchObject([
      { type: 'forgetTokens', data: { issuer: world.issuer } },
    ])
  })

  test(
    'import() of tokens with an issuer prevents a refresh at any other issuer',
    verifies([56, 110], async () => {
      const world = await startWorld()
      const clock = new TestClock()
      const connection = orchestrate({ clock }).connection({ tenant: 't1', server: world.server })
      const tokens = {
        accessToken: 'old',
        refreshToken: 'refresh-0',
        expiresAt: clock.now() - 1,
        issuer: 'https://other.example',
      }
      const { actions } = await connection.import({ tokens, clientInformation: { clientId: 'given' } })
      expect(actions).toMatchObject([{ type: 'saveTokens', data: { issuer: 'https://other.example' } }])
      expect(await rejection(connection.accessToken())).toMatchObject({
        failure: { code: 'POLICY_REFUSED', details: { reason: 'issuerNotOffered', expected: 'https://other.example' } },
      })
      expect(world.tokenRequests()).toEqual([])
      expect(await connection.status()).toMatchObject({
        state: 'reauthorizationRequired',
        authorized: false,
        failure: { code: 'POLICY_REFUSED' },
      })
    }),
  )

  test('import() of a client alone makes the next authorize() use it', async () => {
    const world = await startWorld()
    const orchestrator = orchestrate()
    const connection = orchestrator.connection({ tenant: 't1', server: world.server })
    expect(await connection.import({ clientInformation: { clientId: 'given', issuer: world.issuer } })).toEqual({
      imported: true,
      actions: [],
    })
    const redirect = redirectOf(await connection.authorize())
    expect(new URL(redirect.authorizationUrl).searchParams.get('client_id')).toBe('given')
    expect((await orchestrator.completeCallback(world.callback(redirect))).status).toBe('authorized')
    expect(world.tokenRequests()).toMatchObject([{ client_id: 'given' }])
  })

  test('import() of a client of another issuer does not keep a configured client from being used', async () => {
    const world = await startWorld()
    const store = new MemoryStore()
    const of = { tenant: 't1', server: world.server }
    const connection = orchestrate({ store }).connection(of)
    await connection.import({ clientInformation: { clientId: 'given', issuer: 'https://other.example' } })
    expect(await rejection(connection.authorize({ force: true }))).toEqual({
      failure: {
        code: 'CLIENT_INFORMATION_REQUIRED',
        details: { reason: 'otherIssuer', expected: world.issuer, received: 'https://other.example' },
      },
      retryable: false,
      nextAction: 'configureClient',
    })
    // What the error asks for, in each of the three ways.
    const clientIdOf = async (result: ReturnType<typeof connection.authorize>): Promise<string | null> =>
      new URL(redirectOf(await result).authorizationUrl).searchParams.get('client_id')
    const clients = [{ issuer: world.issuer, clientId: 'configured' }]
    const configured = orchestrate({ store, clients }).connection(of)
    expect(await clientIdOf(configured.authorize({ force: true }))).toBe('configured')
    const clientInformation = { clientId: 'right', issuer: world.issuer }
    expect(await clientIdOf(connection.authorize({ clientInformation }))).toBe('right')
    await connection.import({ clientInformation: { ...clientInformation, clientId: 'imported' } })
    expect(await clientIdOf(connection.authorize({ force: true }))).toBe('imported')
  })

  test('import() replaces the current tokens in every process', async () => {
    const world = await startWorld()
    const clock = new TestClock()
    const store = new MemoryStore({ clock })
    const connection = await signIn(world, orchestrate({ clock, store }))
    const elsewhere = orchestrate({ clock, store }).connection(connection.identity)
    await connection.accessToken()
    await elsewhere.accessToken()
    await connection.import({ tokens: { accessToken: 'brought' }, issuer: world.issuer })
    expect((await connection.accessToken()).value).toBe('brought')
    expect((await elsewhere.accessToken()).value).toBe('brought')
  })

  test('import() of a refresh token that was imported before and rotated since changes nothing, in whichever process', async () => {
    const world = await startWorld()
    const clock = new TestClock()
    const store = new MemoryStore()
    const [first, second] = [orchestrate({ clock, store }), orchestrate({ clock, store })]
    await signIn(world, first, { tenant: 'before', server: world.server })
    const of = { tenant: 't1', server: world.server }
    const tokens = { accessToken: 'access-1', refreshToken: 'refresh-1', expiresAt: clock.now() - 1 }
    const clientInformation = { clientId: 'given' }
    expect(await first.connection(of).import({ tokens, clientInformation })).toMatchObject({ imported: true })
    // As long as it is the current one it may be imported again.
    expect(await second.connection(of).import({ tokens, clientInformation })).toMatchObject({ imported: true })
    expect((await first.connection(of).accessToken()).value).toBe('access-2')
    expect(await second.connection(of).import({ tokens, clientInformation })).toMatchObject({ imported: false })
    expect((await second.connection(of).accessToken()).value).toBe('access-2')
    expect(world.tokenRequests().filter(({ refresh_token: sent }) => sent === 'refresh-1')).toHaveLength(1)
    // Another one is the host's decision, and so is the same one after `disconnect()`.
    const other = { tokens: { ...tokens, refreshToken: 'refresh-9' } }
    expect(await second.connection(of).import(other)).toMatchObject({ imported: true })
    await second.connection(of).disconnect()
    expect(await second.connection(of).import(other)).toMatchObject({ imported: true })
  })

  test('import() takes tokens of 32,768 characters each', async () => {
    const world = await startWorld()
    const connection = orchestrate({}).connection({ tenant: 't1', server: world.server })
    const accessToken = 'a'.repeat(32_768)
    await connection.import({ tokens: { accessToken, refreshToken: 'r'.repeat(32_768) } })
    expect((await connection.accessToken()).value).toBe(accessToken)
  })

  test('import() takes a client and a scope as long as a server may send them, and normalizes the scope as that of a response', async () => {
    const world = await startWorld()
    const connection = orchestrate({}).connection({ tenant: 't1', server: world.server })
    const scopes = ['mcp:tools', 'é'.repeat(2_043)]
    await connection.import({
      clientInformation: { clientId: 'c'.repeat(2_048), clientSecret: 's'.repeat(4_096) },
      tokens: { accessToken: 'access-1', scope: `${scopes.join('  ')} ${scopes.join(' ')}` },
    })
    expect((await connection.accessToken()).scope).toBe(scopes.join(' '))
  })

  test('import() of client_credentials tokens allows renewal without the user', async () => {
    const world = await startWorld()
    const clock = new TestClock()
    const connection = orchestrate({ clock }).connection({ tenant: 't1', server: world.server })
    const tokens = { accessToken: 'old', expiresAt: clock.now(), grant: 'client_credentials' } as const
    await connection.import({ tokens, clientInformation: { clientId: 'robot', clientSecret: 's' } })
    expect((await connection.accessToken()).value).toBe('access-1')
    clock.advance(3_600_000)
    expect((await connection.accessToken()).value).toBe('access-2')
  })
})
