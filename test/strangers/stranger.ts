import { control } from '../support/servers/control.ts'
import { startServer, type ServerProgram } from '../support/servers/spawn.ts'

/** What a server itself counts. */
export interface Ledger {
  /** What its OAuth endpoints have answered, in order: `token 200`. */
  requests: string[]
  /** How many refresh tokens, or grants that have one, it would still take. */
  grants: number
}

/** A server that others wrote, in a process of its own. */
export interface Stranger extends ServerProgram {
  /** Its MCP endpoint. */
  readonly url: string
  readonly issuer: string
  ledger(): Promise<Ledger>
  /** Takes back all that the user has allowed, as a person does who looks after it at the server. */
  withdraw(): Promise<void>
}

/** Starts a program of `servers/`. */
export async function startStranger(program: string, options: object = {}): Promise<Stranger> {
  const server = await startServer(new URL(`servers/${program}.mjs`, import.meta.url).href, options)
  const { url = '', issuer = '', ledgerUrl = '' } = server.facts
  return {
    ...server,
    url,
    issuer,
    ledger: () => control(ledgerUrl, 'GET /ledger'),
    withdraw: () => control(ledgerUrl, 'POST /withdraw'),
  }
}
