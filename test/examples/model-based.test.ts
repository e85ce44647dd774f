import { test } from 'vitest'
import { createAuthOrchestrator, MemoryStore } from '../../src/index.ts'
import {
  connectionPaths,
  inProcessFetch,
  type Integration,
  SimulatedClock,
  TestAuthorizationServer,
  TestMcpServer,
} from '../../src/testing/index.ts'

/** A new instance of the host's integration: here the orchestrator itself, in a process that can be restarted. */
function startIntegration(): Integration {
  const clock = new SimulatedClock()
  const as = new TestAuthorizationServer({ clock })
  const mcp = new TestMcpServer({ clock, authorizationServers: [as] })
  const options = {
    client: { name: 'Acme', redirectUri: 'https://app.example/callback' },
    network: { allow: ['127.0.0.1'], fetch: inProcessFetch(as, mcp) },
    store: new MemoryStore({ clock }),
    clock,
  }
  let auth = createAuthOrchestrator(options)
  const connection = () => auth.connection({ tenant: 'acme', user: 'alice', server: mcp.url })
  let link = ''
  return {
    status: () => connection().status(),
    requestLogs: [as.requestLog],
    actions: {
      beginSignIn: async () => {
        const result = await connection().authorize()
        if (result.status === 'redirect') link = result.authorizationUrl
      },
      approve: async () => await auth.completeCallback(await as.approve(link)),
      deny: async () => await auth.completeCallback(await as.deny(link)),
      letAttemptExpire: async () => clock.advance(300_000),
      expireToken: async () => clock.advance(3_600_000),
      revokeTokens: async () => as.revokeEverything(),
      callTool: () =>
        connection().fetch(mcp.url, { method: 'POST', body: '{"jsonrpc":"2.0","id":1,"method":"tools/list"}' }),
      disconnect: () => connection().disconnect(),
      restartProcess: async () => {
        await auth.close()
        auth = createAuthOrchestrator(options)
      },
    },
  }
}

for (const path of connectionPaths()) test(path.description, () => path.walk(startIntegration()))
