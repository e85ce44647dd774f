import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client'
import express from 'express'
import { authorizationErrorOf, mcpTransportOptions } from '../../src/adapters/mcp.ts'
import { toNodeHandler } from '../../src/adapters/node.ts'
import { createAuthOrchestrator } from '../../src/index.ts'

const { MCP_SERVER = 'http://localhost:8080/mcp', PORT = '3000' } = process.env
const auth = createAuthOrchestrator({
  client: { name: 'Acme Agents', redirectUri: `http://localhost:${PORT}/callback` },
  network: { allow: ['localhost', '127.0.0.1'] }, // servers on this machine; leave it out for public ones
})
const connection = auth.connection({ tenant: 'acme', user: 'alice', server: MCP_SERVER })

async function whoami(): Promise<Response> {
  const client = new Client({ name: 'acme-agents', version: '1.0.0' })
  try {
    await client.connect(new StreamableHTTPClientTransport(new URL(MCP_SERVER), mcpTransportOptions(connection)))
    return Response.json(await client.callTool({ name: 'whoami' }))
  } catch (error) {
    const { nextAction, challenge } = authorizationErrorOf(error) ?? {}
    if (nextAction !== 'authorize') throw error
    const result = await connection.authorize({ challenge })
    return result.status === 'redirect' ? auth.redirectResponse(result) : await whoami()
  }
}
const app = express()
app.get('/whoami', toNodeHandler(whoami))
app.all('/callback', toNodeHandler(auth.handleCallback))
app.listen(Number(PORT), () => console.log(`open http://localhost:${PORT}/whoami`))
