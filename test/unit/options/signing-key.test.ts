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
  ])('of %s signs with %j, as PEM and as a JWK', async (kind, algs) => {
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

  test.each(['RS384', 'PS256', 'ES256', 'ES512'])('for WebCrypto signs with what it was made for: %s', async (alg) => {
    const { privateKey } = await generateKeyPair(alg)
    const read = readSigningKey(privateKey, { kid: 'k' })
    expect([read?.kid, read?.algs]).toEqual(['k', [alg]])
    expect(await read?.forAlg(alg)).toBe(privateKey)
  })

  test('in the older PEM forms is read as well', () => {
    const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey
    const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
    expect(readSigningKey(rsa.export({ type: 'pkcs1', format: 'pem' }).toString())?.algs).toEqual(RSA)
    expect(readSigningKey(ec.export({ type: 'sec1', format: 'pem' }).toString())?.algs).toEqual(['ES256'])
  })

  test('has the name and the algorithm of its JWK, unless others are named', async () => {
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

describe('nothing that can sign is', () => {
  test.each<[string, () => Parameters<typeof readSigningKey>[0] | Promise<Parameters<typeof readSigningKey>[0]>]>([
    ['some text', () => 'some text'],
    ['an object', () => ({})],
    ['a public JWK', async () => exportJWK((await generateKeyPair('ES256', extractable)).publicKey)],
    ['a secret', () => ({ kty: 'oct', k: 'c2VjcmV0' })],
    ['a short RSA key', () => generateKeyPairSync('rsa', { modulusLength: 1024 }).privateKey.export({ format: 'jwk' })],
    ['a curve of another kind', () => pem(generateKeyPairSync('ec', { namedCurve: 'secp256k1' }))],
    ['a key for agreeing on secrets', () => pem(generateKeyPairSync('x25519'))],
    ['a public key for WebCrypto', async () => (await generateKeyPair('ES256')).publicKey],
    ['a key for WebCrypto that decrypts', async () => (await generateKeyPair('RSA-OAEP')).privateKey],
  ])('%s', async (_, make) => {
    expect(readSigningKey(await make())).toBeUndefined()
  })
})

function pem({ privateKey }: { privateKey: KeyObject }): string {
  return privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
}
