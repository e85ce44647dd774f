import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { toNodeHandler } from '../../src/adapters/node.ts'
import { INVENTED_CODE_PREFIX } from '../../src/schemas/grants.ts'
import { fingerprint, type TestClient, TestMcpServer } from '../../src/testing/index.ts'
import { CountedServer } from './counted-server.ts'

/** A fault at one of the next requests. */
export interface RequestFault {
  /** As {@link requestName} names it. */
  name: string
  /** How many such requests pass unharmed first. */
  skip: number
  /** `before` the server handles the request, or `after` it, with the response still to be sent. */
  when: 'before' | 'after'
  /** The response is lost at once; or the request is reported, and waits for {@link FaultyServer.resume}. */
  action: 'lose' | 'pause'
}

const NAMES: readonly (readonly [RegExp, string])[] = [
  [/oauth-protected-resource/, 'resource metadata'],
  [/oauth-authorization-server|openid-configuration/, 'server metadata'],
  [/^\/mcp$/, 'mcp'],
]

/** `token refresh_token`, `register`, `resource metadata`. A token request with an invented code asks for a client. */
function requestName(url: URL, body: string): string {
  const [, name = url.pathname.slice(1)] = NAMES.find(([pattern]) => pattern.test(url.pathname)) ?? []
  if (name !== 'token') return name
  const form = new URLSearchParams(body)
  return form.get('code')?.startsWith(INVENTED_CODE_PREFIX) ? 'registration check' : `token ${form.get('grant_type')}`
}

/**
 * An authorization server and an MCP server of one cell, on one port. Counts what is sent to it, whether or not it
 * handles it.
 */
export class FaultyServer {
  readonly as: CountedServer
  readonly mcp: TestMcpServer
  /** Receives each request before it is handled. */
  onRequest: (name: string, at: bigint) => void = () => {}
  onReached: () => void = () => {}
  readonly #http: Server
  readonly #issued = new Set<string>()
  readonly #sent = new Map<string, number>()
  #fault: RequestFault | undefined
  #resume: (fate: 'respond' | 'drop') => void = () => {}

  private constructor(http: Server, origin: string, clients: readonly TestClient[]) {
    this.#http = http
    this.as = new CountedServer({ origin, clients })
    this.mcp = new TestMcpServer({ origin, authorizationServers: [this.as] })
  }

  /** Listens on a free loopback port. */
  static async listen(clients: readonly TestClient[] = []): Promise<FaultyServer> {
    const http = createServer((incoming, outgoing) => {
      const drop = (): void => void incoming.socket.destroy()
      toNodeHandler((request) => server.#handle(request, drop), { onError: drop })(incoming, outgoing)
    })
    http.listen(0, '127.0.0.1')
    await once(http, 'listening')
    const server = new FaultyServer(http, `http://127.0.0.1:${(http.address() as AddressInfo).port}`, clients)
    return server
  }

  arm(fault: RequestFault): void {
    this.#fault = fault
  }

  /** Lets a paused request go on, or drops its connection. */
  resume(fate: 'respond' | 'drop'): void {
    this.#resume(fate)
  }

  /** The most requests that one code or refresh token was in, without those that the server rejected with 503 or 429. */
  get mostSent(): number {
    return Math.max(0, ...this.#sent.values())
  }

  /** How often a code or refresh token was presented after it had been redeemed. */
  get reused(): number {
    const redeemed = new Set<string>()
    let count = 0
    for (const { presented, endpoint, outcome } of this.as.requestLog.entries) {
      if (endpoint !== 'token' || presented === undefined) continue
      if (redeemed.has(presented)) count += 1
      if (outcome === 'ok') redeemed.add(presented)
    }
    return count
  }

  /** Whether the server accepts this access token. */
  accepts(accessToken: string): boolean {
    return this.as.introspect(accessToken) !== undefined
  }

  /** How many of the issued access tokens are valid. */
  get validTokens(): number {
    return [...this.#issued].filter((token) => this.accepts(token)).length
  }

  async close(): Promise<void> {
    this.#http.close()
    this.#http.closeAllConnections()
    await once(this.#http, 'close')
  }

  async #handle(incoming: Request, drop: () => void): Promise<Response> {
    const at = process.hrtime.bigint()
    const url = new URL(incoming.url)
    const body = await incoming.text()
    const name = requestName(url, body)
    this.onRequest(name, at)
    const fault = this.#take(name)
    // A server that says that it did not handle a request has not seen its secret.
    const uncount = this.#count(name, body)
    if (fault?.when === 'before') await this.#happen(fault, drop)
    const request = new Request(url, {
      method: incoming.method,
      headers: incoming.headers,
      ...(incoming.method === 'POST' && { body }),
    })
    const target = name === 'mcp' || name === 'resource metadata' ? this.mcp : this.as
    const response = await target.handle(request)
    if (response.status === 503 || response.status === 429) uncount()
    if (name.startsWith('token')) {
      const { access_token: issued } = (await response.clone().json()) as { access_token?: string }
      if (issued !== undefined) this.#issued.add(issued)
    }
    if (fault?.when === 'after') await this.#happen(fault, drop)
    return response
  }

  /** Counts the code or refresh token of a request; the result takes it back. */
  #count(name: string, body: string): () => void {
    const form = new URLSearchParams(name.startsWith('token') ? body : '')
    const secret = form.get('code') ?? form.get('refresh_token')
    if (secret === null || secret.startsWith(INVENTED_CODE_PREFIX)) return () => {}
    const id = fingerprint(secret)
    const add = (count: number): void => void this.#sent.set(id, (this.#sent.get(id) ?? 0) + count)
    add(1)
    return () => add(-1)
  }

  #take(name: string): RequestFault | undefined {
    const fault = this.#fault
    if (fault?.name !== name) return undefined
    if (fault.skip > 0) {
      fault.skip -= 1
      return undefined
    }
    this.#fault = undefined
    return fault
  }

  async #happen({ action }: RequestFault, drop: () => void): Promise<void> {
    const resumed = new Promise<'respond' | 'drop'>((resolve) => (this.#resume = resolve))
    this.onReached()
    if (action === 'pause' && (await resumed) === 'respond') return
    drop()
    throw new Error('the connection was cut')
  }
}
