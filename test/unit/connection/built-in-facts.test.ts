import { describe, expect, test } from 'vitest'
import { journey, type RecordedAnswer, type RecordedServer, stageRecorded } from './recorded.ts'
import { REDIRECT_URI, rejection } from './world.ts'

const basic = `Basic ${Buffer.from('c:fake-secret').toString('base64')}`
const exchanging = { grant_type: 'authorization_code', code: 'fake-code', redirect_uri: REDIRECT_URI }
const refreshing = { grant_type: 'refresh_token', refresh_token: 'refresh-1' }
const inBody = { client_id: 'c', client_secret: 'fake-secret' }

/** A usual token response: the first with a refresh token, the one of a refresh without. */
const usual = ({ grant_type: type }: Record<string, string>, more: object = {}): RecordedAnswer => ({
  body: {
    ...(type === 'refresh_token'
      ? { access_token: 'access-2' }
      : { access_token: 'access-1', refresh_token: 'refresh-1' }),
    token_type: 'Bearer',
    expires_in: 3599,
    ...more,
  },
})

/** Protected resource metadata at the place for the endpoint's path. */
function resourceDocument(server: string, document: object): Record<string, unknown> {
  const { origin, pathname } = new URL(server)
  return { [`${origin}/.well-known/oauth-protected-resource${pathname === '/' ? '' : pathname}`]: document }
}

function entra(tenant: string, announced: string, server: string, resource: object): RecordedServer {
  const base = `https://login.microsoftonline.com/${tenant}`
  return {
    server,
    issuer: `${base}/v2.0`,
    documents: {
      ...resourceDocument(server, { authorization_servers: [`${base}/v2.0`], ...resource }),
      [`${base}/v2.0/.well-known/openid-configuration`]: {
        token_endpoint: `${base}/oauth2/v2.0/token`,
        token_endpoint_auth_methods_supported: ['client_secret_post', 'private_key_jwt', 'client_secret_basic'],
        scopes_supported: ['openid', 'profile', 'email', 'offline_access'],
        response_types_supported: ['code', 'id_token', 'code id_token', 'id_token token'],
        issuer: announced,
        authorization_endpoint: `${base}/oauth2/v2.0/authorize`,
      },
    },
    tokenEndpoint: `${base}/oauth2/v2.0/token`,
    token: (form, asked) => {
      // AADSTS9010010, AADSTS90009 and AADSTS90095.
      if ('resource' in { ...asked, ...form }) return { status: 400, body: { error: 'invalid_target' } }
      if (asked['prompt'] !== undefined) return { status: 400, body: { error: 'access_denied' } }
      if (form['grant_type'] === 'refresh_token' && form['scope'] === undefined)
        return { status: 400, body: { error: 'invalid_request' } }
      return usual(form, { scope: asked['scope']?.replace(' offline_access', '') })
    },
  }
}

describe('Microsoft Entra ID', () => {
  const tenant = '8b3e0000-0000-4000-8000-000000000001'
  const single = entra(tenant, `https://login.microsoftonline.com/${tenant}/v2.0`, 'https://mcp.acme.example/mcp', {
    resource: 'https://mcp.acme.example/mcp',
    scopes_supported: ['api://acme-mcp/tools'],
  })

  test('a server behind a single Entra tenant is connected: PKCE unlisted, no resource, no prompt, the scope repeated', async () => {
    const scope = 'api://acme-mcp/tools'
    expect(await journey(single)).toEqual({
      asked: { scope: `${scope} offline_access` },
      method: 'S256',
      tokens: ['access-1', 'access-2'],
      scope,
      tokenRequests: [exchanging, { ...refreshing, scope }],
      revocations: [],
      facts: ['Microsoft Entra ID'],
      notes: ['facts: Microsoft Entra ID'],
    })
  })

  test('the resource is sent to Entra beside its own scope', async () => {
    const recorded = entra(tenant, single.issuer, single.server, {
      resource: single.server,
      scopes_supported: [`${single.server}/tools`],
    })
    const { signIn } = stageRecorded(recorded)
    expect((await signIn()).asked).toEqual({ scope: `${single.server}/tools offline_access`, resource: single.server })
  })

  test('the Azure DevOps MCP server is connected, whose Entra document announces a template', async () => {
    const server = 'https://mcp.dev.azure.com/acme'
    const recorded = entra('organizations', 'https://login.microsoftonline.com/{tenantid}/v2.0', server, {
      resource: server,
      scopes_supported: ['499b84ac-1321-427f-aa17-267ca6975798/.default'],
    })
    const { asked, tokens, facts } = await journey(recorded)
    expect({ asked, tokens, facts }).toEqual({
      asked: { scope: '499b84ac-1321-427f-aa17-267ca6975798/.default offline_access' },
      tokens: ['access-1', 'access-2'],
      facts: ['Microsoft Entra ID'],
    })
  })

  test('the template is accepted only where the resource names an endpoint for several tenants', async () => {
    const recorded = entra(tenant, 'https://login.microsoftonline.com/{tenantid}/v2.0', single.server, {
      resource: single.server,
    })
    const { connection } = stageRecorded(recorded)
    expect(await rejection(connection.authorize())).toMatchObject({ failure: { code: 'SERVER_ISSUER_MISMATCH' } })
  })

  test('the documents of Entra at another host are rejected', async () => {
    const text = JSON.stringify(single.documents).replaceAll('login.microsoftonline.com', 'login.evil.example')
    const issuer = single.issuer.replace('login.microsoftonline.com', 'login.evil.example')
    const { connection } = stageRecorded({ ...single, issuer, documents: JSON.parse(text) })
    expect(await rejection(connection.authorize())).toMatchObject({ failure: { code: 'PKCE_UNSUPPORTED' } })
  })
})

