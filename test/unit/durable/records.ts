import type { Attempt, Claim, ConnectionContext } from '../../../src/schemas/connection-context.ts'
import type { AuthorizationServer, Tokens } from '../../../src/schemas/credentials.ts'
import { BEGINNING } from './test-time.ts'

export const IDENTITY = { tenant: 't1', user: 'u1', server: 'https://mcp.example/mcp' }
export const ISSUER = 'https://as.example'

export const SERVER: AuthorizationServer = {
  id: 1,
  issuer: ISSUER,
  resource: IDENTITY.server,
  authorizationEndpoint: `${ISSUER}/authorize`,
  tokenEndpoint: `${ISSUER}/token`,
  client: {
    issuer: ISSUER,
    clientId: 'client-1',
    clientSecret: 'secret-of-client-1',
    tokenEndpointAuthMethod: 'client_secret_basic',
    redirectUri: 'https://app.example/callback',
    source: 'configured',
  },
}

export const TOKENS: Tokens = {
  accessToken: 'access-old',
  tokenType: 'Bearer',
  scope: 'mcp:tools',
  requestedScope: 'mcp:tools',
  expiresAt: BEGINNING + 60_000,
  lifetimeMs: 3_600_000,
  refreshToken: 'refresh-old',
  grant: 'authorization_code',
  serverId: 1,
}

/** A connection for which nothing has been discovered. */
export const EMPTY_CONTEXT: ConnectionContext = {
  identity: IDENTITY,
  at: BEGINNING,
  generation: 1,
  servers: [],
  attempts: [],
  endedAttempts: [],
  orphanedClaims: [],
  journal: [],
}

/** Signed in, with a token that lives for another minute. */
export const SIGNED_IN: Partial<ConnectionContext> = { generation: 1, servers: [SERVER], tokens: TOKENS }

export const CLAIM: Claim = { id: 'claim-of-another', kind: 'refresh', leaseMs: 30_000, retries: 0 }

/** Signed in, and another process has claimed the refresh. */
export const CLAIMED: Partial<ConnectionContext> = { ...SIGNED_IN, claim: CLAIM }

export const ATTEMPT: Attempt = {
  stateHash: 'hash-of-state',
  verifier: 'secret-verifier',
  serverId: 1,
  scope: 'mcp:tools',
  expiresAt: BEGINNING + 300_000,
}

/** A user is at the consent page. */
export const WAITING: Partial<ConnectionContext> = { servers: [SERVER], attempts: [ATTEMPT] }

export const REFRESH = { type: 'refresh.requested', generation: 1 } as const
export const CALLBACK = {
  type: 'callback.received',
  stateHash: 'hash-of-state',
  code: 'secret-code',
  codeTtlMs: 60_000,
} as const
