import * as v from 'valibot'
import { Secret, Text } from './wire.ts'

/**
 * Whether a text has the form of an error code. Free text may echo a secret.
 *
 * @see [RFC 6749 §5.2](https://www.rfc-editor.org/rfc/rfc6749.html#section-5.2)
 */
export function isErrorCode(text: string): boolean {
  return /^[a-z_]{1,64}$/.test(text)
}

/** What a server's answer says about an error, beside its status. */
export interface WireError {
  /** The error code; absent if it does not look like one: free text may echo a secret. */
  error: string | undefined
}

/**
 * The error in an answer, whatever its status.
 *
 * @returns `undefined` if it has none.
 * @see [RFC 6749 §5.2](https://www.rfc-editor.org/rfc/rfc6749.html#section-5.2)
 */
export function wireErrorOf(fields: Readonly<Record<string, unknown>>): WireError | undefined {
  const { error } = fields
  if (error === undefined || error === null) return undefined
  return { error: typeof error === 'string' && isErrorCode(error) ? error : undefined }
}

/**
 * What a pushed authorization request answers. How long its URI lives need not be known: it is used at once.
 *
 * @see [RFC 9126 §2.2](https://www.rfc-editor.org/rfc/rfc9126.html#section-2.2)
 */
export const PushedAuthorizationResponseSchema = v.object({ request_uri: Text })

/** What the host answers when it is asked for an assertion; `undefined`: it has none of that kind. */
export const AssertionSchema = v.optional(v.pipe(v.string(), v.nonEmpty()))

/** RFC 8693 §3 and the identity assertion draft §4.3: what an identity provider is given and asked for. */
export const ID_JAG = 'urn:ietf:params:oauth:token-type:id-jag'

/**
 * The answer to a token exchange for an identity assertion. What it calls `access_token` is none, and whatever its
 * `token_type` says it is never used as one.
 *
 * @see [RFC 8693 §2.2.1](https://www.rfc-editor.org/rfc/rfc8693.html#section-2.2.1)
 */
export const IdentityAssertionResponseSchema = v.object({
  access_token: v.pipe(v.string(), v.nonEmpty()),
  issued_token_type: v.literal(ID_JAG),
})

/** Seconds since the epoch, also as a string. 0 means never. */
const Seconds = v.pipe(
  v.union([v.number(), v.pipe(v.string(), v.regex(/^\d{1,15}$/), v.transform(Number))]),
  v.finite(),
  v.minValue(0),
)

/**
 * What a dynamic registration answers. `client_secret_expires_at` is required by the RFC where there is a secret, but
 * left out by real servers: then it is not known when the secret ends.
 *
 * @see [RFC 7591 §3.2.1](https://www.rfc-editor.org/rfc/rfc7591.html#section-3.2.1)
 */
export const RegistrationResponseSchema = v.pipe(
  v.object({
    client_id: Text,
    client_secret: v.nullish(Secret),
    client_secret_expires_at: v.nullish(Seconds),
    token_endpoint_auth_method: v.nullish(Text),
    redirect_uris: v.nullish(v.array(Text)),
    grant_types: v.nullish(v.array(Text)),
  }),
  v.transform((answer) => ({
    clientId: answer.client_id,
    clientSecret: answer.client_secret || undefined,
    /** Seconds since the epoch, by the server's clock; absent: never, or unknown. */
    secretExpiresAtSeconds: answer.client_secret_expires_at || undefined,
    /** What the server decided, whatever was asked for. */
    tokenEndpointAuthMethod: answer.token_endpoint_auth_method ?? undefined,
    redirectUris: answer.redirect_uris ?? undefined,
    grantTypes: answer.grant_types ?? undefined,
  })),
)
