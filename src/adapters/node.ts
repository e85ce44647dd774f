import '../errors/supported-node.ts'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { toWebStream } from '../http/body-streams.ts'

/**
 * Makes of a Web handler one for `node:http`, Express, and everything that passes Node's request and response.
 *
 * The URL is built from the request's own path and `Host`; `X-Forwarded-*` headers are not looked at. None of them
 * matters to authchart, which reads no more of a callback than its query, so that it works behind a proxy that rewrites
 * hosts or paths. Headers that were set on the response before are kept.
 *
 * An error of the handler goes to `next`, as in Express; without one it is answered with 500 and no word about it.
 *
 * @param handler Gets Node's request as well, for what a framework has put there: a session, a user.
 */
export function toNodeHandler<Incoming extends IncomingMessage>(
  handler: (request: Request, incoming: Incoming) => Promise<Response>,
): (incoming: Incoming, outgoing: ServerResponse, next?: (error: unknown) => void) => void {
  const answer = async (
    incoming: Incoming,
    outgoing: ServerResponse,
    next: ((error: unknown) => void) | undefined,
  ): Promise<void> => {
    try {
      await write(await handler(toRequest(incoming), incoming), outgoing)
    } catch (error) {
      if (next !== undefined) return next(error)
      if (!outgoing.headersSent) outgoing.writeHead(500, { 'content-type': 'text/plain' })
      outgoing.end('Internal Server Error')
    }
  }
  return (incoming, outgoing, next) => void answer(incoming, outgoing, next)
}

function toRequest(incoming: IncomingMessage & { originalUrl?: string }): Request {
  const { method = 'GET', headers } = incoming
  const entries = Object.entries(headers).flatMap(([name, value]): [string, string][] =>
    name.startsWith(':') || value === undefined ? [] : [value].flat().map((item) => [name, item]),
  )
  const body = method === 'GET' || method === 'HEAD' ? undefined : toWebStream(incoming)
  return new Request(urlOf(incoming.originalUrl ?? incoming.url ?? '/', headers.host), {
    method,
    headers: entries,
    ...(body && { body, duplex: 'half' }),
  })
}

/** Never throws: a request line and a `Host` may hold anything. */
function urlOf(target: string, host: string | undefined): URL {
  const base = host !== undefined && URL.canParse(`http://${host}`) ? `http://${host}` : 'http://localhost'
  const { origin } = new URL(base)
  // Two slashes at the beginning do not make a host, and the absolute form (RFC 9112 §3.2.2) not another one.
  const absolute = !target.startsWith('/') && URL.canParse(target) ? new URL(target) : undefined
  const path = absolute === undefined ? target : absolute.pathname + absolute.search
  return new URL(path.startsWith('/') ? origin + path : origin)
}

async function write(response: Response, outgoing: ServerResponse): Promise<void> {
  const body = Buffer.from(await response.arrayBuffer())
  outgoing.statusCode = response.status
  for (const [name, value] of response.headers)
    // A session's cookie may stand there already.
    if (name === 'set-cookie') outgoing.appendHeader(name, value)
    else outgoing.setHeader(name, value)
  outgoing.end(body)
}
