import { type AuthorizationServerFacts, createAuthOrchestrator } from '../../src/index.ts'

const clientSecret = process.env['SERVER_CLIENT_SECRET'] ?? ''

/** Servers whose metadata announces another issuer than the one that the MCP server names. */
export const announced: AuthorizationServerFacts[] = [
  {
    server: 'Atlassian v1',
    issuers: ['https://mcp.atlassian.com'],
    discovery: { alsoAnnounces: ['https://cf.mcp.atlassian.com'] },
  },
  {
    server: 'Atlassian authv2',
    issuers: ['https://auth.atlassian.com/VCeDsk8ZHncYF1g234fKtc4lNipbBhu3'],
    discovery: { alsoAnnounces: ['https://auth.atlassian.com'] },
  },
  {
    server: 'Meta Ads',
    issuers: ['https://mcp.facebook.com/ads'],
    discovery: { alsoAnnounces: ['https://www.facebook.com'] },
  },
  {
    server: 'Context7',
    issuers: ['https://context7.com'],
    discovery: { alsoAnnounces: ['https://clerk.context7.com'] },
  },
  {
    server: 'NetSuite',
    issuers: ['https://1234567.suitetalk.api.netsuite.com'], // your account
    discovery: { alsoAnnounces: ['https://system.netsuite.com'] },
  },
  {
    server: 'Zoom',
    issuers: ['https://mcp.zoom.us'],
    discovery: { alsoAnnounces: ['https://zoom.us'] },
  },
  {
    server: 'Slack',
    issuers: ['https://mcp.slack.com'],
    discovery: { alsoAnnounces: ['https://slack.com'] },
  },
]

/** Servers that promise `iss` in callbacks and do not send it. */
export const withoutIss: AuthorizationServerFacts[] = [
  { server: 'Cloudflare', issuers: ['https://bindings.mcp.cloudflare.com'], iss: 'notRequired' },
]

const tenant = '8b3e0000-0000-4000-8000-000000000001'

/** An MCP server that names the issuer of Entra's first version. */
export const entraV1: AuthorizationServerFacts = {
  server: 'Microsoft Entra ID v1',
  issuers: [`https://login.microsoftonline.com/${tenant}`],
  discovery: { alsoAnnounces: [`https://sts.windows.net/${tenant}/`], pkce: 'unlisted' },
  authorization: { promptConsent: 'never' },
  resource: 'omitUnlessScoped',
  refresh: { scope: 'repeat' },
}

const issuer = 'https://acme.snowflakecomputing.com/oauth' // your account

/** A server that publishes no metadata. */
export const snowflake: AuthorizationServerFacts = {
  server: 'Snowflake',
  issuers: [issuer],
  discovery: {
    metadata: {
      issuer,
      authorization_endpoint: `${issuer}/authorize`,
      token_endpoint: `${issuer}/token-request`,
      code_challenge_methods_supported: ['S256'],
      token_endpoint_auth_methods_supported: ['client_secret_basic'],
    },
  },
}

/** A tenant of Auth0 that issues tokens for the API that `audience` names, and ignores `resource`. */
export const auth0: AuthorizationServerFacts = {
  server: 'Auth0',
  issuers: ['https://acme.eu.auth0.com/'],
  authorization: { parameters: { audience: 'https://api.acme.example' } },
}

export const auth = createAuthOrchestrator({
  client: { name: 'Acme Agents', redirectUri: 'https://agents.acme.example/oauth/callback' },
  authorizationServers: [...announced, ...withoutIss, entraV1, snowflake, auth0],
  clients: [{ issuer, clientId: 'agents', clientSecret }],
})

export async function signInWorkload(): Promise<void> {
  const connection = auth.connection({ tenant: 't1', server: 'https://mcp.acme.example/mcp' })
  await connection.authorize({
    grant: 'client_credentials',
    parameters: { audience: 'https://api.acme.example' },
  })
}
