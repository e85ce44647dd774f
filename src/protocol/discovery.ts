import { invalidArgument } from '../schemas/parse-options.ts'

const RESOURCE_SUFFIX = '/.well-known/oauth-protected-resource'
const SERVER_SUFFIX = '/.well-known/oauth-authorization-server'
const OPENID_SUFFIX = '/.well-known/openid-configuration'

/**
 * The canonical form of an MCP endpoint URL: scheme, host and default port are normalized, path and query are verbatim
 * (`/mcp` and `/mcp/` are two servers). An empty path becomes `/`.
 *
 * @param option Where it was given, for the message.
 * @throws `TypeError` if it is not an absolute http(s) URL, or contains credentials, a fragment, whitespace or
 *   backslashes.
 * @see [RFC 8707 §2](https://www.rfc-editor.org/rfc/rfc8707.html#section-2)
 */
export function canonicalServer(server: string, option = 'connection().server'): string {
  const parts = /^(https?):\/\/([^/?#]+)([^#]*)(#.*)?$/is.exec(server)
  if (parts === null || /[\s\\]/.test(server) || !URL.canParse(server)) {
    throw invalidArgument(option, 'must be an absolute http(s) URL')
  }
  const [, , authority = '', rest = '', fragment] = parts
  if (authority.includes('@')) throw invalidArgument(option, 'must not contain credentials')
  if (fragment !== undefined) throw invalidArgument(option, 'must not contain a fragment')
  return new URL(server).origin + (rest.startsWith('/') ? rest : `/${rest}`)
}

/**
 * Whether the `resource` of protected resource metadata covers this MCP endpoint: equal origin, and a path that is a
 * prefix on a segment boundary. A query must be equal. With `strict` only the endpoint itself matches, as the RFC
 * requires.
 *
 * @param server In its canonical form.
 * @see [RFC 9728 §3.3](https://www.rfc-editor.org/rfc/rfc9728.html#section-3.3)
 */
export function resourceMatches(resource: string, server: string, options: { strict: boolean }): boolean {
  if (options.strict) return resource === server || `${resource}/` === withoutPath(server)
  if (!URL.canParse(resource)) return false
  const named = new URL(resource)
  const endpoint = new URL(server)
  if (named.origin !== endpoint.origin || named.username + named.password + named.hash !== '') return false
  if (named.search !== '') return named.pathname + named.search === endpoint.pathname + endpoint.search
  const prefix = named.pathname.replace(/\/$/, '')
  return endpoint.pathname === prefix || endpoint.pathname.startsWith(`${prefix}/`)
}

/** The server, if its path is `/`. */
function withoutPath(server: string): string | undefined {
  return new URL(server).origin + '/' === server ? server : undefined
}

/** The RFC 8707 `resource` of a server without metadata: its URL, without the slash of an empty path. */
export function resourceOf(server: string): string {
  return withoutPath(server)?.slice(0, -1) ?? server
}

/**
 * The well-known URLs of protected resource metadata, in the order in which they are requested when a challenge names
 * no URL: inserted between host and path, then at the root.
 *
 * @see [RFC 9728 §3.1](https://www.rfc-editor.org/rfc/rfc9728.html#section-3.1)
 */
export function resourceMetadataUrls(server: string): string[] {
  const { origin, pathname, search } = new URL(server)
  const path = pathname === '/' ? search : pathname + search
  const root = origin + RESOURCE_SUFFIX
  return path === '' ? [root] : [root + path, root]
}

/** The URL, unchanged if absolute. Some servers send a relative one, which is resolved against the server's URL. */
export function absoluteUrl(url: string | undefined, server: string): string | undefined {
  return url === undefined || URL.canParse(url) || !URL.canParse(url, server) ? url : new URL(url, server).href
}

/**
 * The URLs of authorization server metadata, in the order in which they are requested: RFC 8414, then both forms of
 * OpenID Connect Discovery, then RFC 8414 appended to the issuer. The root is never queried for an issuer with a path.
 *
 * @see [RFC 8414 §3.1](https://www.rfc-editor.org/rfc/rfc8414.html#section-3.1), [OpenID Connect Discovery §4.1](https://openid.net/specs/openid-connect-discovery-1_0.html#ProviderConfigurationRequest)
 */
export function serverMetadataUrls(issuer: string): string[] {
  const { origin, pathname } = new URL(issuer)
  const path = pathname.replace(/\/$/, '')
  const inserted = [origin + SERVER_SUFFIX + path, origin + OPENID_SUFFIX + path]
  return path === '' ? inserted : [...inserted, origin + path + OPENID_SUFFIX, origin + path + SERVER_SUFFIX]
}

/** The issuer of a 2025-03-26 server, which is its own authorization server: the origin of its URL. */
export function legacyIssuer(server: string): string {
  return new URL(server).origin
}

/** The only metadata URL of a 2025-03-26 server. */
export function legacyMetadataUrl(issuer: string): string {
  return new URL(issuer).origin + SERVER_SUFFIX
}

/**
 * The default endpoints of a 2025-03-26 server that publishes no metadata.
 *
 * @see [MCP 2025-03-26, fallbacks](https://modelcontextprotocol.io/specification/2025-03-26/basic/authorization#fallbacks-for-servers-without-metadata-discovery)
 */
export function legacyEndpoints(issuer: string): {
  authorizationEndpoint: string
  tokenEndpoint: string
  registrationEndpoint: string
} {
  const { origin } = new URL(issuer)
  return {
    authorizationEndpoint: `${origin}/authorize`,
    tokenEndpoint: `${origin}/token`,
    registrationEndpoint: `${origin}/register`,
  }
}
