import type { Row } from '../row.ts'
import { challenge, given, metadata, OPENID, RECORDED, RESOURCE, resourceMetadata } from './shapes.ts'

const ENDPOINT = 'https://calendarmcp.googleapis.com/mcp/v1'
const PLACE = `https://calendarmcp.googleapis.com${RESOURCE}/mcp/v1`
const ISSUER = 'https://accounts.google.com'
const SCOPES = ['calendar', 'calendar.events', 'calendar.freebusy', 'calendar.readonly'].map(
  (name) => `https://www.googleapis.com/auth/${name}`,
)
const DOCUMENT = metadata(
  ISSUER,
  {
    authorize: '/o/oauth2/v2/auth',
    token: 'https://oauth2.googleapis.com/token',
    revoke: 'https://oauth2.googleapis.com/revoke',
  },
  {
    response_types_supported: ['code', 'token', 'id_token'],
    grant_types_supported: ['authorization_code', 'refresh_token', 'urn:ietf:params:oauth:grant-type:device_code'],
    scopes_supported: ['openid', 'email', 'profile'],
    token_endpoint_auth_methods_supported: ['client_secret_post', 'client_secret_basic'],
    code_challenge_methods_supported: ['plain', 'S256'],
  },
)

export const GOOGLE: readonly Row[] = [
  {
    server: 'Google Calendar',
    source: `${RECORDED}/idp/google-calendar.prm.json; copilot-cli#4606, python-sdk#1919, home-assistant/core#180546`,
    recorded:
      'the resource names the issuer with a slash; a refresh token only with access_type=offline and prompt=consent; `offline_access` is `invalid_scope`; `initialize` and `tools/list` are served to anybody',
    mcp: {
      url: ENDPOINT,
      challenge: challenge(PLACE),
      open: ['initialize', 'notifications/initialized', 'ping', 'tools/list'],
    },
    documents: { [PLACE]: resourceMetadata(ENDPOINT, `${ISSUER}/`, SCOPES), [ISSUER + OPENID]: DOCUMENT },
    authorizationServer: {
      document: DOCUMENT,
      quirks: {
        rejectsScopes: ['offline_access'],
        refreshToken: { parameters: { access_type: 'offline', prompt: 'consent' } },
        expiresIn: 3599,
      },
    },
    host: { clients: given(ISSUER) },
    expected: { connects: 'with refresh' },
  },
]
