/**
 * Servers in a thread of their own, each of which sends one of the hostile responses. Their memory, and the time that
 * they take, is not that of whoever sends requests to them.
 */
import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { HOSTILE_RESPONSES, prepareBombs } from './hostile-responses.ts'

const servers = new Map<number, { readonly sockets: Set<Socket>; connections: number; requests: number }>()

/** Whether a request has arrived whole. */
function isWhole(request: string): boolean {
  const [head = '', body] = request.split('\r\n\r\n', 2)
  if (body === undefined) return false
  if (/^transfer-encoding: chunked/im.test(head)) return body.endsWith('0')
  return body.length >= Number(/^content-length: (\d+)/im.exec(head)?.[1] ?? 0)
}

/** Starts a server that sends this response to each request; returns its port. */
export async function listen(name: string): Promise<number> {
  prepareBombs()
  const sockets = new Set<Socket>()
  const counts = { sockets, connections: 0, requests: 0 }
  const server = createServer((socket) => {
    let request = ''
    sockets.add(socket)
    counts.connections += 1
    socket.on('close', () => sockets.delete(socket))
    socket.on('error', () => undefined)
    socket.on('data', (data) => {
      request += String(data)
      if (!isWhole(request)) return
      request = ''
      counts.requests += 1
      HOSTILE_RESPONSES[name]?.(socket)
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  servers.set(port, counts)
  return port
}

/** How many connections a server has open, how many it had, and how many requests it received. */
export function countsOf(port: number): { open: number; connections: number; requests: number } {
  const { sockets, connections = 0, requests = 0 } = servers.get(port) ?? {}
  return { open: sockets?.size ?? 0, connections, requests }
}

/** Closes what one server still has open. */
export function disconnectAll(port: number): void {
  for (const socket of servers.get(port)?.sockets ?? []) socket.destroy()
}
