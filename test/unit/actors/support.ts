import assert from 'node:assert/strict'
import type { IncomingHttpHeaders } from 'node:http'
import type {
  ExchangeCodeInput,
  RefreshTokensInput,
  RequestTokenInput,
  RevokeTokensInput,
} from '../../../machines/ports.ts'
import type { ConnectionDependencies } from '../../../src/actors/dependencies.ts'
import type { IdentityAssertionDependencies } from '../../../src/actors/token-endpoint/assertions.ts'
import { DpopProver } from '../../../src/actors/token-endpoint/dpop-prover.ts'
import {
  createExchangeCode,
  createRefreshTokens,
  createRequestToken,
} from '../../../src/actors/token-endpoint/grants.ts'
import { createRevokeTokens } from '../../../src/actors/token-endpoint/revoke-tokens.ts'
import { type Clock, systemClock } from '../../../src/clock.ts'
import { PortError } from '../../../src/errors/port-error.ts'
import { createServerFacts } from '../../../src/protocol/server-facts.ts'
import type { AuthorizationServer, ClientInformation, ConnectionIdentity } from '../../../src/schemas/credentials.ts'
import { makeTransport, startServer } from '../http/support.ts'

/** What a route of the peer answers. */
export interface Answer {
  status?: number
  headers?: Record<string, string>
  /** An object is sent as JSON. */
  body?: unknown
  /** Hang up without an answer. */
  hangUp?: true
}

/** An answer, or a function of the request. */
export type Route = Answer | ((seen: Seen) => Answer)

/** One request as the peer saw it. */
export interface Seen {
  method: string | undefined
  path: string
  headers: IncomingHttpHeaders
  body: string
}

/** A server on the loopback interface that answers as its routes say, 404 elsewhere, and remembers what it was asked. */
export async function startPeer(routes: Record<string, Route> = {}) {
  const seen: Seen[] = []
  const { origin } = await startServer((request, response) => {
    const { method, url: path = '', headers } = request
    let body = ''
    request.setEncoding('utf8')
    request.on('data', (chunk: string) => (body += chunk))
    request.on('end', () => {
      const asked: Seen = { method, path, headers, body }
      seen.push(asked)
      const route = routes[path] ?? { status: 404, body: 'nothing here' }
      const answer = typeof route === 'function' ? route(asked) : route
      if (answer.hangUp) return request.socket.destroy()
      response.writeHead(answer.status ?? 200, { 'content-type': 'application/json', ...answer.headers })
      return response.end(typeof answer.body === 'string' ? answer.body : JSON.stringify(answer.body))
    })
  })
  return { origin, routes, seen, paths: () => seen.map(({ path }) => path) }
}

/** Everything that an actor may need, on the real transport. */
export type Dependencies = ConnectionDependencies & IdentityAssertionDependencies

export function makeDependencies(overrides: Partial<Dependencies> = {}): Dependencies {
  return {
    transport: makeTransport(),
    clock: systemClock,
    dpop: new DpopProver(systemClock),
    client: { name: 'Acme', redirectUri: 'https://app.example/callback' },
    clients: [],
    facts: createServerFacts([]),
    policy: () => ({}),
    checkUrl: () => {},
    ensureDynamicRegistration: () => Promise.reject(new Error('no registration expected')),
    retireDynamicRegistration: () => Promise.reject(new Error('no retirement expected')),
    storedClient: () => Promise.resolve(undefined),
    createState: () => 'the-state',
    hashState: (state) => `hash of ${state}`,
    discoverServer: () => Promise.reject(new Error('no discovery expected')),
    ...overrides,
  }
}

/** A clock whose every reading is one second after the one before; its random bytes are all 7. */
export function steppingClock(): Clock {
  let seconds = 0
  return {
    now: () => 1_700_000_000_000,
    monotonic: () => (seconds += 1) * 1000,
    random: (bytes) => new Uint8Array(bytes).fill(7),
  }
}

export function identityOf(server: string): ConnectionIdentity {
  return { tenant: 't1', server }
}

/** An authorization server entry at this origin, with a public client. */
export function serverAt(origin: string, overrides: Partial<AuthorizationServer> = {}): AuthorizationServer {
  return {
    id: 1,
    issuer: origin,
    resource: 'https://h/mcp',
    tokenEndpoint: `${origin}/token`,
    client: {
      issuer: origin,
      clientId: 'c 1',
      tokenEndpointAuthMethod: 'none',
      redirectUri: 'https://app.example/callback',
      source: 'dynamic',
    },
    ...overrides,
  }
}

/** The parameters of a form-encoded body. */
export function formOf(body: string | undefined): Record<string, string> {
  return Object.fromEntries(new URLSearchParams(body))
}

export interface TokenEndpointSetup {
  /** The answer of the token endpoint; by default one Bearer token. */
  token?: Route
  /** The answer of the revocation endpoint. */
  revocation?: Route
  server?: Partial<AuthorizationServer>
  client?: Partial<ClientInformation>
  dependencies?: Partial<Dependencies> | ((origin: string) => Partial<Dependencies>)
}

/** An authorization server with a token and a revocation endpoint, and the actors that send requests to them. */
export async function startTokenEndpoint({
  token = { body: { access_token: 't', token_type: 'Bearer' } },
  revocation = { body: '' },
  server: overrides,
  client,
  dependencies,
}: TokenEndpointSetup = {}) {
  const peer = await startPeer({ '/token': token, '/revoke': revocation })
  const base = serverAt(peer.origin, { revocationEndpoint: `${peer.origin}/revoke`, ...overrides })
  const server: AuthorizationServer = { ...base, client: { ...base.client, ...client } }
  const deps = makeDependencies(typeof dependencies === 'function' ? dependencies(peer.origin) : dependencies)
  const common = { at: 5000, identity: identityOf('https://h/mcp'), server, sendBefore }
  const code = { ...common, code: 'c', verifier: 'v' }
  const request = { ...common, scope: undefined, grant: 'client_credentials' as const }
  return {
    peer,
    server,
    deps,
    forms: () => peer.seen.map(({ body }) => formOf(body)),
    exchange: (input: Partial<ExchangeCodeInput> = {}) => createExchangeCode(deps)({ ...code, ...input }, never),
    refresh: (input: Partial<RefreshTokensInput> = {}) =>
      createRefreshTokens(deps)({ ...common, refreshToken: 'r', ...input }, never),
    request: (input: Partial<RequestTokenInput> = {}, signal = never) =>
      createRequestToken(deps)({ ...request, ...input }, signal),
    revoke: (input: Partial<RevokeTokensInput> = {}) =>
      createRevokeTokens(deps)({ ...common, accessToken: 'a', refreshToken: 'r', ...input }, never),
  }
}

/** What a port rejected with, as plain data. */
export async function rejectionOf(run: Promise<unknown>) {
  const error: unknown = await run.then(
    () => new Error('did not reject'),
    (reason: unknown) => reason,
  )
  assert(error instanceof PortError, `rejected with ${String(error)}`)
  return { ...error.failure, outcome: error.outcome }
}

export const never = new AbortController().signal
/** A send deadline that never passes. */
export const sendBefore = Number.MAX_SAFE_INTEGER
