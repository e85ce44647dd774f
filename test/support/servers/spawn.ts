import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { AuthorizationLedger } from './authorization-ledger.ts'
import { control } from './control.ts'
import type {
  AuthorizationServerOptions,
  AuthorizationServerSettings,
  Introspection,
  IssuedToken,
} from './create-authorization-server.ts'
import type { McpLedger, McpServerOptions } from './create-mcp-server.ts'
import type { Fault } from './faults.ts'

/** A program that runs beside the test. */
export interface Program {
  readonly pid: number
  /** What its ready line said. */
  readonly facts: Record<string, string>
  /** Ends it and waits until it is gone. */
  stop(signal?: NodeJS.Signals): Promise<void>
  /** Sends any other signal, for example SIGSTOP. */
  signal(signal: NodeJS.Signals): void
}

/** Starts one of the programs beside this file and waits for its ready line. */
async function startProgram(file: string, options: unknown): Promise<Program> {
  const script = fileURLToPath(new URL(file, import.meta.url))
  const child = spawn(process.execPath, [script, JSON.stringify(options)], {
    // A channel, so that the program notices when the test is gone.
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  })
  const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  let complaints = ''
  child.stderr?.on('data', (chunk: Buffer) => (complaints += chunk.toString()))
  const facts = await new Promise<Record<string, string>>((resolve, reject) => {
    child.once('error', reject)
    void gone.then(() => reject(new Error(`${file} ended before it was ready: ${complaints}`)))
    if (child.stdout === null) return
    createInterface(child.stdout).on('line', (line) => {
      if (line.startsWith('{"ready":true')) resolve(JSON.parse(line) as Record<string, string>)
    })
  })
  return {
    pid: child.pid ?? 0,
    facts,
    signal: (signal) => void child.kill(signal),
    stop: async (signal = 'SIGTERM') => {
      if (child.exitCode === null && child.signalCode === null) child.kill(signal)
      await gone
    },
  }
}

/** The real authorization server in a process of its own, and what may be asked of it beside OAuth. */
export interface AuthorizationServerProcess extends Program {
  readonly issuer: string
  ledger(): Promise<AuthorizationLedger>
  reset(): Promise<void>
  set(settings: AuthorizationServerSettings): Promise<void>
  down(): Promise<void>
  up(): Promise<void>
  fault(fault: Fault): Promise<void>
  held(): Promise<number>
  release(): Promise<number>
  introspect(token: string): Promise<Introspection>
  tokens(): Promise<IssuedToken[]>
}

export async function startAuthorizationServer(
  options: AuthorizationServerOptions = {},
): Promise<AuthorizationServerProcess> {
  const program = await startProgram('authorization-server.ts', options)
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
export interface McpServerProcess extends Program {
  readonly url: string
  ledger(): Promise<McpLedger>
  reset(): Promise<void>
  refuseSeenTokens(): Promise<void>
}

export async function startMcpServer(options: McpServerOptions): Promise<McpServerProcess> {
  const program = await startProgram('mcp-server.ts', options)
  const { url = '', ledgerUrl = '' } = program.facts
  return {
    ...program,
    url,
    ledger: () => control(ledgerUrl, 'GET /ledger'),
    reset: () => control(ledgerUrl, 'POST /reset'),
    refuseSeenTokens: () => control(ledgerUrl, 'POST /refuse'),
  }
}
