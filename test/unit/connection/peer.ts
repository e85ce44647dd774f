import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { onTestFinished } from 'vitest'

/** One request as a peer saw it. */
export interface Seen {
  method: string
  /** With its query. */
  path: string
  headers: IncomingHttpHeaders
  body: string
}

/**
 * What a peer answers. An object is sent as JSON; `hangUp` resets the connection; `raw` is sent instead of a response;
 * `until` holds the answer back.
 */
export interface Answer {
  status?: number
  headers?: Record<string, string>
  body?: unknown
  hangUp?: true
  raw?: string
  until?: Promise<unknown>
}

/** Without the question whether a token is required, which `authorize()` sends to the MCP server. */
export function withoutQuestion(seen: readonly Seen[]): Seen[] {
  return seen.filter(({ body }) => body !== QUESTION)
}

/** The body of that question. */
export const QUESTION = '{"jsonrpc":"2.0","id":1,"method":"ping"}'

export type Route = Answer | ((seen: Seen) => Answer)

/** A small HTTP server under the control of one test. */
export interface Peer {
  readonly origin: string
  /** By method and path without query: `GET /mcp`. Everything else is answered with 404. */
  readonly routes: Record<string, Route>
  /** Every request, in order. */
  readonly seen: Seen[]
  /** The same as `GET /mcp`, without queries. */
  asked(): string[]
  close(): void
}

/** Starts a peer on a loopback port, and ends it with the test. */
export async function startPeer(routes: Record<string, Route> = {}): Promise<Peer> {
  const seen: Seen[] = []
  const sockets = new Set<Socket>()
  const nameOf = ({ method, path }: Seen): string => `${method} ${path.split('?', 1)[0]}`

  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    let body = ''
    for await (const chunk of request) body += String(chunk)
    const asked: Seen = { method: request.method ?? '', path: request.url ?? '', headers: request.headers, body }
    seen.push(asked)
    const route = routes[nameOf(asked)] ?? { status: 404, body: 'nothing here' }
    const said = typeof route === 'function' ? route(asked) : route
    await said.until
    if (said.hangUp) return void request.socket.destroy()
    if (said.raw !== undefined) return void request.socket.end(said.raw)
    response.writeHead(said.status ?? 200, { 'content-type': 'application/json', ...said.headers })
    response.end(typeof said.body === 'string' ? said.body : JSON.stringify(said.body))
  }
  const http = createServer((request, response) => {
    answer(request, response).catch(() => request.socket.destroy())
  })
  http.on('connection', (socket: Socket) => sockets.add(socket))
  http.listen(0, '127.0.0.1')
  await once(http, 'listening')
  const close = (): void => {
    for (const socket of sockets) socket.destroy()
    http.close()
  }
  onTestFinished(close)
  const { port } = http.address() as AddressInfo
  return { origin: `http://127.0.0.1:${port}`, routes, seen, asked: () => seen.map(nameOf), close }
}
