import { decodeProtectedHeader, exportJWK, generateKeyPair, jwtVerify } from 'jose'
import { expect, test } from 'vitest'
import { createRefreshTokens } from '../../../src/actors/token-endpoint/grants.ts'
import { createRevokeTokens } from '../../../src/actors/token-endpoint/revoke-tokens.ts'
import { readSigningKey } from '../../../src/options/signing-key.ts'
import type { ClientInformation } from '../../../src/schemas/credentials.ts'
import { verifies } from '../../support/verifies.ts'
import { identityOf, makeDependencies, never, rejectionOf, sendBefore, serverAt, startPeer } from './support.ts'

const { publicKey, privateKey } = await generateKeyPair('ES256', { extractable: true })
const NOW_SECONDS = 1_700_000_000
const tokens = { access_token: 't', token_type: 'Bearer' }
const identity = identityOf('https://h/mcp')

/** A fixed wall clock, and random bytes that are never the same twice. */
function countingClock() {
  let randoms = 0
  const random = (bytes: number): Uint8Array => new Uint8Array(bytes).fill((randoms += 1))
  return { now: () => NOW_SECONDS * 1000 + 999, monotonic: () => 0, random }
}

/** An authorization server entry whose client proves itself by a key, and dependencies with that key. */
async function withKey(
  key: Parameters<typeof readSigningKey>[0] = privateKey,
  { signingAlg = 'ES256', ...named }: { signingAlg?: string; kid?: string } = {},
) {
  const peer = await startPeer({ '/token': { body: tokens }, '/revoke': { body: '' } })
  const client: ClientInformation = {
    ...serverAt(peer.origin).client,
    clientId: 'robot',
    tokenEndpointAuthMethod: 'private_key_jwt',
    signingAlg,
  }
  const server = serverAt(peer.origin, { client, revocationEndpoint: `${peer.origin}/revoke` })
  const configured = { issuer: peer.origin, clientId: 'robot', signingKey: readSigningKey(key, named) }
  const clients = [{ issuer: 'https://other', clientId: 'robot' }, configured]
  return { peer, server, deps: makeDependencies({ clock: countingClock(), clients }) }
}

const form = (body: string | undefined): Record<string, string> => Object.fromEntries(new URLSearchParams(body))

test(
  'a token request with private_key_jwt contains a short-lived assertion for the issuer alone, new for each request',
  verifies([171, 172], async () => {
    const { peer, server, deps } = await withKey(privateKey, { kid: 'key 1' })
    const refresh = createRefreshTokens(deps)
    const input = { at: 0, identity, server, refreshToken: 'r', sendBefore }
    await refresh(input, never)
    await refresh(input, never)
    const [first, second] = peer.seen.map(({ body }) => form(body))
    const { client_assertion: assertion = '', ...rest } = first ?? {}
    expect(rest).toEqual({
      grant_type: 'refresh_token',
      refresh_token: 'r',
      resource: 'https://h/mcp',
      client_id: 'robot',
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
    })
    expect(peer.seen[0]?.headers.authorization).toBeUndefined()
    const { payload, protectedHeader } = await jwtVerify(assertion, publicKey, {
      currentDate: new Date(NOW_SECONDS * 1000),
    })
    expect(protectedHeader).toEqual({ alg: 'ES256', kid: 'key 1', typ: 'client-authentication+jwt' })
    expect(payload).toEqual({
      iss: 'robot',
      sub: 'robot',
      aud: peer.origin,
      iat: NOW_SECONDS,
      exp: NOW_SECONDS + 60,
      jti: Buffer.alloc(16, 1).toString('base64url'),
    })
    expect(second?.['client_assertion']).not.toBe(assertion)
  }),
)

test('each of two revocations contains its own client assertion', async () => {
  const { peer, server, deps } = await withKey()
  const input = { at: 0, identity, server, accessToken: 'a', refreshToken: 'r', sendBefore }
  await createRevokeTokens(deps)(input, never)
  const assertions = peer.seen.map(({ body }) => form(body)['client_assertion'] ?? '')
  expect(new Set(assertions).size).toBe(2)
  for (const assertion of assertions)
    await jwtVerify(assertion, publicKey, { audience: peer.origin, currentDate: new Date(NOW_SECONDS * 1000) })
})

test.each([
  ['the algorithm chosen at registration', 'PS384', 'PS384'],
  ['the first algorithm of the key when the registered one belongs to another key', 'ES256', 'RS256'],
])('a client assertion is signed with %s', async (_, signingAlg, alg) => {
  const rsa = await generateKeyPair('RS256', { extractable: true })
  const { peer, server, deps } = await withKey(await exportJWK(rsa.privateKey), { signingAlg })
  await createRefreshTokens(deps)({ at: 0, identity, server, refreshToken: 'r', sendBefore }, never)
  const assertion = form(peer.seen[0]?.body)['client_assertion'] ?? ''
  expect(decodeProtectedHeader(assertion)).toEqual({ alg, typ: 'client-authentication+jwt' })
  const { publicKey: verifier } = { publicKey: await exportJWK(rsa.publicKey) }
  await jwtVerify(assertion, verifier, { currentDate: new Date(NOW_SECONDS * 1000) })
})

test('a token request with private_key_jwt is not sent when the signing key is not configured', async () => {
  const { peer, server } = await withKey()
  const input = { at: 0, identity, server, refreshToken: 'r', sendBefore }
  expect(await rejectionOf(createRefreshTokens(makeDependencies())(input, never))).toEqual({
    code: 'CLIENT_AUTH_UNSUPPORTED',
    outcome: 'notSent',
    details: { received: 'private_key_jwt' },
  })
  expect(peer.seen).toEqual([])
})
