import * as v from 'valibot'
import { isErrorCode } from '../errors/failure.ts'
import { MAX_LIFETIME_SECONDS, MAX_SUBJECT_LENGTH, MAX_TOKEN_LENGTH } from './limits.ts'
import { LongScopeText, parseJson, ScopeText, Text, unlessEmpty, WellFormed } from './wire.ts'

/** The error in a response, besides its status. */
export interface WireError {
  /** The error code; absent if it is malformed, since free text may repeat a secret. */
  error: string | undefined
}

/**
 * The error in a response, whatever its status.
 *
 * @returns `undefined` if the response contains no error: some servers send `""`, `false` or `0` with their tokens.
 * @see [RFC 6749 §5.2](https://www.rfc-editor.org/rfc/rfc6749.html#section-5.2)
 */
export function wireErrorOf(fields: Readonly<Record<string, unknown>>): WireError | undefined {
  const { error } = fields
  if (!error) return undefined
  return { error: typeof error === 'string' && isErrorCode(error) ? error : undefined }
}

/**
 * The response to a pushed authorization request. Its `expires_in` is not read: the URI is used at once.
 *
 * @see [RFC 9126 §2.2](https://www.rfc-editor.org/rfc/rfc9126.html#section-2.2)
 */
export const PushedAuthorizationResponseSchema = v.object({ request_uri: Text })

/** The result of the host's assertion callback; `undefined`: it has no such assertion. */
export const AssertionSchema = v.optional(v.pipe(v.string(), v.nonEmpty()))

/** The token type of an identity assertion grant (identity assertion draft §4.3, RFC 8693 §3). */
export const ID_JAG = 'urn:ietf:params:oauth:token-type:id-jag'

/**
 * The response to a token exchange for an identity assertion. Its `access_token` is the assertion, and is never used as
 * an access token, whatever its `token_type`.
 *
 * @see [RFC 8693 §2.2.1](https://www.rfc-editor.org/rfc/rfc8693.html#section-2.2.1)
 */
export const IdentityAssertionResponseSchema = v.object({
  access_token: v.pipe(v.string(), v.nonEmpty(), v.maxLength(MAX_TOKEN_LENGTH), WellFormed),
  issued_token_type: v.literal(ID_JAG),
})

/** Seconds as a number or, from some servers, as a string. A negative lifetime counts as 0. */
const Lifetime = v.pipe(
  v.union([v.number(), v.pipe(v.string(), v.regex(/^-?\d{1,15}(?:\.\d{1,15})?$/), v.transform(Number))]),
  v.transform((seconds) => Math.min(Math.max(seconds, 0), MAX_LIFETIME_SECONDS) * 1000),
)

/** An optional member: an unreadable one is equivalent to its absence, since the tokens beside it are issued only once. */
const unlessUnreadable = <Schema extends v.GenericSchema>(schema: Schema) => v.fallback(unlessEmpty(schema), undefined)

/**
 * A granted scope, and whether it is only a part of it: what was granted beyond the request must not pass for what was
 * requested where that matters.
 */
const GrantedScope = v.union([
  v.pipe(
    unlessEmpty(ScopeText),
    v.transform((scope) => ({ scope: scope || undefined, isPartial: false })),
  ),
  v.pipe(
    v.fallback(LongScopeText, ''),
    v.transform((scope) => ({ scope: scope || undefined, isPartial: true })),
  ),
])

/** The subject of an account (OpenID Connect Core §2). */
export const Subject = v.pipe(v.string(), v.nonEmpty(), v.maxLength(MAX_SUBJECT_LENGTH), WellFormed)

/**
 * A token response, after the server's facts were applied.
 *
 * @see [RFC 6749 §5.1](https://www.rfc-editor.org/rfc/rfc6749.html#section-5.1)
 */
export const TokenResponseSchema = v.pipe(
  v.object({
    /** Visible characters only, since it is sent in a header. */
    access_token: v.pipe(v.string(), v.maxLength(MAX_TOKEN_LENGTH), v.regex(/^[\x21-\x7e]+$/)),
    token_type: v.pipe(v.string(), v.regex(/^(?:bearer|dpop)$/i)),
    expires_in: unlessUnreadable(Lifetime),
    scope: v.optional(GrantedScope),
    refresh_token: v.pipe(
      unlessUnreadable(v.pipe(v.string(), WellFormed)),
      v.check((token) => (token ?? '').length <= MAX_TOKEN_LENGTH),
    ),
    refresh_token_expires_in: unlessUnreadable(Lifetime),
    refresh_expires_in: unlessUnreadable(Lifetime),
    id_token: unlessUnreadable(v.pipe(v.string(), v.maxLength(MAX_TOKEN_LENGTH), WellFormed)),
    sub: v.fallback(v.optional(Subject), undefined),
  }),
  v.transform((response) => ({
    accessToken: response.access_token,
    tokenType: /^dpop$/i.test(response.token_type) ? 'DPoP' : 'Bearer',
    scope: response.scope?.scope,
    /** The granted scope cannot be read, or is too long to store. */
    isScopePartial: response.scope?.isPartial || undefined,
    expiresInMs: response.expires_in ?? undefined,
    refreshToken: response.refresh_token || undefined,
    // Some servers send 0 for a refresh token that does not expire.
    refreshTokenExpiresInMs: (response.refresh_token_expires_in ?? response.refresh_expires_in) || undefined,
    /** Not validated yet. Secret. */
    idToken: response.id_token || undefined,
    subject: response.sub,
  })),
)

const Fields = v.custom<Record<string, unknown>>(
  (fields) => typeof fields === 'object' && fields !== null && !Array.isArray(fields),
)

/**
 * Parses the response of a token endpoint by its content, whatever its content type: some servers respond form-encoded.
 *
 * @returns Its fields; `undefined` if it is neither JSON nor form-encoded.
 */
export function decodeAnswer(text: string): Record<string, unknown> | undefined {
  const json = parseJson(text)
  if (json !== undefined) return v.is(Fields, json) ? json : undefined
  if (!/^[^\s<>"{}]+$/.test(text.trim())) return undefined
  const fields = Object.fromEntries(new URLSearchParams(text.trim()))
  return 'access_token' in fields || 'error' in fields ? fields : undefined
}

const JsonRpcMessage = v.object({ jsonrpc: v.literal('2.0') })

/** Whether a text is a JSON-RPC message, or a batch of them. */
export function isJsonRpc(text: string): boolean {
  return v.is(v.union([JsonRpcMessage, v.pipe(v.array(JsonRpcMessage), v.minLength(1))]), parseJson(text))
}
