import '../errors/supported-node.ts'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { toWebStream } from '../http/body-streams.ts'

/**
 * Adapts a Fetch-API handler for `node:http`, Express, and every framework that passes Node's request and response.
 *
 * The URL is built from the request's path and `Host`; `X-Forwarded-*` headers are ignored. authchart reads only the
 * query of a callback, so that it works behind a proxy that rewrites hosts or paths. Headers that were set on the
 * response before are retained.
 *
 * An error of the handler is passed to `next`, as in Express; without `next` the response is a 500 without details.
 *
 * @param handler Receives Node's request as well, for what a framework attaches to it: a session, a user.
 */
export function toNodeHandler<Incoming extends IncomingMessage>(
  handler: (request: Request, incoming: Incoming) => Promise<Response>,
): (incoming: Incoming, outgoing: ServerResponse, next?: (error: unknown) => void) => void {
  const respond = async (
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
  return (incoming, outgoing, next) => void respond(incoming, outgoing, next)
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

/** Never throws, whatever the request line and `Host` contain. */
function urlOf(target: string, host: string | undefined): URL {
  const base = host !== undefined && URL.canParse(`http://${host}`) ? `http://${host}` : 'http://localhost'
  const { origin } = new URL(base)
  // Neither a path that starts with `//` nor the absolute form (RFC 9112 §3.2.2) may change the host.
  const absolute = !target.startsWith('/') && URL.canParse(target) ? new URL(target) : undefined
  const path = absolute === undefined ? target : absolute.pathname + absolute.search
  return new URL(path.startsWith('/') ? origin + path : origin)
}

async function write(response: Response, outgoing: ServerResponse): Promise<void> {
  const body = Buffer.from(await response.arrayBuffer())
  outgoing.statusCode = response.status
  for (const [name, value] of response.headers)
    // The framework may have set cookies already, such as that of its session.
    if (name === 'set-cookie') outgoing.appendHeader(name, value)
    else outgoing.setHeader(name, value)
  outgoing.end(body)
}
