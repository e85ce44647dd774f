import { describe, expect, onTestFinished, test } from 'vitest'
import { type AssertionRequest, MemoryStore } from '../../../src/index.ts'
import { startPeer } from './peer.ts'
import { TestClock } from './test-clock.ts'
import { orchestrate, rejection, startWorld } from './world.ts'
import { verifies } from '../../support/verifies.ts'

const JWT_BEARER = 'urn:ietf:params:oauth:grant-type:jwt-bearer'
const unasked = (): Promise<never> => Promise.reject(new Error('unused'))

describe('the jwt_bearer grant', () => {
  /** A world, and processes of one platform that share a store. */
  async function platform() {
    const world = await startWorld()
    const clock = new TestClock()
    const store = new MemoryStore()
    onTestFinished(() => store.close())
    const asked: AssertionRequest[] = []
    const start = (options = {}) =>
      orchestrate({
        clock,
        store,
        assertions: (request) => Promise.resolve(`jwt-${asked.push(request)}`),
        ...options,
      }).connection({ tenant: 't1', server: world.server })
    return { world, clock, asked, start }
  }
  const request = (assertion: string, server: string): object => ({
    grant_type: JWT_BEARER,
    assertion,
    scope: 'mcp:tools',
    resource: server,
  })

  test('a workload signs in with a fresh JWT, and another process requests a new one after the token has expired', async () => {
    const { world, clock, asked, start } = await platform()
    const result = await start().authorize({ grant: 'jwt_bearer' })
    expect(result).toMatchObject({
      status: 'authorized',
      actions: [{ type: 'saveTokens', data: { grant: 'jwt_bearer' } }],
    })
    expect(result.actions).toHaveLength(1)
    clock.advance(3_600_000)
    const other = start()
    expect(await other.status()).toMatchObject({ state: 'authorized', authorized: true })
    const [one, same] = await Promise.all([other.accessToken(), other.accessToken()])
    expect([one.value, same.value]).toEqual(['access-2', 'access-2'])
    expect(world.tokenRequests()).toEqual([request('jwt-1', world.server), request('jwt-2', world.server)])
    expect(asked).toHaveLength(2)
    expect(world.as.asked()).not.toContain('POST /register')
  })

  test(
    'a workload whose assertion is rejected fails with the error of the server after one token request',
    verifies(202, async () => {
      const { world, start } = await platform()
      world.tokenAnswers.push({ status: 400, body: { error: 'unauthorized_client' } })
      expect(await rejection(start().authorize({ grant: 'jwt_bearer' }))).toEqual({
        failure: {
          code: 'CLIENT_REJECTED',
          details: { url: `${world.issuer}/token`, status: 400, error: 'unauthorized_client' },
        },
        retryable: false,
        nextAction: 'configureClient',
      })
      expect(world.tokenRequests()).toHaveLength(1)
    }),
  )

  test('a workload without a JWT fails before any token request, keeps its tokens, and requests a JWT again at the next call', async () => {
    const { world, clock, start } = await platform()
    await start().authorize({ grant: 'jwt_bearer' })
    clock.advance(3_600_000)
    const failing = start({ assertions: unasked })
    expect(await rejection(failing.accessToken())).toEqual({
      failure: {
        code: 'AUTHORIZATION_REQUIRED',
        details: { reason: 'assertionUnavailable', expected: 'workload' },
      },
      retryable: false,
      nextAction: 'authorize',
    })
    expect(world.tokenRequests()).toHaveLength(1)
    expect((await start().accessToken()).value).toBe('access-2')
  })

  test('a process without options.assertions cannot renew the token of a workload', async () => {
    const { clock, start } = await platform()
    await start().authorize({ grant: 'jwt_bearer' })
    clock.advance(3_600_000)
    expect(await rejection(start({ assertions: undefined }).accessToken())).toMatchObject({
      failure: { code: 'GRANT_UNSUPPORTED', details: { reason: 'noAssertions' } },
    })
  })

  test('a workload steps up for more scope with a fresh JWT', async () => {
    const { world, start } = await platform()
    const connection = start()
    await connection.authorize({ grant: 'jwt_bearer' })
    const challenge = 'Bearer error="insufficient_scope", scope="mcp:admin"'
    expect((await connection.authorize({ challenge })).status).toBe('authorized')
    expect(world.tokenRequests().map(({ assertion, scope }) => [assertion, scope])).toEqual([
      ['jwt-1', 'mcp:tools'],
      ['jwt-2', 'mcp:tools mcp:admin'],
    ])
  })
})

