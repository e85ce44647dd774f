import type { AuthorizationServerFacts } from './facts-row.ts'

/**
 * The `resource` parameter of requests to a server: the value of the protected resource metadata, verbatim, unless the
 * server rejects it.
 *
 * @param request The scope of an authorization or of a request for new tokens, or a refresh, which repeats what was
 *   sent before.
 * @see [RFC 8707 §2](https://www.rfc-editor.org/rfc/rfc8707.html#section-2)
 */
export function resourceToSend(
  mode: AuthorizationServerFacts['resource'],
  resource: string | undefined,
  request: { scope: string | undefined } | 'refresh',
): string | undefined {
  if (mode === 'omit') return undefined
  if (request === 'refresh') return mode === 'omitOnRefresh' ? undefined : resource
  if (mode !== 'omitUnlessScoped' || resource === undefined) return resource
  return request.scope?.split(' ').some((token) => token.startsWith(`${resource}/`)) ? resource : undefined
}
