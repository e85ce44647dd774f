import type { Quirks, Row } from '../row.ts'
import { challenge, given, metadata, RECORDED, RESOURCE, resourceMetadata, SERVER } from './shapes.ts'

const ORIGIN = 'https://mcp.slack.com'
const SCOPES = ['canvases:read', 'channels:history', 'channels:read', 'chat:write', 'search:read.public', 'users:read']
const DOCUMENT = metadata(
  ORIGIN,
  {
    authorize: 'https://slack.com/oauth/v2_user/authorize',
    token: 'https://slack.com/api/oauth.v2.user.access',
  },
  { token_endpoint_auth_methods_supported: ['client_secret_post'], scopes_supported: SCOPES },
)
const TOKENS = { type: 'user', scopeSeparator: ',' }

const slack = (quirks: Quirks): Omit<Row, 'server' | 'source' | 'recorded' | 'expected'> => ({
  mcp: { url: `${ORIGIN}/mcp`, challenge: challenge(ORIGIN + RESOURCE) },
  documents: { [ORIGIN + RESOURCE]: resourceMetadata(ORIGIN, ORIGIN, SCOPES), [ORIGIN + SERVER]: DOCUMENT },
  authorizationServer: { document: DOCUMENT, quirks: { errorsIn200: true, expiresIn: 43_200, ...quirks } },
  host: { clients: given(ORIGIN) },
})

export const SLACK: readonly Row[] = [
  {
    server: 'Slack, tokens at the top',
    source: `${RECORDED}/mcp/slack-mcp.json; openwork#3569; docs.slack.dev oauth.v2.user.access`,
    recorded: '`ok: true`, `token_type` is `user`, scopes with commas, errors with status 200',
    ...slack({ tokens: { ...TOKENS, more: { ok: true, app_id: 'A0001' } } }),
    expected: { connects: 'with refresh' },
  },
  {
    server: 'Slack, tokens under authed_user',
    source: 'NangoHQ/nango providers.yaml (slack-mcp); redhat template-agent#265',
    recorded: 'the tokens are below `authed_user` only',
    ...slack({ tokens: { ...TOKENS, under: 'authed_user', more: { ok: true, app_id: 'A0001' } } }),
    expected: { connects: 'with refresh' },
  },
  {
    server: 'Slack, no refresh token (1 h)',
    source: 'slack-skills-plugin#2',
    recorded: 'no refresh token',
    ...slack({ refreshToken: 'never', expiresIn: 3600, tokens: { ...TOKENS, more: { ok: true } } }),
    expected: { connects: 'without refresh' },
  },
]
