import type { AuthorizationServerFacts } from './facts-row.ts'

/**
 * The `resource` parameter of requests to a server: the value of the protected resource metadata, verbatim, unless the
 * server rejects it.
 *
 * @see [RFC 8707 §2](https://www.rfc-editor.org/rfc/rfc8707.html#section-2)
 */
export function resourceToSend(
  mode: AuthorizationServerFacts['resource'],
  resource: string | undefined,
  scope: string | undefined,
): string | undefined {
  if (mode === 'omit') return undefined
  if (mode !== 'omitUnlessScoped' || resource === undefined) return resource
  return scope?.split(' ').some((token) => token.startsWith(`${resource}/`)) ? resource : undefined
}
