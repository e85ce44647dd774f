import { createServer } from 'node:http'
import { createAuthOrchestrator } from '../../src/index.ts'
import { toNodeHandler } from '../../src/adapters/node.ts'
import { createStatelyInspector } from '../../src/adapters/stately/index.ts'

const { MCP_SERVER = 'http://localhost:8080/mcp', PORT = '3000', INSPECTOR_PORT = '8090' } = process.env
const stately = await createStatelyInspector({ port: Number(INSPECTOR_PORT) })
const auth = createAuthOrchestrator({
  client: { name: 'Acme Agents', redirectUri: `http://localhost:${PORT}/callback` },
  network: { allow: ['localhost', '127.0.0.1'] },
  inspect: stately.inspect,
})
const connection = auth.connection({ tenant: 'acme', user: 'alice', server: MCP_SERVER })

async function start(): Promise<Response> {
  const result = await connection.authorize()
  return result.status === 'redirect' ? auth.redirectResponse(result) : new Response('already signed in\n')
}

const routes = new Map([
  ['/start', toNodeHandler(start)],
  ['/callback', toNodeHandler(auth.handleCallback)],
])
const server = createServer((request, response) => {
  const route = routes.get(new URL(request.url ?? '/', 'http://localhost').pathname)
  if (route === undefined) response.writeHead(404).end()
  else route(request, response)
}).listen(Number(PORT), () => console.log(`open ${stately.url} and then http://localhost:${PORT}/start`))

process.once('SIGTERM', () => {
  server.close()
  void auth.close().then(() => stately.close())
})
