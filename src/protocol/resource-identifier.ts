import { invalidArgument } from '../schemas/parse-options.ts'

/**
 * The one form under which an MCP endpoint is known: scheme, host and default port canonical, path and query as they
 * came (`/mcp` and `/mcp/` are two servers). Without a path it ends in the slash that every request has.
 *
 * @throws `TypeError` if it is not an absolute http(s) URL, or has credentials, a fragment, blanks or backslashes.
 * @see [RFC 8707 §2](https://www.rfc-editor.org/rfc/rfc8707.html#section-2)
 */
export function canonicalServer(server: string): string {
  const parts = /^(https?):\/\/([^/?#]+)([^#]*)(#.*)?$/is.exec(server)
  if (parts === null || /[\s\\]/.test(server) || !URL.canParse(server)) {
    throw invalidArgument('server', 'must be an absolute http(s) URL')
  }
  const [, , authority = '', rest = '', fragment] = parts
  if (authority.includes('@')) throw invalidArgument('server', 'must have no credentials')
  if (fragment !== undefined) throw invalidArgument('server', 'must have no fragment')
  return new URL(server).origin + (rest.startsWith('/') ? rest : `/${rest}`)
}

/**
 * Whether protected resource metadata for `resource` speaks for this MCP endpoint: the same origin, and a path that is
 * a prefix on a segment boundary. A query must be the same. With `strict` only the endpoint itself counts, as the RFC
 * says to the letter.
 *
 * @param server In its canonical form.
 * @see [RFC 9728 §3.3](https://www.rfc-editor.org/rfc/rfc9728.html#section-3.3)
 */
export function resourceMatches(resource: string, server: string, options: { strict: boolean }): boolean {
  if (options.strict) return resource === server || `${resource}/` === withoutPath(server)
  if (!URL.canParse(resource)) return false
  const named = new URL(resource)
  const asked = new URL(server)
  if (named.origin !== asked.origin || named.username + named.password + named.hash !== '') return false
  if (named.search !== '') return named.pathname + named.search === asked.pathname + asked.search
  const prefix = named.pathname.replace(/\/$/, '')
  return asked.pathname === prefix || asked.pathname.startsWith(`${prefix}/`)
}

/** The server if it has no path of its own. */
function withoutPath(server: string): string | undefined {
  return new URL(server).origin + '/' === server ? server : undefined
}

/** The RFC 8707 `resource` of a server without metadata: its URL, without the slash of an empty path. */
export function resourceOf(server: string): string {
  return withoutPath(server)?.slice(0, -1) ?? server
}
