import { createMCPClient } from '@ai-sdk/mcp'
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client'
import { Client as Sdk1Client } from '@modelcontextprotocol/sdk/client/index.js'
import { StreamableHTTPClientTransport as Sdk1Transport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import { aiSdkTransport, mcpTransportOptions } from '../../src/adapters/mcp.ts'
import type { Connection } from '../../src/index.ts'

/** Clients of the MCP SDKs, each with the one line that adds authorization. */

export async function sdk2(connection: Connection, server: string): Promise<Client> {
  const client = new Client({ name: 'acme-agents', version: '1.0.0' })
  // #region sdk
  await client.connect(new StreamableHTTPClientTransport(new URL(server), mcpTransportOptions(connection)))
  // #endregion
  return client
}

/** The same for a client that negotiates the protocol revision first. */
export async function sdk2Negotiating(connection: Connection, server: string): Promise<Client> {
  const client = new Client({ name: 'acme-agents', version: '1.0.0' }, { versionNegotiation: { mode: 'auto' } })
  await client.connect(new StreamableHTTPClientTransport(new URL(server), mcpTransportOptions(connection)))
  return client
}

export async function sdk1(connection: Connection, server: string): Promise<Sdk1Client> {
  const client = new Sdk1Client({ name: 'acme-agents', version: '1.0.0' })
  await client.connect(new Sdk1Transport(new URL(server), mcpTransportOptions(connection)))
  return client
}

export async function aiSdk(connection: Connection): Promise<Awaited<ReturnType<typeof createMCPClient>>> {
  // #region ai-sdk
  return await createMCPClient({ transport: aiSdkTransport(connection) })
  // #endregion
}
