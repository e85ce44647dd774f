import { describe, expect, test } from 'vitest'
import { verifies } from '../../support/verifies.ts'
import { TestClock } from './test-clock.ts'
import { orchestrate, redirectOf, rejection, signIn, startWorld, type World } from './world.ts'

const query = (url: string): Record<string, string> => Object.fromEntries(new URL(url).searchParams)
const invalidToken = 'Bearer error="invalid_token"'
const insufficient = (scope?: string): string =>
  `Bearer error="insufficient_scope"${scope === undefined ? '' : `, scope="${scope}"`}`
const grants = (world: World): (string | undefined)[] => world.tokenRequests().map(({ grant_type: grant }) => grant)

/** The resource of `world` names the authorization server of another world from now on. */
async function moved(world: World): Promise<World> {
  const next = await startWorld()
  world.resourceMetadata['authorization_servers'] = [next.issuer]
  return next
}

describe('a changed authorization server', () => {
  test(
    'a server that moved to another authorization server is signed in to there, and the new server receives no credential of the old one',
    verifies([18, 56, 57, 117], async () => {
      const world = await startWorld()
      const orchestrator = orchestrate()
      const connection = await signIn(world, orchestrator)
      const next = await moved(world)

      // The old server still refreshes, and its new token is rejected as well.
      world.rejectedToken.add('access-1').add('access-2')
      const error: unknown = await connection.fetch(world.server).catch((reason: unknown) => reason)
      expect(error).toMatchObject({ code: 'AUTHORIZATION_REQUIRED' })
      const redirect = redirectOf(await connection.authorize({ challenge: invalidToken }))
      expect(new URL(redirect.authorizationUrl).origin).toBe(next.issuer)
      expect(query(redirect.authorizationUrl)['resource']).toBe(world.server)
      expect((await orchestrator.completeCallback(next.callback(redirect))).status).toBe('authorized')

      expect(grants(world)).toEqual(['authorization_code', 'refresh_token'])
      expect(grants(next)).toEqual(['authorization_code'])
      expect(next.as.asked()).toEqual(['GET /.well-known/oauth-authorization-server', 'POST /register', 'POST /token'])
      const sent = JSON.stringify(next.as.seen)
      for (const secret of ['client-secret-1"', 'refresh-1', 'access-1', 'access-2'])
        expect(sent.split(secret)).toHaveLength(1)
      expect((await connection.accessToken({ rejectedToken: 'access-1' })).value).toBe('access-2')
      expect(grants(next)).toEqual(['authorization_code', 'refresh_token'])
    }),
  )

  test('a changed authorization server is discovered after one refresh when the caller passes the challenge to authorize()', async () => {
    const world = await startWorld()
    const connection = await signIn(world, orchestrate())
    const next = await moved(world)
    expect((await connection.authorize({ challenge: invalidToken })).status).toBe('authorized')
    const redirect = redirectOf(await connection.authorize({ challenge: invalidToken }))
    expect(new URL(redirect.authorizationUrl).origin).toBe(next.issuer)
    expect(grants(world)).toEqual(['authorization_code', 'refresh_token'])
  })

  test(
    'a challenge bypasses cached resource metadata, so that a changed authorization server is discovered',
    verifies([18, 20], async () => {
      const world = await startWorld()
      world.rs.routes['GET /.well-known/oauth-protected-resource/mcp'] = () => ({
        headers: { 'cache-control': 'max-age=3600' },
        body: world.resourceMetadata,
      })
      const orchestrator = orchestrate()
      await orchestrator.connection({ tenant: 't1', server: world.server }).authorize()
      const next = await moved(world)
      const other = orchestrator.connection({ tenant: 't2', server: world.server })
      expect(new URL(redirectOf(await other.authorize()).authorizationUrl).origin).toBe(world.issuer)
      for (const challenge of [
        'Bearer',
        `Bearer resource_metadata="${world.rs.origin}/.well-known/oauth-protected-resource/mcp"`,
      ]) {
        const redirect = redirectOf(await other.authorize({ challenge }))
        expect(new URL(redirect.authorizationUrl).origin).toBe(next.issuer)
      }
    }),
  )

  test(
    'a changed authorization server does not receive the credentials of a client pre-registered at the old one',
    verifies(58, async () => {
      const world = await startWorld()
      const clients = [{ issuer: world.issuer, clientId: 'mine', clientSecret: 'my-secret' }]
      const connection = await signIn(world, orchestrate({ clients }))
      const next = await moved(world)
      await connection.authorize({ challenge: invalidToken })
      expect(await rejection(connection.authorize({ challenge: invalidToken }))).toMatchObject({
        failure: {
          code: 'CLIENT_INFORMATION_REQUIRED',
          details: { reason: 'otherIssuer', expected: next.issuer, received: world.issuer },
        },
        nextAction: 'configureClient',
      })
      expect(next.as.asked()).toEqual(['GET /.well-known/oauth-authorization-server'])
      expect((await connection.accessToken()).value).toBe('access-2')
    }),
  )
})

