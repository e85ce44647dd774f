import type { PreRegisteredClient } from '../../../src/options/client-options.ts'
import type { Document, Expected, HostOptions, McpEndpoint, Quirks, Row } from '../row.ts'

/** Where a document is read that only its challenge, or nobody, names. */
export const RESOURCE = '/.well-known/oauth-protected-resource'
export const SERVER = '/.well-known/oauth-authorization-server'
export const OPENID = '/.well-known/openid-configuration'

/** The documents that clout2buy/Ares recorded on 2026-10-01, in `tests/fixtures/oauth`. */
export const RECORDED = 'clout2buy/Ares tests/fixtures/oauth'

interface Endpoints {
  readonly authorize: string
  readonly token: string
  readonly register?: string
  readonly revoke?: string
}

/** Authorization server metadata, with endpoints by their paths or URLs. A member that is `undefined` is left out. */
export function metadata(issuer: string, endpoints: Endpoints, members: Document = {}): Document {
  const url = (text: string): string => new URL(text, issuer).href
  const { authorize, token, register, revoke } = endpoints
  const document = {
    issuer,
    authorization_endpoint: url(authorize),
    token_endpoint: url(token),
    ...(register !== undefined && { registration_endpoint: url(register) }),
    ...(revoke !== undefined && { revocation_endpoint: url(revoke) }),
    response_types_supported: ['code'],
    grant_types_supported: ['authorization_code', 'refresh_token'],
    code_challenge_methods_supported: ['S256'],
    ...members,
  }
  return Object.fromEntries(Object.entries(document).filter(([, value]) => value !== undefined))
}

/** Protected resource metadata. */
export function resourceMetadata(resource: unknown, issuer: string, scopes?: readonly string[]): Document {
  return { resource, authorization_servers: [issuer], ...(scopes && { scopes_supported: scopes }) }
}

/** The challenge of a 401 that names the metadata. */
export const challenge = (url: string, scope?: string): string =>
  `Bearer resource_metadata="${url}"${scope === undefined ? '' : `, scope="${scope}"`}`

/** A client that the owner of a host registered by hand. */
export const given = (issuer: string, secret = true): readonly PreRegisteredClient[] => [
  { issuer, clientId: 'given-client', ...(secret && { clientSecret: 'given-client-secret-value' }) },
]

/** Every method but a key. */
export const ANY_METHOD = ['client_secret_basic', 'client_secret_post', 'none']
export const ISS = { authorization_response_iss_parameter_supported: true }
export const OFFLINE: Quirks = { refreshToken: { scope: 'offline_access' } }
export const SECRETS = ['client_secret_basic', 'client_secret_post']

/** What differs between servers that publish the usual documents. */
interface Shape {
  readonly server: string
  readonly source: string
  readonly recorded: string
  readonly url: string
  /** Where the metadata of the resource are. `null`: nowhere. @defaultValue the path inserted */
  readonly place?: string | null
  /** The scope in the challenge. */
  readonly challengedScope?: string
  /** Where the endpoint answers in another form. Its own challenge replaces the one that names the metadata. */
  readonly mcp?: Partial<McpEndpoint>
  /** As the resource names it. */
  readonly issuer: string
  /** @defaultValue the URL */
  readonly resource?: unknown
  readonly scopes?: readonly string[]
  /** The metadata of the authorization server. */
  readonly document: Document
  /** Where they are. @defaultValue the path inserted */
  readonly at?: string
  /** Further documents, by URL. */
  readonly documents?: Readonly<Record<string, Document>>
  readonly quirks?: Quirks
  readonly host?: HostOptions
  /** @defaultValue it connects */
  readonly expected?: Expected
}

/** The well-known URL of a suffix, with the path inserted. */
function wellKnown(suffix: string, url: string): string {
  const { origin, pathname } = new URL(url)
  return origin + suffix + pathname.replace(/\/$/, '')
}

/** A server with protected resource metadata and metadata of its authorization server. */
export function recordedServer({ server, source, recorded, url, quirks, host, expected, ...shape }: Shape): Row {
  const { place = wellKnown(RESOURCE, url), issuer, resource = url, scopes, document } = shape
  const { at = wellKnown(SERVER, issuer), challengedScope, documents } = shape
  return {
    server,
    source,
    recorded,
    mcp: { url, challenge: place === null ? null : challenge(place, challengedScope), ...shape.mcp },
    documents: {
      ...(place !== null && { [place]: resourceMetadata(resource, issuer, scopes) }),
      [at]: document,
      ...documents,
    },
    authorizationServer: { document, ...(quirks && { quirks }) },
    ...(host && { host }),
    expected: expected ?? { connects: 'with refresh' },
  }
}
