import { createRemoteJWKSet, jwtVerify } from 'jose'
import { createMcpHandler, protectedResourceHandler, withMcpAuth } from 'mcp-handler'
import { runAsProgram } from '../../support/servers/run-as-program.ts'
import { startMockAuthorizationServer } from './mock-authorization-server.mjs'
import { recordRequests } from './record-requests.mjs'
import { openControl, takePort } from './serve.mjs'

await runAsProgram(async () => {
  const [as, here] = await Promise.all([startMockAuthorizationServer(), takePort()])
  const keys = createRemoteJWKSet(new URL(`${as.issuer}/jwks`))
  const verifyToken = async (_request, token) => {
    if (token === undefined) return undefined
    const { payload } = await jwtVerify(token, keys, { issuer: as.issuer })
    return { token, clientId: '', scopes: payload.scope.split(' '), extra: { sub: payload.sub } }
  }
  const handler = createMcpHandler((server) => {
    server.registerTool('whoami', {}, ({ http }) => ({
      content: [{ type: 'text', text: `you are ${http.authInfo.extra.sub}` }],
    }))
  })
  // No required scopes: oauth2-mock-server reads the scope in the token request, and without one grants "dummy".
  const mcp = withMcpAuth(handler, verifyToken, { required: true })
  const metadata = protectedResourceHandler({ authServerUrls: [as.issuer] })
  here.serve((request) => {
    const { pathname } = new URL(request.url)
    if (pathname === '/mcp') return mcp(request)
    if (pathname === '/.well-known/oauth-protected-resource') return metadata(request)
    return new Response('not found', { status: 404 })
  })
  const control = await openControl({
    requests: recordRequests({ 'POST /token': 'token', 'POST /revoke': 'revoke' }),
    ...as,
  })
  return {
    facts: { url: `${here.origin}/mcp`, issuer: as.issuer, ledgerUrl: control.url },
    close: async () => {
      await Promise.all([here.close(), as.close(), control.close()])
    },
  }
})
