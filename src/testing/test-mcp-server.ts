import type { TestAuthorizationServer } from './test-authorization-server.ts'
import { fingerprint, type TestEndpoint } from './test-ledger.ts'
import { type Answered, TestServer, type TestServerOptions } from './loopback-server.ts'

/** What a test MCP server begins with. */
export interface TestMcpServerOptions extends TestServerOptions {
  /** Whose tokens it takes, and in which order its metadata names them. The list may be changed while it runs. */
  readonly authorizationServers: TestAuthorizationServer[]
  /** Space-separated scopes without which a request is answered with 403. @defaultValue none */
  readonly requiredScope?: string | undefined
}

const METADATA_PATH = '/.well-known/oauth-protected-resource/mcp'

/**
 * An MCP server for tests, on node:http or without a network: protected resource metadata, challenges, `initialize`,
 * `tools/list` and one tool, `whoami`, that says whose token it was called with. Answers in JSON.
 *
 * @see [MCP authorization](https://modelcontextprotocol.io/specification/2026-07-28/basic/authorization), [RFC 9728](https://www.rfc-editor.org/rfc/rfc9728.html)
 */
export class TestMcpServer extends TestServer {
  /** Whose tokens it takes. */
  readonly authorizationServers: TestAuthorizationServer[]
  /** To be changed at will. */
  requiredScope: string | undefined

  constructor({ authorizationServers, requiredScope, origin = 'http://127.0.0.1:2', clock }: TestMcpServerOptions) {
    super({ origin, clock })
    this.authorizationServers = authorizationServers
    this.requiredScope = requiredScope
  }

  /** The MCP endpoint, which is the resource identifier as well. */
  get url(): string {
    return `${this.origin}/mcp`
  }

  protected override endpointOf(method: string, path: string): TestEndpoint {
    if (path === '/mcp') return 'mcp'
    return method === 'GET' && path === METADATA_PATH ? 'resourceMetadata' : 'unknown'
  }

  protected override async answer(endpoint: TestEndpoint, request: Request): Promise<Answered> {
    if (endpoint === 'resourceMetadata') return ok(this.#metadata())
    if (endpoint === 'unknown') return { response: new Response(null, { status: 404 }), outcome: 'not_found' }
    const [, token] = /^Bearer (.+)$/i.exec(request.headers.get('authorization') ?? '') ?? []
    const presented = token === undefined ? undefined : fingerprint(token)
    const granted = this.authorizationServers
      .map((server) => server.introspect(token ?? ''))
      .find((each) => each !== undefined)
    // RFC 8707 §2: a token for another resource is as good as none.
    if (granted === undefined || (granted.resource !== undefined && granted.resource !== this.url))
      return { ...this.#challenge(401, token === undefined ? undefined : 'invalid_token'), presented }
    const held = granted.scope?.split(' ') ?? []
    if (this.requiredScope?.split(' ').some((scope) => !held.includes(scope)))
      return { ...this.#challenge(403, 'insufficient_scope'), presented }
    return { ...answerMessage(await request.text(), granted.subject), presented }
  }

  #metadata(): object {
    return {
      resource: this.url,
      authorization_servers: this.authorizationServers.map(({ issuer }) => issuer),
      ...(this.requiredScope !== undefined && { scopes_supported: this.requiredScope.split(' ') }),
    }
  }

  #challenge(status: number, error: string | undefined): Answered {
    const parameters = [
      ...(error === undefined ? [] : [`error="${error}"`]),
      ...(this.requiredScope === undefined ? [] : [`scope="${this.requiredScope}"`]),
      `resource_metadata="${this.origin}${METADATA_PATH}"`,
    ]
    const headers = { 'www-authenticate': `Bearer ${parameters.join(', ')}` }
    return { response: new Response(null, { status, headers }), outcome: error ?? 'unauthorized' }
  }
}

const TOOLS = [{ name: 'whoami', description: 'Says whose token it was called with.', inputSchema: { type: 'object' } }]

/** One JSON-RPC message of the client, answered for the subject of its token. */
function answerMessage(text: string, subject: string): Answered {
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

function ok(document: object): Answered {
  return { response: Response.json(document), outcome: 'ok' }
}
