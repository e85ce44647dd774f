import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import { CompactSign, compactVerify, exportJWK, exportPKCS8, generateKeyPair } from 'jose'
import { describe, expect, test } from 'vitest'
import { readSigningKey } from '../../../src/options/signing-key.ts'

const RSA = ['RS256', 'PS256', 'RS384', 'PS384', 'RS512', 'PS512']
const extractable = { extractable: true }

describe('a private key', () => {
  test.each([
    ['RS256', RSA],
    ['ES256', ['ES256']],
    ['ES384', ['ES384']],
    ['ES512', ['ES512']],
    ['Ed25519', ['EdDSA', 'Ed25519']],
  ])('readSigningKey reads a private key of type %s with the algorithms %j from PEM and JWK', async (kind, algs) => {
    const { privateKey, publicKey } = await generateKeyPair(kind, extractable)
    for (const key of [await exportPKCS8(privateKey), await exportJWK(privateKey)]) {
      const read = readSigningKey(key)
      expect(read?.algs).toEqual(algs)
      for (const alg of algs) {
        const signing = await read?.forAlg(alg)
        if (signing === undefined) throw new Error('no key')
        const signed = await new CompactSign(new Uint8Array(1)).setProtectedHeader({ alg }).sign(signing)
        await compactVerify(signed, await exportJWK(publicKey))
      }
    }
  })

  test.each(['RS384', 'PS256', 'ES256', 'ES512'])(
    'readSigningKey reads a CryptoKey with exactly the algorithm of its creation: %s',
    async (alg) => {
      const { privateKey } = await generateKeyPair(alg)
      const read = readSigningKey(privateKey, { kid: 'k' })
      expect([read?.kid, read?.algs]).toEqual(['k', [alg]])
      expect(await read?.forAlg(alg)).toBe(privateKey)
    },
  )

  test('readSigningKey reads the PKCS #1 and SEC 1 PEM formats', () => {
    const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey
    const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
    expect(readSigningKey(rsa.export({ type: 'pkcs1', format: 'pem' }).toString())?.algs).toEqual(RSA)
    expect(readSigningKey(ec.export({ type: 'sec1', format: 'pem' }).toString())?.algs).toEqual(['ES256'])
  })

  test('readSigningKey takes kid and alg of the JWK unless the options name others', async () => {
    const jwk = {
      ...(await exportJWK((await generateKeyPair('RS256', extractable)).privateKey)),
      kid: 'j',
      alg: 'RS512',
    }
    const read = (named: Parameters<typeof readSigningKey>[1]) => {
      const { kid, algs } = readSigningKey(jwk, named) ?? {}
      return [kid, algs]
    }
    expect(read({})).toEqual(['j', ['RS512']])
    expect(read({ kid: 'k', alg: 'PS256' })).toEqual(['k', ['PS256']])
    expect(readSigningKey(jwk, { alg: 'ES256' })).toBeUndefined()
  })
})

describe('unusable signing keys', () => {
  test.each<[string, () => Parameters<typeof readSigningKey>[0] | Promise<Parameters<typeof readSigningKey>[0]>]>([
    ['a string that is not a key', () => 'some text'],
    ['an empty object', () => ({})],
    ['a public JWK', async () => exportJWK((await generateKeyPair('ES256', extractable)).publicKey)],
    ['a symmetric JWK', () => ({ kty: 'oct', k: 'c2VjcmV0' })],
    [
      'an RSA key of 1024 bits',
      () => generateKeyPairSync('rsa', { modulusLength: 1024 }).privateKey.export({ format: 'jwk' }),
    ],
    ['an EC key on secp256k1', () => pem(generateKeyPairSync('ec', { namedCurve: 'secp256k1' }))],
    ['an X25519 key', () => pem(generateKeyPairSync('x25519'))],
    ['a public CryptoKey', async () => (await generateKeyPair('ES256')).publicKey],
    [
      'a JWK whose key ID is no string',
      async () => ({ ...(await exportJWK((await generateKeyPair('ES256', extractable)).privateKey)), kid: 7 as never }),
    ],
    ['a CryptoKey for decryption', async () => (await generateKeyPair('RSA-OAEP')).privateKey],
  ])('readSigningKey returns undefined for %s', async (_, make) => {
    expect(readSigningKey(await make())).toBeUndefined()
  })
})

function pem({ privateKey }: { privateKey: KeyObject }): string {
  return privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
}
