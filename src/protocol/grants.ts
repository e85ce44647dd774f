import { type Grant, GRANT_TYPES, isNonInteractive, type NonInteractiveGrant } from '../schemas/credentials.ts'

/** RFC 8693 §2.1. */
export const TOKEN_EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange'

/** The grant, if it needs no user. */
export function nonInteractiveGrant(grant: Grant | undefined): NonInteractiveGrant | undefined {
  return grant !== undefined && isNonInteractive(grant) ? grant : undefined
}

/**
 * Whether an authorization server offers a grant. A server that publishes no list offers authorization code. Names are
 * compared without regard to case.
 *
 * @see [RFC 8414 §2](https://www.rfc-editor.org/rfc/rfc8414.html#section-2)
 */
export function grantOffered(
  metadata: { readonly grantTypesSupported?: readonly string[] | undefined },
  grant: Grant,
): boolean {
  const offered = metadata.grantTypesSupported ?? ['authorization_code']
  return offered.some((name) => name.toLowerCase() === GRANT_TYPES[grant])
}
