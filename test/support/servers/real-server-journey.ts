import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client'
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import {
  type AuthOrchestrator,
  type AuthorizeOptions,
  type Connection,
  createAuthOrchestrator,
  type HostAction,
  isAuthorizationError,
} from '../../../src/index.ts'
import { SimulatedClock } from '../../../src/testing/index.ts'
import { UserAgent } from '../user-agent.ts'
import { type AuthorizationServer, createAuthorizationServer } from './create-authorization-server.ts'
import { createMcpServer, type TestMcpServer } from './create-mcp-server.ts'
import { type Credentials, type RealServer, revokeAt } from './real-server.ts'

export const REDIRECT_URI = 'http://127.0.0.1:1/callback'
export const HOUR_MS = 3_600_000
/** A server may have to be fetched first. */
const FETCH_TIMEOUT_MS = 300_000

/** What a test changes of its orchestrator. */
type SceneOptions = Pick<Parameters<typeof createAuthOrchestrator>[0], 'clients' | 'policy'>

/** What every test of a real server begins with. */
class Scene<Server extends RealServer = RealServer> {
  /** Begins with the servers' own time, which they put into answers; a test moves ours alone. */
  readonly clock = new SimulatedClock({ startAt: Date.now() })
  readonly #actions: HostAction[] = []
  readonly auth: AuthOrchestrator
  readonly connection: Connection
  readonly server: Server
  readonly mcp: TestMcpServer

  constructor(server: Server, mcp: TestMcpServer, options: SceneOptions = {}) {
    this.server = server
    this.mcp = mcp
    this.auth = createAuthOrchestrator({
      client: { name: 'Real servers', redirectUri: REDIRECT_URI },
      clock: this.clock,
      network: { allow: ['127.0.0.1'] },
      onActions: (actions) => void this.#actions.push(...actions),
      ...options,
    })
    this.connection = this.auth.connection({ tenant: 't1', user: 'alice', server: mcp.url })
  }

  /** Begins, lets the user say yes at the server, and finishes. */
  readonly signIn = async (options: AuthorizeOptions = {}, server: RealServer = this.server): Promise<string> => {
    const begun = await this.connection.authorize(options)
    if (begun.status !== 'redirect') throw new Error('no redirect')
    const result = await this.auth.completeCallback(await server.signIn(begun.authorizationUrl))
    expect(result).toMatchObject({ status: 'authorized', connection: { tenant: 't1', user: 'alice' } })
    return begun.authorizationUrl
  }

  /** Calls the tool of the MCP server with the official SDK's client, over `connection.fetch`. */
  readonly whoami = async (): Promise<string> => {
    const client = new Client({ name: 'real-servers', version: '1.0.0' })
    await client.connect(new StreamableHTTPClientTransport(new URL(this.mcp.url), { fetch: this.connection.fetch }))
    const { content } = await client.callTool({ name: 'whoami' })
    await client.close()
    const [first] = content
    return first?.type === 'text' ? first.text : ''
  }

  /** The challenge that `connection.fetch` hands to the host, since only the user can help. */
  readonly challenge = async (): Promise<string> => {
    const rejectedToken = await this.connection.fetch(this.mcp.url, { method: 'POST', body: '{}' }).then(
      ({ status }) => `nothing was thrown for ${status}`,
      (error: unknown) => error,
    )
    if (!isAuthorizationError(rejectedToken) || rejectedToken.challenge === undefined)
      throw new Error(String(rejectedToken))
    expect(rejectedToken.code).toBe('AUTHORIZATION_REQUIRED')
    return rejectedToken.challenge
  }

  /** What the host was told to keep last. */
  readonly credentials = (): Credentials => {
    const data = (type: HostAction['type']): unknown => this.#actions.findLast((action) => action.type === type)?.data
    return { ...(data('saveClientInformation') as object), ...(data('saveTokens') as object) } as Credentials
  }

