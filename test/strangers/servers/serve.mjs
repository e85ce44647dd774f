import { createServer } from 'node:http'
import { getRequestListener } from '@hono/node-server'
import { createMcpHandler, McpServer } from '@modelcontextprotocol/server'
import { listen, listenForControl } from '../../support/servers/control.ts'

/** Takes a free loopback port, so that a server can be built for its address before it serves anything. */
export async function takePort() {
  const server = createServer()
  const { url, close } = await listen(server)
  return {
    origin: url,
    close,
    serve: (handle) => {
      const listener = getRequestListener(handle)
      server.on('request', (request, response) => void listener(request, response))
    },
  }
}

/** The official SDK's MCP server with the tool `whoami`, as a Web handler. */
export const whoamiHandler = (name, userOf) =>
  createMcpHandler(({ authInfo }) => {
    const server = new McpServer({ name, version: '1.0.0' })
    server.registerTool('whoami', {}, () => ({ content: [{ type: 'text', text: `you are ${userOf(authInfo)}` }] }))
    return server
  })

/** The port through which a test asks for the ledger, and takes back all that the user has allowed. */
export const openControl = ({ requests, grants, withdraw }) =>
  listenForControl({
    'GET /ledger': async () => ({ requests, grants: await grants() }),
    'POST /withdraw': withdraw,
  })
