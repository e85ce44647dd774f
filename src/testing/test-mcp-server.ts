import * as v from 'valibot'
import { maybe } from '../schemas/credentials.ts'
import { has, Scope } from '../schemas/option-values.ts'
import { parseOptions } from '../schemas/parse-options.ts'
import { type EndpointResponse, SERVER_OPTIONS, TestServer, type TestServerOptions } from './loopback-server.ts'
import { fingerprint, type TestEndpoint } from './request-log.ts'
import type { TestAuthorizationServer } from './test-authorization-server.ts'

/** Options of a test MCP server. */
export interface TestMcpServerOptions extends TestServerOptions {
  /** The servers whose tokens are accepted, in the order of the metadata. The array may be changed at any time. */
  readonly authorizationServers: TestAuthorizationServer[]
  /** Space-separated scopes that a request needs; without one of them the response is a 403. @defaultValue none */
  readonly requiredScope?: string | undefined
}

const OptionsSchema = v.strictObject({
  ...SERVER_OPTIONS,
  authorizationServers: v.array(v.custom(has(['introspect']), 'must be a TestAuthorizationServer')),
  requiredScope: maybe(Scope),
})

const METADATA_PATH = '/.well-known/oauth-protected-resource/mcp'

/**
 * An MCP server for tests, in process or on node:http: protected resource metadata, challenges, `initialize`,
 * `tools/list` and one tool, `whoami`, which returns the subject of the access token. Responses are JSON.
 *
 * @see [MCP authorization](https://modelcontextprotocol.io/specification/2026-07-28/basic/authorization), [RFC 9728](https://www.rfc-editor.org/rfc/rfc9728.html)
 */
export class TestMcpServer extends TestServer {
  /** The servers whose tokens are accepted. */
  readonly authorizationServers: TestAuthorizationServer[]
  /** Space-separated scopes that a request needs; may be changed at any time. */
  requiredScope: string | undefined

  protected override readonly endpoints = ['mcp', 'resourceMetadata', 'unknown'] as const

  /** @throws `TypeError` that names the invalid option. */
  constructor(options: TestMcpServerOptions) {
    parseOptions(OptionsSchema, options, 'TestMcpServer()')
    const { authorizationServers, requiredScope, origin = 'http://127.0.0.1:2', clock } = options
    super({ origin, clock })
    this.authorizationServers = authorizationServers
    this.requiredScope = requiredScope
  }

  /** The URL of the MCP endpoint, which is also the resource identifier. */
  get url(): string {
    return `${this.origin}/mcp`
  }

  protected override endpointOf(method: string, path: string): TestEndpoint {
    if (path === '/mcp') return 'mcp'
    return method === 'GET' && path === METADATA_PATH ? 'resourceMetadata' : 'unknown'
  }

  protected override async respond(endpoint: TestEndpoint, request: Request): Promise<EndpointResponse> {
    if (endpoint === 'resourceMetadata') return ok(this.#metadata())
    if (endpoint === 'unknown') return { response: new Response(null, { status: 404 }), outcome: 'not_found' }
    const [, token] = /^Bearer (.+)$/i.exec(request.headers.get('authorization') ?? '') ?? []
    const presented = token === undefined ? undefined : fingerprint(token)
    const granted = this.authorizationServers
      .map((server) => server.introspect(token ?? ''))
      .find((each) => each !== undefined)
    // RFC 8707 §2: a token for another resource is invalid here.
    if (granted === undefined || (granted.resource !== undefined && granted.resource !== this.url))
      return { ...this.#challenge(401, token === undefined ? undefined : 'invalid_token'), presented }
    const scopes = granted.scope?.split(' ') ?? []
    if (this.requiredScope?.split(' ').some((scope) => !scopes.includes(scope)))
      return { ...this.#challenge(403, 'insufficient_scope'), presented }
    return { ...handleMessage(await request.text(), granted.subject), presented }
  }

  #metadata(): object {
    return {
      resource: this.url,
      authorization_servers: this.authorizationServers.map(({ issuer }) => issuer),
      ...(this.requiredScope !== undefined && { scopes_supported: this.requiredScope.split(' ') }),
    }
  }

  #challenge(status: number, error: string | undefined): EndpointResponse {
    const parameters = [
      ...(error === undefined ? [] : [`error="${error}"`]),
      ...(this.requiredScope === undefined ? [] : [`scope="${this.requiredScope}"`]),
      `resource_metadata="${this.origin}${METADATA_PATH}"`,
    ]
    const headers = { 'www-authenticate': `Bearer ${parameters.join(', ')}` }
    return { response: new Response(null, { status, headers }), outcome: error ?? 'unauthorized' }
  }
}

const TOOLS = [
  { name: 'whoami', description: 'Returns the subject of the access token.', inputSchema: { type: 'object' } },
]

/** Handles one JSON-RPC message on behalf of the token's subject. */
function handleMessage(text: string, subject: string): EndpointResponse {
  const message: unknown = parse(text)
  const read = (name: string): unknown =>
    typeof message === 'object' && message !== null ? Reflect.get(message, name) : undefined
  const id = read('id')
  if (id === undefined) return { response: new Response(null, { status: 202 }), outcome: 'ok' }
  const results: Readonly<Record<string, object>> = {
    initialize: {
      protocolVersion: '2025-06-18',
      capabilities: { tools: {} },
      serverInfo: { name: 'test-mcp-server', version: '1.0.0' },
    },
    'tools/list': { tools: TOOLS },
    'tools/call': { content: [{ type: 'text', text: `you are ${subject}` }] },
  }
  const result = results[String(read('method'))]
  const error = { code: -32_601, message: 'method not found' }
  return ok({ jsonrpc: '2.0', id, ...(result === undefined ? { error } : { result }) })
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function ok(document: object): EndpointResponse {
  return { response: Response.json(document), outcome: 'ok' }
}
