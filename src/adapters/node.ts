import '../errors/supported-node.ts'
import type { IncomingMessage, ServerResponse } from 'node:http'
import * as v from 'valibot'
import { isAuthorizationError } from '../errors/authorization-error.ts'
import { warnOnFailure } from '../errors/warn-on-failure.ts'
import { toWebStream } from '../http/body-streams.ts'
import { parseOptions } from '../schemas/parse-options.ts'

/** The options of {@link toNodeHandler}. */
export interface NodeHandlerOptions {
  /**
   * Receives the error of a request that was answered with a 500, or could not be answered. It is not called where the
   * framework passes `next`, which receives the error instead. @defaultValue `console.error` with the name, the code
   * and the stack frames of the error; its message, which may quote the URL of a callback, only for an
   * `AuthorizationError`
   */
  onError?: ((error: unknown) => void) | undefined
}

const OptionsSchema = v.strictObject({
  onError: v.optional(v.function(), () => logError),
})

/**
 * Adapts a Fetch-API handler for `node:http`, Express, and every framework that passes Node's request and response.
 *
 * The URL is built from the request's path and `Host`; `X-Forwarded-*` headers are ignored. authchart reads only the
 * query of a callback, so that it works behind a proxy that rewrites hosts or paths. Headers that were set on the
 * response before are retained.
 *
 * An error of the handler is passed to `next`, as in Express; without `next` the response is a 500 without details, and
 * `onError` receives the error. A `Request` cannot have the methods CONNECT, TRACE and TRACK: their response is a 405.
 *
 * @param handler Receives Node's request as well, for what a framework attaches to it: a session, a user.
 * @throws `TypeError` that names the invalid option.
 */
export function toNodeHandler<Incoming extends IncomingMessage>(
  handler: (request: Request, incoming: Incoming) => Promise<Response>,
  options: NodeHandlerOptions = {},
): (incoming: Incoming, outgoing: ServerResponse, next?: (error: unknown) => void) => void {
  const { onError } = parseOptions(OptionsSchema, options, 'toNodeHandler()')
  const report = (error: unknown): void =>
    void warnOnFailure('AUTHCHART_CALLBACK_FAILED', 'onError()', () => onError(error))
  const respond = async (incoming: Incoming, outgoing: ServerResponse): Promise<void> =>
    write(hasRequest(incoming) ? await handler(toRequest(incoming), incoming) : methodNotAllowed(), outgoing)
  return (incoming, outgoing, next) => {
    respond(incoming, outgoing)
      .catch((error: unknown) => {
        if (next !== undefined) return next(error)
        report(error)
        return fail(outgoing)
      })
      .catch(report)
  }
}

/** A callback's query holds its code and `state`, in whatever form the message of an error may quote it. */
function logError(error: unknown): void {
  const text = error instanceof Error ? [headOf(error), ...framesOf(error)].join('\n') : `a thrown ${typeof error}`
  // oxlint-disable-next-line no-console -- the default of a program that has not chosen its log
  console.error(`toNodeHandler: a request failed: ${text}`)
}

function headOf(error: Error & { code?: unknown }): string {
  if (isAuthorizationError(error)) return `${error.name} ${error.code}: ${error.message}`
  const name = /^\w{1,64}$/.test(error.name) ? error.name : 'Error'
  // The codes of Node and undici. An error of another kind may have an authorization code there.
  return typeof error.code === 'string' && /^(?:UND_)?E[A-Z][A-Z\d_]{1,40}$/.test(error.code)
    ? `${name} ${error.code}`
    : name
}

/** The stack after the message. Lines of any other form, such as those that quote a URL, are left out. */
function framesOf({ message, stack = '' }: Error): string[] {
  const [, ...rest] = stack.split(message)
  return rest
    .join(message)
    .split('\n')
    .filter((line) => /^ {4}at [\w$.<>[\] ()/:@\\+-]+$/.test(line))
}

/** Ends a response that the handler could not give. One that the framework has begun itself stays as it is. */
function fail(outgoing: ServerResponse): void {
  if (outgoing.headersSent) return
  const text = 'Internal Server Error'
  // An `end()` that failed has set the length of its own body.
  outgoing.writeHead(500, { 'content-type': 'text/plain', 'content-length': text.length })
  outgoing.end(text)
}

/** Whether there is a `Request` of this method (Fetch Standard, "forbidden method"). */
function hasRequest({ method = 'GET' }: IncomingMessage): boolean {
  return !/^(?:CONNECT|TRACE|TRACK)$/i.test(method)
}

/** All handlers of authchart have GET (RFC 9110 §15.5.6, §10.2.1). */
const methodNotAllowed = (): Response => new Response(null, { status: 405, headers: { allow: 'GET' } })

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
