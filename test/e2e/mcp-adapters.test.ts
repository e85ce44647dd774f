import { randomBytes, randomUUID } from 'node:crypto'
import { createMCPClient } from '@ai-sdk/mcp'
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client'
import { Client as Sdk1Client } from '@modelcontextprotocol/sdk/client/index.js'
import { StreamableHTTPClientTransport as Sdk1Transport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, inject, it, onTestFinished } from 'vitest'
import { aiSdkTransport, authorizationErrorOf, mcpTransportOptions } from '../../src/adapters/mcp.ts'
import { type Connection, createAuthOrchestrator } from '../../src/index.ts'
import { RedisStore } from '../../src/stores/redis/index.ts'
import { aiSdk, sdk1, sdk2, sdk2Negotiating } from '../examples/mcp-clients.ts'
import { REDIRECT_URI, until, useStage } from '../support/processes/stage.ts'
import { startMcpServer, type McpServerProcess } from '../support/servers/spawn.ts'
import { UserAgent } from '../support/user-agent.ts'

const stage = useStage()

/** Requires another scope after the first sign-in. */
let strict: McpServerProcess
beforeAll(async () => {
  strict = await startMcpServer({ issuer: stage.as.issuer })
})
afterAll(() => strict.stop())

/** Two instances with a client of their own to one Redis each, and the connection of one user in both. */
function twoInstances(server = stage.mcp.url) {
  const keys = { name: randomBytes(32), sealing: [{ id: '1', secret: randomBytes(32) }] }
  const prefix = `mcp-${randomUUID()}:`
  const start = () => {
    const redis = new Redis(inject('redisUrl'))
    const orchestrator = createAuthOrchestrator({
      client: { name: 'adapters', redirectUri: REDIRECT_URI },
      store: new RedisStore(redis, { prefix }),
      keys,
      network: { allow: ['127.0.0.1'] },
    })
    onTestFinished(async () => {
      await orchestrator.close()
      await redis.quit()
    })
    return { orchestrator, connection: orchestrator.connection({ tenant: 'acme', user: 'u1', server }) }
  }
  return [start(), start()] as const
}

const TEXT = [{ type: 'text', text: 'you are alice' }]
const CALL = { name: 'whoami' }

/** Calls the tool with a client of each SDK, from its connection to its end. */
const CLIENTS: Record<string, (connection: Connection, server: string) => Promise<unknown>> = {
  async '@modelcontextprotocol/client 2'(connection, server) {
    const client = await sdk2(connection, server)
    const { content } = await client.callTool(CALL)
    await client.close()
    return content
  },
  async '@modelcontextprotocol/client 2, negotiating'(connection, server) {
    const client = await sdk2Negotiating(connection, server)
    const { content } = await client.callTool(CALL)
    await client.close()
    return content
  },
  async '@modelcontextprotocol/sdk 1.32'(connection, server) {
    const client = await sdk1(connection, server)
    const { content } = await client.callTool(CALL)
    await client.close()
    return content
  },
  async '@ai-sdk/mcp 2'(connection) {
    const client = await aiSdk(connection)
    const result = (await client.callTool({ name: 'whoami' })) as { content: unknown }
    await client.close()
    return result.content
  },
}

/** The error of ours that an SDK's error holds. */
async function authorizationErrorFrom(promise: Promise<unknown>) {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => authorizationErrorOf(reason),
  )
  if (error === undefined) throw new Error('expected an authorization error')
  return error
}

/** From the error of a client to the callback URL, as a host would. */
async function sentAway(connection: Connection, challenge: string | undefined): Promise<string> {
  const result = await connection.authorize({ challenge })
  if (result.status !== 'redirect') throw new Error('expected a redirect')
  return await new UserAgent().signIn(result.authorizationUrl, { login: 'alice' })
}

const TTL_MS = 1_000

