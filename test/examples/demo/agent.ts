import { createHash } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client'
import { Redis } from 'ioredis'
import { toNodeHandler } from '../../../src/adapters/node.ts'
import { createAuthOrchestrator } from '../../../src/index.ts'
import { RedisStore } from '../../../src/stores/redis/index.ts'
import { SqliteStore } from '../../../src/stores/sqlite.ts'
import type { AgentCommands, AgentInit, FromAgent, ToAgent } from './agent-commands.ts'

/** One process of an agent platform: starts sign-ins, receives callbacks of any process, and calls tools. */

const report = (message: FromAgent): void => void process.send?.(message)
const key = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'base64url'))

async function start(init: AgentInit): Promise<AgentCommands> {
  let serve: (request: Request) => Promise<Response> = () => Promise.resolve(new Response(null, { status: 503 }))
  const answer = toNodeHandler((request) => serve(request))
  const http = createServer(answer)
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve))
  const origin = `http://127.0.0.1:${(http.address() as AddressInfo).port}`

  const redis = 'redisUrl' in init.store ? new Redis(init.store.redisUrl) : undefined
  const store =
    redis !== undefined && 'prefix' in init.store
      ? new RedisStore(redis, { prefix: init.store.prefix })
      : new SqliteStore({ path: 'path' in init.store ? init.store.path : '' })
  const orchestrator = createAuthOrchestrator({
    client: { name: 'authchart demo', redirectUri: init.redirectUri ?? `${origin}/callback` },
    store,
    keys: { name: key(init.keys.name), sealing: [{ id: 'demo', secret: key(init.keys.sealing) }] },
    // Loopback addresses and plain http are blocked unless they are listed.
    network: { allow: ['127.0.0.1'] },
  })
  orchestrator.on('transition', ({ connection, from, to, reason }) => {
    report({ line: `${connection.tenant}: ${from} → ${to} (${reason})` })
  })
  const connectionOf = (tenant: string) => orchestrator.connection({ tenant, server: init.server })

  serve = async (request) => {
    const { pathname, searchParams } = new URL(request.url)
    if (pathname === '/callback') return orchestrator.handleCallback(request)
    const tenant = searchParams.get('tenant')
    if (pathname !== '/start' || tenant === null) return new Response('not found', { status: 404 })
    const result = await connectionOf(tenant).authorize(init.promptLogin ? { parameters: { prompt: 'login' } } : {})
    return result.status === 'redirect' ? orchestrator.redirectResponse(result) : new Response('already signed in')
  }
  report({ listening: origin })

  return {
    async callTool(tenant) {
      const { fetch } = connectionOf(tenant)
      const client = new Client({ name: 'authchart-demo', version: '1.0.0' })
      await client.connect(new StreamableHTTPClientTransport(new URL(init.server), { fetch }))
      const { content } = await client.callTool({ name: 'whoami' })
      await client.close()
      return content.map((part) => (part.type === 'text' ? part.text : '')).join(' ')
    },
    async accessToken(tenant) {
      const { value, expiresAt } = await connectionOf(tenant).accessToken()
      return { fingerprint: createHash('sha256').update(value).digest('hex').slice(0, 8), expiresAt }
    },
    async status(tenant) {
      const { state, expiresAt, failure } = await connectionOf(tenant).status()
      return { state, expiresAt, failure: failure?.code }
    },
    async disconnect(tenant) {
      await connectionOf(tenant).disconnect()
    },
    async close() {
      http.close()
      http.closeAllConnections()
      await orchestrator.close()
      await store.close()
      await redis?.quit()
    },
  }
}

let commands: Promise<AgentCommands> | undefined

process.on('message', (message: ToAgent) => {
  if ('init' in message) {
    commands = start(message.init)
    return
  }
  const { id, command, tenant } = message
  const run = async (): Promise<unknown> => (await commands)?.[command](tenant)
  run().then(
    (value) => report({ id, value }),
    (error: unknown) => report({ id, error: error instanceof Error ? error.message : 'something else was thrown' }),
  )
})
process.once('disconnect', () => process.exit())
