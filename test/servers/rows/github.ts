import type { Quirks, Row } from '../row.ts'
import { challenge, given, metadata, RECORDED, RESOURCE, resourceMetadata, SERVER } from './shapes.ts'

const API = 'https://api.githubcopilot.com'
const PLACE = `${API}${RESOURCE}/mcp/`
const ISSUER = 'https://github.com/login/oauth'
const SCOPES = ['repo', 'read:org', 'read:user', 'user:email', 'read:packages', 'read:project', 'gist', 'notifications']
const DOCUMENT = metadata(
  ISSUER,
  { authorize: '/login/oauth/authorize', token: '/login/oauth/access_token' },
  {
    grant_types_supported: ['authorization_code', 'refresh_token', 'urn:ietf:params:oauth:grant-type:device_code'],
    authorization_response_iss_parameter_supported: true,
    scopes_supported: ['offline_access'],
  },
)
/** An OAuth app: no expiry, no refresh token. */
const OAUTH_APP: Quirks = {
  errorsIn200: true,
  expiresIn: null,
  refreshToken: 'never',
  tokens: { type: 'bearer', scopeSeparator: ',' },
}

const github = (url: string, quirks: Quirks): Pick<Row, 'mcp' | 'documents' | 'authorizationServer' | 'host'> => ({
  mcp: { url, challenge: challenge(PLACE) },
  documents: {
    [PLACE]: resourceMetadata(`${API}/mcp/`, ISSUER, SCOPES),
    [`https://github.com${SERVER}/login/oauth`]: DOCUMENT,
  },
  authorizationServer: { document: DOCUMENT, quirks },
  host: { clients: given(ISSUER) },
})

export const GITHUB: readonly Row[] = [
  {
    server: 'GitHub, OAuth app, /mcp/',
    source: `${RECORDED}/mcp/github.json; typescript-sdk#1342, python-sdk#1523`,
    recorded: 'scopes with commas, errors with status 200, no expiry, no refresh token',
    ...github(`${API}/mcp/`, OAUTH_APP),
    expected: { connects: 'without refresh' },
  },
  {
    server: 'GitHub, OAuth app, the URL typed as /mcp',
    source: `${RECORDED}/mcp/github.json`,
    recorded: 'the resource is /mcp/; that the 401 of /mcp names it as well is assumed',
    ...github(`${API}/mcp`, OAUTH_APP),
    expected: { connects: 'without refresh' },
  },
  {
    server: 'GitHub, GitHub App (8 h)',
    source: 'docs.github.com, refreshing user access tokens',
    recorded: 'the scope of the token is empty',
    ...github(`${API}/mcp/`, { errorsIn200: true, expiresIn: 28_800, tokens: { type: 'bearer', scope: '' } }),
    expected: { connects: 'with refresh' },
  },
]
