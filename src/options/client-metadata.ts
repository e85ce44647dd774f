import type { ClientAuthenticationMethod } from '../protocol/token-endpoint.ts'
import { isLoopbackHost } from '../schemas/option-values.ts'
import type { ClientOptions } from './client-options.ts'

/**
 * What authorization servers are told about us, by registration and in the client id metadata document alike.
 * `application_type` is required since 2026-07-28; refresh tokens are only given to who says that it wants them.
 *
 * @see [RFC 7591 §2](https://www.rfc-editor.org/rfc/rfc7591.html#section-2)
 */
export function clientMetadata(client: ClientOptions, redirectUri: string, method: ClientAuthenticationMethod) {
  const { name, uri, logoUri, contacts, softwareId, softwareVersion, scope } = client
  return {
    client_name: name,
    redirect_uris: [redirectUri],
    grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'],
    token_endpoint_auth_method: method,
    application_type: isNative(redirectUri) ? 'native' : 'web',
    ...(uri !== undefined && { client_uri: uri }),
    ...(logoUri !== undefined && { logo_uri: logoUri }),
    ...(contacts !== undefined && { contacts: [...contacts] }),
    ...(softwareId !== undefined && { software_id: softwareId }),
    ...(softwareVersion !== undefined && { software_version: softwareVersion }),
    ...(scope !== undefined && { scope }),
  }
}

/** Whether the browser comes back to this machine, or to an application by a scheme of its own. */
function isNative(redirectUri: string): boolean {
  const { protocol, hostname } = new URL(redirectUri)
  return isLoopbackHost(hostname) || (protocol !== 'https:' && protocol !== 'http:')
}

/** Authorization servers need not read more, in bytes. */
export const MAX_CLIENT_METADATA_BYTES = 5_000

/**
 * The client id metadata document: what an authorization server fetches from our client id. Holds no secret.
 *
 * @returns `undefined` without `client.metadataUrl`.
 * @see [OAuth Client ID Metadata Document §4](https://www.ietf.org/archive/id/draft-ietf-oauth-client-id-metadata-document-00.html#section-4)
 */
export function clientMetadataDocument(client: ClientOptions): string | undefined {
  const { metadataUrl, redirectUri } = client
  if (metadataUrl === undefined) return undefined
  return JSON.stringify({ client_id: metadataUrl, ...clientMetadata(client, redirectUri, 'none') })
}