describe('the identity_assertion grant', () => {
  test('an identity assertion is exchanged and redeemed, and never stored, emitted or passed to inspect()', async () => {
    const world = await startWorld()
    const seen: string[] = []
    const idp = await startPeer()
    idp.routes['POST /token'] = {
      body: {
        access_token: 'planted-id-jag',
        issued_token_type: 'urn:ietf:params:oauth:token-type:id-jag',
        token_type: 'N_A',
      },
    }
    const store = new MemoryStore()
    const save = store.save.bind(store)
    store.save = (key, value, options) => {
      seen.push(value)
      return save(key, value, options)
    }
    const orchestrator = orchestrate({
      store,
      clients: [{ issuer: world.issuer, clientId: 'agents', clientSecret: 's' }],
      identityProvider: { issuer: idp.origin, tokenEndpoint: `${idp.origin}/token`, clientId: 'at-idp' },
      assertions: () => Promise.resolve('planted-id-token'),
      inspect: (record) => seen.push(JSON.stringify(record)),
    })
    orchestrator.on('transition', (event) => seen.push(JSON.stringify(event)))
    const connection = orchestrator.connection({ tenant: 't1', user: 'u1', server: world.server })
    expect((await connection.authorize({ grant: 'identity_assertion' })).status).toBe('authorized')
    expect(await connection.status()).toMatchObject({ state: 'authorized', authorized: true })
    expect(idp.seen.map(({ body }) => new URLSearchParams(body).get('subject_token'))).toEqual(['planted-id-token'])
    expect(world.tokenRequests()).toEqual([
      { grant_type: JWT_BEARER, assertion: 'planted-id-jag', resource: world.server },
    ])
    expect(seen.length).toBeGreaterThan(5)
    expect(seen.filter((text) => text.includes('planted-'))).toEqual([])
  })
})

describe('grants that need options.assertions', () => {
  test.each<[string, 'jwt_bearer' | 'identity_assertion', object, string]>([
    [
      'options.assertions is missing for jwt_bearer',
      'jwt_bearer',
      {},
      "authorize().grant 'jwt_bearer' needs assertions",
    ],
    [
      'options.assertions is missing for identity_assertion',
      'identity_assertion',
      {},
      "authorize().grant 'identity_assertion' needs assertions",
    ],
    [
      'options.identityProvider is missing',
      'identity_assertion',
      { assertions: unasked },
      "authorize().grant 'identity_assertion' needs identityProvider",
    ],
  ])('authorize() with an assertion grant throws a TypeError when %s', async (_, grant, options, message) => {
    const connection = orchestrate(options).connection({ tenant: 't1', server: 'https://mcp.example/mcp' })
    expect(await rejection(connection.authorize({ grant }))).toEqual({
      name: 'TypeError',
      message,
      code: 'ERR_INVALID_ARG_VALUE',
    })
  })

  test('authorize() rejects with POLICY_REFUSED when policy.allowedGrants lacks the assertion grant', async () => {
    const orchestrator = orchestrate({ assertions: unasked, policy: { allowedGrants: ['authorization_code'] } })
    const connection = orchestrator.connection({ tenant: 't1', server: 'https://mcp.example/mcp' })
    expect(await rejection(connection.authorize({ grant: 'jwt_bearer' }))).toMatchObject({
      failure: { code: 'POLICY_REFUSED', details: { reason: 'allowedGrants' } },
    })
  })
})
