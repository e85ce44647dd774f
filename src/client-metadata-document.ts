import { clientMetadata } from './actors/client-metadata.ts'
import type { ClientOptions } from './actors/dependencies.ts'

/** Authorization servers need not read more, in bytes. */
export const MAX_CLIENT_METADATA_BYTES = 5_000
/** How long authorization servers may keep their copy. */
const MAX_AGE_SECONDS = 3_600

const HEADERS = {
  'content-type': 'application/json',
  'cache-control': `public, max-age=${MAX_AGE_SECONDS}`,
  'x-content-type-options': 'nosniff',
}

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

/** Serves the document under whatever path the host gives it; `client.metadataUrl` has to lead there without a redirect. */
export function handleClientMetadata(client: ClientOptions, { method }: Request): Response {
  const document = clientMetadataDocument(client)
  if (document === undefined) return new Response(null, { status: 404 })
  if (method !== 'GET' && method !== 'HEAD') return new Response(null, { status: 405, headers: { allow: 'GET, HEAD' } })
  return new Response(method === 'HEAD' ? null : document, { headers: HEADERS })
}
