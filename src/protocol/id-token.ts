import { decodeJwt } from 'jose'
import * as v from 'valibot'
import { maybe } from '../schemas/credentials.ts'
import { Subject } from '../schemas/endpoint-responses.ts'
import { ID_TOKEN_TOLERANCE_MS } from '../schemas/limits.ts'
import { sameIssuer } from './same-issuer.ts'

/** What an ID token is checked against. */
export interface IdTokenTerms {
  /** As the metadata of the server announce it; `{tenantid}` in it stands for the `tid` of the ID token. */
  readonly issuer: string
  readonly clientId: string
  /** That of the authorization request. */
  readonly nonce: string | undefined
  /** Epoch milliseconds. */
  readonly now: number
}

/**
 * The subject of an ID token; `undefined` unless it was issued by this server, to this client, for this authorization
 * request, and has not expired. Its signature need not be verified, since the token endpoint returned it over TLS.
 *
 * @see [OpenID Connect Core §3.1.3.7](https://openid.net/specs/openid-connect-core-1_0.html#IDTokenValidation)
 */
export function subjectOfIdToken(idToken: string, { issuer, clientId, nonce, now }: IdTokenTerms): string | undefined {
  const { output, success } = v.safeParse(ClaimsSchema, claimsOf(idToken))
  if (!success) return undefined
  const { iss, sub, aud, exp, tid = '' } = output
  const isRight =
    sameIssuer(iss, issuer.replace('{tenantid}', tid)) &&
    [aud].flat().includes(clientId) &&
    exp * 1_000 + ID_TOKEN_TOLERANCE_MS > now &&
    (nonce === undefined || output.nonce === nonce)
  return isRight ? sub : undefined
}

const ClaimsSchema = v.object({
  iss: v.string(),
  sub: Subject,
  aud: v.union([v.string(), v.array(v.string())]),
  exp: v.pipe(v.number(), v.finite()),
  nonce: maybe(v.string()),
  tid: maybe(v.string()),
})

function claimsOf(idToken: string): unknown {
  try {
    return decodeJwt(idToken)
  } catch {
    return undefined
  }
}
