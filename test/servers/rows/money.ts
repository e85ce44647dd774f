import type { Row } from '../row.ts'
import { given, ISS, metadata, OFFLINE, RECORDED, recordedServer, RESOURCE, SECRETS } from './shapes.ts'

const STRIPE = 'https://access.stripe.com/mcp'
const STRIPE_DOCUMENT = metadata(
  STRIPE,
  {
    authorize: `${STRIPE}/oauth2/authorize`,
    token: `${STRIPE}/oauth2/token`,
    register: `${STRIPE}/oauth2/register`,
    revoke: `${STRIPE}/oauth2/revoke`,
  },
  { scopes_supported: ['mcp'], token_endpoint_auth_methods_supported: ['none'] },
)

export const MONEY: readonly Row[] = [
  recordedServer({
    server: 'Stripe',
    source: `${RECORDED}/mcp/stripe-mcp.json; unquoted in 2026-09`,
    recorded: 'resource_metadata without quotes; the resource without a slash; an issuer with a path',
    url: 'https://mcp.stripe.com',
    mcp: { challenge: `Bearer resource_metadata=https://mcp.stripe.com${RESOURCE}` },
    issuer: STRIPE,
    document: STRIPE_DOCUMENT,
  }),
  recordedServer({
    server: 'Xero',
    recorded:
      'the challenge names nothing; the resource names the issuer with a slash; `offline_access` in its list only',
    source: `${RECORDED}/mcp/xero-mcp.json`,
    url: 'https://mcp.xero.com/mcp',
    mcp: { challenge: 'Bearer realm="https://mcp.xero.com/mcp"' },
    issuer: 'https://identity.xero.com/',
    scopes: ['openid', 'profile', 'email', 'offline_access', 'accounting.settings', 'accounting.invoices.read'],
    document: metadata(
      'https://identity.xero.com',
      {
        authorize: 'https://login.xero.com/identity/connect/authorize',
        token: '/connect/token',
        revoke: '/connect/revocation',
      },
      {
        grant_types_supported: ['authorization_code', 'client_credentials', 'refresh_token'],
        response_types_supported: ['code', 'token', 'id_token', 'code id_token'],
        token_endpoint_auth_methods_supported: SECRETS,
      },
    ),
    quirks: { ...OFFLINE, expiresIn: 1800 },
    host: { clients: given('https://identity.xero.com') },
  }),
  recordedServer({
    server: 'Plaid Dashboard',
    recorded: 'a 401 without `WWW-Authenticate`; no protected resource metadata; no list of grants',
    source: `${RECORDED}/mcp/plaid-dashboard.json`,
    url: 'https://api.dashboard.plaid.com/mcp/sse',
    place: null,
    issuer: 'https://api.dashboard.plaid.com',
    document: metadata(
      'https://api.dashboard.plaid.com',
      {
        authorize: 'https://dashboard.plaid.com/oauth/authorize',
        token: '/oauth/token',
        register: '/oauth/register',
      },
      {
        ...ISS,
        grant_types_supported: undefined,
        scopes_supported: ['mcp:dashboard'],
        token_endpoint_auth_methods_supported: ['none'],
      },
    ),
  }),
  recordedServer({
    server: 'Mercado Pago',
    recorded: 'a 401 without `WWW-Authenticate`; the issuer is the URL of the endpoint',
    source: `${RECORDED}/mcp/mercadopago.json`,
    url: 'https://mcp.mercadopago.com/mcp',
    mcp: { challenge: null },
    issuer: 'https://mcp.mercadopago.com/mcp',
    scopes: ['offline_access', 'write', 'read'],
    document: metadata(
      'https://mcp.mercadopago.com/mcp',
      {
        authorize: 'https://auth.mercadopago.com/mcp/authorization',
        token: '/oauth/token',
        register: '/oauth/register/mcp',
      },
      { scopes_supported: ['offline_access', 'write', 'read'], token_endpoint_auth_methods_supported: ['none'] },
    ),
    quirks: OFFLINE,
  }),
]
