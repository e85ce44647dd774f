import { once } from 'node:events'
import { createServer, request as forward } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { onTestFinished } from 'vitest'

/** An egress proxy that forwards plain http, or refuses it with a status, and refuses tunnels. */
export async function startForwardProxy({ password = 'password' } = {}): Promise<{
  url: string
  port: number
  asked: string[]
  refuseWith: (status: number) => void
}> {
  const asked: string[] = []
  let status: number | undefined
  const server = createServer((request, response) => {
    const { method, url = '' } = request
    const { 'proxy-authorization': _ours, ...headers } = request.headers
    const { host, hostname, port, pathname, search } = new URL(url)
    asked.push(`${method} ${host}${pathname}`)
    if (status !== undefined) {
      response.writeHead(status).end()
      return
    }
    const onward = forward({ hostname, port, path: pathname + search, method, headers }, (answer) => {
      response.writeHead(answer.statusCode ?? 0, answer.headers)
      answer.pipe(response)
    })
    request.pipe(onward)
  })
  server.on('connect', (request, socket: Socket) => {
    asked.push(`CONNECT ${request.url}`)
    socket.end('HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n')
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  const refuseWith = (refusal: number): void => {
    status = refusal
  }
  return { url: `http://user:${password}@127.0.0.1:${port}`, port, asked, refuseWith }
}
