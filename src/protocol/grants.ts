import type { Grant, NonInteractiveGrant } from '../schemas/credentials.ts'

/** RFC 7523 §2.1. */
export const JWT_BEARER = 'urn:ietf:params:oauth:grant-type:jwt-bearer'
/** RFC 8693 §2.1. */
export const TOKEN_EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange'

/** The `grant_type` of each grant; an identity assertion is redeemed as a JWT. */
const WIRE_NAMES: Record<Grant, string> = {
  authorization_code: 'authorization_code',
  client_credentials: 'client_credentials',
  jwt_bearer: JWT_BEARER,
  identity_assertion: JWT_BEARER,
}

const NON_INTERACTIVE: readonly NonInteractiveGrant[] = ['client_credentials', 'jwt_bearer', 'identity_assertion']

/** The grant, if it needs no user. */
export function nonInteractiveGrant(grant: Grant | undefined): NonInteractiveGrant | undefined {
  return NON_INTERACTIVE.find((known) => known === grant)
}

/**
 * Whether an authorization server offers a grant. A server that does not say offers authorization code. Names are
 * compared without regard to case.
 *
 * @see [RFC 8414 §2](https://www.rfc-editor.org/rfc/rfc8414.html#section-2)
 */
export function grantOffered(
  metadata: { readonly grantTypesSupported?: readonly string[] | undefined },
  grant: Grant,
): boolean {
  const offered = metadata.grantTypesSupported ?? ['authorization_code']
  return offered.some((name) => name.toLowerCase() === WIRE_NAMES[grant])
}
