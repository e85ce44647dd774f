import dns from 'node:dns/promises'
import { syncBuiltinESMExports } from 'node:module'
import { onTestFinished, vi } from 'vitest'
import type { AuthOrchestratorOptions } from '../../../src/index.ts'
import { CLIENT, orchestrate, redirectOf, REDIRECT_URI } from './world.ts'

/** What an endpoint responds. An object is sent as JSON, a string as it is. */
export interface RecordedAnswer {
  status?: number
  body: unknown
}

/** A deployed MCP server and its authorization server, as their documents and endpoints were recorded. */
export interface RecordedServer {
  /** The MCP endpoint. */
  server: string
  /** Metadata documents by URL. */
  documents: Record<string, unknown>
  tokenEndpoint: string
  /** The response to a token request; `asked` are the parameters of the authorization request. */
  token: (form: Record<string, string>, asked: Record<string, string>) => RecordedAnswer
  revocationEndpoint?: string
  /** The issuer that the client is registered at. */
  issuer: string
  /** Parameters of the callback besides `code` and `state`. */
  callback?: Record<string, string>
}

interface Sent {
  method: string
  url: string
  authorization: string | undefined
  form: Record<string, string>
}

const RANDOM = ['state', 'code_challenge', 'code_verifier']

/** The parameters without the random ones. */
function steady(parameters: Iterable<[string, string]>): Record<string, string> {
  return Object.fromEntries([...parameters].filter(([name]) => !RANDOM.includes(name)))
}

/** Names resolve to a public address until the test ends: the resolver of the system is never asked for a real host. */
function resolveWithoutNetwork(): void {
  const lookup = vi.spyOn(dns, 'lookup')
  lookup.mockImplementation((async () => [{ address: '93.184.216.34', family: 4 }]) as never)
  syncBuiltinESMExports()
  onTestFinished(() => {
    lookup.mockRestore()
    syncBuiltinESMExports()
  })
}

/** An orchestrator whose whole network is one recorded server. */
export function stageRecorded(recorded: RecordedServer, options: Partial<AuthOrchestratorOptions> = {}) {
  resolveWithoutNetwork()
  const sent: Sent[] = []
  let asked: Record<string, string> = {}
  const respond = ({ url, form }: Sent): RecordedAnswer => {
    if (url === recorded.tokenEndpoint) return recorded.token(form, asked)
    if (url === recorded.revocationEndpoint) return { body: '' }
    if (url === recorded.server) return { status: 401, body: '' }
    const document = recorded.documents[url]
    return document === undefined ? { status: 404, body: 'not found' } : { body: document }
  }
  const fetch: typeof globalThis.fetch = async (input, init) => {
    const request = new Request(input, init)
    const authorization = request.headers.get('authorization') ?? undefined
    const form = steady(new URLSearchParams(await request.text()))
    const entry = { method: request.method, url: request.url, authorization, form }
    sent.push(entry)
    const { status = 200, body } = respond(entry)
    return new Response(typeof body === 'string' ? body : JSON.stringify(body), { status })
  }
  const orchestrator = orchestrate({
    client: CLIENT,
    network: { fetch },
    clients: [{ issuer: recorded.issuer, clientId: 'c', clientSecret: 'fake-secret' }],
    ...options,
  })
  const connection = orchestrator.connection({ tenant: 't1', server: recorded.server })
  const signIn = async (parameters: Parameters<typeof connection.authorize>[0] = {}) => {
    const { authorizationUrl, state } = redirectOf(await connection.authorize(parameters))
    asked = steady(new URL(authorizationUrl).searchParams)
    const callback = new URL(REDIRECT_URI)
    for (const [name, value] of Object.entries({ code: 'fake-code', state, ...recorded.callback }))
      callback.searchParams.set(name, value)
    const { status, failure } = await orchestrator.completeCallback(callback)
    const { client_id: _id, redirect_uri: _uri, response_type: _type, code_challenge_method: method, ...rest } = asked
    return { status, failure, asked: rest, method }
  }
  return { orchestrator, connection, sent, signIn }
}

/** Signs in, refreshes and disconnects; returns what was sent, and what an operator sees. */
export async function journey(recorded: RecordedServer, options: Partial<AuthOrchestratorOptions> = {}) {
  const { connection, sent, signIn } = stageRecorded(recorded, options)
  const { status, failure, asked, method } = await signIn()
  if (status !== 'authorized') throw new Error(`expected to be authorized, not ${status} ${JSON.stringify(failure)}`)
  const first = await connection.accessToken()
  const second = await connection.accessToken({ rejectedToken: first.value })
  const { facts, journal } = await connection.status()
  await connection.disconnect()
  const posts = sent.filter(({ method, url }) => method === 'POST' && url !== recorded.server)
  return {
    asked,
    method,
    tokens: [first.value, second.value],
    scope: first.scope,
    tokenRequests: posts.filter(({ url }) => url === recorded.tokenEndpoint).map(({ form }) => form),
    revocations: posts.filter(({ url }) => url !== recorded.tokenEndpoint),
    facts,
    notes: journal.flatMap(({ notes = [] }) => notes),
  }
}
