import type {
  AuthOrchestrator,
  AuthOrchestratorOptions,
  AuthorizationServerFacts,
  Connection,
} from '../../../src/index.ts'
import { redirectOf, type World } from '../../unit/connection/world.ts'

export const PRM = '/.well-known/oauth-protected-resource/mcp'
export const ROOT_PRM = '/.well-known/oauth-protected-resource'
export const METADATA = '/.well-known/oauth-authorization-server'

/** The option with which a host says what it has checked of the world's authorization server. */
export function facts(
  { issuer }: World,
  effects: Omit<AuthorizationServerFacts, 'server' | 'issuers'>,
): Partial<AuthOrchestratorOptions> {
  return { authorizationServers: [{ server: 'checked', issuers: [issuer], ...effects }] }
}

/** The connection of one user to the world's MCP server. */
export function connectionOf(orchestrator: AuthOrchestrator, { server }: World): Connection {
  return orchestrator.connection({ tenant: 't1', user: 'u1', server })
}

/** Without a valid token, the MCP server answers this instead of its own 401. */
export function withoutToken(
  world: World,
  headers: Record<string, string>,
  isOpen: (method: string) => boolean = () => false,
): void {
  const serve = world.rs.routes['POST /mcp']
  world.rs.routes['POST /mcp'] = (seen) => {
    const message = seen.body === '' ? {} : (JSON.parse(seen.body) as { id?: number; method?: string })
    if (isOpen(message.method ?? '')) return { body: { jsonrpc: '2.0', id: message.id, result: {} } }
    const answer = typeof serve === 'function' ? serve(seen) : {}
    return answer.status === 401 ? { status: 401, headers, body: { error: 'unauthorized' } } : answer
  }
}

/** A tool call, as an MCP client sends it. */
export const callTool = (connection: Connection): Promise<Response> =>
  connection.fetch(connection.identity.server, {
    method: 'POST',
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'whoami' } }),
  })

/** The parameters of the authorization request that `authorize()` leads to. */
export async function requested(
  connection: Connection,
  options: Parameters<Connection['authorize']>[0] = {},
): Promise<Record<string, string>> {
  const { authorizationUrl } = redirectOf(await connection.authorize(options))
  return Object.fromEntries(new URL(authorizationUrl).searchParams)
}

/** The documents that clients were registered with, in order. */
export const registrations = ({ as }: World): Record<string, unknown>[] =>
  as.seen.filter(({ path }) => path === '/register').map(({ body }) => JSON.parse(body) as Record<string, unknown>)
