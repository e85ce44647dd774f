import { FastMCP, OAuthProvider } from 'fastmcp'
import { decodeJwt } from 'jose'
import { freePort } from '../../support/redis-server.ts'
import { runAsProgram } from '../../support/servers/run-as-program.ts'
import { startMockAuthorizationServer } from './mock-authorization-server.mjs'
import { recordRequests } from './record-requests.mjs'
import { openControl } from './serve.mjs'

await runAsProgram(async () => {
  const [upstream, port] = await Promise.all([startMockAuthorizationServer(), freePort()])
  const origin = `http://127.0.0.1:${port}`
  const auth = new OAuthProvider({
    allowedRedirectUriPatterns: ['http://127.0.0.1:*'],
    authorizationEndpoint: `${upstream.issuer}/authorize`,
    baseUrl: origin,
    clientId: 'fastmcp',
    clientSecret: 'fastmcp',
    scopes: ['mcp:tools'],
    tokenEndpoint: `${upstream.issuer}/token`,
  })
  const server = new FastMCP({ name: 'fastmcp', version: '1.0.0', auth })
  server.addTool({
    name: 'whoami',
    description: 'Says whose token it was called with.',
    execute: async (_input, { session }) => `you are ${decodeJwt(session.accessToken).sub}`,
  })
  await server.start({
    transportType: 'httpStream',
    httpStream: { host: '127.0.0.1', port, endpoint: '/mcp', stateless: true },
  })
  const control = await openControl({
    requests: recordRequests({ 'POST /oauth/register': 'register', 'POST /oauth/token': 'token' }),
    ...upstream,
  })
  return {
    facts: { url: `${origin}/mcp`, issuer: origin, ledgerUrl: control.url },
    close: async () => {
      auth.getProxy().destroy()
      await Promise.all([server.stop(), upstream.close(), control.close()])
    },
  }
})
