import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client'
import { Redis } from 'ioredis'
import { authorizationErrorOf, mcpTransportOptions } from '../../../src/adapters/mcp.ts'
import { createAuthOrchestrator } from '../../../src/index.ts'
import { RedisStore } from '../../../src/stores/redis/index.ts'

/** Shared by all hosts: one orchestrator per process, on the deployment's Redis. */

function setting(name: string): string {
  const value = process.env[name]
  if (value === undefined) throw new Error(`the environment variable ${name} is missing`)
  return value
}
const key = (name: string): Uint8Array => new Uint8Array(Buffer.from(setting(name), 'base64'))

export const port = Number(setting('PORT'))
export const sessionSecret = setting('SESSION_SECRET')
const server = setting('MCP_SERVER')
const redirectUri = setting('CALLBACK_URL')
const { origin } = new URL(redirectUri)

const redis = new Redis(setting('REDIS_URL'))
export const auth = createAuthOrchestrator({
  client: { name: 'Acme Agents', redirectUri },
  store: new RedisStore(redis, { prefix: setting('REDIS_PREFIX') }),
  keys: { name: key('NAME_KEY'), sealing: [{ id: '1', secret: key('SEALING_KEY') }] },
  network: { allow: ['127.0.0.1'] }, // servers on this machine; leave it out for public ones
  policy: { returnToOrigins: [origin] },
})

/** Calls a tool for the user of a session, or redirects the user to sign in at the MCP server first. */
export async function whoami(user: string | undefined): Promise<Response> {
  if (user === undefined) return new Response('who are you?', { status: 401 })
  const connection = auth.connection({ tenant: 'acme', user, server })
  const client = new Client({ name: 'acme-agents', version: '1.0.0' })
  try {
    await client.connect(new StreamableHTTPClientTransport(new URL(server), mcpTransportOptions(connection)))
    const { content } = await client.callTool({ name: 'whoami' })
    return Response.json(content)
  } catch (error) {
    const reason = authorizationErrorOf(error)
    if (reason?.nextAction !== 'authorize') throw error
    const result = await connection.authorize({ challenge: reason.challenge, returnTo: `${origin}/whoami` })
    return result.status === 'redirect' ? auth.redirectResponse(result) : Response.redirect(`${origin}/whoami`)
  } finally {
    await client.close()
  }
}

/** On SIGTERM: rejects new requests, drains authchart's in-flight operations, then closes Redis. */
export function closeOnSigterm(closeServer: () => Promise<unknown>): void {
  const close = async (): Promise<void> => {
    await closeServer()
    await auth.close()
    await redis.quit()
  }
  process.once('SIGTERM', () => void close())
}
