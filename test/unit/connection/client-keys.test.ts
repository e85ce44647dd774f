import { decodeJwt, exportPKCS8, generateKeyPair, jwtVerify } from 'jose'
import { describe, expect, test } from 'vitest'
import type { PreRegisteredClient } from '../../../src/index.ts'
import { TestClock } from './test-clock.ts'
import { orchestrate, redirectOf, rejection, signIn, startWorld } from './world.ts'

const { privateKey, publicKey } = await generateKeyPair('ES256', { extractable: true })
const pem = await exportPKCS8(privateKey)

describe('private_key_jwt authentication', () => {
  test('a client with a private key signs a fresh assertion for the code exchange, the refresh and each revocation', async () => {
    const world = await startWorld()
    world.serverMetadata['token_endpoint_auth_methods_supported'] = ['client_secret_basic', 'private_key_jwt']
    world.serverMetadata['token_endpoint_auth_signing_alg_values_supported'] = ['RS256', 'ES256']
    const clock = new TestClock()
    const currentDate = new Date(clock.now())
    const clients = [{ issuer: world.issuer, clientId: 'web', privateKey: pem, privateKeyId: 'k1' }]
    const connection = await signIn(world, orchestrate({ clients, clock }))
    clock.advance(3_600_000)
    expect((await connection.accessToken()).value).toBe('access-2')
    await connection.disconnect()
    const proofs = world.as.seen.flatMap(({ path, body }) =>
      ['/token', '/revoke'].includes(path) ? [new URLSearchParams(body).get('client_assertion') ?? ''] : [],
    )
    expect(proofs).toHaveLength(4)
    expect(new Set(proofs).size).toBe(4)
    for (const proof of proofs) {
      const { payload, protectedHeader } = await jwtVerify(proof, publicKey, { currentDate })
      expect(payload).toMatchObject({ iss: 'web', sub: 'web', aud: world.issuer })
      expect(protectedHeader).toEqual({ alg: 'ES256', kid: 'k1', typ: 'client-authentication+jwt' })
    }
    expect(world.as.asked()).not.toContain('POST /register')
  })

  test.each([
    ['the issuer that the server announces', 'https://announced.example', 'https://announced.example'],
    ['the named issuer where the server announces a template', 'https://as.example/{tenant}', undefined],
  ])('the audience of every assertion is %s', async (_name, announced, expected) => {
    const world = await startWorld()
    const { issuer } = world
    Object.assign(world.serverMetadata, {
      issuer: announced,
      token_endpoint_auth_methods_supported: ['private_key_jwt'],
      pushed_authorization_request_endpoint: `${issuer}/par`,
      require_pushed_authorization_requests: true,
    })
    world.as.routes['POST /par'] = { status: 201, body: { request_uri: 'urn:example:one', expires_in: 60 } }
    const clock = new TestClock()
    const orchestrator = orchestrate({
      clock,
      authorizationServers: [{ server: 'Ours', issuers: [issuer], discovery: { alsoAnnounces: [announced] } }],
      clients: [{ issuer, clientId: 'web', privateKey: pem }],
    })
    const connection = orchestrator.connection({ tenant: 't1', server: world.server })
    const redirect = redirectOf(await connection.authorize())
    const pushed = new URLSearchParams(world.as.seen.find(({ path }) => path === '/par')?.body)
    const whole = { ...redirect, authorizationUrl: `${issuer}/authorize?${pushed.toString()}` }
    expect(await orchestrator.completeCallback(world.callback(whole, { iss: announced }))).toMatchObject({
      status: 'authorized',
    })
    clock.advance(3_600_000)
    await connection.accessToken()
    await connection.disconnect()
    const audiences = world.as.seen.flatMap(({ path, body }) => {
      const assertion = new URLSearchParams(body).get('client_assertion')
      return assertion === null ? [] : [[path, decodeJwt(assertion).aud]]
    })
    const places = ['/par', '/token', '/token', '/revoke', '/revoke']
    expect(audiences).toEqual(places.map((path) => [path, expected ?? issuer]))
  })

  test('a client with a private key signs in with the client_credentials grant', async () => {
    const world = await startWorld()
    world.serverMetadata['token_endpoint_auth_methods_supported'] = ['private_key_jwt']
    const clients = [{ issuer: world.issuer, clientId: 'robot', privateKey, scope: 'robots' }]
    const connection = orchestrate({ clients }).connection({ tenant: 't1', server: world.server })
    expect((await connection.authorize({ grant: 'client_credentials' })).status).toBe('authorized')
    expect(world.tokenRequests()).toEqual([
      {
        grant_type: 'client_credentials',
        scope: 'robots',
        resource: world.server,
        client_id: 'robot',
        client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
        client_assertion: expect.any(String) as string,
      },
    ])
  })
})

describe('private key options', () => {
  const SECRET = 'do-not-print-me'
  const key = 'must be a private key that can sign: RSA of at least 2048 bits, EC on P-256, P-384 or P-521, or Ed25519'
  test.each<[string, Partial<PreRegisteredClient>, string]>([
    [
      'a private key that is a number',
      { privateKey: 7 as never },
      'clients[0].privateKey must be a CryptoKey, a JWK or PEM',
    ],
    ['a private key that is not PEM', { privateKey: SECRET }, `clients[0].privateKey ${key}`],
    ['a private key that is an invalid JWK', { privateKey: { kty: 'EC', d: SECRET } }, `clients[0].privateKey ${key}`],
    [
      'an algorithm that does not match the key',
      { privateKey: pem, tokenEndpointAuthSigningAlg: 'RS256' },
      'clients[0].tokenEndpointAuthSigningAlg does not match privateKey, which signs with ES256',
    ],
    [
      'the method private_key_jwt without a private key',
      { tokenEndpointAuthMethod: 'private_key_jwt' },
      'clients[0].tokenEndpointAuthMethod needs privateKey',
    ],
    ['a privateKeyId without a private key', { privateKeyId: 'k1' }, 'clients[0].privateKeyId needs privateKey'],
    [
      'a signing algorithm without a private key',
      { tokenEndpointAuthSigningAlg: 'ES256' },
      'clients[0].tokenEndpointAuthSigningAlg needs privateKey',
    ],
  ])('createAuthOrchestrator() throws a TypeError that names the option for %s', async (_, client, message) => {
    const build = async (): Promise<unknown> =>
      orchestrate({ clients: [{ issuer: 'https://as', clientId: 'c', ...client }] })
    const complaint = await rejection(build())
    expect(complaint).toMatchObject({ name: 'TypeError', message })
    expect(JSON.stringify(complaint)).not.toContain(SECRET)
  })
})
