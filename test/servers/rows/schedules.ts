import type { Row } from '../row.ts'
import { ANY_METHOD, given, ISS, metadata, RECORDED, recordedServer } from './shapes.ts'

/** 90 scopes with the length of PagerDuty's, 2 KB. */
const PAGERDUTY_SCOPES = `
  incidents incident_workflows:instances users:contact_methods workflow_integrations:connections
  services extension_schemas subscribers users:sessions recommendations templates jira_cloud_rules
  addons session_configurations oncalls standards incident_workflows notifications copilot:chat tags
  contextual_data event_orchestrations webhook_subscriptions maintenance_windows abilities teams
  ip_allow_lists status_pages status_dashboards event_rules audit_records oauth_delegations
  custom_fields analytics pd_advance change_events jira_cloud_accounts escalation_policies schedules
  licenses workflow_integrations event_enrichments extensions priorities vendors users
`
  .trim()
  .split(/\s+/)
  .flatMap((name) => [`${name}.read`, `${name}.write`])
const PAGERDUTY = 'https://mcp.pagerduty.com/'
const PAGERDUTY_DOCUMENT = metadata(
  PAGERDUTY,
  {
    authorize: 'https://app.pagerduty.com/global/oauth/authorize',
    token: 'https://app.pagerduty.com/global/oauth/token',
    revoke: 'https://app.pagerduty.com/global/oauth/revoke',
  },
  {
    scopes_supported: PAGERDUTY_SCOPES,
    token_endpoint_auth_methods_supported: ['client_secret_post', 'client_secret_basic'],
    code_challenge_methods_supported: ['S256', 'plain'],
  },
)

export const SCHEDULES: readonly Row[] = [
  recordedServer({
    server: 'PagerDuty',
    source: `${RECORDED}/mcp/pagerduty-mcp.json`,
    recorded: '90 scopes, 2 KB; no registration; the issuer ends with a slash',
    url: `${PAGERDUTY}mcp`,
    issuer: PAGERDUTY,
    scopes: PAGERDUTY_SCOPES,
    document: PAGERDUTY_DOCUMENT,
    host: { clients: given(PAGERDUTY) },
  }),
  recordedServer({
    server: 'monday.com',
    recorded: 'an issuer with a path, endpoints in two other folders; no scopes anywhere',
    source: `${RECORDED}/mcp/monday.json`,
    url: 'https://mcp.monday.com/mcp',
    issuer: 'https://auth.monday.com/mcp',
    document: metadata(
      'https://auth.monday.com/mcp',
      {
        authorize: '/oauth2/authorize',
        token: '/oauth_ms/oauth/token',
        register: '/oauth_ms/oauth/register',
        revoke: '/oauth_ms/oauth/revoke',
      },
      { ...ISS, token_endpoint_auth_methods_supported: ['client_secret_post', 'client_secret_basic'] },
    ),
  }),
  recordedServer({
    server: 'Todoist',
    recorded: 'the list of the authorization server is longer than that of the resource',
    source: `${RECORDED}/mcp/todoist.json`,
    url: 'https://ai.todoist.net/mcp',
    issuer: 'https://todoist.com',
    scopes: ['data:read_write'],
    document: metadata(
      'https://todoist.com',
      {
        authorize: '/oauth/authorize',
        token: '/oauth/access_token',
        register: '/oauth/register',
        revoke: '/api/v1/revoke',
      },
      {
        scopes_supported: ['task:add', 'data:read', 'data:read_write', 'data:delete', 'project:delete', 'user:read'],
        token_endpoint_auth_methods_supported: ANY_METHOD,
        client_id_metadata_document_supported: true,
      },
    ),
  }),
  recordedServer({
    server: 'Calendly',
    recorded: 'no list of grants; the issuer ends with a slash, the URL has no path',
    source: `${RECORDED}/mcp/calendly.json`,
    url: 'https://mcp.calendly.com',
    resource: 'https://mcp.calendly.com/',
    issuer: 'https://calendly.com/',
    scopes: ['mcp:scheduling:write', 'mcp:scheduling:read'],
    document: metadata(
      'https://calendly.com/',
      { authorize: '/oauth/authorize', token: '/oauth/token', register: '/oauth/register' },
      { grant_types_supported: undefined, token_endpoint_auth_methods_supported: ['none'] },
    ),
  }),
  recordedServer({
    server: 'Fireflies',
    recorded: 'the issuer ends with a slash; the scope of the challenge',
    source: `${RECORDED}/mcp/fireflies.json`,
    url: 'https://api.fireflies.ai/mcp',
    issuer: 'https://api.fireflies.ai/',
    scopes: ['profile', 'email'],
    challengedScope: 'email profile',
    document: metadata(
      'https://api.fireflies.ai/',
      { authorize: '/authorize', token: '/token', register: '/register', revoke: '/revoke' },
      {
        ...ISS,
        scopes_supported: ['profile', 'email'],
        token_endpoint_auth_methods_supported: ['client_secret_post', 'none'],
      },
    ),
  }),
]
