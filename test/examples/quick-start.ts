import { createServer } from 'node:http'
import { createAuthOrchestrator } from '../../src/index.ts'
import { toNodeHandler } from '../../src/adapters/node.ts'

const { MCP_SERVER = 'http://localhost:8080/mcp', PORT = '3000' } = process.env
const auth = createAuthOrchestrator({
  client: { name: 'Acme Agents', redirectUri: `http://localhost:${PORT}/callback` },
  network: { allow: ['localhost', '127.0.0.1'] }, // servers on this machine; leave it out for public ones
})
for (const event of ['failed', 'callbackRejected'] as const) auth.on(event, console.error) // never with a secret
const connection = auth.connection({ tenant: 'acme', user: 'alice', server: MCP_SERVER })

async function start(): Promise<Response> {
  const result = await connection.authorize()
  return result.status === 'redirect' ? auth.redirectResponse(result) : new Response('already signed in\n')
}
async function tools(): Promise<Response> {
  const message = { jsonrpc: '2.0', id: 1, method: 'tools/list', params: {} }
  const headers = { 'content-type': 'application/json', accept: 'application/json, text/event-stream' }
  return await connection.fetch(MCP_SERVER, { method: 'POST', headers, body: JSON.stringify(message) })
}

const onError = (error: unknown): void => console.error(error) // what was answered with a 500
const routes = new Map([
  ['/start', toNodeHandler(start, { onError })],
  ['/callback', toNodeHandler(auth.handleCallback, { onError })],
  ['/tools', toNodeHandler(tools, { onError })],
])
createServer((request, response) => {
  const route = routes.get(new URL(request.url ?? '/', 'http://localhost').pathname)
  if (route === undefined) response.writeHead(404).end()
  else route(request, response)
}).listen(Number(PORT), () => console.log(`open http://localhost:${PORT}/start and then /tools`))
