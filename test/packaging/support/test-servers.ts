import { TestAuthorizationServer, TestMcpServer } from '../../../src/testing/index.ts'

/** What the script of `fixtures/main.mjs` prints where everything works. */
export const SIGNED_IN = {
  before: 'disconnected',
  callback: 'authorized',
  answer: { jsonrpc: '2.0', id: 1, result: { content: [{ type: 'text', text: 'you are user-1' }] } },
  after: 'authorized',
  forbidden: 'ADDRESS_FORBIDDEN',
}

/** Does something with the URL of an MCP server of the testing kit, on a port of this machine. */
export async function withMcpServer<Result>(work: (url: string) => Promise<Result>): Promise<Result> {
  const as = await new TestAuthorizationServer().listen()
  const mcp = await new TestMcpServer({ authorizationServers: [as] }).listen()
  try {
    return await work(mcp.url)
  } finally {
    await mcp.close()
    await as.close()
  }
}
