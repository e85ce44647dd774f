import type { Quirks, Row } from '../row.ts'
import { challenge, given, metadata, OPENID, RECORDED, RESOURCE, resourceMetadata } from './shapes.ts'

const LOGIN = 'https://login.microsoftonline.com'
const TENANT = '8a2b9d3e-1c4f-4b6a-9d0e-5f7a3c2b1e0d'
const REPORTS = 'typescript-sdk#832, claude-ai-mcp#786, csharp-sdk#730, vercel/ai#18674'
const VERSION_2: Quirks = {
  resource: 'rejectedUnlessScoped',
  refreshToken: { scope: 'offline_access' },
  refreshScope: 'required',
  rejectsParameters: { prompt: 'consent' },
}
const SCOPES = ['openid', 'profile', 'email', 'offline_access']

interface Entra {
  readonly url: string
  readonly named: string
  readonly issuer: string
  /** The folder of its endpoints. */
  readonly base: string
  readonly scopes: readonly string[]
  readonly isPkceListed?: true
  /** The endpoints before version 2: they take `resource`, and know no `offline_access`. */
  readonly version1?: true
}

/** Microsoft Entra ID: no list of PKCE methods, no `resource` beside foreign scopes, no refresh without a scope. */
export function entra({
  url,
  named,
  issuer,
  base,
  scopes,
  version1,
  isPkceListed,
}: Entra): Pick<Row, 'mcp' | 'documents' | 'authorizationServer' | 'host'> {
  const { origin, pathname } = new URL(url)
  const place = origin + RESOURCE + pathname
  const document = metadata(
    issuer,
    { authorize: `${base}/authorize`, token: `${base}/token` },
    {
      response_types_supported: ['code', 'id_token', 'code id_token', 'id_token token'],
      token_endpoint_auth_methods_supported: ['client_secret_post', 'private_key_jwt', 'client_secret_basic'],
      scopes_supported: version1 ? ['openid'] : SCOPES,
      grant_types_supported: undefined,
      code_challenge_methods_supported: isPkceListed ? ['S256'] : undefined,
    },
  )
  return {
    mcp: { url, challenge: challenge(place) },
    documents: { [place]: resourceMetadata(url, named, scopes), [named + OPENID]: document },
    authorizationServer: {
      document,
      quirks: version1 ? { expiresIn: '3599' } : VERSION_2,
    },
    host: { clients: given(named) },
  }
}

const SINGLE = {
  url: 'https://mcp.contoso.example/mcp',
  named: `${LOGIN}/${TENANT}/v2.0`,
  issuer: `${LOGIN}/${TENANT}/v2.0`,
  base: `${LOGIN}/${TENANT}/oauth2/v2.0`,
  scopes: ['api://contoso-mcp/access_as_user'],
}
const SINGLE_TENANT = {
  source: `${RECORDED}/idp/outlook.oidc.json; ${REPORTS}`,
  recorded: 'no list of PKCE methods; `resource` is refused; no registration',
}
const V1_ISSUER = {
  source: 'typescript-sdk#832, librechat.ai#420, MicrosoftDocs/azure-docs#38427',
  recorded: 'the metadata of version 1 name sts.windows.net; `expires_in` is a string',
  ...entra({
    url: 'https://mcp.fabrikam.example/mcp',
    named: `${LOGIN}/${TENANT}`,
    issuer: `https://sts.windows.net/${TENANT}/`,
    base: `${LOGIN}/${TENANT}/oauth2`,
    scopes: ['api://fabrikam-mcp/access_as_user'],
    version1: true,
  }),
}
const resource = null
const asked = (scope: string) => ({ scope: `${scope} offline_access`, resource })

export const MICROSOFT: readonly Row[] = [
  {
    server: 'Entra single tenant',
    ...SINGLE_TENANT,
    ...entra(SINGLE),
    expected: { connects: 'with refresh', ...asked('api://contoso-mcp/access_as_user') },
  },
  {
    server: 'Entra single tenant, were PKCE listed',
    ...SINGLE_TENANT,
    ...entra({ ...SINGLE, isPkceListed: true }),
    expected: { connects: 'with refresh', ...asked('api://contoso-mcp/access_as_user') },
  },
  {
    server: 'Azure DevOps MCP (Entra organizations)',
    source: `${RECORDED}/idp/outlook.oidc.json; azure-devops-mcp#1601, #1511, vscode#321249`,
    recorded: 'the issuer of the metadata is a template; the scope names another resource',
    ...entra({
      url: 'https://mcp.dev.azure.com/contoso',
      named: `${LOGIN}/organizations/v2.0`,
      issuer: `${LOGIN}/{tenantid}/v2.0`,
      base: `${LOGIN}/organizations/oauth2/v2.0`,
      scopes: ['499b84ac-1321-427f-aa17-267ca6975798/.default'],
    }),
    expected: { connects: 'with refresh', ...asked('499b84ac-1321-427f-aa17-267ca6975798/.default') },
  },
  {
    server: 'Entra, the server names the issuer of version 1',
    ...V1_ISSUER,
    expected: { rejected: 'SERVER_ISSUER_MISMATCH', nextAction: 'fixServer', advice: /alsoAnnounces/ },
  },
  {
    server: 'Entra, the server names the issuer of version 1, facts',
    ...V1_ISSUER,
    host: {
      ...V1_ISSUER.host,
      authorizationServers: [
        {
          server: 'Entra of Fabrikam',
          issuers: [`${LOGIN}/${TENANT}`],
          discovery: { alsoAnnounces: [`https://sts.windows.net/${TENANT}/`], pkce: 'unlisted' },
        },
      ],
    },
    expected: { connects: 'with refresh' },
  },
]
