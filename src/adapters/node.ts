import type { IncomingMessage, ServerResponse } from 'node:http'
import { toWebStream } from '../http/web-streams.ts'

/**
 * Makes of a Web handler one for `node:http`, Express, and everything that passes Node's request and response.
 *
 * The URL is built from the request's own path and `Host`; only its path and query matter to authchart. An error of the
 * handler is answered with 500 and no word about it.
 */
export function toNodeHandler(
  handler: (request: Request) => Promise<Response>,
): (incoming: IncomingMessage, outgoing: ServerResponse) => void {
  const answer = async (incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> => {
    try {
      await write(await handler(toRequest(incoming)), outgoing)
    } catch {
      if (!outgoing.headersSent) outgoing.writeHead(500, { 'content-type': 'text/plain' })
      outgoing.end('Internal Server Error')
    }
  }
  return (incoming, outgoing) => void answer(incoming, outgoing)
}

function toRequest(incoming: IncomingMessage & { originalUrl?: string }): Request {
  const { method = 'GET', headers } = incoming
  const base = `http://${headers.host ?? 'localhost'}`
  const path = incoming.originalUrl ?? incoming.url ?? '/'
  const url = URL.canParse(path, base) ? new URL(path, base) : new URL(base)
  const entries = Object.entries(headers).flatMap(([name, value]): [string, string][] =>
    name.startsWith(':') || value === undefined ? [] : [value].flat().map((item) => [name, item]),
  )
  const body = method === 'GET' || method === 'HEAD' ? undefined : toWebStream(incoming)
  return new Request(url, {
    method,
    headers: entries,
    ...(body && { body, duplex: 'half' }),
  })
}

async function write(response: Response, outgoing: ServerResponse): Promise<void> {
  outgoing.writeHead(response.status, [...response.headers].flat())
  outgoing.end(Buffer.from(await response.arrayBuffer()))
}
