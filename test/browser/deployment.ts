import { once } from 'node:events'
import { type AddressInfo, connect } from 'node:net'
import { createServer } from 'node:tls'
import { startTwoInstances } from '../support/processes/host.ts'
import { cert, key } from '../unit/http/certificate.ts'
import { PUBLIC_NAME } from './chromium.ts'

/** Two processes of the Express host behind one origin. */
export interface Deployment {
  readonly origin: string
  stop(): Promise<void>
}

/**
 * Not at 127.0.0.1, where the authorization server is: the browser comes back from another site, as in production. Over
 * http it reaches the first process; over https a proxy hands connections to both in turn.
 */
export async function deploy(
  scheme: 'http' | 'https',
  settings: { mcpServer: string; redisUrl: string },
): Promise<Deployment> {
  const proxy = scheme === 'https' ? await startTlsProxy() : undefined
  const originOf = (port: number): string =>
    proxy === undefined ? `http://localhost:${port}` : `https://${PUBLIC_NAME}:${proxy.port}`
  const instances = await startTwoInstances('examples/hosts/express.ts', { ...settings, originOf })
  const ports = instances.map(({ origin }) => Number(new URL(origin).port))
  proxy?.forwardTo(ports)
  return {
    origin: originOf(ports[0] ?? 0),
    stop: async () => {
      await Promise.all(instances.map((instance) => instance.stop('SIGKILL')))
      proxy?.close()
    },
  }
}

/** Ends TLS in front of processes that speak plain http. */
async function startTlsProxy() {
  let targets: readonly number[] = []
  let accepted = 0
  const server = createServer({ cert, key }, (incoming) => {
    const outgoing = connect(targets[accepted % targets.length] ?? 0, '127.0.0.1')
    accepted += 1
    incoming.pipe(outgoing).pipe(incoming)
    incoming.on('error', () => outgoing.destroy())
    outgoing.on('error', () => incoming.destroy())
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    forwardTo: (ports: readonly number[]) => void (targets = ports),
    close: () => void server.close(),
  }
}
