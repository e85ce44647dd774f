import type { ClientConfiguration } from '../../schemas/registration.ts'

/**
 * The client configuration endpoint of a registration response. It is used only at the origin of the registration
 * endpoint, which the transport allows, since another one could collect the access token.
 *
 * @returns `undefined` where the response lacks one of both, or names another origin.
 * @see [RFC 7592 §3](https://www.rfc-editor.org/rfc/rfc7592.html#section-3)
 */
export function configurationAt(
  registrationEndpoint: string,
  url: string | undefined,
  accessToken: string | undefined,
): ClientConfiguration | undefined {
  if (url === undefined || !accessToken) return undefined
  return new URL(url).origin === new URL(registrationEndpoint).origin ? { url, accessToken } : undefined
}
