import { randomUUID } from 'node:crypto'
import { StreamableHTTPTransport, bearerAuth, mcpAuthRouter } from '@hono/mcp'
import { InvalidGrantError } from '@modelcontextprotocol/sdk/server/auth/errors.js'
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js'
import { Hono } from 'hono'
import { runAsProgram } from '../../support/servers/run-as-program.ts'
import { recordRequests } from './record-requests.mjs'
import { openControl, takePort } from './serve.mjs'

/** What the router leaves to its host: alice says yes without a page, tokens are opaque, refresh tokens rotate. */
function createProvider() {
  const clients = new Map()
  const codes = new Map()
  const refreshTokens = new Map()
  const accessTokens = new Map()
  const issue = (grant) => {
    const [accessToken, refreshToken] = [randomUUID(), randomUUID()]
    accessTokens.set(accessToken, grant)
    refreshTokens.set(refreshToken, grant)
    const scope = grant.scopes.join(' ')
    return { access_token: accessToken, token_type: 'bearer', expires_in: 3600, scope, refresh_token: refreshToken }
  }
  const take = (from, key, { client_id }) => {
    const grant = from.get(key)
    if (grant?.clientId !== client_id) throw new InvalidGrantError('not issued here')
    from.delete(key)
    return grant
  }
  return {
    accessTokens,
    refreshTokens,
    clientsStore: {
      getClient: (id) => clients.get(id),
      registerClient: (client) => {
        clients.set(client.client_id, client)
        return client
      },
    },
    authorize: async (client, { state, scopes, redirectUri, codeChallenge }, context) => {
      const code = randomUUID()
      codes.set(code, { clientId: client.client_id, scopes, codeChallenge, user: 'alice' })
      context.res = context.redirect(`${redirectUri}?${new URLSearchParams({ code, state })}`)
    },
    challengeForAuthorizationCode: async (_client, code) => codes.get(code).codeChallenge,
    exchangeAuthorizationCode: async (client, code) => issue(take(codes, code, client)),
    exchangeRefreshToken: async (client, token) => issue(take(refreshTokens, token, client)),
    revokeToken: async (_client, { token }) => void refreshTokens.delete(token),
  }
}

await runAsProgram(async () => {
  const here = await takePort()
  const url = `${here.origin}/mcp`
  const provider = createProvider()
  const unlimited = { rateLimit: false }
  const app = new Hono()
  app.route(
    '/',
    mcpAuthRouter({
      provider,
      issuerUrl: here.origin,
      resourceServerUrl: new URL(url),
      scopesSupported: ['mcp:tools'],
      authorizationOptions: unlimited,
      clientRegistrationOptions: unlimited,
      tokenOptions: unlimited,
      revocationOptions: unlimited,
    }),
  )
  const verifyToken = (token, context) => {
    const grant = provider.accessTokens.get(token)
    context.set('user', grant?.user)
    return grant !== undefined
  }
  app.all('/mcp', bearerAuth({ verifyToken }), async (context) => {
    const server = new McpServer({ name: 'hono-mcp', version: '1.0.0' })
    server.registerTool('whoami', {}, () => ({ content: [{ type: 'text', text: `you are ${context.get('user')}` }] }))
    const transport = new StreamableHTTPTransport()
    await server.connect(transport)
    return transport.handleRequest(context)
  })
  here.serve(app.fetch)
  const control = await openControl({
    requests: recordRequests({ 'POST /register': 'register', 'POST /token': 'token', 'POST /revoke': 'revoke' }),
    grants: () => provider.refreshTokens.size,
    withdraw: () => {
      provider.refreshTokens.clear()
      provider.accessTokens.clear()
    },
  })
  return {
    facts: { url, issuer: here.origin, ledgerUrl: control.url },
    close: async () => {
      await Promise.all([here.close(), control.close()])
    },
  }
})
