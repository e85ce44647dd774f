import type { Row } from '../row.ts'
import { given, metadata, RECORDED, recordedServer, RESOURCE, SECRETS } from './shapes.ts'

const AIRTABLE_SCOPES = ['data.records:read', 'data.records:write', 'schema.bases:read', 'workspacesAndBases:read']
const AIRTABLE_DOCUMENT = metadata(
  'https://airtable.com/oauth2/v1',
  { authorize: '/oauth2/v1/authorize', token: '/oauth2/v1/token', register: '/oauth2/v1/register' },
  {
    grant_types_supported: undefined,
    scopes_supported: AIRTABLE_SCOPES,
    token_endpoint_auth_methods_supported: ['client_secret_basic', 'none'],
    client_id_metadata_document_supported: true,
  },
)
const BOX_DOCUMENT = metadata(
  'https://api.box.com',
  {
    authorize: 'https://account.box.com/api/oauth2/authorize',
    token: '/oauth2/token',
    revoke: '/oauth2/revoke',
  },
  { token_endpoint_auth_methods_supported: SECRETS },
)
const DROPBOX_SCOPES = [
  'account_info.read',
  'files.content.read',
  'files.content.write',
  'files.metadata.read',
  'sharing.read',
]
const DROPBOX_DOCUMENT = metadata(
  'https://www.dropbox.com',
  {
    authorize: '/oauth2/authorize',
    token: 'https://api.dropboxapi.com/oauth2/token',
    register: '/oauth2/register',
    revoke: 'https://api.dropboxapi.com/2/auth/token/revoke',
  },
  {
    scopes_supported: [...DROPBOX_SCOPES, 'openid', 'profile', 'email'],
    grant_types_supported: ['authorization_code', 'client_credentials', 'refresh_token', 'device_code'],
    code_challenge_methods_supported: ['plain', 'S256'],
    token_endpoint_auth_methods_supported: ['client_secret_post', 'client_secret_basic', 'none'],
  },
)

export const STORAGE: readonly Row[] = [
  recordedServer({
    server: 'Airtable',
    source: `${RECORDED}/mcp/airtable.json; airtable.com oauth reference`,
    recorded: 'no revocation; the issuer has a path; `refresh_expires_in`',
    url: 'https://mcp.airtable.com/mcp',
    place: `https://mcp.airtable.com${RESOURCE}`,
    resource: 'https://mcp.airtable.com',
    issuer: 'https://airtable.com/oauth2/v1',
    scopes: AIRTABLE_SCOPES,
    document: AIRTABLE_DOCUMENT,
    quirks: { tokens: { more: { refresh_expires_in: 5_184_000 } } },
  }),
  recordedServer({
    server: 'Box',
    source: `${RECORDED}/mcp/box.json, idp/box.prm.json`,
    recorded: 'the resource names the issuer with a slash',
    url: 'https://mcp.box.com',
    resource: 'https://mcp.box.com/',
    issuer: 'https://api.box.com/',
    document: BOX_DOCUMENT,
    host: { clients: given('https://api.box.com') },
  }),
  recordedServer({
    server: 'Dropbox',
    source: `${RECORDED}/mcp/dropbox.json; dropbox.com oauth guide, /auth/token/revoke`,
    recorded: 'a refresh token only with token_access_type=offline; the revocation endpoint wants the token as Bearer',
    url: 'https://mcp.dropbox.com/mcp',
    issuer: 'https://www.dropbox.com',
    scopes: DROPBOX_SCOPES,
    document: DROPBOX_DOCUMENT,
    quirks: {
      expiresIn: 14_400,
      refreshToken: { parameters: { token_access_type: 'offline' } },
      tokens: { type: 'bearer' },
      revocation: 'bearer',
    },
  }),
]
