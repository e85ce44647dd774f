import type { Row } from '../row.ts'
import { ANY_METHOD, given, metadata, OPENID, recordedServer, SECRETS, SERVER } from './shapes.ts'

const auth0 = (issuer: string) =>
  metadata(
    issuer,
    { authorize: '/authorize', token: '/oauth/token', register: '/oidc/register', revoke: '/oauth/revoke' },
    {
      grant_types_supported: ['authorization_code', 'refresh_token', 'client_credentials'],
      token_endpoint_auth_methods_supported: ANY_METHOD,
      scopes_supported: ['openid', 'profile', 'offline_access', 'email'],
    },
  )
const AUDIENCE = 'https://api.acme.example'
const AUTH0 = {
  url: 'https://mcp.acme.example/mcp',
  issuer: 'https://acme.eu.auth0.com/',
  scopes: ['mcp:tools'],
  at: `https://acme.eu.auth0.com${OPENID}`,
  document: auth0('https://acme.eu.auth0.com/'),
  quirks: { needs: { audience: AUDIENCE }, refreshToken: { scope: 'offline_access' } },
}
const CLIENT_CREDENTIALS = {
  ...AUTH0,
  quirks: { needsInTokenRequest: { audience: AUDIENCE } },
  host: { clients: given('https://acme.eu.auth0.com/') },
}
const BY_AUDIENCE = {
  source: 'LibreChat#13401, inspector#566; auth0.com, audience',
  recorded: 'ignores `resource` and wants `audience`',
}

const COGNITO_DOCUMENT = metadata(
  'https://cognito-idp.us-east-1.amazonaws.com/us-east-1_AbCdEf123',
  {
    authorize: 'https://acme.auth.us-east-1.amazoncognito.com/oauth2/authorize',
    token: 'https://acme.auth.us-east-1.amazoncognito.com/oauth2/token',
    revoke: 'https://acme.auth.us-east-1.amazoncognito.com/oauth2/revoke',
  },
  {
    response_types_supported: ['code', 'token'],
    grant_types_supported: undefined,
    code_challenge_methods_supported: undefined,
    scopes_supported: ['openid', 'email', 'phone', 'profile'],
    token_endpoint_auth_methods_supported: SECRETS,
  },
)

const OKTA = 'https://acme.okta.com/oauth2/aus1a2b3c4d5'
const KEYCLOAK = 'https://sso.acme.example/realms/mcp'
const KEYCLOAK_DOCUMENT = metadata(
  KEYCLOAK,
  {
    authorize: `${KEYCLOAK}/protocol/openid-connect/auth`,
    token: `${KEYCLOAK}/protocol/openid-connect/token`,
    register: `${KEYCLOAK}/clients-registrations/openid-connect`,
    revoke: `${KEYCLOAK}/protocol/openid-connect/revoke`,
  },
  {
    token_endpoint_auth_methods_supported: ['private_key_jwt', 'client_secret_basic', 'client_secret_post'],
    scopes_supported: ['openid', 'mcp:tools', 'offline_access', 'profile', 'email'],
    authorization_response_iss_parameter_supported: true,
  },
)
const KEYCLOAK_26 = {
  url: 'https://mcp.keycloak.example/mcp',
  issuer: KEYCLOAK,
  scopes: ['mcp:tools'],
  at: `https://sso.acme.example${SERVER}/realms/mcp`,
  document: KEYCLOAK_DOCUMENT,
}
const JUMPCLOUD = metadata(
  'https://oauth.id.jumpcloud.com/',
  { authorize: '/oauth2/auth', token: '/oauth2/token', revoke: '/oauth2/revoke' },
  {
    token_endpoint_auth_methods_supported: SECRETS,
    scopes_supported: ['openid', 'offline_access', 'profile', 'email'],
  },
)

