import type { Row } from '../row.ts'
import { ISS, metadata, OFFLINE, RECORDED, recordedServer, RESOURCE } from './shapes.ts'

export const SEARCH: readonly Row[] = [
  recordedServer({
    server: 'Tavily',
    recorded: 'the URL ends with a slash, the resource does not; the scope of the challenge',
    source: `${RECORDED}/mcp/tavily.json`,
    url: 'https://mcp.tavily.com/mcp/',
    place: `https://mcp.tavily.com${RESOURCE}/mcp`,
    resource: 'https://mcp.tavily.com/mcp',
    issuer: 'https://mcp.tavily.com/',
    scopes: ['openid', 'offline_access'],
    challengedScope: 'openid offline_access',
    document: metadata(
      'https://mcp.tavily.com/',
      { authorize: '/authorize', token: '/token', register: '/register', revoke: '/revoke' },
      {
        ...ISS,
        scopes_supported: ['openid', 'offline_access'],
        token_endpoint_auth_methods_supported: ['none', 'private_key_jwt'],
        client_id_metadata_document_supported: true,
      },
    ),
    quirks: OFFLINE,
  }),
  recordedServer({
    server: 'Perplexity',
    recorded: '`offline_access` in the list of the authorization server only',
    source: `${RECORDED}/mcp/perplexity.json`,
    url: 'https://api.perplexity.ai/mcp',
    place: `https://api.perplexity.ai${RESOURCE}`,
    resource: 'https://api.perplexity.ai',
    issuer: 'https://api.perplexity.ai',
    scopes: ['perplexity_api'],
    document: metadata(
      'https://api.perplexity.ai',
      { authorize: '/oauth/authorize', token: '/oauth/token', register: '/oauth/register', revoke: '/oauth/revoke' },
      {
        scopes_supported: ['perplexity_api', 'offline_access'],
        token_endpoint_auth_methods_supported: ['none', 'client_secret_basic'],
        client_id_metadata_document_supported: true,
      },
    ),
    quirks: OFFLINE,
  }),
  recordedServer({
    server: 'Exa',
    source: `${RECORDED}/mcp/exa.json`,
    recorded:
      '`initialize` is answered 200 without a token, and metadata are published: that all methods are is assumed',
    url: 'https://mcp.exa.ai/mcp',
    mcp: { open: ['initialize', 'notifications/initialized', 'ping', 'tools/list', 'tools/call'] },
    issuer: 'https://auth.exa.ai',
    scopes: ['mcp:tools'],
    document: metadata(
      'https://auth.exa.ai',
      {
        authorize: '/oauth/authorize',
        token: '/api/oauth/token',
        register: '/api/oauth/register',
        revoke: '/api/oauth/revoke',
      },
      {
        scopes_supported: ['mcp:tools'],
        token_endpoint_auth_methods_supported: ['none'],
        client_id_metadata_document_supported: true,
      },
    ),
  }),
]
