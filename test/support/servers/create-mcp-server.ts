import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { Readable } from 'node:stream'
import {
  McpServer,
  OAuthError,
  OAuthErrorCode,
  createMcpHandler,
  requireBearerAuth,
} from '@modelcontextprotocol/server'
import type { AuthInfo } from '@modelcontextprotocol/server'
import { createRemoteJWKSet, jwtVerify } from 'jose'
import { listen, listenForControl } from './control.ts'
import { DpopGate } from './dpop-gate.ts'

/** JSON, so that it may come from the command line. */
export interface McpServerOptions {
  /** The authorization server that the protected resource metadata names. */
  issuer: string
  /** @defaultValue any free port */
  port?: number
  /** What a token must allow. @defaultValue ['mcp:tools'] */
  requiredScopes?: string[]
  /** Requires no token. @defaultValue false */
  isOpen?: boolean
  /** Where it publishes its metadata, which its challenge names. @defaultValue the well-known path */
  metadataPath?: string
  /** Takes bound tokens only, each request with a proof, or with one that has a nonce. @defaultValue Bearer tokens */
  dpop?: 'proof' | 'nonce'
}

/** What a test may change while the server runs. */
export type McpServerSettings = Pick<McpServerOptions, 'issuer' | 'requiredScopes'>

/** What an MCP server was asked, counted in its own process. */
export interface McpLedger {
  pid: number
  /** Calls of the tool `whoami`, by the subject of the token. */
  toolCalls: Record<string, number>
  /** Requests with a token that were answered with 401. */
  unauthorized: number
  /** Requests without a token. */
  withoutToken: number
  /** How many of the unauthorized asked for nothing but a nonce. */
  nonceChallenges: number
  /** Requests to `/mcp` in all. */
  requests: number
  /** Requests for the protected resource metadata. */
  resourceMetadata: number
}

export interface TestMcpServer {
  /** The MCP endpoint, which is the resource identifier as well. */
  readonly url: string
  /** Where `GET /ledger`, `POST /reset`, `POST /set` and `POST /refuse` are served. */
  readonly ledgerUrl: string
  ledger(): McpLedger
  reset(): void
  /** Moves it to another authorization server, or makes it ask for other scopes. */
  set(settings: Partial<McpServerSettings>): void
  /** From now on, answers 401 to every token that it has accepted until now. */
  refuseSeenTokens(): void
  close(): Promise<void>
}

const text = (claim: unknown): string => (typeof claim === 'string' ? claim : '')

const METADATA_PATH = '/.well-known/oauth-protected-resource/mcp'

