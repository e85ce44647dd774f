import { decodeJwt } from 'jose'
import * as v from 'valibot'
import { MAX_LIFETIME_SECONDS, MAX_SCOPE_LENGTH, MAX_SUBJECT_LENGTH } from './limits.ts'
import { parseJson } from './wire.ts'

/** Seconds as a number or, with some servers, as a string; what is gone already has ended now. */
const Lifetime = v.pipe(
  v.union([v.number(), v.pipe(v.string(), v.regex(/^-?\d{1,15}$/), v.transform(Number))]),
  v.transform((seconds) => Math.min(Math.max(seconds, 0), MAX_LIFETIME_SECONDS) * 1000),
)

/**
 * A token response with its habits already straightened.
 *
 * @see [RFC 6749 §5.1](https://www.rfc-editor.org/rfc/rfc6749.html#section-5.1)
 */
export const TokenResponseSchema = v.pipe(
  v.object({
    /** Visible characters only, since it goes into a header. */
    access_token: v.pipe(v.string(), v.regex(/^[\x21-\x7e]+$/)),
    token_type: v.pipe(v.string(), v.regex(/^(?:bearer|dpop)$/i)),
    expires_in: v.nullish(Lifetime),
    scope: v.nullish(v.pipe(v.string(), v.maxLength(MAX_SCOPE_LENGTH))),
    refresh_token: v.nullish(v.string()),
    refresh_token_expires_in: v.nullish(Lifetime),
    refresh_expires_in: v.nullish(Lifetime),
    id_token: v.nullish(v.string()),
    sub: v.optional(v.unknown()),
  }),
  v.transform((response) => ({
    accessToken: response.access_token,
    tokenType: /^dpop$/i.test(response.token_type) ? 'DPoP' : 'Bearer',
    scope: response.scope?.trim() || undefined,
    expiresInMs: response.expires_in ?? undefined,
    refreshToken: response.refresh_token || undefined,
    // 0 is what Keycloak says of an offline token, which has no end.
    refreshTokenExpiresInMs: (response.refresh_token_expires_in ?? response.refresh_expires_in) || undefined,
    subject: subjectOf(response.id_token) ?? subjectIn(response),
  })),
)

/**
 * The account of an ID token. Its signature need not be checked, since it came directly from the token endpoint over
 * TLS; one that cannot be read says nothing.
 *
 * @see [OpenID Connect Core §3.1.3.7](https://openid.net/specs/openid-connect-core-1_0.html#IDTokenValidation)
 */
function subjectOf(idToken: string | null | undefined): string | undefined {
  try {
    return subjectIn(decodeJwt(idToken ?? ''))
  } catch {
    return undefined
  }
}

function subjectIn({ sub }: { sub?: unknown }): string | undefined {
  return typeof sub === 'string' && sub !== '' && sub.length <= MAX_SUBJECT_LENGTH ? sub : undefined
}

/** The fields of a token endpoint's answer, JSON or form-encoded. */
export interface DecodedAnswer {
  form: boolean
  fields: Record<string, unknown>
}

const Fields = v.custom<Record<string, unknown>>(
  (fields) => typeof fields === 'object' && fields !== null && !Array.isArray(fields),
)

/**
 * Reads the answer of a token endpoint by what it looks like, whatever its content type says: GitHub's is form-encoded
 * unless it is asked nicely.
 *
 * @returns `undefined` if it is neither.
 */
export function decodeAnswer(text: string): DecodedAnswer | undefined {
  const json = parseJson(text)
  if (json !== undefined) return v.is(Fields, json) ? { form: false, fields: json } : undefined
  if (!/^[^\s<>"{}]+$/.test(text.trim())) return undefined
  const fields = Object.fromEntries(new URLSearchParams(text.trim()))
  return 'access_token' in fields || 'error' in fields ? { form: true, fields } : undefined
}
