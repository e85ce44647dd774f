import { onTestFinished, describe, expect, test } from 'vitest'
import { type AssertionRequest, createAuthOrchestrator, MemoryStore } from '../../src/index.ts'
import { createMcpServer } from '../support/servers/create-mcp-server.ts'
import {
  OUR_CLIENT,
  PROVIDER_CLIENT,
  startAssertionServer,
  startIdentityProvider,
} from '../support/servers/assertion-servers.ts'
import { verifies } from '../support/verifies.ts'

const client = { name: 'Acme', redirectUri: 'https://app.example/callback' }
const network = { allow: ['127.0.0.1'] }
const whoami = JSON.stringify({
  jsonrpc: '2.0',
  id: 1,
  method: 'tools/call',
  params: { name: 'whoami', arguments: {} },
})

/** An identity provider, an authorization server that trusts it, a real MCP server, and processes that share a store. */
async function stage(kind: 'identity' | 'workload') {
  const provider = await startIdentityProvider()
  const as = await startAssertionServer(provider.url, kind)
  const mcp = await createMcpServer({ issuer: as.url })
  const store = new MemoryStore()
  const asked: AssertionRequest[] = []
  const of = { tenant: 't1', user: 'alice', server: mcp.url }
  const start = () => {
    const orchestrator = createAuthOrchestrator({
      client,
      network,
      store,
      ...(kind === 'identity' && {
        clients: [{ issuer: as.url, ...OUR_CLIENT }],
        identityProvider: { issuer: provider.url, ...PROVIDER_CLIENT },
      }),
      assertions: async (request) => {
        asked.push(request)
        return kind === 'identity'
          ? await provider.idToken('alice')
          : await provider.workloadToken('agent-7', request.audience)
      },
    })
    onTestFinished(() => orchestrator.close())
    return orchestrator.connection(of)
  }
  onTestFinished(async () => {
    await Promise.all([provider.close(), as.close(), mcp.close()])
  })
  return { provider, as, mcp, start, asked, of }
}

async function callTool(connection: Awaited<ReturnType<typeof stage>>['start'] extends () => infer C ? C : never) {
  const response = await connection.fetch(connection.identity.server, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
      'mcp-protocol-version': '2025-11-25',
    },
    body: whoami,
  })
  return [response.status, (await response.text()).match(/you are [\w-]+/)?.[0]]
}

describe('enterprise-managed authorization', () => {
  test(
    'an ID token signs a user in for two processes with one pair of requests, and the other process renews',
    verifies([181, 183], async () => {
      const { provider, as, mcp, start, asked, of } = await stage('identity')
      const [a, b] = [start(), start()]
      const results = await Promise.all([a, b].map((each) => each.authorize({ grant: 'identity_assertion' })))
      expect(results.map(({ status }) => status)).toEqual(['authorized', 'authorized'])
      expect([provider.requests.length, as.requests.length]).toEqual([1, 1])
      expect(asked).toEqual([
        {
          connection: { ...of, label: undefined },
          kind: 'id_token',
          audience: as.url,
          tokenEndpoint: `${provider.url}/token`,
          resource: mcp.url,
          scope: 'mcp:tools',
        },
      ])
      expect(await callTool(a)).toEqual([200, 'you are alice'])

      const { value: rejectedToken } = await a.accessToken()
      const renewed = await b.accessToken({ rejectedToken })
      expect(renewed.value).not.toBe(rejectedToken)
      expect([provider.requests.length, as.requests.length]).toEqual([2, 2])
      expect(as.requests[0]?.['assertion']).not.toBe(as.requests[1]?.['assertion'])
      expect(await callTool(b)).toEqual([200, 'you are alice'])
    }),
  )

  test('an exchange that the identity provider rejects fails with EXCHANGE_REJECTED, also for callers without a rejected token', async () => {
    const { provider, as, start } = await stage('identity')
    const connection = start()
    await connection.authorize({ grant: 'identity_assertion' })
    provider.refuse('insufficient_user_authentication')
    const { value: rejectedToken } = await connection.accessToken()
    for (const options of [{ rejectedToken }, {}])
      await expect(connection.accessToken(options)).rejects.toMatchObject({
        code: 'EXCHANGE_REJECTED',
        failure: {
          details: { url: `${provider.url}/token`, status: 400, error: 'insufficient_user_authentication' },
        },
        nextAction: 'authorize',
      })
    expect([provider.requests.length, as.requests.length]).toEqual([2, 1])
    expect(await connection.status()).toMatchObject({ authorized: false, failure: { code: 'EXCHANGE_REJECTED' } })
  })
})

describe('workload identity', () => {
  test('a workload JWT signs an agent in without client credentials', async () => {
    const { as, start, asked } = await stage('workload')
    const connection = start()
    const { status, actions } = await connection.authorize({ grant: 'jwt_bearer' })
    expect([status, actions.map(({ type }) => type)]).toEqual(['authorized', ['saveTokens']])
    expect(as.requests.map(({ assertion: _, ...rest }) => rest)).toEqual([
      {
        grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer',
        resource: connection.identity.server,
        scope: 'mcp:tools',
      },
    ])
    expect(asked.map(({ kind, audience, tokenEndpoint }) => [kind, audience, tokenEndpoint])).toEqual([
      ['workload', as.url, `${as.url}/token`],
    ])
    expect(await callTool(connection)).toEqual([200, 'you are agent-7'])
  })
})
