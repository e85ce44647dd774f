import type { Row } from '../row.ts'
import { given, metadata, RECORDED, recordedServer, RESOURCE, resourceMetadata, SERVER } from './shapes.ts'

const ASANA = 'https://mcp.asana.com'
const ASANA_ISSUER = 'https://app.asana.com'
const ASANA_V2 = {
  source: `${RECORDED}/mcp/asana.json, idp/asana.prm.json; apify/mcpc#384`,
  url: `${ASANA}/v2/mcp`,
  place: `${ASANA}${RESOURCE}/v2`,
  issuer: ASANA_ISSUER,
  scopes: ['default'],
  document: metadata(
    ASANA_ISSUER,
    { authorize: '/-/oauth_authorize', token: '/-/oauth_token', revoke: '/-/oauth_revoke' },
    { token_endpoint_auth_methods_supported: ['client_secret_post', 'client_secret_basic'] },
  ),
  host: { clients: given(ASANA_ISSUER) },
}
const CLICKUP_DOCUMENT = metadata(
  'https://mcp.clickup.com',
  { authorize: '/oauth/authorize', token: '/oauth/token', register: '/oauth/register' },
  {
    grant_types_supported: ['authorization_code'],
    token_endpoint_auth_methods_supported: ['none'],
    scopes_supported: ['read', 'write'],
    authorization_response_iss_parameter_supported: true,
  },
)
const HUBSPOT = 'https://mcp.hubspot.com'
const HUBSPOT_DOCUMENT = metadata(
  HUBSPOT,
  { authorize: '/oauth/authorize/user', token: '/oauth/v3/token' },
  {
    scopes_supported: [],
    grant_types_supported: ['authorization_code', 'refresh_token', 'client_credentials'],
    token_endpoint_auth_methods_supported: ['client_secret_post'],
  },
)
const ZAPIER = 'https://mcp.zapier.com'
const ZAPIER_DOCUMENT = metadata(
  ZAPIER,
  {
    authorize: '/oauth/authorize',
    token: '/api/v1/oauth/token',
    register: '/api/v1/oauth/register',
    revoke: '/api/v1/oauth/revoke',
  },
  {
    scopes_supported: ['openid', 'profile', 'email'],
    token_endpoint_auth_methods_supported: ['none', 'client_secret_post', 'client_secret_basic'],
    code_challenge_methods_supported: ['plain', 'S256'],
  },
)

export const WORK: readonly Row[] = [
  recordedServer({
    ...ASANA_V2,
    server: 'Asana V2',
    recorded: 'metadata at an odd path, named by the challenge; no registration; secrets only',
  }),
  recordedServer({
    ...ASANA_V2,
    server: 'Asana V2, beside the documents of V1',
    recorded: 'the root has the metadata of V1, which name another authorization server',
    documents: {
      [`${ASANA}${RESOURCE}`]: resourceMetadata(ASANA, ASANA, ['default']),
      [`${ASANA}${SERVER}`]: metadata(ASANA, { authorize: '/authorize', token: '/token', register: '/register' }),
    },
  }),
  recordedServer({
    server: 'ClickUp',
    source: `${RECORDED}/mcp/clickup.json`,
    recorded: 'no refresh tokens',
    url: 'https://mcp.clickup.com/mcp',
    issuer: 'https://mcp.clickup.com',
    scopes: ['read', 'write'],
    document: CLICKUP_DOCUMENT,
    quirks: { refreshToken: 'never' },
    expected: { connects: 'without refresh' },
  }),
  recordedServer({
    server: 'HubSpot',
    source: `${RECORDED}/mcp/hubspot.json; preset-io/agor#2550`,
    recorded: 'empty lists of scopes; no registration; client_secret_post only',
    url: `${HUBSPOT}/anthropic`,
    place: HUBSPOT + RESOURCE,
    resource: HUBSPOT,
    issuer: HUBSPOT,
    scopes: [],
    document: HUBSPOT_DOCUMENT,
    host: { clients: given(HUBSPOT) },
  }),
  recordedServer({
    server: 'Zapier',
    source: `${RECORDED}/mcp/zapier.json`,
    recorded: 'the challenge does not name the metadata',
    url: `${ZAPIER}/api/mcp/mcp`,
    mcp: { challenge: 'Bearer realm="Zapier MCP", error="invalid_token"' },
    issuer: ZAPIER,
    scopes: ['openid', 'profile', 'email'],
    document: ZAPIER_DOCUMENT,
  }),
]
