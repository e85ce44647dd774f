import assert from 'node:assert/strict'
import type { Clock } from '../../../src/clock.ts'
import {
  type AuthorizationServerSwitches,
  inProcessFetch,
  TestAuthorizationServer,
  TestMcpServer,
} from '../../../src/testing/index.ts'
import { ProofGate } from './proof-gate.ts'
import { checkOwnership } from './sent-credentials.ts'

/**
 * How the tokens of a sequence are obtained and used: by DPoP, or for one of the connections by client credentials,
 * without a user.
 */
export type Variant = 'bearer' | 'dpop' | 'clientCredentials'

const ORIGINS = ['http://127.0.0.1:1', 'http://127.0.0.1:3']
/** Looks like any other secret. */
const MACHINE = ORIGINS.map((issuer, index) => ({
  issuer,
  clientId: `machine-${index}`,
  clientSecret: `secret-${String(index).repeat(32)}`,
}))

/** Two authorization servers, and an MCP server that names them, in this process. */
export class FleetServers {
  readonly authorization: readonly TestAuthorizationServer[]
  readonly mcp: TestMcpServer
  /** The clients that the host is configured with. */
  readonly clients: typeof MACHINE
  readonly #gate: ProofGate | undefined
  readonly #reach: typeof globalThis.fetch
  readonly #leaks: string[] = []

  constructor(variant: Variant, clock: Clock, switches: AuthorizationServerSwitches) {
    this.clients = variant === 'clientCredentials' ? MACHINE : []
    this.#gate = variant === 'dpop' ? new ProofGate() : undefined
    this.authorization = ORIGINS.map((origin) => {
      const clients = this.clients.filter(({ issuer }) => issuer === origin)
      return new TestAuthorizationServer({ origin, clock, clients, ...switches })
    })
    this.mcp = new TestMcpServer({ clock, authorizationServers: [...this.authorization] })
    this.#reach = inProcessFetch(...this.authorization, this.mcp)
  }

  readonly fetch: typeof globalThis.fetch = async (input, init) => {
    const request = new Request(input, init)
    await this.#watch(request)
    const next = (proven: Request): Promise<Response> => this.#reach(proven)
    return this.#gate === undefined ? await next(request) : await this.#gate.pass(request, next)
  }

  clearFaults(): void {
    for (const server of [...this.authorization, this.mcp]) server.clearFaults()
  }

  /** What one issuer gave, or was registered there, goes to no other, and tokens go to the MCP server alone. */
  check(): void {
    checkOwnership(this.authorization)
    assert.deepEqual(this.#leaks, [], 'something secret was sent to the wrong server')
    assert.deepEqual(this.#gate?.problems ?? [], [], 'a proof of possession is missing or wrong')
  }

  async #watch(request: Request): Promise<void> {
    const { origin, pathname } = new URL(request.url)
    const [, scheme = '', credentials = ''] = /^(\w+) (.+)$/.exec(request.headers.get('authorization') ?? '') ?? []
    if (/^(?:bearer|dpop)$/i.test(scheme) && request.url !== this.mcp.url) this.#leaks.push(`a token to ${request.url}`)
    const basic = scheme === 'Basic' ? Buffer.from(credentials, 'base64').toString() : ''
    const sent = basic + (request.method === 'POST' ? await request.clone().text() : '')
    const foreign = this.clients.filter(({ issuer, clientSecret }) => issuer !== origin && sent.includes(clientSecret))
    for (const { clientId } of foreign) this.#leaks.push(`the secret of ${clientId} to ${origin}${pathname}`)
  }
}
