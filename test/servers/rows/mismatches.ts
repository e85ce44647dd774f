import type { Document, HostOptions, Row } from '../row.ts'
import { challenge, given, metadata, RECORDED, RESOURCE, resourceMetadata, SECRETS, SERVER } from './shapes.ts'

type Shape = Omit<Row, 'expected' | 'server'>

/** A server whose metadata name another issuer: rejected, and connects once the host has checked it and says so. */
function announced(server: string, row: Shape, issuer: string, literal: string, connects: Connects): Row[] {
  const facts = { server, issuers: [issuer], discovery: { alsoAnnounces: [literal] } }
  return [
    {
      server,
      ...row,
      expected: { rejected: 'SERVER_ISSUER_MISMATCH', nextAction: 'fixServer', advice: /alsoAnnounces/ },
    },
    {
      server: `${server}, facts`,
      ...row,
      host: { ...row.host, authorizationServers: [facts] },
      expected: { connects },
    },
  ]
}
type Connects = 'with refresh' | 'without refresh'

const META = metadata(
  'https://www.facebook.com',
  {
    authorize: 'https://www.facebook.com/dialog/oauth',
    token: 'https://mcp.facebook.com/ads/token',
    register: 'https://mcp.facebook.com/ads/register',
  },
  { grant_types_supported: ['authorization_code'], token_endpoint_auth_methods_supported: ['none'] },
)
const CLERK = metadata(
  'https://clerk.context7.com',
  {
    authorize: 'https://clerk.context7.com/oauth/authorize',
    token: 'https://clerk.context7.com/oauth/token',
    register: 'https://clerk.context7.com/oauth/register',
    revoke: 'https://clerk.context7.com/oauth/token/revoke',
  },
  {
    token_endpoint_auth_methods_supported: ['client_secret_basic', 'none', 'client_secret_post'],
    scopes_supported: ['openid', 'profile', 'email', 'offline_access'],
  },
)
const NETSUITE = metadata(
  'https://system.netsuite.com',
  {
    authorize: 'https://1234567.app.netsuite.com/app/login/oauth2/authorize.nl',
    token: 'https://1234567.suitetalk.api.netsuite.com/services/rest/auth/oauth2/v1/token',
    revoke: 'https://1234567.suitetalk.api.netsuite.com/services/rest/auth/oauth2/v1/revoke',
  },
  { token_endpoint_auth_methods_supported: SECRETS, scopes_supported: ['mcp'] },
)
const ZOOM = metadata(
  'https://zoom.us',
  { authorize: '/oauth/authorize', token: '/oauth/token' },
  {
    grant_types_supported: ['authorization_code', 'refresh_token', 'client_credentials'],
    token_endpoint_auth_methods_supported: ['client_secret_basic'],
  },
)

interface Place {
  readonly url: string
  readonly place: string
  readonly issuer: string
  readonly at: string
  readonly scopes?: readonly string[]
}
const shape = ({ url, place, issuer, at, scopes }: Place, document: Document): Pick<Row, 'mcp' | 'documents'> => ({
  mcp: { url, challenge: challenge(place) },
  documents: { [place]: resourceMetadata(url, issuer, scopes), [at]: document },
})

const SNOWFLAKE = 'https://acme-prod.snowflakecomputing.com'
const SNOWFLAKE_DOCUMENT = metadata(
  SNOWFLAKE,
  { authorize: '/oauth/authorize', token: '/oauth/token-request' },
  { token_endpoint_auth_methods_supported: SECRETS },
)
const snowflake = (host: HostOptions): Shape => {
  const url = `${SNOWFLAKE}/api/v2/databases/db/schemas/public/mcp-servers/sales`
  const place = `${SNOWFLAKE}${RESOURCE}`
  return {
    source: 'claude-code#31349, #42419, claude-ai-mcp#15, #78',
    recorded: 'no metadata of the authorization server',
    mcp: { url, challenge: challenge(place) },
    documents: { [place]: resourceMetadata(SNOWFLAKE, SNOWFLAKE, ['session:role:ANALYST']) },
    authorizationServer: { document: SNOWFLAKE_DOCUMENT, quirks: { expiresIn: 600 } },
    host: { clients: given(SNOWFLAKE), ...host },
  }
}

const SALESFORCE = 'https://login.salesforce.com'
const SANDBOX = 'https://test.salesforce.com'
const API = 'https://api.salesforce.com/platform/mcp/v1/platform/sobject-all'
const SALESFORCE_MEMBERS = {
  scopes_supported: ['api', 'sfap_api', 'refresh_token', 'einstein_gpt_api', 'mcp_api'],
  token_endpoint_auth_methods_supported: ['client_secret_post'],
}
const SALESFORCE_PLACE = `https://api.salesforce.com${RESOURCE}/platform/mcp/v1/platform/sobject-all`
function salesforce(
  issuer: string,
  query: string,
  members: Document,
): Pick<Row, 'mcp' | 'documents' | 'authorizationServer' | 'host'> {
  const endpoints = { authorize: `/services/oauth2/authorize${query}`, token: '/services/oauth2/token' }
  const document = metadata(issuer, endpoints, { ...SALESFORCE_MEMBERS, ...members })
  return {
    mcp: { url: API, challenge: challenge(SALESFORCE_PLACE) },
    documents: {
      [SALESFORCE_PLACE]: resourceMetadata(API, issuer, ['mcp_api', 'refresh_token']),
      [issuer + SERVER]: document,
    },
    authorizationServer: {
      document,
      quirks: {
        expiresIn: null,
        livesSeconds: 7200,
        refreshScope: 'rejected',
        tokens: {
          more: { instance_url: 'https://acme.my.salesforce.com', issued_at: '1790000000000', signature: 's' },
        },
      },
    },
    host: { clients: given(issuer) },
  }
}

