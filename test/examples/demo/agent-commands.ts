/** What a process of the demo is started with. JSON. */
export interface AgentInit {
  /** How it calls itself in what it prints. */
  name: string
  /** The MCP endpoint that both tenants sign in to. */
  server: string
  /** Where the browser comes back; without it, this process takes it to itself. */
  redirectUri?: string
  /** A Redis, or the path of an SQLite file. */
  store: { redisUrl: string; prefix: string } | { path: string }
  /** Base64url, 32 bytes each */
  keys: { name: string; sealing: string }
  /** Asks for the login page even if the browser has a session: for a person who signs in twice. */
  promptLogin: boolean
}

/** What the demo asks one of its processes. No answer holds a secret. */
export interface AgentCommands {
  callTool(tenant: string): Promise<string>
  /** Asks for a usable token, and answers its fingerprint and when it expires. */
  accessToken(tenant: string): Promise<{ fingerprint: string; expiresAt: number | undefined }>
  status(tenant: string): Promise<{ state: string; expiresAt: number | undefined; failure: string | undefined }>
  disconnect(tenant: string): Promise<void>
  close(): Promise<void>
}

export type ToAgent = { init: AgentInit } | { id: number; command: keyof AgentCommands; tenant: string }

export type FromAgent =
  { listening: string } | { line: string } | { id: number; value: unknown } | { id: number; error: string }