test('a gateway behind Amazon Cognito is connected, whose metadata do not list PKCE', async () => {
  const server = 'https://acme.gateway.bedrock-agentcore.eu-central-1.amazonaws.com/mcp'
  const issuer = 'https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_Fake12345'
  const endpoints = 'https://acme.auth.eu-central-1.amazoncognito.com/oauth2'
  const recorded: RecordedServer = {
    server,
    issuer,
    documents: {
      ...resourceDocument(server, { resource: server, authorization_servers: [issuer] }),
      [`${issuer}/.well-known/openid-configuration`]: {
        authorization_endpoint: `${endpoints}/authorize`,
        issuer,
        response_types_supported: ['code', 'token'],
        revocation_endpoint: `${endpoints}/revoke`,
        scopes_supported: ['openid', 'email', 'phone', 'profile'],
        token_endpoint: `${endpoints}/token`,
        token_endpoint_auth_methods_supported: ['client_secret_basic', 'client_secret_post'],
      },
    },
    tokenEndpoint: `${endpoints}/token`,
    token: (form) => usual(form),
    revocationEndpoint: `${endpoints}/revoke`,
  }
  expect(await journey(recorded)).toEqual({
    asked: { resource: server },
    method: 'S256',
    tokens: ['access-1', 'access-2'],
    scope: undefined,
    tokenRequests: [
      { ...exchanging, resource: server },
      { ...refreshing, resource: server },
    ],
    revocations: [
      {
        method: 'POST',
        url: `${endpoints}/revoke`,
        authorization: basic,
        form: { token: 'refresh-1', token_type_hint: 'refresh_token' },
      },
      {
        method: 'POST',
        url: `${endpoints}/revoke`,
        authorization: basic,
        form: { token: 'access-2', token_type_hint: 'access_token' },
      },
    ],
    facts: ['Amazon Cognito'],
    notes: ['facts: Amazon Cognito'],
  })
})

test('Google issues a refresh token, because access_type=offline and prompt=consent are sent and offline_access is not', async () => {
  const server = 'https://calendarmcp.googleapis.com/mcp/v1'
  const scope = 'https://www.googleapis.com/auth/calendar.events'
  const issuer = 'https://accounts.google.com'
  const recorded: RecordedServer = {
    server,
    issuer,
    documents: {
      ...resourceDocument(server, { resource: server, authorization_servers: [issuer], scopes_supported: [scope] }),
      [`${issuer}/.well-known/openid-configuration`]: {
        issuer,
        authorization_endpoint: `${issuer}/o/oauth2/v2/auth`,
        token_endpoint: 'https://oauth2.googleapis.com/token',
        revocation_endpoint: 'https://oauth2.googleapis.com/revoke',
        response_types_supported: ['code', 'token', 'id_token', 'code token', 'none'],
        scopes_supported: ['openid', 'email', 'profile'],
        token_endpoint_auth_methods_supported: ['client_secret_post', 'client_secret_basic'],
        code_challenge_methods_supported: ['plain', 'S256'],
        grant_types_supported: ['authorization_code', 'refresh_token'],
      },
    },
    tokenEndpoint: 'https://oauth2.googleapis.com/token',
    token: (form, asked) => {
      if (asked['scope']?.includes('offline_access')) return { status: 400, body: { error: 'invalid_scope' } }
      const isOffline = asked['access_type'] === 'offline' && asked['prompt'] === 'consent'
      return usual(form, { scope, ...(!isOffline && { refresh_token: undefined }) })
    },
    revocationEndpoint: 'https://oauth2.googleapis.com/revoke',
  }
  const { asked, tokens, facts } = await journey(recorded, {
    client: { name: 'A', redirectUri: REDIRECT_URI, scope: 'x' },
  })
  expect({ asked, tokens, facts }).toEqual({
    asked: { scope, resource: server, access_type: 'offline', prompt: 'consent' },
    tokens: ['access-1', 'access-2'],
    facts: ['Google'],
  })
})

