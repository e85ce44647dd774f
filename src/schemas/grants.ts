/** RFC 7523 §2.1. */
const JWT_BEARER = 'urn:ietf:params:oauth:grant-type:jwt-bearer'

/**
 * Each grant with its `grant_type`; an identity assertion is redeemed as a JWT bearer assertion. A new grant is a
 * member here, a row in `actors/token-endpoint/grants.ts`, and a guard where it may not be chosen like the others.
 */
export const GRANT_TYPES = {
  authorization_code: 'authorization_code',
  client_credentials: 'client_credentials',
  jwt_bearer: JWT_BEARER,
  identity_assertion: JWT_BEARER,
} as const

/**
 * The beginning of a code that no server has issued, by which a client asks whether its registration still exists: an
 * operator who finds one in a log knows what it is.
 */
export const INVENTED_CODE_PREFIX = 'registration-check-'

/** How tokens are obtained (RFC 6749 §1.3 and its extensions). */
export type Grant = keyof typeof GRANT_TYPES

/** The grants that need no user interaction. */
export type NonInteractiveGrant = Exclude<Grant, 'authorization_code'>

export const isGrant = (value: unknown): value is Grant =>
  typeof value === 'string' && Object.hasOwn(GRANT_TYPES, value)

/** Whether a grant needs no user interaction. */
export function isNonInteractive(grant: Grant): grant is NonInteractiveGrant {
  return grant !== 'authorization_code'
}
