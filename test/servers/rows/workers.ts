import type { Document, Expected, Quirks, Row } from '../row.ts'
import { ANY_METHOD, challenge, ISS, metadata, RECORDED, RESOURCE, resourceMetadata, SERVER } from './shapes.ts'

interface Worker {
  readonly server: string
  readonly source: string
  readonly recorded: string
  readonly url: string
  /** Where its endpoints are, below its origin. */
  readonly prefix?: string
  readonly scopes?: readonly string[]
  readonly challengedScope?: string
  readonly members?: Document
  readonly quirks?: Quirks
  readonly host?: Row['host']
  readonly expected?: Expected
}

/** A server on Cloudflare's library for authorization servers, which also revokes at its token endpoint. */
function worker({ url, prefix = '', scopes, challengedScope, members, quirks, host, expected, ...names }: Worker): Row {
  const { origin, pathname } = new URL(url)
  const place = origin + RESOURCE + pathname
  const endpoints = {
    authorize: `${prefix}/authorize`,
    token: `${prefix}/token`,
    register: `${prefix}/register`,
    revoke: `${prefix}/token`,
  }
  const document = metadata(origin, endpoints, { token_endpoint_auth_methods_supported: ANY_METHOD, ...members })
  return {
    ...names,
    mcp: { url, challenge: challenge(place, challengedScope) },
    documents: { [place]: resourceMetadata(url, origin, scopes), [origin + SERVER]: document },
    authorizationServer: { document, ...(quirks && { quirks }) },
    ...(host && { host }),
    expected: expected ?? { connects: 'with refresh' },
  }
}

const CLOUDFLARE = {
  url: 'https://bindings.mcp.cloudflare.com/mcp',
  members: { ...ISS, authorization_endpoint: 'https://bindings.mcp.cloudflare.com/oauth/authorize' },
}
const SILENT = {
  ...CLOUDFLARE,
  source: 'cloudflare/mcp-server-cloudflare#449, openai/codex#37300',
  quirks: { iss: null },
}
const CANVA = {
  url: 'https://mcp.canva.com/mcp',
  scopes: ['profile:read', 'design:meta:read', 'design:content:read', 'folder:read', 'asset:read', 'comment:write'],
}

const NOTION = worker({
  server: 'Notion',
  source: `${RECORDED}/mcp/notion-mcp.json, idp/notion.prm.json`,
  recorded: 'revocation at the token endpoint; two documents with different `resource`',
  url: 'https://mcp.notion.com/mcp',
  scopes: ['default'],
  members: { scopes_supported: ['default'] },
})

export const WORKERS: readonly Row[] = [
  worker({
    server: 'Linear',
    source: `${RECORDED}/mcp/linear.json`,
    recorded: 'the scope of the challenge; `iss` since 2026-09-29',
    url: 'https://mcp.linear.app/mcp',
    challengedScope: 'read write',
    scopes: ['read', 'write'],
    members: { ...ISS, scopes_supported: ['read', 'write', 'openid', 'email'] },
  }),
  {
    ...NOTION,
    documents: {
      ...NOTION.documents,
      [`https://mcp.notion.com${RESOURCE}`]: resourceMetadata('https://mcp.notion.com', 'https://mcp.notion.com', [
        'default',
      ]),
    },
  },
  worker({
    server: 'Sentry',
    source: `${RECORDED}/mcp/sentry-mcp-http.json`,
    recorded: '`iss` is promised and sent',
    url: 'https://mcp.sentry.dev/mcp',
    prefix: '/oauth',
    scopes: ['org:read', 'project:write', 'team:write', 'event:write', 'alerts:write'],
    members: ISS,
  }),
  worker({
    server: 'Sentry (2026-08: iss sent, not promised)',
    source: 'modelcontextprotocol/go-sdk#1152',
    recorded: '`iss` is sent and not promised',
    url: 'https://mcp.sentry.dev/mcp',
    prefix: '/oauth',
    scopes: ['org:read', 'project:write'],
    quirks: { iss: 'https://mcp.sentry.dev' },
  }),
  worker({
    server: 'Cloudflare bindings',
    source: `${RECORDED}/mcp/cloudflare-bindings.json`,
    recorded: 'nothing unusual',
    ...CLOUDFLARE,
  }),
  worker({
    server: 'Cloudflare (2026-08: iss promised, not sent)',
    recorded: '`iss` is promised and not sent',
    ...SILENT,
    expected: { rejected: 'CALLBACK_ISSUER_MISMATCH', nextAction: 'fixServer' },
  }),
  worker({
    server: 'Cloudflare (2026-08: iss promised, not sent), facts',
    recorded: '`iss` is promised and not sent',
    ...SILENT,
    host: {
      authorizationServers: [
        { server: 'Cloudflare', issuers: ['https://bindings.mcp.cloudflare.com'], iss: 'notRequired' },
      ],
    },
  }),
  worker({
    server: 'Canva',
    source: `${RECORDED}/mcp/canva.json`,
    recorded: 'an allow-list of redirect URIs, with that of this host',
    ...CANVA,
    quirks: { acceptsRedirects: ['https://agents.acme.example/oauth/callback'] },
  }),
  worker({
    server: 'Canva (redirect URI not on its list)',
    source: 'PostHog/code#1496, anomalyco/opencode#45972',
    recorded: 'the registration takes any redirect URI, the page refuses it',
    ...CANVA,
    quirks: { acceptsRedirects: ['https://claude.ai/api/mcp/auth_callback'] },
    expected: { rejected: 'by its page' },
  }),
  worker({
    server: 'Intercom (redirect URI not on its list)',
    source: `${RECORDED}/idp/intercom.as.json; modelcontextprotocol/servers#2444`,
    recorded: 'the registration refuses the redirect URI',
    url: 'https://mcp.intercom.com/mcp',
    quirks: { registersRedirects: ['https://claude.ai/api/mcp/auth_callback'] },
    expected: { rejected: 'REGISTRATION_REJECTED', nextAction: 'configureClient' },
  }),
  worker({
    server: 'PayPal',
    source: `${RECORDED}/mcp/paypal.json`,
    recorded: 'nothing unusual',
    url: 'https://mcp.paypal.com/mcp',
    scopes: ['openid', 'email', 'profile'],
  }),
  worker({
    server: 'Wix',
    source: `${RECORDED}/mcp/wix.json`,
    recorded: 'the resource lists `offline_access` and nothing else; no list of the authorization server',
    url: 'https://mcp.wix.com/mcp',
    scopes: ['offline_access'],
    quirks: { refreshToken: { scope: 'offline_access' } },
  }),
  worker({
    server: 'Webflow',
    source: `${RECORDED}/mcp/webflow.json`,
    recorded: 'no scopes anywhere',
    url: 'https://mcp.webflow.com/mcp',
    prefix: '/oauth',
  }),
  worker({
    server: 'Square',
    source: `${RECORDED}/mcp/square.json`,
    recorded: 'no scopes anywhere; the endpoint is /sse',
    url: 'https://mcp.squareup.com/sse',
  }),
]
