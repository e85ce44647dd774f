import { createHash } from 'node:crypto'
import { expect, onTestFinished } from 'vitest'
import {
  type AuthOrchestrator,
  type AuthOrchestratorOptions,
  createAuthOrchestrator,
  isAuthorizationError,
} from '../../../src/index.ts'
import type { AuthorizeResult } from '../../../src/index.ts'
import { type Answer, type Peer, type Seen, startPeer } from './peer.ts'

export const REDIRECT_URI = 'https://app.example/oauth/callback'
export const CLIENT = { name: 'Acme', redirectUri: REDIRECT_URI }

export type Redirect = Extract<AuthorizeResult, { status: 'redirect' }>

const JWT_BEARER = 'urn:ietf:params:oauth:grant-type:jwt-bearer'
const PRM = '/.well-known/oauth-protected-resource/mcp'
const METADATA = '/.well-known/oauth-authorization-server'

/** A small authorization server and an MCP server beside it, which answer as they should until a test says otherwise. */
export interface World {
  /** The authorization server. */
  readonly as: Peer
  /** The MCP server. */
  readonly rs: Peer
  readonly issuer: string
  /** The MCP endpoint. */
  readonly server: string
  /** The metadata documents, to be changed at will. */
  readonly resourceMetadata: Record<string, unknown>
  readonly serverMetadata: Record<string, unknown>
  /** What the token endpoint answers next instead of what it should, one a request. */
  readonly tokenAnswers: (Answer | ((good: Record<string, unknown>) => Answer))[]
  /** Tokens that the MCP server answers with 401. */
  readonly rejectedToken: Set<string>
  /** The forms that the token endpoint was sent, without what nobody can foretell. */
  tokenRequests(): Record<string, string>[]
  /** The URL that a browser comes back with once its user has consented. */
  callback(redirect: Redirect, change?: Record<string, string | undefined>): string
}

const challengeOf = (verifier: string): string => createHash('sha256').update(verifier).digest('base64url')
const formOf = ({ body }: Seen): Record<string, string> => Object.fromEntries(new URLSearchParams(body))

/**
 * Starts both servers. Tokens are named `access-1`, `refresh-1` and so on, after `mark`, as are codes and client
 * secrets; refresh tokens are good for one use.
 */
export async function startWorld({ mark = '' } = {}): Promise<World> {
  const as = await startPeer()
  const rs = await startPeer()
  const issuer = as.origin
  const server = `${rs.origin}/mcp`
  const codes = new Map<
    string,
    { challenge: string | null; redirectUri: string | null; resource: string | null; scope: string | null }
  >()
  const refreshTokens = new Map<string, string | undefined>()
  const accessTokens = new Set<string>()
  const rejectedToken = new Set<string>()
  const tokenAnswers: World['tokenAnswers'] = []
  let registered = 0
  let issued = 0
  let codesMade = 0

  const issue = (scope: string | undefined, withRefresh: boolean): Record<string, unknown> => {
    issued += 1
    accessTokens.add(`${mark}access-${issued}`)
    if (withRefresh) refreshTokens.set(`${mark}refresh-${issued}`, scope)
    return {
      access_token: `${mark}access-${issued}`,
      token_type: 'Bearer',
      expires_in: 3600,
      ...(scope !== undefined && { scope }),
      ...(withRefresh && { refresh_token: `${mark}refresh-${issued}` }),
    }
  }
  const grant = (form: Record<string, string>): Record<string, unknown> | undefined => {
    if (form['grant_type'] === 'client_credentials' || form['grant_type'] === JWT_BEARER)
      return issue(form['scope'], false)
    if (form['grant_type'] === 'refresh_token') {
      const token = form['refresh_token'] ?? ''
      if (!refreshTokens.has(token)) return undefined
      const scope = refreshTokens.get(token)
      refreshTokens.delete(token)
      return issue(scope, true)
    }
    const code = codes.get(form['code'] ?? '')
    codes.delete(form['code'] ?? '')
    const isRight =
      code !== undefined &&
      code.challenge === challengeOf(form['code_verifier'] ?? '') &&
      code.redirectUri === form['redirect_uri'] &&
      code.resource === (form['resource'] ?? null)
    return isRight ? issue(code.scope ?? undefined, true) : undefined
  }

  const resourceMetadata: Record<string, unknown> = {
    resource: server,
    authorization_servers: [issuer],
    scopes_supported: ['mcp:tools'],
  }
  const serverMetadata: Record<string, unknown> = {
    issuer,
    authorization_endpoint: `${issuer}/authorize`,
    token_endpoint: `${issuer}/token`,
    registration_endpoint: `${issuer}/register`,
    revocation_endpoint: `${issuer}/revoke`,
    response_types_supported: ['code'],
    grant_types_supported: ['authorization_code', 'refresh_token', 'client_credentials'],
    code_challenge_methods_supported: ['S256'],
    token_endpoint_auth_methods_supported: ['client_secret_basic', 'client_secret_post', 'none'],
    authorization_response_iss_parameter_supported: true,
  }
  rs.routes[`GET ${PRM}`] = () => ({ body: resourceMetadata })
  as.routes[`GET ${METADATA}`] = () => ({ body: serverMetadata })
  as.routes['POST /register'] = ({ body }) => {
    registered += 1
    const client = { client_id: `client-${registered}`, client_secret: `${mark}client-secret-${registered}` }
    return { status: 201, body: { ...JSON.parse(body), ...client, client_secret_expires_at: 0 } }
  }
  as.routes['POST /token'] = (seen) => {
    const next = tokenAnswers.shift()
    if (next !== undefined && typeof next !== 'function') return next
    const good = grant(formOf(seen))
    if (next !== undefined) return next(good ?? {})
    return good === undefined ? { status: 400, body: { error: 'invalid_grant' } } : { body: good }
  }
  as.routes['POST /revoke'] = { body: {} }
  const serve = ({ method, path, headers, body }: Seen): Answer => {
    const token = /^Bearer (.+)$/.exec(headers.authorization ?? '')?.[1] ?? ''
    if (accessTokens.has(token) && !rejectedToken.has(token)) return { body: { method, path, token, body } }
    const challenge = `Bearer error="invalid_token", resource_metadata="${rs.origin}${PRM}"`
    return { status: 401, headers: { 'www-authenticate': challenge }, body: { error: 'invalid_token' } }
  }
  for (const method of ['GET', 'POST', 'HEAD', 'DELETE']) rs.routes[`${method} /mcp`] = serve

  return {
    as,
    rs,
    issuer,
    server,
    resourceMetadata,
    serverMetadata,
    tokenAnswers,
    rejectedToken,
    tokenRequests: () =>
      as.seen
        .filter(({ path }) => path === '/token')
        .map((seen) => {
          const { code_verifier: _verifier, code: _code, ...rest } = formOf(seen)
          return rest
        }),
    callback({ authorizationUrl }, change = {}) {
      const asked = new URL(authorizationUrl).searchParams
      const code = change['code'] ?? `${mark}code-${(codesMade += 1)}`
      codes.set(code, {
        challenge: asked.get('code_challenge'),
        redirectUri: asked.get('redirect_uri'),
        resource: asked.get('resource'),
        scope: asked.get('scope'),
      })
      const url = new URL(asked.get('redirect_uri') ?? '')
      const brought = { code, state: asked.get('state') ?? undefined, iss: issuer, ...change }
      for (const [name, value] of Object.entries(brought)) if (value !== undefined) url.searchParams.set(name, value)
      return url.href
    },
  }
}

