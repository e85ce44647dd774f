import { once } from 'node:events'
import { createAuthOrchestrator, MemoryStore } from '../../../src/index.ts'

// A process of a host whose operator set NODE_DEBUG: it signs in once, and uses and renews the tokens.
const [server = '', redirectUri = '', query = ''] = process.argv.slice(2)
const network = { allow: ['127.0.0.1'] }
const orchestrator = createAuthOrchestrator({
  client: { name: 'Acme', redirectUri },
  store: new MemoryStore(),
  network,
})
const connection = orchestrator.connection({ tenant: 't1', user: 'u1', server })
process.send?.(await connection.authorize())
const [callbackUrl] = (await once(process, 'message')) as [string]
await orchestrator.completeCallback(callbackUrl)
const { value: rejectedToken } = await connection.accessToken()
await connection.accessToken({ rejectedToken })
const { body } = await connection.fetch(`${server}${query}`, { method: 'POST', body: callbackUrl })
await body?.cancel()
await connection.disconnect()
await orchestrator.close()
process.disconnect()
