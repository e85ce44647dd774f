import { clientMetadataDocument } from '../options/client-metadata.ts'
import type { ClientOptions } from '../options/client-options.ts'

/** How long authorization servers may keep their copy. */
const MAX_AGE_SECONDS = 3_600

const HEADERS = {
  'content-type': 'application/json',
  'cache-control': `public, max-age=${MAX_AGE_SECONDS}`,
  'x-content-type-options': 'nosniff',
}

/** Serves the document under whatever path the host gives it; `client.metadataUrl` has to lead there without a redirect. */
export function handleClientMetadata(client: ClientOptions, { method }: Request): Response {
  const document = clientMetadataDocument(client)
  if (document === undefined) return new Response(null, { status: 404 })
  if (method !== 'GET' && method !== 'HEAD') return new Response(null, { status: 405, headers: { allow: 'GET, HEAD' } })
  return new Response(method === 'HEAD' ? null : document, { headers: HEADERS })
}
