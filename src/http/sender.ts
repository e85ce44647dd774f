import type { IncomingHttpHeaders } from 'node:http'
import { finished, Readable } from 'node:stream'
import type { buildConnector, Client, Dispatcher, Pool } from 'undici/index.js'
import { type PortError, portError } from '../errors/port-error.ts'
import { warnOnFailure } from '../errors/warn-on-failure.ts'
import { has } from '../schemas/option-values.ts'
import { type AddressGuard, destinationOf } from './address-guard.ts'
import { decoded, fromWebStream, toWebStream } from './body-streams.ts'
import { TIMED_OUT, untilAborted } from './deadline.ts'
import { createGuardedClient } from './guarded-client.ts'
import { createIdleConnections } from './idle-connections.ts'
import { MAX_KEEP_ALIVE_MS, UNREACHABLE_HEADER_BYTES } from './limits.ts'
import type { IncomingResponse, Sender } from './outgoing.ts'
import { codeOf, proxyError } from './translate-error.ts'
import { createGuardedConnector, type Undici } from './undici.ts'

function toHeaders(raw: IncomingHttpHeaders): Headers {
  const headers = new Headers()
  for (const [name, value] of Object.entries(raw)) {
    for (const single of [value ?? []].flat()) headers.append(name, single)
  }
  return headers
}

/**
 * What is used of a `Response`, of whatever implementation. Each member is read once: it may be an accessor.
 *
 * @throws `TypeError` for a value that has none of it, or in another form.
 */
function incomingOf(value: unknown): IncomingResponse {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- checked below
  const { status, statusText, headers, body } = new Object(value) as Response
  const isStatus = Number.isInteger(status) && status >= 0 && status <= 999
  if (!isStatus || !has(['get', 'entries'])(headers) || (body !== null && !has(['getReader'])(body)))
    throw new TypeError(
      'it returned no Response: that has an integer as status, Headers, and null or a ReadableStream as body',
    )
  return { status, statusText, headers: new Headers(headers), body: body === null ? undefined : fromWebStream(body) }
}

/** Whether an error, a `DOMException` or another one, is that of a signal: of a time-out, or of another abort. */
function isTimeout(error: unknown): boolean {
  const isNamed = typeof error === 'object' && error !== null && 'name' in error
  return isNamed && (error.name === 'TimeoutError' || error.name === 'AbortError')
}

/** A connector whose failures are those of the proxy, which requests over plain http are sent to. */
function connectorTo(proxy: string, connect: Pool.Options['connect']): Pool.Options['connect'] {
  if (typeof connect !== 'function') return connect
  return (options, done) =>
    connect(options, (...[error, socket]) =>
      error === null ? done(null, socket) : done(proxyError(error, proxy), null),
    )
}

/** The client of a proxy, whose failures until the tunnel is open are those of the proxy. */
function tunnelling(proxy: string, client: Pool, opening: Set<Dispatcher.ConnectOptions>): Pool {
  const connect = client.connect.bind(client)
  return Object.assign(client, {
    async connect(options: Dispatcher.ConnectOptions) {
      opening.add(options)
      try {
        return await connect(options)
      } catch (error) {
        throw proxyError(error, proxy)
      } finally {
        opening.delete(options)
      }
    },
  })
}

/**
 * A sender on undici's `request`, which takes a quarter of the time of `fetch`. The caller sets the deadline; undici's
 * own time-outs are off, since they would end a long stream.
 */
