const RESOURCE_SUFFIX = '/.well-known/oauth-protected-resource'
const SERVER_SUFFIX = '/.well-known/oauth-authorization-server'
const OPENID_SUFFIX = '/.well-known/openid-configuration'

/**
 * Where the metadata of a protected resource is looked for when no challenge names the place, in order: inserted
 * between host and path, then at the root.
 *
 * @see [RFC 9728 §3.1](https://www.rfc-editor.org/rfc/rfc9728.html#section-3.1)
 */
export function resourceMetadataUrls(server: string): string[] {
  const { origin, pathname, search } = new URL(server)
  const path = pathname === '/' ? search : pathname + search
  const root = origin + RESOURCE_SUFFIX
  return path === '' ? [root] : [root + path, root]
}

/**
 * Where the metadata of an authorization server is looked for, in order: RFC 8414, then both forms of OpenID Connect
 * Discovery. For an issuer with a path never at the root.
 *
 * @see [RFC 8414 §3.1](https://www.rfc-editor.org/rfc/rfc8414.html#section-3.1), [OpenID Connect Discovery §4.1](https://openid.net/specs/openid-connect-discovery-1_0.html#ProviderConfigurationRequest)
 */
export function serverMetadataUrls(issuer: string): string[] {
  const { origin, pathname } = new URL(issuer)
  const path = pathname.replace(/\/$/, '')
  const inserted = [origin + SERVER_SUFFIX + path, origin + OPENID_SUFFIX + path]
  return path === '' ? inserted : [...inserted, origin + path + OPENID_SUFFIX]
}

/** The issuer of a server of revision 2025-03-26, which is its own authorization server: the origin, the path dropped. */
export function legacyIssuer(server: string): string {
  return new URL(server).origin
}

/** The one place where such a server may describe itself. */
export function legacyMetadataUrl(issuer: string): string {
  return new URL(issuer).origin + SERVER_SUFFIX
}

/**
 * The endpoints of such a server that does not describe itself.
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
