import type { GivenClientInformation } from './call-options.ts'
import type { ClientInformation } from './schemas/connection-context.ts'

/** Client information that a host gave, bound to the issuer that it names; without one, to the first that is discovered. */
export function givenClient(client: GivenClientInformation, issuer: string | undefined): ClientInformation {
  const { clientId, clientSecret, clientSecretExpiresAt, tokenEndpointAuthMethod, redirectUri } = client
  return {
    issuer: client.issuer ?? issuer ?? '',
    clientId,
    clientSecret,
    clientSecretExpiresAt,
    tokenEndpointAuthMethod: tokenEndpointAuthMethod ?? (clientSecret === undefined ? 'none' : 'client_secret_basic'),
    redirectUri,
    source: 'given',
  }
}