  /** Where the connection has been, oldest first. */
  readonly way = async (): Promise<string[]> => {
    return (await this.connection.status()).journal.map(({ to, reason }) => `${to}: ${reason}`)
  }
}

const SIGNED_IN = [
  'awaitingCallback: buildAuthorizationRequest.done',
  'exchanging: callback.received',
  'authorized: exchangeCode.done',
]

/** The provider from npm; also the server that others' MCP server moves to. */
export async function startProvider(): Promise<RealServer & Pick<AuthorizationServer, 'ledger' | 'reset'>> {
  const provider = await createAuthorizationServer()
  return {
    ledger: provider.ledger,
    reset: provider.reset,
    issuer: provider.issuer,
    signIn: (url) => new UserAgent().signIn(url, { login: 'alice' }),
    isLive: async ({ refreshToken }) => (await provider.introspect(refreshToken)).active,
    revoke: (credentials) => revokeAt(`${provider.issuer}/revoke`, credentials),
    close: () => provider.close(),
  }
}

/** The life of a connection at a real authorization server, the same at each. */
export function describeRealServer<Server extends RealServer>(
  name: string,
  start: (resource: string) => Promise<Server>,
  quirks: (scene: (options?: SceneOptions) => Scene<Server>) => void,
): void {
  describe(name, () => {
    let server: Server
    let other: Awaited<ReturnType<typeof startProvider>>
    let mcp: TestMcpServer
    const scene = (options?: SceneOptions): Scene<Server> => {
      const set = new Scene(server, mcp, options)
      onTestFinished(() => set.auth.close())
      return set
    }

    beforeAll(async () => {
      other = await startProvider()
      mcp = await createMcpServer({ issuer: other.issuer })
      server = await start(mcp.url)
    }, FETCH_TIMEOUT_MS)
    afterAll(async () => {
      await Promise.all([mcp, other, server].map((part) => part.close()))
    })
    beforeEach(() => {
      mcp.reset()
      other.reset()
      mcp.set({ issuer: server.issuer, requiredScopes: ['mcp:tools'] })
    })

    it('a user signs in, and the MCP server accepts the token', async () => {
      const { connection, signIn, whoami, way } = scene()
      await signIn()
      expect(await whoami()).toMatch(/^you are \S+$/)
      expect(await way()).toEqual(SIGNED_IN)
      expect(await connection.status()).toMatchObject({
        state: 'authorized',
        authorized: true,
        scope: 'mcp:tools',
        failure: undefined,
      })
    })

    it('an expired token is refreshed, and so is one that the MCP server rejects', async () => {
      const { clock, connection, signIn, whoami, way } = scene()
      await signIn()
      const first = await connection.accessToken()
      clock.advance(2 * HOUR_MS)
      const second = await connection.accessToken()
      expect(second.value).not.toBe(first.value)
      const who = await whoami()
      mcp.refuseSeenTokens()
      expect(await whoami()).toBe(who)
      const third = await connection.accessToken()
      expect(new Set([first.value, second.value, third.value]).size).toBe(3)
      const refreshed = ['refreshing: refresh.requested', 'authorized: refreshTokens.done']
      expect(await way()).toEqual([...SIGNED_IN, ...refreshed, ...refreshed])
    })

    it('twenty simultaneous accessToken() calls refresh once, for the same resource', async () => {
      const { auth, clock, connection, signIn, whoami } = scene()
      await signIn()
      let refreshed = 0
      auth.on('refreshed', () => (refreshed += 1))
      clock.advance(2 * HOUR_MS)
      const tokens = await Promise.all(Array.from({ length: 20 }, () => connection.accessToken()))
      expect(new Set(tokens.map(({ value }) => value)).size).toBe(1)
      expect(refreshed).toBe(1)
      expect(await whoami()).toMatch(/^you are \S+$/)
    })

    it('a callback without code, with another issuer, or with a forged state is rejected, and a repeated one is alreadyAuthorized', async () => {
      const { auth, connection } = scene()
      const begun = await connection.authorize()
      if (begun.status !== 'redirect') throw new Error('no redirect')
      const callback = new URL(await server.signIn(begun.authorizationUrl))
      const changed = (change: (parameters: URLSearchParams) => void): URL => {
        const url = new URL(callback)
        change(url.searchParams)
        return url
      }
      const withoutCode = changed((parameters) => parameters.delete('code'))
      expect(await auth.completeCallback(withoutCode)).toMatchObject({
        status: 'failed',
        failure: { code: 'CALLBACK_MALFORMED', details: { reason: 'noCode' } },
      })
      const fromElsewhere = changed((parameters) => parameters.set('iss', 'https://elsewhere.example'))
      expect(await auth.completeCallback(fromElsewhere)).toMatchObject({
        status: 'failed',
        failure: { code: 'CALLBACK_ISSUER_MISMATCH' },
      })
      const forged = changed((parameters) => parameters.set('state', `${begun.state.slice(0, -4)}AAAA`))
      expect(await auth.completeCallback(forged)).toEqual({ status: 'unknown', actions: [] })
      expect((await auth.completeCallback(callback)).status).toBe('authorized')
      expect((await auth.completeCallback(callback)).status).toBe('alreadyAuthorized')
    })

    it('a challenge for more scope leads to an authorization for the union of scopes', async () => {
      const { connection, challenge, signIn, whoami } = scene()
      await signIn()
      mcp.set({ requiredScopes: ['mcp:tools', 'mcp:admin'] })
      const url = await signIn({ challenge: await challenge() })
      expect(new URL(url).searchParams.get('scope')?.split(' ')).toEqual(
        expect.arrayContaining(['mcp:tools', 'mcp:admin']),
      )
      expect(await whoami()).toMatch(/^you are \S+$/)
      const granted = (await connection.accessToken()).scope?.split(' ')
      expect(granted).toEqual(expect.arrayContaining(['mcp:tools', 'mcp:admin']))
    })

    it('when the MCP server moves to another authorization server, the user signs in there with a client and tokens of its own', async () => {
      const { connection, challenge, credentials, signIn, whoami } = scene()
      await signIn()
      const before = credentials()
      mcp.set({ issuer: other.issuer })
      const url = await signIn({ challenge: await challenge() }, other)
      expect(new URL(url).origin).toBe(new URL(other.issuer).origin)
      expect(new URL(url).searchParams.get('client_id')).not.toBe(before.clientId)
      expect(await whoami()).toBe('you are alice')
      expect(other.ledger().tokenRequests).toMatchObject([
        { grantType: 'authorization_code', clientId: credentials().clientId, status: 200 },
      ])
      expect((await connection.status()).authorized).toBe(true)
    })

    it('disconnect revokes the refresh token', async () => {
      const { connection, credentials, signIn } = scene()
      await signIn()
      const held = credentials()
      expect(await server.isLive(held)).toBe(true)
      await connection.disconnect()
      expect(await server.isLive(held)).toBe(false)
      expect((await connection.status()).state).toBe('disconnected')
      await expect(connection.accessToken()).rejects.toMatchObject({ code: 'AUTHORIZATION_REQUIRED' })
    })

    it('a grant revoked at the server requires the user again, and a new sign-in works', async () => {
      const { clock, connection, credentials, signIn, whoami } = scene()
      await signIn()
      await server.revoke(credentials())
      clock.advance(2 * HOUR_MS)
      await expect(connection.accessToken()).rejects.toMatchObject({
        code: 'AUTHORIZATION_REQUIRED',
        retryable: false,
        nextAction: 'authorize',
      })
      const { state, failure } = await connection.status()
      expect({ state, failure }).toMatchObject({
        state: 'reauthorizationRequired',
        failure: { code: 'REFRESH_REJECTED', details: { status: 400 } },
      })
      await signIn()
      expect(await whoami()).toMatch(/^you are \S+$/)
    })

    quirks(scene)
  })
}