describe('a 401 challenge', () => {
  test('a 401 challenge for a token that was already replaced returns authorized without any request', async () => {
    const world = await startWorld()
    const orchestrator = orchestrate()
    const connection = await signIn(world, orchestrator)
    expect((await connection.accessToken()).value).toBe('access-1')
    expect((await connection.authorize({ challenge: invalidToken })).status).toBe('authorized')
    // No caller in this process has received the new token yet, so a late challenge must be about the old one.
    expect((await connection.authorize({ challenge: invalidToken })).status).toBe('authorized')
    expect(grants(world)).toEqual(['authorization_code', 'refresh_token'])
    expect((await connection.accessToken()).value).toBe('access-2')
    expect((await connection.authorize({ challenge: invalidToken })).status).toBe('redirect')
  })

  test('a 401 challenge for a newer token refreshes again', async () => {
    const world = await startWorld()
    const clock = new TestClock()
    const connection = await signIn(world, orchestrate({ clock }))
    await connection.authorize({ challenge: invalidToken })
    clock.advance(3_600_000)
    expect((await connection.accessToken()).value).toBe('access-3')
    expect((await connection.authorize({ challenge: invalidToken })).status).toBe('authorized')
    expect(grants(world).slice(1)).toEqual(['refresh_token', 'refresh_token', 'refresh_token'])
  })

  test('a 401 challenge makes a non-interactive grant discover the new authorization server without the user', async () => {
    const world = await startWorld()
    const next = await startWorld()
    const clients = [world, next].map(({ issuer }) => ({ issuer, clientId: `at ${issuer}`, clientSecret: 's' }))
    const connection = orchestrate({ clients }).connection({ tenant: 't1', server: world.server })
    await connection.authorize({ grant: 'client_credentials' })
    world.resourceMetadata['authorization_servers'] = [next.issuer]
    expect((await connection.authorize({ challenge: invalidToken })).status).toBe('authorized')
    expect((await connection.authorize({ challenge: invalidToken })).status).toBe('authorized')
    expect([grants(world), grants(next)]).toEqual([
      ['client_credentials', 'client_credentials'],
      ['client_credentials'],
    ])
  })
})

