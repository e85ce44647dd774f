import type { McpEndpoint } from '../row.ts'
import type { Answer, Received } from './network.ts'

interface Message {
  readonly id?: number | string
  readonly method?: string
  readonly params?: { readonly protocolVersion?: string }
}

/** Answers at an MCP endpoint: JSON-RPC with a valid token, its challenge without. */
export function answerAsMcpServer(
  { challenge, withoutToken, open = [], tool = 'whoami' }: McpEndpoint,
  { method, headers, body }: Received,
  accepts: (token: string) => boolean,
): Answer {
  const token = /^Bearer (.+)$/.exec(headers['authorization'] ?? '')?.[1]
  const message = method === 'POST' ? parse(body) : {}
  const isOpen = message.method !== undefined && open.includes(message.method)
  if (!isOpen && (token === undefined || !accepts(token))) {
    const error = { jsonrpc: '2.0', error: { code: -32_001, message: 'unauthorized' }, id: null }
    const header = challenge === null ? {} : { 'www-authenticate': challenge }
    return withoutToken ?? { status: 401, headers: header, body: error }
  }
  if (method !== 'POST') return { status: 405, headers: { allow: 'POST' } }
  if (message.id === undefined) return { status: 202 }
  return { body: { jsonrpc: '2.0', id: message.id, ...reply(message, tool) } }
}

function parse(body: string): Message {
  const message: Message = JSON.parse(body === '' ? '{}' : body)
  return message
}

function reply({ method, params }: Message, tool: string): object {
  switch (method) {
    case 'initialize': {
      const protocolVersion = params?.protocolVersion ?? '2025-11-25'
      return {
        result: { protocolVersion, capabilities: { tools: {} }, serverInfo: { name: 'recorded', version: '1.0.0' } },
      }
    }
    case 'ping':
      return { result: {} }
    case 'tools/list':
      return { result: { tools: [{ name: tool, inputSchema: { type: 'object' } }] } }
    case 'tools/call':
      return { result: { content: [{ type: 'text', text: 'alice' }] } }
    default:
      return { error: { code: -32_601, message: 'method not found' } }
  }
}