export const IDENTITY_PROVIDERS: readonly Row[] = [
  recordedServer({
    server: 'Auth0 (audience only), no parameter',
    ...BY_AUDIENCE,
    ...AUTH0,
    expected: { rejected: 'by its page' },
  }),
  recordedServer({
    server: 'Auth0 (audience only), parameters',
    ...BY_AUDIENCE,
    ...AUTH0,
    host: { authorize: { parameters: { audience: AUDIENCE } } },
    expected: { connects: 'with refresh' },
  }),
  recordedServer({
    server: 'Auth0 (audience only), facts',
    ...BY_AUDIENCE,
    ...AUTH0,
    host: {
      authorizationServers: [
        {
          server: 'Auth0 of Acme',
          issuers: ['https://*.eu.auth0.com'],
          authorization: { parameters: { audience: AUDIENCE } },
        },
      ],
    },
    expected: { connects: 'with refresh', facts: ['Auth0 of Acme'] },
  }),
  recordedServer({
    server: 'Auth0 client credentials, no parameter',
    ...BY_AUDIENCE,
    ...CLIENT_CREDENTIALS,
    host: { ...CLIENT_CREDENTIALS.host, authorize: { grant: 'client_credentials' } },
    expected: { rejected: 'EXCHANGE_REJECTED', nextAction: 'configureClient' },
  }),
  recordedServer({
    server: 'Auth0 client credentials, parameters',
    ...BY_AUDIENCE,
    ...CLIENT_CREDENTIALS,
    host: {
      ...CLIENT_CREDENTIALS.host,
      authorize: { grant: 'client_credentials', parameters: { audience: AUDIENCE } },
    },
    expected: { connects: 'with refresh' },
  }),
  recordedServer({
    server: 'Auth0 tenant, named without its slash',
    source: 'mcp-use#1300; auth0.com, issuer with a slash',
    recorded: 'the resource names the issuer without its slash',
    ...AUTH0,
    issuer: 'https://acme.eu.auth0.com',
    quirks: { refreshToken: { scope: 'offline_access' } },
    expected: { connects: 'with refresh' },
  }),
  recordedServer({
    server: 'AgentCore Gateway with Cognito',
    source: 'claude-code#13275, #35846, claude-ai-mcp#946, mcp-oauth2-aws-cognito#9, python-sdk#976, openchoreo#3217',
    recorded: 'no list of PKCE methods; nobody names a scope',
    url: 'https://gw-a1b2c3.gateway.bedrock-agentcore.us-east-1.amazonaws.com/mcp',
    issuer: 'https://cognito-idp.us-east-1.amazonaws.com/us-east-1_AbCdEf123',
    at: `https://cognito-idp.us-east-1.amazonaws.com/us-east-1_AbCdEf123${OPENID}`,
    document: COGNITO_DOCUMENT,
    host: { clients: given('https://cognito-idp.us-east-1.amazonaws.com/us-east-1_AbCdEf123') },
    expected: { connects: 'with refresh' },
  }),
  recordedServer({
    server: 'Okta custom authorization server',
    source: 'MCPJam/inspector#1002',
    recorded: 'metadata below the path of the issuer only',
    url: 'https://mcp.okta.example/mcp',
    issuer: OKTA,
    scopes: ['mcp:tools'],
    at: `${OKTA}${SERVER}`,
    document: metadata(
      OKTA,
      {
        authorize: `${OKTA}/v1/authorize`,
        token: `${OKTA}/v1/token`,
        register: 'https://acme.okta.com/oauth2/v1/clients',
        revoke: `${OKTA}/v1/revoke`,
      },
      {
        token_endpoint_auth_methods_supported: ['client_secret_basic', 'client_secret_post', 'private_key_jwt', 'none'],
        scopes_supported: ['mcp:tools', 'openid', 'offline_access'],
      },
    ),
    quirks: { refreshToken: { scope: 'offline_access' } },
    expected: { connects: 'with refresh' },
  }),
  recordedServer({
    server: 'Keycloak 26, no trusted hosts',
    source: 'mecatl#764',
    recorded: '`refresh_expires_in` and `not-before-policy` in the token response',
    ...KEYCLOAK_26,
    quirks: {
      expiresIn: 300,
      tokens: { more: { refresh_expires_in: 1800, 'not-before-policy': 0, session_state: 'a1b2' } },
    },
    expected: { connects: 'with refresh' },
  }),
  recordedServer({
    server: 'Keycloak, trusted hosts',
    source: 'opensearch-mcp-server-py#227, open-liberty#35062',
    recorded: 'registrations of strangers are refused',
    ...KEYCLOAK_26,
    quirks: {
      registration: { status: 403, body: { error: 'insufficient_scope', error_description: 'Policy rejected' } },
    },
    expected: { rejected: 'REGISTRATION_REJECTED', nextAction: 'configureClient' },
  }),
  recordedServer({
    server: 'Clients bound to their scopes (Ory Hydra)',
    source: 'appstrate#1267, agentarea#379, ChronoAIProject/NyxID#1217',
    recorded: 'a registration without `scope` may ask for identity scopes only',
    url: 'https://mcp.hydra.example/mcp',
    issuer: 'https://hydra.acme.example',
    scopes: ['mcp:read', 'mcp:write'],
    at: `https://hydra.acme.example${SERVER}`,
    document: metadata(
      'https://hydra.acme.example',
      { authorize: '/oauth2/auth', token: '/oauth2/token', register: '/oauth2/register', revoke: '/oauth2/revoke' },
      {
        token_endpoint_auth_methods_supported: ANY_METHOD,
        scopes_supported: ['offline_access', 'mcp:read', 'mcp:write'],
      },
    ),
    quirks: { bindsScopes: true, refreshToken: { scope: 'offline_access' } },
    expected: { connects: 'with refresh' },
  }),
  recordedServer({
    server: 'JumpCloud',
    source: 'anomalyco/opencode#50036',
    recorded: 'the resource names the issuer without its slash',
    url: 'https://mcp.jumpcloud.example/mcp',
    issuer: 'https://oauth.id.jumpcloud.com',
    scopes: ['openid', 'offline_access'],
    at: `https://oauth.id.jumpcloud.com${OPENID}`,
    document: JUMPCLOUD,
    quirks: { refreshToken: { scope: 'offline_access' } },
    host: { clients: given('https://oauth.id.jumpcloud.com') },
    expected: { connects: 'with refresh' },
  }),
]
