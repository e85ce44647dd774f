import { createPrivateKey, type KeyObject } from 'node:crypto'
import { importPKCS8, type JWK } from 'jose'

/** How WebCrypto names what a JWS algorithm signs with. */
interface KeyParameters {
  readonly name: string
  readonly hash?: string
  readonly namedCurve?: string
}

/** RFC 7518 §3.1, RFC 8037 §3.1 and RFC 9864 §2.2; of each kind of key the algorithm that servers know best first. */
const PARAMETERS: ReadonlyMap<string, KeyParameters> = new Map([
  ['RS256', { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' }],
  ['PS256', { name: 'RSA-PSS', hash: 'SHA-256' }],
  ['RS384', { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-384' }],
  ['PS384', { name: 'RSA-PSS', hash: 'SHA-384' }],
  ['RS512', { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-512' }],
  ['PS512', { name: 'RSA-PSS', hash: 'SHA-512' }],
  ['ES256', { name: 'ECDSA', namedCurve: 'P-256' }],
  ['ES384', { name: 'ECDSA', namedCurve: 'P-384' }],
  ['ES512', { name: 'ECDSA', namedCurve: 'P-521' }],
  ['EdDSA', { name: 'Ed25519' }],
  ['Ed25519', { name: 'Ed25519' }],
])
/** What OpenSSL calls the curves of RFC 7518 §3.4. */
const CURVES: ReadonlyMap<string | undefined, string> = new Map([
  ['prime256v1', 'P-256'],
  ['secp384r1', 'P-384'],
  ['secp521r1', 'P-521'],
])
/** RFC 7518 §3.3. */
const MIN_RSA_BITS = 2048

/** What WebCrypto says of a key, whatever its kind. */
interface CryptoKeyAlgorithm {
  readonly name: string
  readonly hash?: { readonly name: string }
  readonly namedCurve?: string
  readonly modulusLength?: number
}

/** A private key of ours, ready to sign. Secret; never stored. */
export interface SigningKey {
  /** What servers know the key by. */
  readonly kid: string | undefined
  /** The JWS algorithms that it can sign with, the preferred one first. Never empty. */
  readonly algs: readonly string[]
  /** The key for one of `algs`. */
  forAlg(alg: string): Promise<CryptoKey>
}

/** A private key as a host may hold it: for WebCrypto, as a JWK (RFC 7517), or as PEM (PKCS#8, SEC 1 or PKCS#1). */
export type PrivateKeyInput = CryptoKey | JWK | string

/** Whether a value looks like a private key in one of these forms. */
export function isPrivateKeyInput(value: unknown): value is PrivateKeyInput {
  return typeof value === 'string' || (typeof value === 'object' && value !== null)
}

/**
 * Reads a private key. A `kid` and an `alg` that are named count more than those of a JWK.
 *
 * @returns `undefined` if it is none, or cannot sign by that algorithm. Why is not told: messages about keys may quote
 *   them.
 */
export function readSigningKey(
  key: PrivateKeyInput,
  named: { kid?: string | undefined; alg?: string | undefined } = {},
): SigningKey | undefined {
  if (key instanceof CryptoKey) return signingKey(named, fitsCryptoKey(key), () => Promise.resolve(key))
  const { kid, alg } = typeof key === 'string' ? {} : key
  const read = readKeyObject(key)
  if (read === undefined) return undefined
  const pem = read.export({ type: 'pkcs8', format: 'pem' }).toString()
  return signingKey({ kid: named.kid ?? kid, alg: named.alg ?? alg }, fitsKeyObject(read), (chosen) =>
    importPKCS8(pem, chosen),
  )
}

function signingKey(
  { kid, alg: wanted }: { kid?: string | undefined; alg?: string | undefined },
  fits: (parameters: KeyParameters) => boolean,
  forAlg: SigningKey['forAlg'],
): SigningKey | undefined {
  const algs = [...PARAMETERS].flatMap(([alg, parameters]) => (fits(parameters) ? [alg] : []))
  const usable = algs.filter((alg) => wanted === undefined || alg === wanted)
  return usable.length === 0 ? undefined : { kid, algs: usable, forAlg }
}

function readKeyObject(key: JWK | string): KeyObject | undefined {
  try {
    return createPrivateKey(typeof key === 'string' ? { key, format: 'pem' } : { key: { ...key }, format: 'jwk' })
  } catch {
    return undefined
  }
}

/** What OpenSSL's kind of key can sign with. */
function fitsKeyObject({ asymmetricKeyType: type, asymmetricKeyDetails: details }: KeyObject) {
  const { namedCurve, modulusLength = 0 } = details ?? {}
  return (parameters: KeyParameters): boolean => {
    if (type === 'rsa') return parameters.hash !== undefined && modulusLength >= MIN_RSA_BITS
    if (type === 'ec') return parameters.namedCurve !== undefined && parameters.namedCurve === CURVES.get(namedCurve)
    return type === 'ed25519' && parameters.name === 'Ed25519'
  }
}

/** The one thing that WebCrypto lets a key be used for. */
function fitsCryptoKey({ type, usages, algorithm }: CryptoKey) {
  const { name, hash, namedCurve, modulusLength = MIN_RSA_BITS }: CryptoKeyAlgorithm = algorithm
  return (parameters: KeyParameters): boolean =>
    type === 'private' &&
    usages.includes('sign') &&
    modulusLength >= MIN_RSA_BITS &&
    parameters.name === name &&
    parameters.hash === hash?.name &&
    parameters.namedCurve === namedCurve
}
