import { fileURLToPath } from 'node:url'
import { type Program, startProgram } from '../processes/program.ts'
import type { AuthorizationLedger } from './authorization-ledger.ts'
import { control } from './control.ts'
import type {
  AuthorizationServerOptions,
  AuthorizationServerSettings,
  Introspection,
  IssuedToken,
  ServerFault,
} from './create-authorization-server.ts'
import type { McpLedger, McpServerOptions, McpServerSettings } from './create-mcp-server.ts'

/** A server that runs as a program of its own. */
export interface ServerProgram extends Pick<Program, 'pid' | 'signal' | 'stop'> {
  /** What its ready line said. */
  readonly facts: Record<string, string>
}

/** Starts one of the programs beside this file, or at a URL, and waits for its ready line. */
export async function startServer(file: string, options: unknown): Promise<ServerProgram> {
  const script = fileURLToPath(new URL(file, import.meta.url))
  // A channel, so that the server ends when the test's process is gone.
  const program = startProgram(process.execPath, [script, JSON.stringify(options)], { channel: 'json' })
  const [, line = ''] = await program.printed(/^(\{"ready":true.*\})$/m)
  return { ...program, facts: JSON.parse(line) as Record<string, string> }
}

/** The real authorization server in a process of its own, and what may be asked of it beside OAuth. */
export interface AuthorizationServerProcess extends ServerProgram {
  readonly issuer: string
  ledger(): Promise<AuthorizationLedger>
  reset(): Promise<void>
  set(settings: AuthorizationServerSettings): Promise<void>
  down(): Promise<void>
  up(): Promise<void>
  fault(fault: ServerFault): Promise<void>
  held(): Promise<number>
  release(): Promise<number>
  introspect(token: string): Promise<Introspection>
  tokens(): Promise<IssuedToken[]>
}

export async function startAuthorizationServer(
  options: AuthorizationServerOptions = {},
): Promise<AuthorizationServerProcess> {
  const program = await startServer('authorization-server.ts', options)
  const { issuer = '', ledgerUrl = '' } = program.facts
  return {
    ...program,
    issuer,
    ledger: () => control(ledgerUrl, 'GET /ledger'),
    reset: () => control(ledgerUrl, 'POST /reset'),
    set: (settings) => control(ledgerUrl, 'POST /set', settings),
    down: () => control(ledgerUrl, 'POST /down'),
    up: () => control(ledgerUrl, 'POST /up'),
    fault: (fault) => control(ledgerUrl, 'POST /fault', fault),
    held: () => control(ledgerUrl, 'GET /held'),
    release: () => control(ledgerUrl, 'POST /release'),
    introspect: (token) => control(ledgerUrl, 'POST /introspect', { token }),
    tokens: () => control(ledgerUrl, 'GET /tokens'),
  }
}

/** The real MCP server in a process of its own. */
export interface McpServerProcess extends ServerProgram {
  readonly url: string
  ledger(): Promise<McpLedger>
  reset(): Promise<void>
  set(settings: Partial<McpServerSettings>): Promise<void>
  refuseSeenTokens(): Promise<void>
}

export async function startMcpServer(options: McpServerOptions): Promise<McpServerProcess> {
  const program = await startServer('mcp-server.ts', options)
  const { url = '', ledgerUrl = '' } = program.facts
  return {
    ...program,
    url,
    ledger: () => control(ledgerUrl, 'GET /ledger'),
    reset: () => control(ledgerUrl, 'POST /reset'),
    set: (settings) => control(ledgerUrl, 'POST /set', settings),
    refuseSeenTokens: () => control(ledgerUrl, 'POST /refuse'),
  }
}
