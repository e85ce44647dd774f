import { randomUUID } from 'node:crypto'
import { exportJWK, generateKeyPair, type JWK, type JWTPayload, SignJWT } from 'jose'

/** The key with which a test issuer signs its tokens. */
export interface SigningKey {
  readonly privateJwk: JWK
  /** What the issuer publishes at its `jwks_uri`. */
  readonly jwks: { keys: JWK[] }
  /** A JWT with an id of its own, issued now. */
  sign(typ: string, issuer: string, claims: JWTPayload, lifetime: string): Promise<string>
}

export async function createSigningKey(): Promise<SigningKey> {
  const { privateKey, publicKey } = await generateKeyPair('ES256', { extractable: true })
  const about = { alg: 'ES256', use: 'sig', kid: 'test' }
  return {
    privateJwk: { ...(await exportJWK(privateKey)), ...about },
    jwks: { keys: [{ ...(await exportJWK(publicKey)), ...about }] },
    sign: (typ, issuer, claims, lifetime) =>
      new SignJWT({ jti: randomUUID(), ...claims })
        .setProtectedHeader({ alg: about.alg, kid: about.kid, typ })
        .setIssuer(issuer)
        .setIssuedAt()
        .setExpirationTime(lifetime)
        .sign(privateKey),
  }
}
