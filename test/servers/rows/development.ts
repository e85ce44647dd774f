import type { Row } from '../row.ts'
import { given, metadata, RECORDED, recordedServer, RESOURCE, SECRETS, SERVER } from './shapes.ts'

const FIGMA_DOCUMENT = metadata(
  'https://api.figma.com',
  { authorize: 'https://www.figma.com/oauth/mcp', token: '/v1/oauth/token', register: '/v1/oauth/mcp/register' },
  {
    token_endpoint_auth_methods_supported: SECRETS,
    scopes_supported: ['mcp:connect'],
    authorization_response_iss_parameter_supported: true,
  },
)
const FIGMA = {
  url: 'https://mcp.figma.com/mcp',
  place: `https://mcp.figma.com${RESOURCE}`,
  mcp: {
    challenge: `Bearer resource_metadata="https://mcp.figma.com${RESOURCE}",scope="mcp:connect",authorization_uri="https://api.figma.com${SERVER}"`,
  },
  issuer: 'https://api.figma.com',
  scopes: ['mcp:connect'],
  document: FIGMA_DOCUMENT,
}
function gitlab(origin: string, resource: unknown) {
  return {
    url: `${origin}/api/v4/mcp`,
    challengedScope: 'mcp',
    issuer: origin,
    resource,
    scopes: ['mcp'],
    document: metadata(
      origin,
      { authorize: '/oauth/authorize', token: '/oauth/token', register: '/oauth/register', revoke: '/oauth/revoke' },
      {
        scopes_supported: ['api', 'read_api', 'read_user', 'mcp', 'openid', 'profile', 'email', 'user:*'],
        grant_types_supported: ['authorization_code', 'client_credentials', 'device_code', 'refresh_token'],
        token_endpoint_auth_methods_supported: SECRETS,
        code_challenge_methods_supported: ['plain', 'S256'],
      },
    ),
    quirks: { registersAs: 'none', expiresIn: 7200 },
  }
}
const SUPABASE_SCOPES = ['organizations:read', 'projects:read', 'database:read', 'database:write', 'storage:read']
const SUPABASE_DOCUMENT = metadata(
  'https://api.supabase.com',
  { authorize: '/v1/oauth/authorize', token: '/v1/oauth/token', register: '/platform/oauth/apps/register' },
  { token_endpoint_auth_methods_supported: SECRETS, scopes_supported: SUPABASE_SCOPES },
)

export const DEVELOPMENT: readonly Row[] = [
  recordedServer({
    ...FIGMA,
    server: 'Figma (not a partner)',
    source: `${RECORDED}/mcp/figma.json; mcp-remote#186, mcpproxy-go#234, mcpc#296`,
    recorded: 'the registration answers 403 with text',
    quirks: { registration: { status: 403, body: 'Forbidden' } },
    expected: { rejected: 'REGISTRATION_REJECTED', nextAction: 'configureClient' },
  }),
  recordedServer({
    ...FIGMA,
    server: 'Figma (pre-registered client)',
    source: `${RECORDED}/mcp/figma.json; figma.com rest oauth`,
    recorded: '`iss`; the challenge has no blanks after its commas',
    quirks: { expiresIn: 7_776_000, tokens: { more: { user_id_string: '42' } } },
    host: { clients: given('https://api.figma.com') },
  }),
  recordedServer({
    ...gitlab('https://gitlab.com', 'https://gitlab.com/api/v4/mcp'),
    server: 'GitLab.com',
    source: `${RECORDED}/mcp/gitlab.json; codex#40885`,
    recorded: 'registers public clients, though its metadata list secrets only (assumed)',
  }),
  recordedServer({
    ...gitlab('https://gitlab.acme.example', ['https://gitlab.acme.example/api/v4/mcp']),
    server: 'GitLab self-managed',
    source: 'copilot-cli#4439, #4480, coder/xum#3734',
    recorded: '`resource` is an array of one',
  }),
  recordedServer({
    server: 'Supabase',
    source: `${RECORDED}/mcp/supabase.json`,
    recorded: 'clients with a secret only; no revocation',
    url: 'https://mcp.supabase.com/mcp',
    issuer: 'https://api.supabase.com',
    scopes: SUPABASE_SCOPES,
    document: SUPABASE_DOCUMENT,
  }),
  recordedServer({
    server: 'Semgrep',
    recorded: 'the resource names the issuer with a slash; an empty list of scopes',
    source: `${RECORDED}/mcp/semgrep.json`,
    url: 'https://mcp.semgrep.ai/mcp',
    place: `https://mcp.semgrep.ai${RESOURCE}`,
    resource: 'https://mcp.semgrep.ai/',
    issuer: 'https://login.semgrep.dev/',
    scopes: [],
    document: metadata(
      'https://login.semgrep.dev',
      { authorize: '/oauth2/authorize', token: '/oauth2/token', register: '/oauth2/register' },
      {
        scopes_supported: ['email', 'offline_access', 'openid', 'profile'],
        token_endpoint_auth_methods_supported: ['none', 'client_secret_post', 'client_secret_basic'],
      },
    ),
  }),
]
