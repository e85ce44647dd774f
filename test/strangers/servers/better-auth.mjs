import { randomBytes } from 'node:crypto'
import { DatabaseSync } from 'node:sqlite'
import { createMcpProtectedRequestHandler, mcp, requireMcpAuth } from '@better-auth/mcp'
import { oauthProvider } from '@better-auth/oauth-provider'
import { betterAuth } from 'better-auth'
import { getMigrations } from 'better-auth/db/migration'
import { jwt } from 'better-auth/plugins'
import { runAsProgram } from '../../support/servers/run-as-program.ts'
import { recordRequests } from './record-requests.mjs'
import { openControl, takePort, whoamiHandler } from './serve.mjs'

const ALICE = { name: 'alice', email: 'alice@example.com', password: randomBytes(12).toString('hex') }
const BASE_PATH = '/api/auth'

const page = (body) =>
  new Response(`<!doctype html><title>better-auth</title><form method="post">${body}</form>`, {
    headers: { 'content-type': 'text/html' },
  })

/** The host's own pages, which hand what the user says to the API, as its client in a browser does. */
function pages(auth, origin) {
  const ask = async (request, path, body) => {
    const response = await auth.handler(
      new Request(`${origin}${BASE_PATH}${path}`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', origin, cookie: request.headers.get('cookie') ?? '' },
        body: JSON.stringify({ ...body, oauth_query: new URL(request.url).search.slice(1) }),
      }),
    )
    const { url } = await response.json()
    const headers = new Headers({ location: url })
    for (const cookie of response.headers.getSetCookie()) headers.append('set-cookie', cookie)
    return new Response(null, { status: 302, headers })
  }
  return {
    'GET /login': () => page('<input name="login"><input name="password"><button>Sign in</button>'),
    'POST /login': (request) => ask(request, '/sign-in/email', { email: ALICE.email, password: ALICE.password }),
    'GET /consent': () =>
      page('<button name="decision" value="approve">Yes</button><button name="decision" value="deny">No</button>'),
    'POST /consent': async (request) =>
      ask(request, '/oauth2/consent', { accept: (await request.formData()).get('decision') === 'approve' }),
  }
}

/** `mcp`: one application is both servers. `oauth-provider`: the MCP server is elsewhere, and only knows the keys. */
await runAsProgram(async ({ plugin }) => {
  const here = await takePort()
  const elsewhere = plugin === 'mcp' ? here : await takePort()
  const url = `${elsewhere.origin}/mcp`
  const issuer = `${here.origin}${BASE_PATH}`
  const provider = {
    loginPage: '/login',
    consentPage: '/consent',
    scopes: ['mcp:tools', 'offline_access'],
    allowDynamicClientRegistration: true,
    allowUnauthenticatedClientRegistration: true,
  }
  const options = {
    baseURL: here.origin,
    secret: randomBytes(32).toString('hex'),
    database: new DatabaseSync(':memory:'),
    emailAndPassword: { enabled: true },
    logger: { level: 'error' },
    rateLimit: { enabled: false },
    telemetry: { enabled: false },
    plugins: [
      jwt(),
      plugin === 'mcp'
        ? mcp({ ...provider, resource: url })
        : oauthProvider({ ...provider, resources: [url], clientRegistrationDefaultResources: [url] }),
    ],
  }
  await (await getMigrations(options)).runMigrations()
  const auth = betterAuth(options)
  await auth.api.signUpEmail({ body: ALICE })

  const whoami = whoamiHandler('better-auth', ({ extra }) => extra.name)
  const { adapter } = await auth.$context
  const answer = async (request, claims) => {
    const user = await adapter.findOne({ model: 'user', where: [{ field: 'id', value: claims.sub }] })
    return whoami.fetch(request, { authInfo: { token: '', clientId: claims.azp ?? '', scopes: [], extra: user } })
  }
  const protect =
    plugin === 'mcp'
      ? requireMcpAuth(auth, answer, { resource: url, requiredScopes: ['mcp:tools'] })
      : createMcpProtectedRequestHandler(
          { issuer, audience: url, jwksUrl: `${issuer}/jwks`, requiredScopes: ['mcp:tools'] },
          answer,
        )
  const routes = pages(auth, here.origin)
  const handle = (request) => {
    const { pathname } = new URL(request.url)
    if (pathname === '/mcp') return protect(request)
    // Node's fetch says "cors", whoever sends a browser somewhere says "navigate".
    if (request.headers.get('accept') === 'text/html') request.headers.set('sec-fetch-mode', 'navigate')
    return (routes[`${request.method} ${pathname}`] ?? auth.handler)(request)
  }
  here.serve(handle)
  if (elsewhere !== here)
    elsewhere.serve((request) =>
      new URL(request.url).pathname === '/mcp'
        ? protect(request)
        : Response.json({ resource: url, authorization_servers: [issuer], scopes_supported: ['mcp:tools'] }),
    )

  const live = [{ field: 'revoked', value: null }]
  const control = await openControl({
    requests: recordRequests({
      [`POST ${BASE_PATH}/oauth2/register`]: 'register',
      [`POST ${BASE_PATH}/oauth2/token`]: 'token',
      [`POST ${BASE_PATH}/oauth2/revoke`]: 'revoke',
    }),
    grants: () => adapter.count({ model: 'oauthRefreshToken', where: live }),
    withdraw: () => adapter.deleteMany({ model: 'oauthRefreshToken', where: [] }),
  })
  return {
    facts: { url, issuer, ledgerUrl: control.url },
    close: async () => {
      await Promise.all([whoami.close(), here.close(), elsewhere.close(), control.close()])
    },
  }
})