test('Dropbox issues a refresh token and revokes the access token that is sent as a bearer token', async () => {
  const server = 'https://mcp.dropbox.com/mcp'
  const issuer = 'https://www.dropbox.com'
  const revocationEndpoint = 'https://api.dropboxapi.com/2/auth/token/revoke'
  const recorded: RecordedServer = {
    server,
    issuer,
    documents: {
      ...resourceDocument(server, {
        resource: server,
        authorization_servers: [issuer],
        scopes_supported: ['account_info.read', 'files.metadata.read'],
      }),
      [`${issuer}/.well-known/oauth-authorization-server`]: {
        issuer,
        authorization_endpoint: `${issuer}/oauth2/authorize`,
        token_endpoint: 'https://api.dropboxapi.com/oauth2/token',
        revocation_endpoint: revocationEndpoint,
        response_types_supported: ['code'],
        code_challenge_methods_supported: ['S256'],
        token_endpoint_auth_methods_supported: ['client_secret_basic', 'client_secret_post', 'none'],
      },
    },
    tokenEndpoint: 'https://api.dropboxapi.com/oauth2/token',
    token: (form, asked) =>
      usual(form, {
        token_type: 'bearer',
        ...(asked['token_access_type'] !== 'offline' && { refresh_token: undefined }),
      }),
    revocationEndpoint,
  }
  const { asked, tokens, revocations, facts } = await journey(recorded)
  expect({ asked, tokens, revocations, facts }).toEqual({
    asked: { scope: 'account_info.read files.metadata.read', resource: server, token_access_type: 'offline' },
    tokens: ['access-1', 'access-2'],
    revocations: [{ method: 'POST', url: revocationEndpoint, authorization: 'Bearer access-2', form: {} }],
    facts: ['Dropbox'],
  })
})

describe('GitHub', () => {
  const server = 'https://api.githubcopilot.com/mcp/'
  const issuer = 'https://github.com/login/oauth'
  const github = (token: RecordedServer['token']): RecordedServer => ({
    server,
    issuer,
    documents: {
      'https://api.githubcopilot.com/.well-known/oauth-protected-resource/mcp/': {
        resource: server,
        authorization_servers: [issuer],
        scopes_supported: ['repo', 'gist'],
      },
      'https://github.com/.well-known/oauth-authorization-server/login/oauth': {
        issuer,
        authorization_endpoint: `${issuer}/authorize`,
        token_endpoint: `${issuer}/access_token`,
        response_types_supported: ['code'],
        grant_types_supported: ['authorization_code', 'refresh_token'],
        code_challenge_methods_supported: ['S256'],
      },
    },
    tokenEndpoint: `${issuer}/access_token`,
    token,
  })

  test('tokens of a GitHub OAuth app are form-encoded with commas between scopes, and cannot be refreshed', async () => {
    const { connection, signIn } = stageRecorded(
      github(() => ({ body: 'access_token=gho_fake&scope=gist%2Crepo&token_type=bearer' })),
    )
    expect(await signIn()).toMatchObject({ status: 'authorized', asked: { scope: 'repo gist', resource: server } })
    const { value, scope, expiresAt } = await connection.accessToken()
    expect({ value, scope, expiresAt }).toEqual({ value: 'gho_fake', scope: 'gist repo', expiresAt: undefined })
    expect((await connection.status()).facts).toEqual(['GitHub'])
    await expect(connection.accessToken({ rejectedToken: value })).rejects.toMatchObject({
      code: 'AUTHORIZATION_REQUIRED',
    })
    await connection.disconnect()
  })

  test('tokens of a GitHub App have an empty scope and are refreshed', async () => {
    const { tokens, scope, revocations } = await journey(
      github(({ grant_type: type }) => ({
        body: new URLSearchParams({
          access_token: type === 'refresh_token' ? 'access-2' : 'access-1',
          expires_in: '28800',
          refresh_token: type === 'refresh_token' ? 'refresh-2' : 'refresh-1',
          refresh_token_expires_in: '15897600',
          scope: '',
          token_type: 'bearer',
        }).toString(),
      })),
    )
    expect({ tokens, scope, revocations }).toEqual({
      tokens: ['access-1', 'access-2'],
      scope: 'repo gist',
      revocations: [],
    })
  })
})

