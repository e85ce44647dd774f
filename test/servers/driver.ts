import {
  AuthorizationError,
  type AuthOrchestrator,
  type Connection,
  createAuthOrchestrator,
  isAuthorizationError,
} from '../../src/index.ts'
import { authorizationErrorOf } from '../../src/adapters/mcp.ts'
import { SimulatedClock } from '../../src/testing/simulated-clock.ts'
import { sdk2 } from '../examples/mcp-clients.ts'
import type { Row } from './row.ts'
import { lifeMsOf, StubAuthorizationServer } from './stub/authorization-server.ts'
import { Audit } from './stub/audit.ts'
import { answerAsMcpServer } from './stub/mcp-server.ts'
import { type Answer, type Network, type Received, startNetwork } from './stub/network.ts'

const REDIRECT_URI = 'https://agents.acme.example/oauth/callback'
/** Where tokens do not expire: long enough to show it. */
const MONTH_MS = 30 * 24 * 3_600_000

/** What became of a server. */
export interface Outcome {
  readonly connects: 'with refresh' | 'without refresh' | undefined
  /** Where it was rejected: the code, what the host can do, and the message. */
  readonly rejected?: { readonly code: string; readonly nextAction: string; readonly message: string }
  /** Whether the authorization server revoked tokens when the connection was disconnected. */
  readonly revoked?: boolean
  readonly facts?: readonly string[]
  /** What was wrong with the requests. */
  readonly faults: readonly string[]
  readonly audit: Audit
}

/** Signs in to one recorded server through the public API, as a host and its user would, uses it, and disconnects. */
export async function connect(row: Row): Promise<Outcome> {
  const clock = new SimulatedClock()
  const audit = new Audit()
  const { host = {}, mcp } = row
  const stub = new StubAuthorizationServer(row.authorizationServer, host, mcp.url, clock, audit)
  const network = await startNetwork(hostsOf(row), (received) => answerTo(row, stub, received))
  const { clients, authorizationServers, redirectUri = REDIRECT_URI } = host
  try {
    const orchestrator = createAuthOrchestrator({
      client: { name: 'Acme Agents', redirectUri },
      ...(clients && { clients }),
      ...(authorizationServers && { authorizationServers }),
      network: { proxy: network.proxy },
      clock,
    })
    try {
      return await use(row, { orchestrator, stub, clock, network, audit })
    } finally {
      await orchestrator.close()
    }
  } catch (error) {
    return { connects: undefined, rejected: rejectionOf(error), faults: audit.faults, audit }
  } finally {
    network.close()
  }
}

interface Stage {
  readonly orchestrator: AuthOrchestrator
  readonly stub: StubAuthorizationServer
  readonly clock: SimulatedClock
  readonly network: Network
  readonly audit: Audit
}

async function use(row: Row, { orchestrator, stub, clock, network, audit }: Stage): Promise<Outcome> {
  const { host = {}, mcp } = row
  const connection = orchestrator.connection({ tenant: 'acme', user: 'u1', server: mcp.url })
  await firstContact(connection, mcp.url)
  const result = await connection.authorize({ binding: 'session-1', ...host.authorize })
  if (result.status === 'redirect') {
    const callback = browse(stub, result.authorizationUrl)
    if (callback === undefined) {
      const rejected = { code: 'by its page', nextAction: 'none', message: '' }
      return { connects: undefined, rejected, faults: audit.faults, audit }
    }
    const done = await orchestrator.completeCallback(callback, { binding: 'session-1' })
    if (done.failure !== undefined) throw new AuthorizationError(done.failure)
  }
  const client = await sdk2(connection, mcp.url)
  await client.callTool({ name: 'whoami' })
  const { facts } = (await connection.status()) as { facts?: readonly string[] }
  const requests = audit.tokenRequests.length
  const lifeMs = lifeMsOf(row.authorizationServer.quirks)
  clock.advance((lifeMs === Infinity ? MONTH_MS : lifeMs) + 1000)
  const isUsable = await client.callTool({ name: 'whoami' }).then(
    () => true,
    (error: unknown) => {
      if (authorizationErrorOf(error)?.code === 'AUTHORIZATION_REQUIRED') return false
      throw error
    },
  )
  const connects = isUsable && audit.tokenRequests.length > requests ? 'with refresh' : 'without refresh'
  await client.close()
  await connection.disconnect()
  audit.check(network.received)
  audit.fault(network.rejectedHosts.length > 0, `asked for ${network.rejectedHosts.join(', ')}`)
  return { connects, revoked: audit.revoked.length > 0, ...(facts && { facts }), faults: audit.faults, audit }
}

/** The first request of a host that has nothing but a URL. */
async function firstContact(connection: Connection, url: string): Promise<void> {
  const call = { jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'whoami', arguments: {} } }
  const headers = { 'content-type': 'application/json', accept: 'application/json, text/event-stream' }
  try {
    const response = await connection.fetch(url, { method: 'POST', headers, body: JSON.stringify(call) })
    await response.body?.cancel()
  } catch (error) {
    if (!isAuthorizationError(error) || error.code !== 'AUTHORIZATION_REQUIRED') throw error
  }
}

/** Where the authorization page sends the browser; `undefined` if it keeps it. */
function browse(stub: StubAuthorizationServer, authorizationUrl: string): string | undefined {
  const answer = stub.answer({ method: 'GET', url: new URL(authorizationUrl), headers: {}, body: '' })
  return answer?.headers?.['location']
}

/** The answer of one recorded server: its documents, its MCP endpoint, and the endpoints of its authorization server. */
export function answerTo(
  { mcp, documents, answers = {} }: Pick<Row, 'mcp' | 'documents' | 'answers'>,
  stub: StubAuthorizationServer,
  received: Received,
): Answer {
  const { method, url } = received
  const named = url.href.replace(/\?.*$/, '')
  const published = method === 'GET' ? (documents[url.href] ?? documents[named]) : undefined
  if (published !== undefined) return { body: published }
  const answer = method === 'GET' ? (answers[url.href] ?? answers[named]) : undefined
  if (answer !== undefined) return answer
  if (named === new URL(mcp.url).href.replace(/\?.*$/, ''))
    return answerAsMcpServer(mcp, received, (token) => stub.accepts(token))
  return stub.answer(received) ?? { status: 404, body: 'not found' }
}

function hostsOf({ mcp, documents, answers, authorizationServer: { document } }: Row): ReadonlySet<string> {
  const endpoints = Object.entries(document).filter(([name]) => name.endsWith('_endpoint'))
  const urls = [
    mcp.url,
    ...Object.keys(documents),
    ...Object.keys(answers ?? {}),
    ...endpoints.map(([, url]) => String(url)),
  ]
  return new Set(urls.map((url) => new URL(url).host))
}

function rejectionOf(error: unknown): { code: string; nextAction: string; message: string } {
  const failed = isAuthorizationError(error) ? error : authorizationErrorOf(error)
  if (failed !== undefined) return { code: failed.code, nextAction: failed.nextAction, message: failed.message }
  const { name, message } = error instanceof Error ? error : { name: typeof error, message: String(error) }
  return { code: name, nextAction: 'none', message }
}
