import type { Row } from '../row.ts'
import { ANY_METHOD, given, ISS, metadata, OFFLINE, RECORDED, recordedServer, RESOURCE, SECRETS } from './shapes.ts'

const HUGGING_FACE = 'https://huggingface.co/mcp'
const RENDER = {
  recorded: 'no registration, public clients',
  source: `${RECORDED}/mcp/render.json`,
  url: 'https://mcp.render.com/mcp',
  issuer: 'https://api.render.com',
  document: metadata(
    'https://api.render.com',
    { authorize: '/v1/oauth/authorize', token: '/v1/oauth/token', revoke: '/v1/oauth/token/revoke' },
    {
      token_endpoint_auth_methods_supported: ['none'],
      authorization_response_iss_parameter_supported: false,
    },
  ),
}

export const HOSTING: readonly Row[] = [
  recordedServer({
    server: 'Vercel',
    recorded: 'the resource has a slash, the URL none; endpoints at another host',
    source: `${RECORDED}/mcp/vercel.json`,
    url: 'https://mcp.vercel.com',
    resource: 'https://mcp.vercel.com/',
    issuer: 'https://vercel.com',
    scopes: ['openid'],
    document: metadata(
      'https://vercel.com',
      {
        authorize: '/oauth/authorize',
        token: 'https://api.vercel.com/login/oauth/token',
        register: 'https://api.vercel.com/login/oauth/register',
        revoke: 'https://api.vercel.com/login/oauth/token/revoke',
      },
      {
        grant_types_supported: ['authorization_code', 'client_credentials', 'refresh_token'],
        scopes_supported: ['openid', 'email', 'profile', 'offline_access'],
        token_endpoint_auth_methods_supported: [
          'client_secret_basic',
          'client_secret_post',
          'client_secret_jwt',
          'private_key_jwt',
        ],
      },
    ),
    quirks: OFFLINE,
  }),
  recordedServer({
    server: 'Netlify',
    recorded: 'the issuer ends with a slash',
    source: `${RECORDED}/mcp/netlify.json`,
    url: 'https://netlify-mcp.netlify.app/mcp',
    issuer: 'https://netlify-mcp.netlify.app/',
    scopes: ['offline_access', 'read', 'write', 'claudeai'],
    document: metadata(
      'https://netlify-mcp.netlify.app/',
      { authorize: '/oauth-server/auth', token: '/oauth-server/token', register: '/oauth-server/reg' },
      {
        scopes_supported: ['offline_access', 'read', 'write', 'claudeai'],
        token_endpoint_auth_methods_supported: ANY_METHOD,
      },
    ),
    quirks: OFFLINE,
  }),
  recordedServer({
    server: 'Hugging Face',
    recorded: '`initialize` is answered 200 without a token; that tools/call is answered 401 is assumed',
    source: `${RECORDED}/mcp/huggingface.json`,
    url: HUGGING_FACE,
    mcp: { open: ['initialize', 'notifications/initialized', 'ping', 'tools/list'] },
    issuer: 'https://huggingface.co',
    scopes: ['openid', 'profile', 'read-mcp', 'read-repos'],
    document: metadata(
      'https://huggingface.co',
      { authorize: '/oauth/authorize', token: '/oauth/token', register: '/oauth/register' },
      { token_endpoint_auth_methods_supported: SECRETS, client_id_metadata_document_supported: true },
    ),
  }),
  recordedServer({
    server: 'Render, no client',
    ...RENDER,
    expected: { rejected: 'REGISTRATION_UNAVAILABLE', nextAction: 'configureClient' },
  }),
  recordedServer({ server: 'Render', ...RENDER, host: { clients: given('https://api.render.com', false) } }),
  recordedServer({
    server: 'MongoDB',
    recorded: 'an empty list of scopes; endpoints at two hosts',
    source: `${RECORDED}/mcp/mongodb.json`,
    url: 'https://mcp.mongodb.com/mcp',
    place: `https://mcp.mongodb.com${RESOURCE}`,
    resource: 'https://mcp.mongodb.com',
    issuer: 'https://authorize.mongodb.com',
    scopes: [],
    document: metadata(
      'https://authorize.mongodb.com',
      {
        authorize: 'https://cloud.mongodb.com/oauth/authorize',
        token: '/tokens',
        revoke: '/tokens/revoke',
      },
      {
        ...ISS,
        grant_types_supported: ['authorization_code', 'client_credentials', 'refresh_token'],
        token_endpoint_auth_methods_supported: ['none', ...SECRETS, 'private_key_jwt'],
        client_id_metadata_document_supported: true,
      },
    ),
    host: { clients: given('https://authorize.mongodb.com') },
  }),
]