export function createUndiciSender(options: {
  undici: Undici
  guard: AddressGuard
  proxy: string | undefined
  connectTimeoutMs: number
}): Sender {
  const { undici, guard, proxy, connectTimeoutMs } = options
  const limits = {
    allowH2: false,
    headersTimeout: 0,
    bodyTimeout: 0,
    maxHeaderSize: UNREACHABLE_HEADER_BYTES,
    keepAliveMaxTimeout: MAX_KEEP_ALIVE_MS,
  }
  const idle = createIdleConnections()
  /** The requests for a tunnel that the proxy has not responded to. */
  const opening = new Set<Dispatcher.ConnectOptions>()
  const createClient = (origin: URL, settings: object): Client =>
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- a pool gives its clients its own connector
    createGuardedClient(undici, idle, origin, settings as Client.Options & { connect: buildConnector.connector })
  // A proxy that forwards plain http gets no limits from its agent.
  const createPool = (origin: string | URL, settings: Pool.Options): Pool => {
    const isProxy = proxy !== undefined && new URL(origin).origin === new URL(proxy).origin
    const connect = isProxy ? connectorTo(proxy, settings.connect) : settings.connect
    return new undici.Pool(origin, { ...limits, ...settings, ...(connect && { connect }), factory: createClient })
  }

  function createDispatcher(): Dispatcher {
    if (proxy === undefined) {
      const connect = createGuardedConnector(undici, guard, connectTimeoutMs)
      return new undici.Agent({ ...limits, factory: createPool, connect })
    }
    return new undici.ProxyAgent({
      ...limits,
      factory: createPool,
      uri: proxy,
      connectTimeout: connectTimeoutMs,
      proxyTls: { allowH2: false },
      // The connection time-out also bounds the proxy's response to CONNECT.
      clientFactory: (origin, settings) =>
        tunnelling(proxy, new undici.Pool(origin, { ...settings, headersTimeout: connectTimeoutMs }), opening),
    })
  }

  /** Whether the proxy has not opened a tunnel to this host yet. */
  const isOpening = ({ host, port }: URL): boolean =>
    [...opening].some(({ path }) => path === (port === '' ? `${host}:443` : host))

  const pooled = createDispatcher()
  const fresh = createDispatcher()

  return {
    async send(request, gate) {
      const { url, method, headers, body, signal } = request
      const sending = (request.fresh ? fresh : pooled).request({
        origin: url.origin,
        path: `${url.pathname}${url.search}`,
        method,
        headers,
        body: body ?? null,
        signal,
        reset: request.fresh,
        opaque: gate,
      })
      // undici ignores the signal while it connects.
      const response = await untilAborted(sending, signal).catch((error: unknown) => {
        const isLate = signal.reason === TIMED_OUT && !gate.wasSent
        throw isLate && proxy !== undefined && isOpening(url) ? proxyError(error, proxy) : error
      })
      try {
        const responseHeaders = toHeaders(response.headers)
        return {
          status: response.statusCode,
          statusText: response.statusText,
          headers: responseHeaders,
          body: decoded(response.body, responseHeaders, request.whole),
        }
      } catch (error) {
        response.body.destroy()
        throw error
      }
    },
    async close() {
      await Promise.all([fresh.close(), pooled.destroy()])
    },
  }
}

/**
 * A sender on the host's own `fetch`. The addresses of the destination are checked right before each request, but that
 * function decides which address it connects to.
 */
export function createHostFetchSender({
  guard,
  fetch,
}: {
  guard: AddressGuard
  fetch: typeof globalThis.fetch
}): Sender {
  let hasWarned = false

  /** The failure of that function itself; its error is shown once. */
  async function faultOf(error: unknown): Promise<PortError> {
    const isFirst = !hasWarned
    hasWarned = true
    if (isFirst)
      await warnOnFailure('AUTHCHART_CALLBACK_FAILED', 'network.fetch()', () => {
        throw error
      })
    return portError('HTTP_NETWORK', 'unknown', { reason: 'fetchFailed' })
  }

  async function call(url: string, init: RequestInit): Promise<IncomingResponse> {
    let response: unknown
    try {
      response = await fetch(url, init)
    } catch (error) {
      if (init.signal?.aborted === true) throw error
      if (isTimeout(error)) throw portError('HTTP_TIMEOUT', 'unknown', { reason: 'fetchTimedOut' })
      // With a code, it is an error of the network.
      throw codeOf(error) === '' ? await faultOf(error) : error
    }
    try {
      return incomingOf(response)
    } catch (error) {
      throw await faultOf(error)
    }
  }

  return {
    async send({ url, method, headers, body, signal }, gate) {
      await untilAborted(guard.resolve(destinationOf(url)), signal)
      const tooLate = gate.open()
      if (tooLate !== undefined) throw tooLate
      const init: RequestInit & { duplex: 'half' } = {
        method,
        headers,
        body: body instanceof Readable ? toWebStream(body) : (body ?? null),
        redirect: 'manual',
        duplex: 'half',
        signal,
      }
      const responding = call(url.href, init)
      const response = await untilAborted(responding, signal).catch((error: unknown) => {
        // That function may ignore the signal.
        responding.then(
          ({ body: late }) => late?.destroy(),
          () => undefined,
        )
        throw error
      })
      if (body instanceof Readable && response.body !== undefined) {
        // Node's `fetch` notices a cancelled exchange only at the next chunk of the request body.
        finished(response.body, (error) => {
          if (error) body.destroy()
        })
      }
      return response
    },
    async close() {},
  }
}