test.each([
  ['at the top', (tokens: object) => tokens],
  ['under authed_user', (tokens: object) => ({ authed_user: { id: 'U1', ...tokens } })],
])('Slack’s user tokens %s are used, with commas between scopes', async (_name, place) => {
  const server = 'https://mcp.slack.com/mcp'
  const issuer = 'https://mcp.slack.com'
  const tokenEndpoint = 'https://slack.com/api/oauth.v2.user.access'
  const recorded: RecordedServer = {
    server,
    issuer,
    documents: {
      'https://mcp.slack.com/.well-known/oauth-protected-resource': {
        resource: issuer,
        authorization_servers: [issuer],
        scopes_supported: ['search:read.public', 'chat:write'],
      },
      [`${issuer}/.well-known/oauth-authorization-server`]: {
        issuer,
        authorization_endpoint: 'https://slack.com/oauth/v2_user/authorize',
        token_endpoint: tokenEndpoint,
        response_types_supported: ['code'],
        grant_types_supported: ['authorization_code', 'refresh_token'],
        token_endpoint_auth_methods_supported: ['client_secret_post'],
        code_challenge_methods_supported: ['S256'],
      },
    },
    tokenEndpoint,
    token: ({ grant_type: type }) => ({
      body: {
        ok: true,
        app_id: 'A1',
        ...place({
          access_token: type === 'refresh_token' ? 'access-2' : 'access-1',
          refresh_token: type === 'refresh_token' ? 'refresh-2' : 'refresh-1',
          token_type: 'user',
          scope: 'search:read.public,chat:write',
          expires_in: 43_200,
        }),
      },
    }),
  }
  const { tokens, scope, tokenRequests, facts } = await journey(recorded)
  expect({ tokens, scope, tokenRequests, facts }).toEqual({
    tokens: ['access-1', 'access-2'],
    scope: 'search:read.public chat:write',
    tokenRequests: [
      { ...exchanging, ...inBody, resource: issuer },
      { ...refreshing, ...inBody, resource: issuer },
    ],
    facts: ['Slack'],
  })
})

test('a Salesforce sandbox is connected, whose metadata do not list PKCE', async () => {
  const server = 'https://api.salesforce.com/platform/mcp/v1/sandbox/platform/sobject-all'
  const issuer = 'https://test.salesforce.com'
  const recorded: RecordedServer = {
    server,
    issuer,
    documents: {
      ...resourceDocument(server, {
        resource: server,
        authorization_servers: [issuer],
        scopes_supported: ['mcp_api', 'refresh_token'],
      }),
      [`${issuer}/.well-known/oauth-authorization-server`]: {
        issuer,
        authorization_endpoint: `${issuer}/services/oauth2/authorize`,
        token_endpoint: `${issuer}/services/oauth2/token`,
        revocation_endpoint: `${issuer}/services/oauth2/revoke`,
        response_types_supported: ['code', 'token'],
        token_endpoint_auth_methods_supported: ['client_secret_post', 'client_secret_basic', 'private_key_jwt'],
      },
    },
    tokenEndpoint: `${issuer}/services/oauth2/token`,
    token: (form) => usual(form, { expires_in: undefined, scope: 'refresh_token mcp_api' }),
    revocationEndpoint: `${issuer}/services/oauth2/revoke`,
  }
  const { asked, method, tokens, tokenRequests, facts } = await journey(recorded)
  expect({ asked, method, tokens, tokenRequests, facts }).toEqual({
    asked: { scope: 'mcp_api refresh_token', resource: server },
    method: 'S256',
    tokens: ['access-1', 'access-2'],
    tokenRequests: [
      { ...exchanging, resource: server },
      { ...refreshing, resource: server },
    ],
    facts: ['Salesforce sandbox'],
  })
})
