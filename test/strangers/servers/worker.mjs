import { getOAuthApi, OAuthProvider } from '@cloudflare/workers-oauth-provider'
import { createMcpHandler, McpServer } from '@modelcontextprotocol/server'
import { WorkerEntrypoint } from 'cloudflare:workers'

const USER = 'alice'

const mcp = createMcpHandler(({ authInfo }) => {
  const server = new McpServer({ name: 'workers-oauth-provider', version: '1.0.0' })
  server.registerTool('whoami', {}, () => ({
    content: [{ type: 'text', text: `you are ${authInfo.extra.userId}` }],
  }))
  return server
})

class Mcp extends WorkerEntrypoint {
  fetch(request) {
    const { props, auth } = this.ctx
    const authInfo = { token: '', clientId: auth.clientId, scopes: auth.scope, extra: props }
    return mcp.fetch(request, { authInfo })
  }
}

const html = (body, headers) => {
  headers.set('content-type', 'text/html')
  return new Response(`<!doctype html><title>Authorize</title>${body}`, { headers })
}

/** The page of the provider's guide, for a user who is signed in. */
async function authorize(request, oauth) {
  if (request.method === 'GET') {
    const { handle, headers } = await oauth.beginConsent(await oauth.parseAuthRequest(request))
    return html(
      `<form method="post"><input type="hidden" name="handle" value="${handle}">
<button name="decision" value="approve">Allow</button><button name="decision" value="deny">Deny</button></form>`,
      headers,
    )
  }
  const form = await request.formData()
  const handle = String(form.get('handle'))
  if (form.get('decision') !== 'approve')
    return new Response(null, { status: 302, headers: (await oauth.denyConsent(request, handle)).headers })
  const approved = await oauth.approveConsent(request, handle)
  const { redirectTo } = await oauth.completeAuthorization({
    request: approved.request,
    userId: USER,
    metadata: {},
    scope: approved.request.scope,
    props: { userId: USER },
  })
  approved.headers.set('location', redirectTo)
  return new Response(null, { status: 302, headers: approved.headers })
}

const optionsFor = (origin) => ({
  apiRoute: '/mcp',
  apiHandler: Mcp,
  defaultHandler: { fetch: (request, env) => authorize(request, env.OAUTH_PROVIDER) },
  authorizeEndpoint: '/authorize',
  tokenEndpoint: '/oauth/token',
  clientRegistrationEndpoint: '/oauth/register',
  scopesSupported: ['mcp:tools', 'offline_access'],
  requiredScopes: ['mcp:tools'],
  resourceMetadata: { resource: `${origin}/mcp`, authorization_servers: [origin] },
  onError: () => {},
})

let options
let provider
const requests = []

/** Tokens are issued and revoked at one endpoint. */
async function nameOf(pathname, request) {
  if (pathname === '/oauth/register') return 'register'
  if (pathname !== '/oauth/token') return undefined
  return (await request.formData()).has('grant_type') ? 'token' : 'revoke'
}

/** What only the process that started this one can ask. */
async function control(pathname, env) {
  if (options === undefined) return Response.json({ requests, grants: 0 })
  const oauth = getOAuthApi(options, env)
  const { items } = await oauth.listUserGrants(USER)
  if (pathname === '/withdraw') for (const { id } of items) await oauth.revokeGrant(id, USER)
  return Response.json({ requests, grants: items.length })
}

export default {
  async fetch(request, env, ctx) {
    const { hostname, origin, pathname } = new URL(request.url)
    if (hostname === 'control') return control(pathname, env)
    // The port is free until it is taken: the first request says which one it is.
    options ??= optionsFor(origin)
    provider ??= new OAuthProvider(options)
    const copy = request.clone()
    const response = await provider.fetch(request, env, ctx)
    const name = request.method === 'POST' ? await nameOf(pathname, copy) : undefined
    if (name !== undefined) requests.push(`${name} ${response.status}`)
    return response
  },
}
