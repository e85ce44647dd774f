import { createPrivateKey, type KeyObject } from 'node:crypto'
import { importPKCS8, type JWK } from 'jose'

/** The WebCrypto parameters of a JWS algorithm. */
interface KeyParameters {
  readonly name: string
  readonly hash?: string
  readonly namedCurve?: string
}

/** RFC 7518 §3.1, RFC 8037 §3.1 and RFC 9864 §2.2; for each key type the most widely supported algorithm first. */
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
/** OpenSSL's names of the curves of RFC 7518 §3.4. */
const CURVES: ReadonlyMap<string | undefined, string> = new Map([
  ['prime256v1', 'P-256'],
  ['secp384r1', 'P-384'],
  ['secp521r1', 'P-521'],
])
/** RFC 7518 §3.3. */
const MIN_RSA_BITS = 2048

/** `CryptoKey.algorithm` for every supported key type. */
interface CryptoKeyAlgorithm {
  readonly name: string
  readonly hash?: { readonly name: string }
  readonly namedCurve?: string
  readonly modulusLength?: number
}

/** A parsed private key. Secret; never stored. */
export interface SigningKey {
  /** Key ID in the JWS header. */
  readonly kid: string | undefined
  /** The JWS algorithms that the key supports, the preferred one first. Never empty. */
  readonly algs: readonly string[]
  /** The key, imported for one of `algs`. */
  forAlg(alg: string): Promise<CryptoKey>
}

/** The accepted forms of a private key: a `CryptoKey`, a JWK (RFC 7517), or PEM (PKCS#8, SEC 1 or PKCS#1). */
export type PrivateKeyInput = CryptoKey | JWK | string

/** Whether a value looks like a private key in one of these forms. */
export function isPrivateKeyInput(value: unknown): value is PrivateKeyInput {
  return typeof value === 'string' || (typeof value === 'object' && value !== null)
}

/**
 * Parses a private key. The `kid` and `alg` options take precedence over those of a JWK.
 *
 * @returns `undefined` if it is not a private key or does not support the algorithm. The reason is not reported, since
 *   error messages about keys may quote them.
 */
export function readSigningKey(
  key: PrivateKeyInput,
  options: { kid?: string | undefined; alg?: string | undefined } = {},
): SigningKey | undefined {
  if (key instanceof CryptoKey) return signingKey(options, fitsCryptoKey(key), () => Promise.resolve(key))
  const { kid, alg } = typeof key === 'string' ? {} : key
  const keyObject = readKeyObject(key)
  // RFC 7517 §4.5: a key ID is a string.
  if (keyObject === undefined || !['string', 'undefined'].includes(typeof kid)) return undefined
  const pem = keyObject.export({ type: 'pkcs8', format: 'pem' }).toString()
  return signingKey({ kid: options.kid ?? kid, alg: options.alg ?? alg }, fitsKeyObject(keyObject), (chosen) =>
    importPKCS8(pem, chosen),
  )
}

function signingKey(
  { kid, alg: required }: { kid?: string | undefined; alg?: string | undefined },
  fits: (parameters: KeyParameters) => boolean,
  forAlg: SigningKey['forAlg'],
): SigningKey | undefined {
  const algs = [...PARAMETERS].flatMap(([alg, parameters]) => (fits(parameters) ? [alg] : []))
  const usable = algs.filter((alg) => required === undefined || alg === required)
  return usable.length === 0 ? undefined : { kid, algs: usable, forAlg }
}

function readKeyObject(key: JWK | string): KeyObject | undefined {
  try {
    return createPrivateKey(typeof key === 'string' ? { key, format: 'pem' } : { key: { ...key }, format: 'jwk' })
  } catch {
    return undefined
  }
}

/** Matches the algorithms that an OpenSSL key supports. */
function fitsKeyObject({ asymmetricKeyType: type, asymmetricKeyDetails: details }: KeyObject) {
  const { namedCurve, modulusLength = 0 } = details ?? {}
  return (parameters: KeyParameters): boolean => {
    if (type === 'rsa') return parameters.hash !== undefined && modulusLength >= MIN_RSA_BITS
    if (type === 'ec') return parameters.namedCurve !== undefined && parameters.namedCurve === CURVES.get(namedCurve)
    return type === 'ed25519' && parameters.name === 'Ed25519'
  }
}

/** Matches the one algorithm that a `CryptoKey` was imported for. */
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
