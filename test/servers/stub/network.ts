import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import type { AddressInfo, Socket } from 'node:net'
import { setDefaultCACertificates } from 'node:tls'
import { createCertificateAuthority } from './certificate.ts'

/** One request as a server got it. */
export interface Received {
  readonly method: string
  readonly url: URL
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

/** What a server answers. An object is sent as JSON. */
export interface Answer {
  readonly status?: number
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: unknown
}

/** Answers the requests to all hosts of one network. */
export type Handler = (received: Received) => Answer

/** A network of named https hosts that exists on this machine only, behind a CONNECT proxy. */
export interface Network {
  /** For `network.proxy`. */
  readonly proxy: string
  /** Every request that came through the proxy, in order. */
  readonly received: Received[]
  /** The `host:port` of every tunnel that the proxy did not open. */
  readonly rejectedHosts: string[]
  close(): void
}

const authority = createCertificateAuthority()

/** Starts a network of these hosts. The proxy is its only way in, and opens no other tunnel. */
export async function startNetwork(hosts: ReadonlySet<string>, handle: Handler): Promise<Network> {
  setDefaultCACertificates([authority.certificate])
  const received: Received[] = []
  const rejectedHosts: string[] = []
  const sockets = new Set<Socket>()

  const secure = createSecureServer(
    { SNICallback: (host, done) => done(null, authority.contextFor(host)) },
    (request, response) => void respond(request, response).catch(() => request.socket.destroy()),
  )
  async function respond(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let body = ''
    for await (const chunk of request) body += String(chunk)
    const one = receivedOf(request, body)
    received.push(one)
    const { status = 200, headers = {}, body: answer } = handle(one)
    const isText = typeof answer === 'string' || answer === undefined
    const type = isText ? 'text/plain; charset=utf-8' : 'application/json'
    response.writeHead(status, { 'content-type': type, ...headers })
    response.end(isText ? answer : JSON.stringify(answer))
  }

  const proxy = createServer((_request, response) => response.writeHead(403).end())
  proxy.on('connection', (socket: Socket) => sockets.add(socket))
  proxy.on('connect', (request: IncomingMessage, socket: Socket) => {
    socket.on('error', () => undefined)
    const target = request.url ?? ''
    if (!hosts.has(target.replace(/:443$/, ''))) {
      rejectedHosts.push(target)
      socket.end('HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n')
      return
    }
    socket.write('HTTP/1.1 200 Connection Established\r\n\r\n')
    secure.emit('connection', socket)
  })
  proxy.listen(0, '127.0.0.1')
  await once(proxy, 'listening')
  const { port } = proxy.address() as AddressInfo
  return {
    proxy: `http://127.0.0.1:${port}`,
    received,
    rejectedHosts,
    close() {
      for (const socket of sockets) socket.destroy()
      proxy.close()
    },
  }
}

function receivedOf({ method = '', url = '', headers }: IncomingMessage, body: string): Received {
  const named = Object.entries(headers).map(([name, value]) => [name, String(value)] as const)
  return { method, url: new URL(url, `https://${headers.host}`), headers: Object.fromEntries(named), body }
}
