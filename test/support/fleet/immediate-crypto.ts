import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type JsonWebKey,
  type KeyObject,
  sign,
  verify,
  type webcrypto,
} from 'node:crypto'
import { vi } from 'vitest'

type Key = webcrypto.CryptoKey
type Bytes = ArrayBuffer | NodeJS.ArrayBufferView

const bytesOf = (data: Bytes): Uint8Array =>
  data instanceof ArrayBuffer ? new Uint8Array(data) : new Uint8Array(data.buffer, data.byteOffset, data.byteLength)

const bufferOf = (bytes: Buffer): ArrayBuffer => new Uint8Array(bytes).buffer

const CURVE = { name: 'ECDSA', namedCurve: 'P-256' }

/** What cannot be read of a key of WebCrypto that is not extractable. */
const objects = new WeakMap<Key, KeyObject>()

function keyOf(object: KeyObject, isExtractable: boolean): Key {
  const key = object.toCryptoKey(CURVE, isExtractable, object.type === 'private' ? ['sign'] : ['verify'])
  objects.set(key, object)
  return key
}

/** WebCrypto's form of a signature. */
function withKey(key: Key) {
  const object = objects.get(key)
  if (object === undefined) throw new Error('a key that was made elsewhere')
  return { key: object, dsaEncoding: 'ieee-p1363' as const }
}

/** What the library and the test servers ask of WebCrypto, with SHA-256 and P-256 only. */
const IMMEDIATE = {
  digest: (_algorithm: unknown, data: Bytes) => bufferOf(createHash('sha256').update(bytesOf(data)).digest()),
  generateKey: (_algorithm: unknown, isExtractable: boolean) => {
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: CURVE.namedCurve })
    return { privateKey: keyOf(privateKey, isExtractable), publicKey: keyOf(publicKey, true) }
  },
  importKey: (_format: 'jwk', key: JsonWebKey, _algorithm: unknown, isExtractable: boolean) => {
    const input = { key, format: 'jwk' } as const
    return keyOf(key['d'] === undefined ? createPublicKey(input) : createPrivateKey(input), isExtractable)
  },
  sign: (_algorithm: unknown, key: Key, data: Bytes) => bufferOf(sign('sha256', bytesOf(data), withKey(key))),
  verify: (_algorithm: unknown, key: Key, signature: Bytes, data: Bytes) =>
    verify('sha256', bytesOf(data), withKey(key), bytesOf(signature)),
}

/**
 * Lets WebCrypto compute in this thread, until the mocks are restored: another would be done at any moment of real
 * time.
 */
export function computeInThisThread(): void {
  for (const [name, compute] of Object.entries(IMMEDIATE))
    vi.spyOn(crypto.subtle, name as keyof typeof IMMEDIATE).mockImplementation((async (...args: never[]) =>
      (compute as (...args: never[]) => unknown)(...args)) as never)
}