describe.each(Object.entries(CLIENTS))('%s', (_name, whoami) => {
  it('the MCP client calls a tool with tokens that the other instance obtained, and with renewed ones after expiry and after a 401', async () => {
    const server = stage.mcp.url
    const [one, two] = twoInstances()
    await stage.as.set({ accessTokenTtlSeconds: TTL_MS / 1_000 })
    const { code, nextAction, challenge } = await authorizationErrorFrom(whoami(one.connection, server))
    expect([code, nextAction]).toEqual(['AUTHORIZATION_REQUIRED', 'authorize'])
    const callbackUrl = await sentAway(one.connection, challenge)
    expect((await two.orchestrator.completeCallback(callbackUrl)).status).toBe('authorized')
    const expiresAt = Date.now() + TTL_MS

    await stage.as.set({ accessTokenTtlSeconds: 3_600 })
    await until(expiresAt)
    expect(await whoami(one.connection, server)).toEqual(TEXT)
    expect(await whoami(two.connection, server)).toEqual(TEXT)
    expect(await stage.tokenRequests()).toEqual(['authorization_code 200', 'refresh_token 200'])
    expect((await stage.mcp.ledger()).unauthorized).toBe(0)

    // The server forgets the token before its time.
    await stage.mcp.refuseSeenTokens()
    expect(await whoami(one.connection, server)).toEqual(TEXT)
    expect(await stage.tokenRequests()).toEqual(['authorization_code 200', 'refresh_token 200', 'refresh_token 200'])
  })

  it("the MCP client's error carries the server's challenge when the user has to sign in", async () => {
    const [{ connection }] = twoInstances()
    await connection.import({ tokens: { accessToken: 'long-forgotten' } })
    const { code, challenge } = await authorizationErrorFrom(whoami(connection, stage.mcp.url))
    expect(code).toBe('AUTHORIZATION_REQUIRED')
    expect(challenge).toMatch(/^Bearer .*resource_metadata="http/)
    expect(await sentAway(connection, challenge)).toContain('code=')
  })

  it("the MCP client's error carries a challenge for more scope, and the call succeeds once the user has agreed", async () => {
    await strict.set({ requiredScopes: ['mcp:tools'] })
    const [one, two] = twoInstances(strict.url)
    const first = await one.connection.authorize({ scope: 'mcp:tools offline_access' })
    if (first.status !== 'redirect') throw new Error('expected a redirect')
    const browser = new UserAgent()
    const firstCallback = await browser.signIn(first.authorizationUrl, { login: 'alice' })
    expect((await one.orchestrator.completeCallback(firstCallback)).status).toBe('authorized')

    await strict.set({ requiredScopes: ['mcp:tools', 'mcp:admin'] })
    const { code, nextAction, challenge, failure } = await authorizationErrorFrom(whoami(one.connection, strict.url))
    expect([code, nextAction, failure.details?.reason]).toEqual([
      'AUTHORIZATION_REQUIRED',
      'authorize',
      'insufficientScope',
    ])
    expect((await two.orchestrator.completeCallback(await sentAway(one.connection, challenge))).status).toBe(
      'authorized',
    )
    expect(await whoami(one.connection, strict.url)).toEqual(TEXT)
  })
})

describe('an MCP SDK that ignores the fetch option', () => {
  const sentence = /^this MCP SDK started its own OAuth flow: .*use orchestrator\.handleCallback\(\) instead\)$/
  // What old versions do: they know no `fetch` in their options.
  const ignored = { fetch: undefined }
  const attempts: Record<string, (connection: Connection, server: URL) => Promise<unknown>> = {
    '@modelcontextprotocol/client 2': (connection, server) => {
      const { authProvider } = mcpTransportOptions(connection)
      const transport = new StreamableHTTPClientTransport(server, { authProvider })
      return new Client({ name: 'old', version: '1.0.0' }).connect(transport)
    },
    '@modelcontextprotocol/sdk 1.32': (connection, server) => {
      const { authProvider } = mcpTransportOptions(connection)
      const client = new Sdk1Client({ name: 'old', version: '1.0.0' })
      return client.connect(new Sdk1Transport(server, { authProvider }))
    },
    '@ai-sdk/mcp 2': (connection) =>
      createMCPClient({ transport: { ...aiSdkTransport(connection), ...ignored } as never }),
  }

  it.each(Object.entries(attempts))(
    '%s without the fetch option fails with a TypeError that names the cause',
    async (_name, connect) => {
      const [{ connection }] = twoInstances()
      await expect(connect(connection, new URL(stage.mcp.url))).rejects.toThrow(
        expect.objectContaining({ name: 'TypeError', message: expect.stringMatching(sentence) }),
      )
      expect(await stage.tokenRequests()).toEqual([])
    },
  )

  it('a host that hands the callback to the SDK gets a TypeError that names orchestrator.handleCallback()', async () => {
    const [{ connection }] = twoInstances()
    const transport = new StreamableHTTPClientTransport(new URL(stage.mcp.url), mcpTransportOptions(connection))
    await expect(transport.finishAuth('code')).rejects.toThrow(sentence)
  })
})