describe('a challenge without insufficient_scope that names scopes', () => {
  test('a challenge for a rejected token refreshes it, although it names scopes that were not granted', async () => {
    const world = await startWorld()
    const connection = await signIn(world, orchestrate())
    const challenge = `${invalidToken}, scope="mcp:tools mcp:admin"`
    expect((await connection.authorize({ challenge })).status).toBe('authorized')
    // Rejected again, the user is asked for what the server names.
    const bare = 'Bearer scope="mcp:tools mcp:admin"'
    await connection.accessToken()
    const { authorizationUrl } = redirectOf(await connection.authorize({ challenge: bare }))
    expect(query(authorizationUrl)['scope']).toBe('mcp:tools mcp:admin')
    expect(grants(world)).toEqual(['authorization_code', 'refresh_token'])
  })

  test('the scope of the first challenge is requested before any token is stored', async () => {
    const world = await startWorld()
    const connection = orchestrate().connection({ tenant: 't1', server: world.server })
    const challenge = 'Bearer scope="files:read,files:write"'
    const { authorizationUrl } = redirectOf(await connection.authorize({ challenge }))
    expect(query(authorizationUrl)['scope']).toBe('files:read files:write')
  })

  test.each([
    ['a challenge of 4,096 characters', 'redirect', 4_096, undefined],
    ['a longer challenge', 'RESPONSE_INVALID', 4_097, undefined],
    ['a challenge that is too long together with `scope`', 'RESPONSE_INVALID', 4_090, 'mcp:tools'],
  ])('the scope of %s leads to %s', async (_name, outcome, length, scope) => {
    const world = await startWorld()
    const connection = orchestrate().connection({ tenant: 't1', server: world.server })
    const scopes = Array.from({ length: 409 }, (_, index) => `scope-${index + 100}`).join(' ')
    const challenge = `Bearer scope="${scopes.slice(0, length).padEnd(length, 'x')}"`
    const result = await connection.authorize({ challenge, scope }).catch((error: unknown) => error)
    const { status, failure } = Object(result) as { status?: string; failure?: { code: string; details: object } }
    expect(status ?? failure?.code).toBe(outcome)
    if (failure !== undefined) expect(failure.details).toEqual({ document: 'challenge', field: 'scope' })
  })
})