/** An orchestrator that may talk to this machine, closed with the test. */
export function orchestrate(options: Partial<AuthOrchestratorOptions> = {}): AuthOrchestrator {
  const { network, ...rest } = options
  const orchestrator = createAuthOrchestrator({
    client: CLIENT,
    network: { allow: ['127.0.0.1'], ...network },
    ...rest,
  })
  onTestFinished(() => orchestrator.close())
  return orchestrator
}

/** The redirect that `authorize()` came to. */
export function redirectOf(result: AuthorizeResult): Redirect {
  if (result.status !== 'redirect') throw new Error(`expected a redirect, not ${result.status}`)
  return result
}

/** Signs a connection in, as its user would. */
export async function signIn(
  world: World,
  orchestrator: AuthOrchestrator,
  identity: Parameters<AuthOrchestrator['connection']>[0] = { tenant: 't1', user: 'u1', server: world.server },
  options: Parameters<ReturnType<AuthOrchestrator['connection']>['authorize']>[0] = {},
): Promise<ReturnType<AuthOrchestrator['connection']>> {
  const connection = orchestrator.connection(identity)
  const redirect = redirectOf(await connection.authorize(options))
  const { status, failure } = await orchestrator.completeCallback(world.callback(redirect), {
    binding: options.binding,
  })
  if (status !== 'authorized') throw new Error(`expected to be authorized, not ${status} ${JSON.stringify(failure)}`)
  return connection
}

/** Lets registration responses name a client configuration endpoint, which answers this (RFC 7592). */
export function withConfiguration({ as, issuer }: World, answer: (registration: object) => Answer): void {
  const register = as.routes['POST /register'] as (seen: Seen) => Answer
  let registration = {}
  as.routes['POST /register'] = (seen) => {
    const good = register(seen)
    const configuration = {
      registration_client_uri: `${issuer}/client`,
      registration_access_token: 'registration-token',
    }
    registration = { ...Object(good.body), ...configuration }
    return { ...good, body: registration }
  }
  as.routes['GET /client'] = () => answer(registration)
}

/** How often the authorization server received this request, such as `POST /token`. */
export const requestCount = ({ as }: World, request: string): number =>
  as.asked().filter((asked) => asked === request).length

/** Delays the response to a revocation: `arrived` resolves once it is requested, and `go` lets the server respond. */
export function delayRevocation({ as }: World): { arrived: Promise<void>; go: () => void } {
  const gate = Promise.withResolvers<void>()
  const arrived = Promise.withResolvers<void>()
  as.routes['POST /revoke'] = () => {
    arrived.resolve()
    return { body: {}, until: gate.promise }
  }
  return { arrived: arrived.promise, go: gate.resolve }
}

/** The access token of a connection, or the code of the error in its place. */
export async function tokenOrCode(connection: ReturnType<AuthOrchestrator['connection']>): Promise<string> {
  try {
    return (await connection.accessToken()).value
  } catch (error) {
    if (isAuthorizationError(error)) return error.code
    throw error
  }
}

/** What a promise rejects with, as plain data. */
export async function rejection(promise: Promise<unknown>): Promise<unknown> {
  try {
    await promise
  } catch (error) {
    if (error instanceof TypeError)
      return { name: error.name, message: error.message, code: Reflect.get(error, 'code') }
    if (error instanceof Error && 'failure' in error && 'retryable' in error && 'nextAction' in error) {
      const { failure, retryable, nextAction } = error
      return { failure, retryable, nextAction }
    }
    throw error
  }
  return expect.unreachable('expected a rejection')
}
