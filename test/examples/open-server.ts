/** An MCP server that requires no authorization: responds to every message, and publishes no metadata. */
export const openServer: typeof fetch = async (input, init) => {
  const isMcp = new URL(new Request(input, init).url).pathname === '/mcp'
  return isMcp ? Response.json({ jsonrpc: '2.0', id: 1, result: {} }) : new Response(null, { status: 404 })
}
