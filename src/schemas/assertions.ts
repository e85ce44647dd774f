import * as v from 'valibot'

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
