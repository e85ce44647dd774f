/**
 * The client that the conformance suite starts, with the MCP server's URL as its last argument: speaks MCP with the
 * official SDK's client, and does everything that has to do with authorization through authchart's public surface.
 */
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client'
import { authorizationErrorOf, mcpTransportOptions } from '../../src/adapters/mcp.ts'
import { createAuthOrchestrator } from '../../src/index.ts'
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
async function signIn(): Promise<void> {
  const begun = await connection.authorize(wishes)
  if (begun.status !== 'redirect') return
  const answer = await fetch(begun.authorizationUrl, { redirect: 'manual' })
  const { status, failure } = await orchestrator.completeCallback(answer.headers.get('location') ?? '')
  if (status !== 'authorized') throw new Error(`the callback ended as ${status}: ${failure?.code}`)
}

/** One operation of the SDK's client, repeated after each sign-in that the server requires. */
async function signedIn<T>(operation: () => Promise<T>): Promise<T> {
  for (let round = 0; ; round += 1) {
    try {
      return await operation()
    } catch (error) {
      if (authorizationErrorOf(error)?.code !== 'AUTHORIZATION_REQUIRED' || round === MAX_ROUNDS) throw error
      await signIn()
    }
  }
}

const client = new Client(
  { name: 'authchart-conformance', version: '0.0.0' },
  { versionNegotiation: { mode: protocolVersion === '2025-11-25' ? 'legacy' : { pin: protocolVersion } } },
)
try {
  await signedIn(() =>
    client.connect(new StreamableHTTPClientTransport(new URL(server), mcpTransportOptions(connection))),
  )
  await signedIn(() => client.listTools())
  await signedIn(() => client.callTool({ name: 'test-tool', arguments: {} }))
} finally {
  await client.close()
  await orchestrator.close()
}
