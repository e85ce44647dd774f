import { createAuthOrchestrator } from '../../src/index.ts'
import { createStatelyInspector } from '../../src/adapters/stately/index.ts'

const stately = await createStatelyInspector({ port: 8090 })
const auth = createAuthOrchestrator({
  client: { name: 'Acme Agents', redirectUri: 'http://localhost:3000/callback' },
  inspect: stately.inspect,
})
console.log(`open ${stately.url}`)

process.once('SIGTERM', () => {
  void auth.close().then(() => stately.close())
})
