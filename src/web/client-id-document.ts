import { clientMetadataDocument } from '../options/client-metadata.ts'
import type { ClientOptions } from '../options/client-options.ts'

/** How long authorization servers may cache the document, in seconds: one hour. */
const MAX_AGE_SECONDS = 3_600

const HEADERS = {
  'content-type': 'application/json',
  'cache-control': `public, max-age=${MAX_AGE_SECONDS}`,
  'x-content-type-options': 'nosniff',
}

/**
 * Serves the client ID metadata document for GET and HEAD, at whatever path the host mounts it. `client.metadataUrl`
 * must lead to that path without a redirect, since authorization servers do not follow one.
 *
 * @param client The `client` option of the orchestrator.
 * @param request Only its method is read.
 * @returns 200 with the document; 404 without `client.metadataUrl`; 405 for other methods.
 * @internal
 *
 * @see [OAuth Client ID Metadata Document §4](https://www.ietf.org/archive/id/draft-ietf-oauth-client-id-metadata-document-00.html#section-4)
 */
export function handleClientMetadata(client: ClientOptions, request: Request): Response {
  const { method } = request
  const document = clientMetadataDocument(client)
  if (document === undefined) return new Response(null, { status: 404 })
  // RFC 9110 §15.5.6
  if (method !== 'GET' && method !== 'HEAD') return new Response(null, { status: 405, headers: { allow: 'GET, HEAD' } })
  return new Response(method === 'HEAD' ? null : document, { headers: HEADERS })
}
