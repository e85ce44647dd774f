import { decodeProtectedHeader, exportJWK, generateKeyPair, jwtVerify } from 'jose'
import { expect, test } from 'vitest'
import { readSigningKey } from '../../../src/options/signing-key.ts'
import { createServerFacts } from '../../../src/protocol/server-facts.ts'
import { verifies } from '../../support/verifies.ts'
import { rejectionOf, startTokenEndpoint } from './support.ts'

const { publicKey, privateKey } = await generateKeyPair('ES256', { extractable: true })
const NOW_SECONDS = 1_700_000_000
const robot = { clientId: 'robot', tokenEndpointAuthMethod: 'private_key_jwt', signingAlg: 'ES256' }

/** A fixed wall clock, and random bytes that are never the same twice. */
function countingClock() {
  let randoms = 0
  const random = (bytes: number): Uint8Array => new Uint8Array(bytes).fill((randoms += 1))
  return { now: () => NOW_SECONDS * 1000 + 999, monotonic: () => 0, random }
}

/** A client that proves itself by a key, and a host that has this key for it. */
async function withKey(
  key: Parameters<typeof readSigningKey>[0] = privateKey,
  { signingAlg = 'ES256', ...named }: { signingAlg?: string; kid?: string } = {},
) {
  const signingKey = readSigningKey(key, named)
  return startTokenEndpoint({
    client: { ...robot, signingAlg },
    dependencies: (issuer) => ({
      clock: countingClock(),
      clients: [
        { issuer: 'https://other', clientId: 'robot' },
        { issuer, clientId: 'robot', signingKey },
      ],
    }),
  })
}

test(
  'a token request with private_key_jwt contains a short-lived assertion for the issuer alone, new for each request',
  verifies([171, 172], async () => {
    const { peer, refresh, forms } = await withKey(privateKey, { kid: 'key 1' })
    await refresh()
    await refresh()
    const [first, second] = forms()
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
  const { peer, revoke, forms } = await withKey()
  await revoke()
  const assertions = forms().map((form) => form['client_assertion'] ?? '')
  expect(new Set(assertions).size).toBe(2)
  for (const assertion of assertions)
    await jwtVerify(assertion, publicKey, { audience: peer.origin, currentDate: new Date(NOW_SECONDS * 1000) })
})

test.each([
  ['the algorithm chosen at registration', 'PS384', 'PS384'],
  ['the first algorithm of the key when the registered one belongs to another key', 'ES256', 'RS256'],
])('a client assertion is signed with %s', async (_, signingAlg, alg) => {
  const rsa = await generateKeyPair('RS256', { extractable: true })
  const { refresh, forms } = await withKey(await exportJWK(rsa.privateKey), { signingAlg })
  await refresh()
  const assertion = forms()[0]?.['client_assertion'] ?? ''
  expect(decodeProtectedHeader(assertion)).toEqual({ alg, typ: 'client-authentication+jwt' })
  const { publicKey: verifier } = { publicKey: await exportJWK(rsa.publicKey) }
  await jwtVerify(assertion, verifier, { currentDate: new Date(NOW_SECONDS * 1000) })
})

test('the key of a client that is pre-registered at an announced issuer signs its assertions', async () => {
  const announced = 'https://announced.example'
  const start = (alsoAnnounces: string[]) =>
    startTokenEndpoint({
      client: robot,
      dependencies: (issuer) => ({
        clients: [{ issuer: announced, clientId: 'robot', signingKey: readSigningKey(privateKey) }],
        facts: createServerFacts([{ server: 'S', issuers: [issuer], discovery: { alsoAnnounces } }]),
      }),
    })
  const { refresh, forms } = await start([announced])
  await refresh()
  expect(forms()[0]).toHaveProperty('client_assertion')
  expect(await rejectionOf((await start(['urn:other'])).refresh())).toMatchObject({ code: 'CLIENT_AUTH_UNSUPPORTED' })
})

test('a token request with private_key_jwt is not sent when the signing key is not configured', async () => {
  const { peer, refresh } = await startTokenEndpoint({ client: robot })
  expect(await rejectionOf(refresh())).toEqual({
    code: 'CLIENT_AUTH_UNSUPPORTED',
    outcome: 'notSent',
    details: { received: 'private_key_jwt' },
  })
  expect(peer.seen).toEqual([])
})
