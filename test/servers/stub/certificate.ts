import { generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto'
import { createSecureContext, type SecureContext } from 'node:tls'

/** A certificate authority of one run, which issues a certificate for any host name. */
export interface CertificateAuthority {
  /** To be trusted, in PEM. */
  readonly certificate: string
  contextFor(host: string): SecureContext
}

const ECDSA_WITH_SHA256 = Buffer.from('06082a8648ce3d040302', 'hex')
const COMMON_NAME = Buffer.from('0603550403', 'hex')
const SUBJECT_ALTERNATIVE_NAME = Buffer.from('0603551d11', 'hex')
const BASIC_CONSTRAINTS = Buffer.from('0603551d13', 'hex')
const TRUE = Buffer.from('0101ff', 'hex')
const VERSION_3 = Buffer.from('a003020102', 'hex')

/** One element of DER: its tag, length and content. */
function der(tag: number, ...parts: readonly Uint8Array[]): Buffer {
  const content = Buffer.concat(parts)
  const { length } = content
  const size = length < 128 ? [length] : length < 256 ? [0x81, length] : [0x82, length >> 8, length & 0xff]
  return Buffer.concat([Buffer.from([tag, ...size]), content])
}
const sequence = (...parts: readonly Uint8Array[]): Buffer => der(0x30, ...parts)
const nameOf = (text: string): Buffer => sequence(der(0x31, sequence(COMMON_NAME, der(0x0c, Buffer.from(text)))))
const utcTime = (text: string): Buffer => der(0x17, Buffer.from(text))

const CA_NAME = 'authchart recorded servers'
const VALIDITY = sequence(utcTime('200101000000Z'), utcTime('491231235959Z'))

/** An X.509 certificate in PEM, with the extension that says what it is for. */
function certify(subject: string, publicKey: KeyObject, extension: Buffer, signingKey: KeyObject): string {
  const algorithm = sequence(ECDSA_WITH_SHA256)
  const body = sequence(
    VERSION_3,
    der(0x02, Buffer.from([1]), randomBytes(8)),
    algorithm,
    nameOf(CA_NAME),
    VALIDITY,
    nameOf(subject),
    publicKey.export({ type: 'spki', format: 'der' }),
    der(0xa3, sequence(extension)),
  )
  const signature = der(0x03, Buffer.from([0]), sign('sha256', body, signingKey))
  const lines =
    sequence(body, algorithm, signature)
      .toString('base64')
      .match(/.{1,64}/g) ?? []
  return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`
}

/** Makes a certificate authority with a key of its own, which lives as long as the process. */
export function createCertificateAuthority(): CertificateAuthority {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const key = privateKey.export({ type: 'pkcs8', format: 'pem' })
  const isAuthority = sequence(BASIC_CONSTRAINTS, TRUE, der(0x04, sequence(TRUE)))
  const contexts = new Map<string, SecureContext>()
  return {
    certificate: certify(CA_NAME, publicKey, isAuthority, privateKey),
    contextFor(host) {
      const names = sequence(der(0x82, Buffer.from(host)))
      const extension = sequence(SUBJECT_ALTERNATIVE_NAME, der(0x04, names))
      const context =
        contexts.get(host) ??
        createSecureContext({ key, cert: certify(host.slice(0, 64), publicKey, extension, privateKey) })
      contexts.set(host, context)
      return context
    },
  }
}