/** A real MCP server on a loopback port: the official SDK's, with one tool, that takes JWTs of one issuer. */
export async function createMcpServer(options: McpServerOptions): Promise<TestMcpServer> {
  const { metadataPath = METADATA_PATH, isOpen = false } = options
  const settings: Required<McpServerSettings> = {
    issuer: options.issuer,
    requiredScopes: options.requiredScopes ?? ['mcp:tools'],
  }
  const seen = new Set<string>()
  const rejectedTokens = new Set<string>()
  const none = (): McpLedger => ({
    pid: process.pid,
    toolCalls: {},
    unauthorized: 0,
    withoutToken: 0,
    nonceChallenges: 0,
    requests: 0,
    resourceMetadata: 0,
  })
  let ledger = none()

  const http = createServer((request, response) => void answer(request, response))
  const { url: origin, close } = await listen(http, options.port)
  const url = `${origin}/mcp`
  const keys = new Map<string, ReturnType<typeof createRemoteJWKSet>>()
  const keysOf = (issuer: string): ReturnType<typeof createRemoteJWKSet> => {
    const known = keys.get(issuer) ?? createRemoteJWKSet(new URL(`${issuer.replace(/\/$/, '')}/jwks`))
    keys.set(issuer, known)
    return known
  }

  const verifyAccessToken = async (token: string): Promise<AuthInfo> => {
    try {
      const { issuer } = settings
      const { payload } = await jwtVerify(token, keysOf(issuer), { issuer, audience: url, typ: 'at+jwt' })
      const id = payload.jti ?? ''
      if (rejectedTokens.has(id)) throw new Error('refused by the test')
      seen.add(id)
      return {
        token,
        clientId: text(payload['client_id']),
        scopes: text(payload['scope']).split(' '),
        expiresAt: payload.exp ?? 0,
        extra: { sub: payload.sub },
      }
    } catch {
      throw new OAuthError(OAuthErrorCode.InvalidToken, 'the token is not valid here')
    }
  }
  const gate = (request: Request): ReturnType<ReturnType<typeof requireBearerAuth>> =>
    requireBearerAuth({
      verifier: { verifyAccessToken },
      requiredScopes: settings.requiredScopes,
      resourceMetadataUrl: `${origin}${metadataPath}`,
    })(request)
  const mcp = createMcpHandler(({ authInfo }) => {
    const server = new McpServer({ name: 'test-mcp-server', version: '1.0.0' })
    server.registerTool('whoami', { description: 'Says whose token it was called with.' }, () => {
      const sub = String(authInfo?.extra?.['sub'])
      ledger.toolCalls[sub] = (ledger.toolCalls[sub] ?? 0) + 1
      return { content: [{ type: 'text', text: `you are ${sub}` }] }
    })
    return server
  })

  const gatekeeper = options.dpop && new DpopGate({ needsNonce: options.dpop === 'nonce' })
  const serve = async (request: Request): Promise<Response> => {
    const authInfo = isOpen ? undefined : await gate(request)
    return authInfo instanceof Response ? authInfo : mcp.fetch(request, authInfo && { authInfo })
  }
  const handle = async (request: Request): Promise<Response> => {
    const { pathname } = new URL(request.url)
    if (pathname === metadataPath && !isOpen) {
      ledger.resourceMetadata += 1
      return Response.json({
        resource: url,
        authorization_servers: [settings.issuer],
        scopes_supported: settings.requiredScopes,
        bearer_methods_supported: ['header'],
        ...(gatekeeper && { dpop_bound_access_tokens_required: true }),
      })
    }
    if (pathname !== '/mcp') return new Response('not found', { status: 404 })
    ledger.requests += 1
    const response = await (gatekeeper === undefined ? serve(request) : gatekeeper.pass(request, serve))
    if (!request.headers.has('authorization')) ledger.withoutToken += 1
    else if (response.status === 401) {
      ledger.unauthorized += 1
      if (response.headers.get('www-authenticate')?.includes('use_dpop_nonce')) ledger.nonceChallenges += 1
    }
    return response
  }
  const answer = async (incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> => {
    try {
      await send(await handle(toRequest(origin, incoming)), outgoing)
    } catch {
      outgoing.destroy()
    }
  }
  const reset = (): void => {
    ledger = none()
    rejectedTokens.clear()
  }
  const set = (changes: Partial<McpServerSettings>): void => void Object.assign(settings, changes)
  const refuseSeenTokens = (): void => {
    for (const id of seen) rejectedTokens.add(id)
  }

  const port = await listenForControl({
    'GET /ledger': () => ledger,
    'POST /reset': reset,
    'POST /set': (changes) => set(changes as Partial<McpServerSettings>),
    'POST /refuse': refuseSeenTokens,
  })
  return {
    url,
    ledgerUrl: port.url,
    ledger: () => structuredClone(ledger),
    reset,
    set,
    refuseSeenTokens,
    close: async () => {
      await mcp.close()
      await Promise.all([close(), port.close()])
    },
  }
}

function toRequest(origin: string, incoming: IncomingMessage): Request {
  const method = incoming.method ?? 'GET'
  const headers = new Headers()
  for (const [name, value] of Object.entries(incoming.headers)) headers.set(name, String(value))
  const body = method === 'GET' || method === 'HEAD' ? null : (Readable.toWeb(incoming) as ReadableStream)
  return new Request(`${origin}${incoming.url}`, { method, headers, body, duplex: 'half' } as RequestInit)
}

async function send(response: Response, outgoing: ServerResponse): Promise<void> {
  outgoing.writeHead(response.status, Object.fromEntries(response.headers))
  outgoing.flushHeaders()
  for await (const chunk of response.body ?? []) outgoing.write(chunk)
  outgoing.end()
}
