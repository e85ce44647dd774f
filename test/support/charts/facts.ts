import type { RequestedAuthorization } from '../../../machines/connection/events.ts'
import type { TokenResult } from '../../../machines/ports.ts'
import type { FailureCode, FailureDetails } from '../../../src/errors/failure.ts'
import { PortError, type RequestOutcome } from '../../../src/errors/port-error.ts'
import type { ConnectionContext, ResourceFacts, ServerMetadata } from '../../../src/schemas/connection-context.ts'
import type {
  AuthorizationServer,
  ClientInformation,
  ConnectionIdentity,
  DpopKey,
  Tokens,
} from '../../../src/schemas/credentials.ts'
import type { RegistrationContext } from '../../../src/schemas/registration.ts'

/** Record time at which every chart of these tests begins. */
export const START = 1_800_000_000_000

export const LEASE_MS = 30_000
export const ATTEMPT_TTL_MS = 300_000
export const CODE_TTL_MS = 60_000
export const TOKEN_TTL_MS = 3_600_000

export const identity: ConnectionIdentity = { tenant: 't1', user: 'u1', server: 'https://mcp.example.com/mcp' }
export const issuer = 'https://as.example.com'

export const resource: ResourceFacts = { resource: 'https://mcp.example.com/mcp', issuer }

export const metadata: ServerMetadata = {
  issuer,
  authorizationEndpoint: 'https://as.example.com/authorize',
  tokenEndpoint: 'https://as.example.com/token',
  registrationEndpoint: 'https://as.example.com/register',
  revocationEndpoint: 'https://as.example.com/revoke',
}

/** A client that we registered ourselves. */
export const dynamicClient: ClientInformation = {
  issuer,
  clientId: 'client-1',
  clientSecret: 'fake-client-secret',
  tokenEndpointAuthMethod: 'client_secret_basic',
  redirectUri: 'https://agents.example.com/callback',
  source: 'dynamic',
}

/** Nobody, where a workload's assertion says who asks. */
export const anonymousClient: ClientInformation = {
  issuer,
  clientId: '',
  tokenEndpointAuthMethod: 'none',
  source: 'anonymous',
}

/** A client that the host gave in a call. */
export const staticClient: ClientInformation = {
  issuer,
  clientId: 'given-1',
  tokenEndpointAuthMethod: 'none',
  source: 'provided',
}

export const server: AuthorizationServer = {
  id: 1,
  issuer,
  resource: 'https://mcp.example.com/mcp',
  authorizationEndpoint: 'https://as.example.com/authorize',
  tokenEndpoint: 'https://as.example.com/token',
  revocationEndpoint: 'https://as.example.com/revoke',
  client: dynamicClient,
}

/** A key that tokens are bound to, as good as none. */
export const dpopKey: DpopKey = { kty: 'EC', crv: 'P-256', x: 'fake-x', y: 'fake-y', d: 'fake-d', alg: 'ES256' }

/** Tokens of the authorization code grant, an hour to live, with a refresh token. */
export const tokens: Tokens = {
  accessToken: 'fake-access-token',
  tokenType: 'Bearer',
  scope: 'read',
  requestedScope: 'read',
  expiresAt: START + TOKEN_TTL_MS,
  lifetimeMs: TOKEN_TTL_MS,
  refreshToken: 'fake-refresh-token',
  grant: 'authorization_code',
  serverId: 1,
}

/** A context as the chart begins with it, with whatever a test wants in it. */
export function contextWith(changes: Partial<ConnectionContext> = {}): ConnectionContext {
  return {
    identity,
    at: START,
    generation: 0,
    servers: [],
    attempts: [],
    endedAttempts: [],
    orphanedClaims: [],
    journal: [],
    ...changes,
  }
}

/** The same for a registration. */
export function registrationWith(changes: Partial<RegistrationContext> = {}): RegistrationContext {
  return {
    issuer,
    redirectUri: 'https://agents.example.com/callback',
    at: START,
    generation: 0,
    registrationEndpoint: '',
    orphanedClaims: [],
    journal: [],
    ...changes,
  }
}

/** One `authorize()` call without special wishes. */
export function wishes(changes: Partial<RequestedAuthorization> = {}): RequestedAuthorization {
  return { scope: 'read', attemptTtlMs: ATTEMPT_TTL_MS, ...changes }
}

/** What a token request is answered with. */
export function tokenResult(at: number, changes: Partial<TokenResult> = {}): TokenResult {
  return {
    at,
    accessToken: `access-${at}`,
    tokenType: 'Bearer',
    scope: undefined,
    expiresInMs: TOKEN_TTL_MS,
    refreshToken: `refresh-${at}`,
    refreshTokenExpiresInMs: undefined,
    subject: undefined,
    ...changes,
  }
}

/** What a port rejects with. */
export function rejection(code: FailureCode, outcome: RequestOutcome, details?: FailureDetails): PortError {
  return new PortError({ code, ...(details && { details }) }, outcome)
}

/** The rejections that the charts tell apart. */
export const rejections = {
  notSent: rejection('HTTP_NETWORK', 'notSent', { host: 'as.example.com' }),
  unavailable: rejection('SERVER_UNAVAILABLE', 'rejected', { status: 503 }),
  rateLimited: rejection('RATE_LIMITED', 'rejected', { status: 429, retryAfterMs: 7_000 }),
  invalidGrant: rejection('REFRESH_REJECTED', 'rejected', { status: 400, error: 'invalid_grant' }),
  invalidClient: rejection('REFRESH_REJECTED', 'rejected', { status: 401, error: 'invalid_client' }),
  otherRefusal: rejection('EXCHANGE_REJECTED', 'rejected', { status: 400, error: 'invalid_request' }),
  renewalRejected: rejection('REFRESH_REJECTED', 'rejected', { status: 400, error: 'invalid_request' }),
  unknown: rejection('HTTP_TIMEOUT', 'unknown', { host: 'as.example.com' }),
  unexpected: new Error('a bug in a port'),
} as const
