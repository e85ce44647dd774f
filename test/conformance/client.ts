/**
 * The client that the conformance suite starts, with the MCP server's URL as its last argument: speaks MCP with the
 * official SDK's client, and does everything that has to do with authorization through authchart's public surface.
 */
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client'
import { createAuthOrchestrator, isAuthorizationError } from '../../src/index.ts'
import { readScenario } from './scenario.ts'

/** The suite wants at most three authorization requests for one operation. */
const MAX_ROUNDS = 3

const server = process.argv.at(-1) ?? ''
const { protocolVersion, options, wishes } = await readScenario(process.env, server)

const orchestrator = createAuthOrchestrator({
  client: {
    name: 'authchart conformance client',
    redirectUri: 'http://localhost:3000/callback',
    metadataUrl: 'https://conformance-test.local/client-metadata.json',
  },
  network: { allow: ['localhost', '127.0.0.1', '::1'] },
  ...options,
})
const connection = orchestrator.connection({ tenant: 'conformance', server })

/** Signs in as a user would who says yes: the suite's authorization servers answer the first GET with the callback. */
async function signIn(challenge: string | undefined): Promise<void> {
  const begun = await connection.authorize({ ...wishes, challenge })
  if (begun.status === 'authorized') return
  const answer = await fetch(begun.authorizationUrl, { redirect: 'manual' })
  const { status, failure } = await orchestrator.completeCallback(answer.headers.get('location') ?? '')
  if (status !== 'authorized') throw new Error(`the callback ended as ${status}: ${failure?.code}`)
}

/** Asks the server, without a token as long as there is none. What it challenges us with, if anything. */
async function ask(
  input: string | URL,
  init: RequestInit | undefined,
): Promise<{ response: Response } | { challenge: string | undefined }> {
  const { authorized } = await connection.status()
  try {
    const response = authorized ? await connection.fetch(input, init) : await fetch(input, init)
    if (response.status !== 401) return { response }
    await response.body?.cancel()
    return { challenge: response.headers.get('www-authenticate') ?? undefined }
  } catch (error) {
    if (isAuthorizationError(error) && error.code === 'AUTHORIZATION_REQUIRED') return { challenge: error.challenge }
    throw error
  }
}

async function authorizedFetch(input: string | URL, init?: RequestInit): Promise<Response> {
  for (let round = 0; ; round += 1) {
    const answer = await ask(input, init)
    if ('response' in answer) return answer.response
    if (round === MAX_ROUNDS) throw new Error('the server challenges without end')
    await signIn(answer.challenge)
  }
}

const client = new Client(
  { name: 'authchart-conformance', version: '0.0.0' },
  { versionNegotiation: { mode: protocolVersion === '2025-11-25' ? 'legacy' : { pin: protocolVersion } } },
)
try {
  await client.connect(new StreamableHTTPClientTransport(new URL(server), { fetch: authorizedFetch }))
  await client.listTools()
  await client.callTool({ name: 'test-tool', arguments: {} })
} finally {
  await client.close()
  await orchestrator.close()
}
