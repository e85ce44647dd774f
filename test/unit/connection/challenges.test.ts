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

describe('a server that moved to another authorization server', () => {
  test(
    'is signed in to anew there, and learns nothing of what the old one knew',
    verifies([18, 56, 57, 117], async () => {
      const world = await startWorld()
      const orchestrator = orchestrate()
      const connection = await signIn(world, orchestrator)
      const next = await moved(world)

      // The old server still refreshes, and its new token is refused as well.
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

  test('is found after one refresh, whoever asks', async () => {
    const world = await startWorld()
    const connection = await signIn(world, orchestrate())
    const next = await moved(world)
    expect((await connection.authorize({ challenge: invalidToken })).status).toBe('authorized')
    const redirect = redirectOf(await connection.authorize({ challenge: invalidToken }))
    expect(new URL(redirect.authorizationUrl).origin).toBe(next.issuer)
    expect(grants(world)).toEqual(['authorization_code', 'refresh_token'])
  })

  test(
    'is not found in the copy of its old metadata, whatever its age',
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
    'does not get the credentials of a client that was registered beforehand elsewhere',
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

describe('a 401', () => {
  test('for a token that others renewed since asks nobody', async () => {
    const world = await startWorld()
    const orchestrator = orchestrate()
    const connection = await signIn(world, orchestrator)
    expect((await connection.accessToken()).value).toBe('access-1')
    expect((await connection.authorize({ challenge: invalidToken })).status).toBe('authorized')
    // Nobody in this process has got the new token yet, so that a late answer must be about the old one.
    expect((await connection.authorize({ challenge: invalidToken })).status).toBe('authorized')
    expect(grants(world)).toEqual(['authorization_code', 'refresh_token'])
    expect((await connection.accessToken()).value).toBe('access-2')
    expect((await connection.authorize({ challenge: invalidToken })).status).toBe('redirect')
  })

  test('long after is answered with a refresh again', async () => {
    const world = await startWorld()
    const clock = new TestClock()
    const connection = await signIn(world, orchestrate({ clock }))
    await connection.authorize({ challenge: invalidToken })
    clock.advance(3_600_000)
    expect((await connection.accessToken()).value).toBe('access-3')
    expect((await connection.authorize({ challenge: invalidToken })).status).toBe('authorized')
    expect(grants(world).slice(1)).toEqual(['refresh_token', 'refresh_token', 'refresh_token'])
  })

  test('of a grant without a user finds the new authorization server by itself', async () => {
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

describe('a server that insists on more scope', () => {
  /** The server grants what was asked for, without this. */
  const grantsLess = (world: World, lacking: string): void => {
    world.tokenAnswers.push((good) => ({
      body: { ...good, scope: String(good['scope']).replaceAll(lacking, '').trim() },
    }))
  }

  test.each<[string, string | undefined]>([
    ['names scope that was granted', 'mcp:tools'],
    ['names none', undefined],
  ])(
    'and %s is told at once that asking again cannot help',
    verifies(127, async (_name, scope) => {
      const world = await startWorld()
      const connection = await signIn(world, orchestrate())
      const asked = world.as.seen.length
      expect(await rejection(connection.authorize({ challenge: insufficient(scope) }))).toEqual({
        failure: { code: 'INSUFFICIENT_SCOPE', ...(scope !== undefined && { details: { expected: scope } }) },
        retryable: false,
        nextAction: 'authorize',
      })
      expect(world.as.seen).toHaveLength(asked)
      expect((await connection.accessToken()).value).toBe('access-1')
      expect((await connection.status()).authorized).toBe(true)
    }),
  )

  test('while nobody can be asked for it does not use up the rounds', async () => {
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
    'that is never granted is asked for three times in a day',
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

  test('is one round for all who meet its challenge while the user is being asked', async () => {
    const world = await startWorld()
    const connection = await signIn(world, orchestrate({ policy: { maxStepUps: 1 } }))
    for (const _ of [1, 2, 3])
      expect((await connection.authorize({ challenge: insufficient('mcp:admin') })).status).toBe('redirect')
  })

  test('which is granted may ask for more', async () => {
    const world = await startWorld()
    const orchestrator = orchestrate({ policy: { maxStepUps: 1 } })
    const connection = await signIn(world, orchestrator)
    for (const scope of ['a', 'b', 'c']) {
      const redirect = redirectOf(await connection.authorize({ challenge: insufficient(scope) }))
      expect((await orchestrator.completeCallback(world.callback(redirect))).status).toBe('authorized')
    }
    expect((await connection.accessToken()).scope).toBe('mcp:tools a b c')
  })

  test.each<[string, object, string]>([
    ['the policy allows no step-up', { maxStepUps: 0 }, 'STEP_UP_EXHAUSTED'],
    ['the policy does not allow the scope', { allowedScopes: ['mcp:tools'] }, 'INSUFFICIENT_SCOPE'],
  ])('is not obeyed where %s', async (_name, policy, code) => {
    const world = await startWorld()
    const connection = await signIn(world, orchestrate({ policy }))
    expect(await rejection(connection.authorize({ challenge: insufficient('mcp:admin') }))).toMatchObject({
      failure: { code },
    })
  })

  test('without end is not followed for ever', async () => {
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
