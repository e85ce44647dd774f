import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client'
import express from 'express'
import { authorizationErrorOf, mcpTransportOptions } from '../../src/adapters/mcp.ts'
import { toNodeHandler } from '../../src/adapters/node.ts'
import { createAuthOrchestrator } from '../../src/index.ts'

const { MCP_SERVERS = 'http://localhost:8080/mcp', CLIENTS = '[]', SERVER_FACTS = '[]', PORT = '3000' } = process.env
const auth = createAuthOrchestrator({
  client: { name: 'Acme Agents', redirectUri: `http://localhost:${PORT}/callback` },
  clients: JSON.parse(CLIENTS), // [{ "issuer": "https://…", "clientId": "…", "clientSecret": "…" }]
  authorizationServers: JSON.parse(SERVER_FACTS), // deviations from the standards: docs/servers.md
  network: { allow: ['localhost', '127.0.0.1'] }, // servers on this machine; leave it out for public ones
})
for (const event of ['failed', 'callbackRejected'] as const) auth.on(event, console.error)
const tools = (server: string) => async (): Promise<Response> => {
  const connection = auth.connection({ tenant: 'acme', user: 'alice', server })
  const transport = new StreamableHTTPClientTransport(new URL(server), mcpTransportOptions(connection))
  const client = new Client({ name: 'acme-agents', version: '1.0.0' })
  try {
    return Response.json(await client.connect(transport).then(() => client.listTools()))
  } catch (error) {
    if (authorizationErrorOf(error)?.nextAction !== 'authorize') throw error
    const result = await connection.authorize()
    return result.status === 'redirect' ? auth.redirectResponse(result) : await tools(server)()
  } finally {
    await Promise.allSettled([transport.terminateSession()]).then(() => client.close()) // the session and its stream
  }
}
const app = express().all('/callback', toNodeHandler(auth.handleCallback))
for (const [index, url] of MCP_SERVERS.split(' ').entries()) app.get(`/tools/${index}`, toNodeHandler(tools(url)))
app.listen(Number(PORT), () => console.log(`open http://localhost:${PORT}/tools/0`))
