import { describe, expect, test } from 'vitest'
import type { AuthorizeResult } from '../../../src/index.ts'
import { orchestrate, redirectOf, rejection, signIn, startWorld, type World } from './world.ts'

const of = (world: World) => ({ tenant: 't1', user: 'u1', server: world.server })
const targetOf = (result: AuthorizeResult): [string, string | null] => {
  const { origin, searchParams } = new URL(redirectOf(result).authorizationUrl)
  return [origin, searchParams.get('client_id')]
}

/** A resource with two authorization servers, and a connection that is signed in at the first. */
async function signedInAtFirst() {
  const world = await startWorld()
  const second = await startWorld()
  world.resourceMetadata['authorization_servers'] = [world.issuer, second.issuer]
  const orchestrator = orchestrate()
  return { world, second, orchestrator, connection: await signIn(world, orchestrator, of(world)) }
}

describe('authorize() while tokens are good', () => {
  test('authorize({ issuer }) of another issuer begins an authorization there, and the tokens stay until the new ones are stored', async () => {
    const { world, second, orchestrator, connection } = await signedInAtFirst()
    const redirect = redirectOf(await connection.authorize({ issuer: second.issuer }))
    expect(targetOf(redirect)).toEqual([second.issuer, 'client-1'])
    expect(await connection.accessToken()).toMatchObject({ value: 'access-1' })
    expect((await orchestrator.completeCallback(second.callback(redirect))).status).toBe('authorized')
    expect(second.tokenRequests()).toHaveLength(1)
    expect((await connection.authorize({ issuer: second.issuer })).status).toBe('authorized')
    expect(world.tokenRequests()).toHaveLength(1)
  })

  test('authorize({ issuer }) of another issuer does not refresh the expired tokens of the first', async () => {
    const { world, second, connection } = await signedInAtFirst()
    world.rejectedToken.add('access-1')
    const challenge = 'Bearer error="invalid_token"'
    expect(targetOf(await connection.authorize({ issuer: second.issuer, challenge }))[0]).toBe(second.issuer)
    expect(world.tokenRequests()).toHaveLength(1)
  })

  test('authorize({ issuer }) of the same issuer, with or without a final slash, is authorized', async () => {
    const { world, connection } = await signedInAtFirst()
    for (const issuer of [world.issuer, `${world.issuer}/`])
      expect((await connection.authorize({ issuer })).status).toBe('authorized')
  })

  test('authorize({ clientInformation }) of another client begins an authorization with it', async () => {
    const { world, orchestrator, connection } = await signedInAtFirst()
    const clientInformation = { clientId: 'mine', clientSecret: 'my-secret' }
    const redirect = redirectOf(await connection.authorize({ clientInformation }))
    expect(targetOf(redirect)).toEqual([world.issuer, 'mine'])
    expect((await connection.accessToken()).value).toBe('access-1')
    expect((await orchestrator.completeCallback(world.callback(redirect))).status).toBe('authorized')
    expect((await connection.authorize({ clientInformation })).status).toBe('authorized')
    expect((await connection.accessToken()).value).toBe('access-2')
  })

  test('authorize({ clientInformation }) for another issuer begins an authorization there', async () => {
    const { second, connection } = await signedInAtFirst()
    const clientInformation = { issuer: second.issuer, clientId: 'client-1' }
    const redirect = redirectOf(await connection.authorize({ issuer: second.issuer, clientInformation }))
    expect(targetOf(redirect)).toEqual([second.issuer, 'client-1'])
  })

  test('authorize({ issuer, clientInformation }) with imported tokens compares what was imported', async () => {
    const world = await startWorld()
    const connection = orchestrate().connection(of(world))
    await connection.import({ tokens: { accessToken: 'imported' } })
    const clientInformation = { clientId: 'mine' }
    expect((await connection.authorize({ issuer: world.issuer, clientInformation })).status).toBe('authorized')
    await connection.import({ issuer: 'https://old.example', clientInformation: { clientId: 'old' } })
    expect((await connection.authorize({ clientInformation: { clientId: 'old' } })).status).toBe('authorized')
    expect(await rejection(connection.authorize({ issuer: world.issuer }))).toMatchObject({
      failure: { code: 'CLIENT_INFORMATION_REQUIRED', details: { reason: 'otherIssuer' } },
    })
    expect(targetOf(await connection.authorize({ clientInformation }))).toEqual([world.issuer, 'mine'])
  })
})

describe('authorize() without `issuer` at a resource with two authorization servers', () => {
  test('authorize() after a sign-in at the second one leads there again', async () => {
    const { second, orchestrator, connection } = await signedInAtFirst()
    const clientInformation = { issuer: second.issuer, clientId: 'mine', clientSecret: 'my-secret' }
    const redirect = redirectOf(await connection.authorize({ issuer: second.issuer, clientInformation }))
    expect((await orchestrator.completeCallback(second.callback(redirect))).status).toBe('authorized')
    await expect(connection.authorize({ force: true }).then(targetOf)).resolves.toEqual([second.issuer, 'mine'])
  })

  test('authorize() after an attempt at the second one, by a client provided for it, is not hindered by that client', async () => {
    const { world, second, connection } = await signedInAtFirst()
    const clientInformation = { issuer: second.issuer, clientId: 'mine' }
    await connection.authorize({ issuer: second.issuer, clientInformation })
    for (const options of [{ force: true }, { force: true, issuer: world.issuer }])
      await expect(connection.authorize(options).then(targetOf)).resolves.toEqual([world.issuer, 'client-1'])
    expect(targetOf(await connection.authorize({ issuer: second.issuer }))).toEqual([second.issuer, 'mine'])
  })

  test('authorize({ issuer }) of the first one after a sign-in at the second one uses the client of the first', async () => {
    const { world, second, orchestrator, connection } = await signedInAtFirst()
    const clientInformation = { issuer: second.issuer, clientId: 'mine' }
    const redirect = redirectOf(await connection.authorize({ issuer: second.issuer, clientInformation }))
    expect((await orchestrator.completeCallback(second.callback(redirect))).status).toBe('authorized')
    const first = connection.authorize({ issuer: world.issuer }).then(targetOf)
    await expect(first).resolves.toEqual([world.issuer, 'client-1'])
    // Its own client is skipped there also after it was given another secret.
    await connection.import({ clientInformation: { ...clientInformation, clientSecret: 'another' } })
    const again = await connection.authorize({ issuer: world.issuer }).catch((error: unknown) => error)
    expect(again).toMatchObject({ authorizationUrl: expect.stringContaining('client_id=client-1') as string })
    // The resource has changed its authorization server: the host has to say which client follows it there.
    world.resourceMetadata['authorization_servers'] = [world.issuer]
    expect(await rejection(connection.authorize({ force: true, challenge: 'Bearer' }))).toMatchObject({
      failure: { code: 'CLIENT_INFORMATION_REQUIRED', details: { reason: 'otherIssuer' } },
    })
  })
})