export const MISMATCHES: readonly Row[] = [
  ...announced(
    'Meta Ads',
    {
      source: 'codex#38944, claude-code#58054, #86430',
      recorded: 'the issuer is www.facebook.com; no refresh token; redirect URIs of claude.ai only',
      ...shape(
        {
          url: 'https://mcp.facebook.com/ads',
          place: `https://mcp.facebook.com${RESOURCE}/ads`,
          issuer: 'https://mcp.facebook.com/ads',
          at: `https://mcp.facebook.com${SERVER}/ads`,
          scopes: ['ads_management', 'ads_read'],
        },
        META,
      ),
      authorizationServer: {
        document: META,
        quirks: {
          refreshToken: 'never',
          expiresIn: 5_183_944,
          registersRedirects: ['https://claude.ai/api/mcp/auth_callback'],
        },
      },
      host: { redirectUri: 'https://claude.ai/api/mcp/auth_callback' },
    },
    'https://mcp.facebook.com/ads',
    'https://www.facebook.com',
    'without refresh',
  ),
  ...announced(
    'Context7 (2026-06)',
    {
      source: 'upstash/context7#2723, Skyvern#8263, mcp2cli#112',
      recorded: 'a proxy publishes the metadata of Clerk',
      ...shape(
        {
          url: 'https://mcp.context7.com/mcp',
          place: `https://mcp.context7.com${RESOURCE}/mcp`,
          issuer: 'https://context7.com',
          at: `https://context7.com${SERVER}`,
          scopes: ['profile', 'email'],
        },
        CLERK,
      ),
      authorizationServer: { document: CLERK, quirks: { refreshToken: { scope: 'offline_access' } } },
    },
    'https://context7.com',
    'https://clerk.context7.com',
    'with refresh',
  ),
  ...announced(
    'NetSuite',
    {
      source: 'hermes-agent#107801, hexclave#889',
      recorded: 'the host of the account publishes system.netsuite.com; its protected resource metadata are assumed',
      ...shape(
        {
          url: 'https://1234567.suitetalk.api.netsuite.com/services/mcp/v1/all',
          place: `https://1234567.suitetalk.api.netsuite.com${RESOURCE}/services/mcp/v1/all`,
          issuer: 'https://1234567.suitetalk.api.netsuite.com',
          at: `https://1234567.suitetalk.api.netsuite.com${SERVER}`,
          scopes: ['mcp'],
        },
        NETSUITE,
      ),
      authorizationServer: { document: NETSUITE },
      host: { clients: given('https://1234567.suitetalk.api.netsuite.com') },
    },
    'https://1234567.suitetalk.api.netsuite.com',
    'https://system.netsuite.com',
    'with refresh',
  ),
  ...announced(
    'Zoom',
    {
      source: `${RECORDED}/mcp/zoom-mcp.json`,
      recorded: 'no protected resource metadata; the origin publishes zoom.us; 404 and HTML without a token',
      mcp: {
        url: 'https://mcp.zoom.us/mcp',
        challenge: null,
        withoutToken: {
          status: 404,
          headers: { 'content-type': 'text/html' },
          body: '<!doctype html><title>Zoom</title>',
        },
      },
      documents: { [`https://mcp.zoom.us${SERVER}`]: ZOOM },
      authorizationServer: { document: ZOOM },
      host: { clients: given('https://mcp.zoom.us') },
    },
    'https://mcp.zoom.us',
    'https://zoom.us',
    'with refresh',
  ),
  {
    server: 'Snowflake (no metadata, 2026-03)',
    ...snowflake({}),
    expected: { rejected: 'SERVER_METADATA_UNAVAILABLE', nextAction: 'fixServer', advice: /discovery/ },
  },
  {
    server: 'Snowflake (no metadata, 2026-03), facts',
    ...snowflake({
      authorizationServers: [
        { server: 'Snowflake', issuers: [SNOWFLAKE], discovery: { metadata: SNOWFLAKE_DOCUMENT } },
      ],
    }),
    expected: { connects: 'with refresh', facts: ['Snowflake'] },
  },
  {
    server: 'Salesforce hosted MCP',
    source: `${RECORDED}/idp/salesforce.as.json, idp/salesforce.prm.json; forcedotcom/mcp-hosted; LibreChat#13412`,
    recorded: 'an authorization endpoint with a query; no `expires_in`; a refresh with a scope is refused',
    ...salesforce(SALESFORCE, '?prompt=select_account', {}),
    expected: { connects: 'with refresh' },
  },
  {
    server: 'Salesforce sandbox',
    source: 'forcedotcom/mcp-hosted#47',
    recorded: 'no list of PKCE methods',
    ...salesforce(SANDBOX, '', { code_challenge_methods_supported: undefined }),
    expected: { connects: 'with refresh' },
  },
  {
    server: 'Shopify (not an MCP endpoint)',
    source: `${RECORDED}/mcp/shopify-storefront-mcp.json`,
    recorded: '404 and HTML, no metadata anywhere',
    mcp: {
      url: 'https://shopify.dev/mcp',
      challenge: null,
      withoutToken: {
        status: 404,
        headers: { 'content-type': 'text/html' },
        body: '<!doctype html><title>404</title>',
      },
    },
    documents: {},
    authorizationServer: { document: {} },
    expected: { rejected: 'AUTHORIZATION_NOT_OFFERED', nextAction: 'configureClient', advice: /shopify\.dev\/mcp/ },
  },
]
