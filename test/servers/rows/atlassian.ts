import type { Row } from '../row.ts'
import { ANY_METHOD, challenge, metadata, RECORDED, RESOURCE, resourceMetadata, SERVER } from './shapes.ts'

const ORIGIN = 'https://mcp.atlassian.com'
const TENANT = 'https://auth.atlassian.com/VCeDsk8ZHncYF1g234fKtc4lNipbBhu3'
const SCOPES = [
  'read:me',
  'read:account',
  'offline_access',
  'email',
  'read:jira:agent-interface',
  'write:jira:agent-interface',
  'search:jira:agent-interface',
  'delete:jira:agent-interface',
  'read:confluence:agent-interface',
  'write:confluence:agent-interface',
  'search:rovo:agent-interface',
  'read:bitbucket:agent-interface',
]

/** Without protected resource metadata: its own authorization server, which revokes at its token endpoint. */
function first(issuer: string): Row['authorizationServer'] {
  const endpoints = {
    authorize: `${ORIGIN}/v1/authorize`,
    token: '/v1/token',
    register: '/v1/register',
    revoke: '/v1/token',
  }
  return { document: metadata(issuer, endpoints, { token_endpoint_auth_methods_supported: ANY_METHOD }) }
}

const V1 = {
  mcp: { url: `${ORIGIN}/v1/mcp`, challenge: 'Bearer realm="OAuth", error="invalid_token"' },
}
const OF_ANOTHER_HOST = {
  ...V1,
  source: 'atlassian/atlassian-mcp-server#148',
  recorded: 'no protected resource metadata; the metadata of the origin name another host',
  documents: { [ORIGIN + SERVER]: first('https://cf.mcp.atlassian.com').document },
  authorizationServer: first('https://cf.mcp.atlassian.com'),
}

/** With metadata, at an authorization server that gives a refresh token only for `offline_access`. */
function second(path: string, issuer: string): Pick<Row, 'mcp' | 'documents' | 'authorizationServer'> {
  const url = `${ORIGIN}${path}`
  const place = `${ORIGIN}${RESOURCE}${path}`
  const endpoints = {
    authorize: 'https://auth.atlassian.com/authorize',
    token: 'https://auth.atlassian.com/oauth/token',
    register: `${TENANT}/dcr/register`,
    revoke: 'https://auth.atlassian.com/oauth/revoke',
  }
  const document = metadata(issuer, endpoints, {
    client_id_metadata_document_supported: true,
    grant_types_supported: ['authorization_code', 'client_credentials', 'refresh_token'],
    response_types_supported: ['code', 'token'],
    pushed_authorization_request_endpoint: 'https://auth.atlassian.com/oauth/par',
    token_endpoint_auth_methods_supported: ['none', 'client_secret_post', 'client_secret_basic', 'private_key_jwt'],
  })
  const { origin, pathname } = new URL(TENANT)
  return {
    mcp: { url, challenge: challenge(place) },
    documents: { [place]: resourceMetadata(url, TENANT, SCOPES), [origin + SERVER + pathname]: document },
    authorizationServer: { document, quirks: { refreshToken: { scope: 'offline_access' } } },
  }
}

const WITHOUT_PATH = {
  ...second('/v1/mcp/authv2', 'https://auth.atlassian.com'),
  source: 'atlassian/atlassian-mcp-server#205, anomalyco/opencode#39332, archestra-ai/platypus#394',
  recorded: 'the issuer of the metadata lost its path',
}

export const ATLASSIAN: readonly Row[] = [
  {
    server: 'Atlassian v1',
    source: `${RECORDED}/mcp/atlassian-mcp-http.json`,
    recorded: 'no protected resource metadata',
    ...V1,
    documents: { [ORIGIN + SERVER]: first(ORIGIN).document },
    authorizationServer: first(ORIGIN),
    expected: { connects: 'with refresh' },
  },
  {
    server: 'Atlassian v1 (2025-05 to 2026-08: issuer cf.mcp)',
    ...OF_ANOTHER_HOST,
    expected: { rejected: 'SERVER_ISSUER_MISMATCH', nextAction: 'fixServer', advice: /alsoAnnounces/ },
  },
  {
    server: 'Atlassian v1 (2025-05 to 2026-08: issuer cf.mcp), facts',
    ...OF_ANOTHER_HOST,
    host: {
      authorizationServers: [
        {
          server: 'Atlassian v1',
          issuers: [ORIGIN],
          discovery: { alsoAnnounces: ['https://cf.mcp.atlassian.com'] },
        },
      ],
    },
    expected: { connects: 'with refresh' },
  },
  {
    server: 'Atlassian v2',
    source: `${RECORDED}/mcp/atlassian.json`,
    recorded: '`offline_access` in the list of the resource only; the authorization server lists no scopes',
    ...second('/v2/mcp', TENANT),
    expected: { connects: 'with refresh' },
  },
  {
    server: 'Atlassian authv2 (2026-07: issuer without its path)',
    ...WITHOUT_PATH,
    expected: { rejected: 'SERVER_ISSUER_MISMATCH', nextAction: 'fixServer', advice: /alsoAnnounces/ },
  },
  {
    server: 'Atlassian authv2 (2026-07: issuer without its path), facts',
    ...WITHOUT_PATH,
    host: {
      authorizationServers: [
        { server: 'Atlassian', issuers: [TENANT], discovery: { alsoAnnounces: ['https://auth.atlassian.com'] } },
      ],
    },
    expected: { connects: 'with refresh' },
  },
]