describe('an insufficient_scope challenge', () => {
  /** The server grants what was asked for, without this. */
  const grantsLess = (world: World, lacking: string): void => {
    world.tokenAnswers.push((good) => ({
      body: { ...good, scope: String(good['scope']).replaceAll(lacking, '').trim() },
    }))
  }

  test.each<[string, string | undefined]>([
    ['names only granted scope', 'mcp:tools'],
    ['names no scope', undefined],
  ])(
    'an insufficient_scope challenge that %s makes authorize() reject with INSUFFICIENT_SCOPE without any request',
    verifies(127, async (_name, scope) => {
      const world = await startWorld()
      const connection = await signIn(world, orchestrate())
      const asked = world.as.seen.length
      expect(await rejection(connection.authorize({ challenge: insufficient(scope) }))).toEqual({
        failure: { code: 'INSUFFICIENT_SCOPE', ...(scope !== undefined && { details: { expected: scope } }) },
        retryable: false,
        nextAction: 'fixServer',
      })
      expect(world.as.seen).toHaveLength(asked)
      expect((await connection.accessToken()).value).toBe('access-1')
      expect((await connection.status()).authorized).toBe(true)
    }),
  )

  test.each<[string, object]>([
    ['force', { force: true }],
    ['reregister', { reregister: true }],
  ])('authorize() with %s asks the user after a 403 for scope that was granted already', async (_name, option) => {
    const world = await startWorld()
    const connection = await signIn(world, orchestrate())
    world.rs.routes['POST /mcp'] = { status: 403, headers: { 'www-authenticate': insufficient('mcp:tools') } }
    await rejection(connection.fetch(world.server, { method: 'POST', body: 'x' }))
    expect(await rejection(connection.authorize())).toMatchObject({ failure: { code: 'INSUFFICIENT_SCOPE' } })
    expect(await connection.authorize(option).catch(String)).toMatchObject({
      status: 'redirect',
      authorizationUrl: expect.stringMatching(/&scope=mcp%3Atools(?:&|$)/) as unknown,
    })
    expect((await connection.accessToken()).value).toBe('access-1')
  })

  test('authorize({ force: true }) requests the scope of the token and that of the challenge however often it was requested', async () => {
    const world = await startWorld()
    const connection = await signIn(world, orchestrate({ policy: { maxStepUps: 0 } }))
    const challenge = insufficient('mcp:admin')
    expect(await rejection(connection.authorize({ challenge }))).toMatchObject({ nextAction: 'fixServer' })
    for (let turn = 0; turn < 2; turn += 1) {
      const { authorizationUrl } = redirectOf(await connection.authorize({ challenge, force: true }))
      expect(query(authorizationUrl)['scope']).toBe('mcp:tools mcp:admin')
    }
    // With that of the token it would be longer than a request may send.
    const longest = Array.from({ length: 256 }, (_, index) => `s${String(index).padStart(14, '0')}`).join(' ')
    const long = redirectOf(await connection.authorize({ challenge: insufficient(longest), force: true }))
    expect(query(long.authorizationUrl)['scope']).toBe(longest)
  })

  test('a step-up that fails before the user is redirected does not count towards policy.maxStepUps', async () => {
    const world = await startWorld()
    const connection = await signIn(world, orchestrate())
    const challenge = insufficient('mcp:admin')
    const [path = '', served = {}] =
      Object.entries(world.rs.routes).find(([route]) => route.includes('well-known')) ?? []
    world.rs.routes[path] = { status: 500 }
    for (const _ of [1, 2, 3, 4])
      expect(await rejection(connection.authorize({ challenge }))).toMatchObject({
        failure: { code: 'RESOURCE_METADATA_UNAVAILABLE' },
      })
    world.rs.routes[path] = served
    expect(redirectOf(await connection.authorize({ challenge })).status).toBe('redirect')
  })

  test(
    'a scope that is never granted is requested three times per day, and then authorize() rejects with STEP_UP_EXHAUSTED',
    verifies([126, 124], async () => {
      const world = await startWorld()
      const clock = new TestClock()
      const orchestrator = orchestrate({ clock })
      const connection = await signIn(world, orchestrator)
      const challenge = insufficient('mcp:admin')
      const round = async (): Promise<void> => {
        const redirect = redirectOf(await connection.authorize({ challenge }))
        expect(query(redirect.authorizationUrl)['scope']?.split(' ').toSorted()).toEqual(['mcp:admin', 'mcp:tools'])
        grantsLess(world, 'mcp:admin')
        expect((await orchestrator.completeCallback(world.callback(redirect))).status).toBe('authorized')
      }
      await round()
      await round()
      await round()
      expect(await rejection(connection.authorize({ challenge }))).toEqual({
        failure: { code: 'STEP_UP_EXHAUSTED', details: { expected: 'mcp:admin' } },
        retryable: false,
        nextAction: 'fixServer',
      })
      // Another scope is another request, and the next day is another day.
      expect((await connection.authorize({ challenge: insufficient('mcp:other') })).status).toBe('redirect')
      clock.advance(86_400_001)
      expect((await connection.authorize({ challenge })).status).toBe('redirect')
    }),
  )

  test('concurrent callers that meet the same challenge share one step-up round', async () => {
    const world = await startWorld()
    const connection = await signIn(world, orchestrate({ policy: { maxStepUps: 1 } }))
    for (const _ of [1, 2, 3])
      expect((await connection.authorize({ challenge: insufficient('mcp:admin') })).status).toBe('redirect')
  })

  test('a disconnected connection forgets its step-up rounds: the same scope may be requested again after the next sign-in', async () => {
    const world = await startWorld()
    const orchestrator = orchestrate({ policy: { maxStepUps: 1 } })
    const connection = await signIn(world, orchestrator)
    const challenge = insufficient('mcp:admin')
    const redirect = redirectOf(await connection.authorize({ challenge }))
    grantsLess(world, 'mcp:admin')
    expect((await orchestrator.completeCallback(world.callback(redirect))).status).toBe('authorized')
    expect(await rejection(connection.authorize({ challenge }))).toMatchObject({
      failure: { code: 'STEP_UP_EXHAUSTED', details: { expected: 'mcp:admin' } },
    })
    await connection.disconnect()
    await signIn(world, orchestrator)
    const again = connection.authorize({ challenge }).then(
      ({ status }) => status,
      (error: unknown) => String(error),
    )
    expect(await again).toBe('redirect')
  })

  test('granted step-ups do not count towards policy.maxStepUps', async () => {
    const world = await startWorld()
    const orchestrator = orchestrate({ policy: { maxStepUps: 1 } })
    const connection = await signIn(world, orchestrator)
    for (const scope of ['a', 'b', 'c']) {
      const redirect = redirectOf(await connection.authorize({ challenge: insufficient(scope) }))
      expect((await orchestrator.completeCallback(world.callback(redirect))).status).toBe('authorized')
    }
    expect((await connection.accessToken()).scope).toBe('mcp:tools a b c')
  })

  test('a step-up without a user that is not granted makes authorize() reject, and connection.fetch tries its token', async () => {
    const world = await startWorld()
    const clients = [{ issuer: world.issuer, clientId: 'c', clientSecret: 's' }]
    const connection = orchestrate({ clients }).connection({ tenant: 't1', server: world.server })
    await connection.authorize({ grant: 'client_credentials' })
    const challenge = insufficient('mcp:admin')
    grantsLess(world, 'mcp:admin')
    const result = await connection.authorize({ challenge }).catch((error: unknown) => error)
    expect(result).toMatchObject({
      failure: { code: 'INSUFFICIENT_SCOPE', details: { reason: 'notGranted', expected: 'mcp:admin' } },
      nextAction: 'configureClient',
    })
    expect(await connection.accessToken()).toMatchObject({ value: 'access-2', scope: 'mcp:tools' })
    const served = world.rs.routes['POST /mcp'] ?? {}
    world.rs.routes['POST /mcp'] = (seen) => {
      world.rs.routes['POST /mcp'] = served
      return { status: 403, headers: { 'www-authenticate': challenge }, body: { path: seen.path } }
    }
    grantsLess(world, 'mcp:admin')
    const response = await connection.fetch(world.server, { method: 'POST', body: 'x' })
    expect(await response.json()).toMatchObject({ token: 'access-3' })
  })

  test('step-ups without a user count towards policy.maxStepUps together, whatever their scope, for a day', async () => {
    const world = await startWorld()
    const clock = new TestClock()
    const clients = [{ issuer: world.issuer, clientId: 'c', clientSecret: 's', scope: 'mcp:tools' }]
    const connection = orchestrate({ clock, clients }).connection({ tenant: 't1', server: world.server })
    await connection.authorize({ grant: 'client_credentials' })
    let named = 0
    world.rs.routes['POST /mcp'] = () => ({
      status: 403,
      headers: { 'www-authenticate': insufficient(`s${(named += 1)}`) },
    })
    const call = () => rejection(connection.fetch(world.server, { method: 'POST', body: 'x' }))
    for (let turn = 0; turn < 3; turn += 1)
      expect(await call()).toMatchObject({ failure: { details: { reason: 'insufficientScope' } } })
    for (let turn = 0; turn < 3; turn += 1)
      expect(await call()).toMatchObject({ failure: { code: 'STEP_UP_EXHAUSTED' } })
    expect(world.tokenRequests()).toHaveLength(4)
    clock.advance(86_400_000)
    await call()
    expect(world.tokenRequests()).toHaveLength(6)
  })

  test.each<[string, object, object]>([
    ['policy.maxStepUps is 0', { maxStepUps: 0 }, { code: 'STEP_UP_EXHAUSTED', details: { expected: 'mcp:admin' } }],
    [
      'policy.allowedScopes lacks the scope',
      { allowedScopes: ['mcp:tools'] },
      { code: 'INSUFFICIENT_SCOPE', details: { expected: 'mcp:admin', reason: 'allowedScopes' } },
    ],
  ])('an insufficient_scope challenge makes authorize() reject when %s', async (_name, policy, failure) => {
    const world = await startWorld()
    const connection = await signIn(world, orchestrate({ policy }))
    expect(await rejection(connection.authorize({ challenge: insufficient('mcp:admin') }))).toMatchObject({
      failure,
    })
  })

  test('challenges that name ever new scopes are rejected with STEP_UP_EXHAUSTED after three rounds', async () => {
    const world = await startWorld()
    const orchestrator = orchestrate()
    const connection = await signIn(world, orchestrator)
    const huge = (round: number): string =>
      insufficient(Array.from({ length: 100 }, (_, index) => `scope-${round}-${index}`).join(' '))
    const rounds: unknown[] = []
    for (let round = 1; round <= 6; round += 1) {
      const result = await connection.authorize({ challenge: huge(round) }).catch((error: unknown) => error)
      rounds.push(result instanceof Error ? Reflect.get(result, 'code') : 'redirect')
      if (result instanceof Error) break
      await orchestrator.completeCallback(world.callback(redirectOf(result as never)))
    }
    expect(rounds).toEqual(['redirect', 'redirect', 'redirect', 'STEP_UP_EXHAUSTED'])
  })
})
