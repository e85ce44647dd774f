import { describe, expect, onTestFinished, test } from 'vitest'
import { type AssertionRequest, MemoryStore } from '../../../src/index.ts'
import { startPeer } from './peer.ts'
import { TestClock } from './test-clock.ts'
import { orchestrate, rejection, startWorld } from './world.ts'
import { verifies } from '../../support/verifies.ts'

const JWT_BEARER = 'urn:ietf:params:oauth:grant-type:jwt-bearer'
const unasked = (): Promise<never> => Promise.reject(new Error('unused'))

describe('a workload', () => {
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

  test('signs in with a fresh JWT, and again in another process when its token has ended', async () => {
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
    'that is refused is told so with the code of the server, and asked for once',
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

  test('that has no JWT fails without a request, keeps its tokens, and is asked anew the next time', async () => {
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

  test('is renewed in no process that lacks the option', async () => {
    const { clock, start } = await platform()
    await start().authorize({ grant: 'jwt_bearer' })
    clock.advance(3_600_000)
    expect(await rejection(start({ assertions: undefined }).accessToken())).toMatchObject({
      failure: { code: 'GRANT_UNSUPPORTED', details: { reason: 'noAssertions' } },
    })
  })

  test('asks for more scope in the same way', async () => {
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

describe('an identity assertion', () => {
  test('is exchanged and redeemed; nothing of it is stored, told or inspected', async () => {
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

describe('misuse is told at the call', () => {
  test.each<[string, 'jwt_bearer' | 'identity_assertion', object, string]>([
    ['no assertions', 'jwt_bearer', {}, "authorize().grant 'jwt_bearer' needs options.assertions"],
    [
      'no assertions at all',
      'identity_assertion',
      {},
      "authorize().grant 'identity_assertion' needs options.assertions",
    ],
    [
      'no identity provider',
      'identity_assertion',
      { assertions: unasked },
      "authorize().grant 'identity_assertion' needs options.identityProvider",
    ],
  ])('%s', async (_, grant, options, message) => {
    const connection = orchestrate(options).connection({ tenant: 't1', server: 'https://mcp.example/mcp' })
    expect(await rejection(connection.authorize({ grant }))).toEqual({
      name: 'TypeError',
      message,
      code: 'ERR_INVALID_ARG_VALUE',
    })
  })

  test('and what the policy forbids is refused', async () => {
    const orchestrator = orchestrate({ assertions: unasked, policy: { allowedGrants: ['authorization_code'] } })
    const connection = orchestrator.connection({ tenant: 't1', server: 'https://mcp.example/mcp' })
    expect(await rejection(connection.authorize({ grant: 'jwt_bearer' }))).toMatchObject({
      failure: { code: 'POLICY_REFUSED', details: { reason: 'allowedGrants' } },
    })
  })
})
