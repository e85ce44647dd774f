import type { FactsRow } from './facts-row.ts'

/**
 * Microsoft Entra ID in one cloud. It verifies PKCE without listing it, rejects `resource` beside scopes of another
 * resource (AADSTS9010010), rejects a refresh without a scope (AADSTS90009), and `prompt=consent` locks out users who
 * are not administrators (AADSTS90095). The documents of the endpoints for several tenants announce a template.
 */
function entra(host: string): FactsRow[] {
  const effects = {
    authorization: { promptConsent: 'never' },
    resource: 'omitUnlessScoped',
    refresh: { scope: 'repeat' },
  } as const
  const template = `https://${host}/{tenantid}/v2.0`
  return [
    {
      server: 'Microsoft Entra ID',
      issuers: [`https://${host}/organizations/v2.0`, `https://${host}/common/v2.0`],
      discovery: { pkce: 'unlisted', alsoAnnounces: [template] },
      ...effects,
    },
    { server: 'Microsoft Entra ID', issuers: [`https://${host}/*/v2.0`], discovery: { pkce: 'unlisted' }, ...effects },
  ]
}

/**
 * The servers whose deviations were recorded. `alsoAnnounces` of another host, `metadata` and `iss` are never built in:
 * only the host can decide to trust them.
 */
export const BUILT_IN_FACTS: readonly FactsRow[] = [
  ...entra('login.microsoftonline.com'),
  ...entra('login.microsoftonline.us'),
  ...entra('login.partner.microsoftonline.cn'),
  {
    server: 'Amazon Cognito',
    issuers: ['https://cognito-idp.*.amazonaws.com/*'],
    discovery: { pkce: 'unlisted' },
  },
  {
    server: 'Google',
    issuers: ['https://accounts.google.com'],
    authorization: { offline: { access_type: 'offline', prompt: 'consent' }, offlineScope: 'never' },
  },
  {
    server: 'Dropbox',
    issuers: ['https://www.dropbox.com'],
    authorization: { offline: { token_access_type: 'offline' } },
    revocation: 'bearer',
  },
  {
    server: 'GitHub',
    issuers: ['https://github.com/login/oauth'],
    tokens: { scopeSeparator: ',' },
  },
  {
    server: 'Slack',
    issuers: ['https://mcp.slack.com', 'https://slack.com'],
    tokens: { under: 'authed_user', bearerTypes: ['user', 'bot'], scopeSeparator: ',' },
  },
  {
    server: 'Salesforce sandbox',
    issuers: ['https://test.salesforce.com'],
    discovery: { pkce: 'unlisted' },
  },
]
