import { createMcpServer, type McpServerOptions } from './create-mcp-server.ts'
import { runAsProgram } from './run-as-program.ts'

await runAsProgram(async (options: McpServerOptions) => {
  const { url, ledgerUrl, close } = await createMcpServer(options)
  return { facts: { url, ledgerUrl }, close }
})
