import { createHash } from 'node:crypto'
import { calculateJwkThumbprint, EmbeddedJWK, type JWTHeaderParameters, type JWTPayload, jwtVerify } from 'jose'

/** What a proof of possession says, once its signature has been checked by the key that it brings. */
export interface Proof {
  header: JWTHeaderParameters
  claims: JWTPayload
  /** RFC 7638, as `cnf.jkt` of a bound token has it. */
  thumbprint: string
}

/**
 * Reads a proof as a server does.
 *
 * @see [RFC 9449 §4.3](https://www.rfc-editor.org/rfc/rfc9449.html#section-4.3)
 */
export async function readProof(proof: unknown): Promise<Proof> {
  const { payload, protectedHeader } = await jwtVerify(String(proof), EmbeddedJWK, { typ: 'dpop+jwt' })
  const thumbprint = await calculateJwkThumbprint(protectedHeader.jwk ?? {})
  return { header: protectedHeader, claims: payload, thumbprint }
}

/** What a proof says of the token beside it (RFC 9449 §4.2, `ath`). */
export function hashOfToken(token: string): string {
  return createHash('sha256').update(token).digest('base64url')
}
