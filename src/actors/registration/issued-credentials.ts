import { type Clock, toRecordTime } from '../../clock.ts'
import type { ClientInformation } from '../../schemas/credentials.ts'
import { isOfOrigin } from '../../schemas/option-values.ts'
import type { ClientConfiguration, RegistrationResponse } from '../../schemas/registration.ts'

/** The client secret of a registration response; its expiry, by the server's clock, in record time. */
export function issuedSecret(
  { clientSecret, secretExpiresAtSeconds }: RegistrationResponse,
  at: number,
  clock: Clock,
): Pick<ClientInformation, 'clientSecret' | 'clientSecretExpiresAt'> {
  if (secretExpiresAtSeconds === undefined) return { clientSecret }
  return { clientSecret, clientSecretExpiresAt: toRecordTime(secretExpiresAtSeconds * 1000, at, clock) }
}

/**
 * The client configuration endpoint of a registration response. It is used only at the origin of the registration
 * endpoint, which the transport allows: another one could collect the access token.
 *
 * @returns `undefined` where the response lacks the URL or the token, or the URL has another origin.
 * @see [RFC 7592 §3](https://www.rfc-editor.org/rfc/rfc7592.html#section-3)
 */
export function issuedConfiguration(
  { configurationUrl: url, configurationToken: accessToken }: RegistrationResponse,
  registrationEndpoint: string,
): ClientConfiguration | undefined {
  if (url === undefined || accessToken === undefined) return undefined
  return isOfOrigin(url, new URL(registrationEndpoint).origin) ? { url, accessToken } : undefined
}
