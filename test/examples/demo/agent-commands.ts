/** The configuration of one process of the demo. JSON. */
export interface AgentInit {
  /** Its name in the output. */
  name: string
  /** The MCP endpoint that both tenants sign in to. */
  server: string
  /** The redirect URI. Without it, the process uses its own URL. */
  redirectUri?: string
  /** A Redis, or the path of an SQLite file. */
  store: { redisUrl: string; prefix: string } | { path: string }
  /** Base64url, 32 bytes each */
  keys: { name: string; sealing: string }
  /** Requests the login page even if the browser has a session, for one person who signs in twice. */
  promptLogin: boolean
}

/** The commands of one process of the demo. No result contains a secret. */
export interface AgentCommands {
  callTool(tenant: string): Promise<string>
  /** Requests a usable token and returns its fingerprint and expiry. */
  accessToken(tenant: string): Promise<{ fingerprint: string; expiresAt: number | undefined }>
  status(tenant: string): Promise<{ state: string; expiresAt: number | undefined; failure: string | undefined }>
  disconnect(tenant: string): Promise<void>
  close(): Promise<void>
}

export type ToAgent = { init: AgentInit } | { id: number; command: keyof AgentCommands; tenant: string }

export type FromAgent =
  { listening: string } | { line: string } | { id: number; value: unknown } | { id: number; error: string }
