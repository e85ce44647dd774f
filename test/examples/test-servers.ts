import { createAuthOrchestrator } from '../../src/index.ts'
import { inProcessFetch, SimulatedClock, TestAuthorizationServer, TestMcpServer } from '../../src/testing/index.ts'

const clock = new SimulatedClock()
const as = new TestAuthorizationServer({ clock })
const mcp = new TestMcpServer({ clock, authorizationServers: [as], requiredScope: 'tools' })
export const auth = createAuthOrchestrator({
  client: { name: 'Acme', redirectUri: 'https://app.example/callback' },
  clock,
  network: { allow: ['127.0.0.1'], fetch: inProcessFetch(as, mcp) },
})
