import type { IncomingHttpHeaders } from 'node:http'
import type { Socket } from 'node:net'
import type { buildConnector, Dispatcher } from 'undici/index.js'
import { portError } from '../errors/port-error.ts'
import { type AddressGuard, destinationOf } from './address-guard.ts'
import { decoded } from './body-streams.ts'
import { untilAborted } from './deadline.ts'
import { MAX_HEADER_BYTES } from './limits.ts'
import type { SendGate, Sender } from './outgoing.ts'
import type { Undici } from './undici.ts'

/** Tells the departure, which travels as `opaque`, right before undici writes the request to its socket. */
const openGateOnWrite: Dispatcher.DispatcherComposeInterceptor = (dispatch) => (options, handler) => {
  const { opaque } = options as Dispatcher.RequestOptions<SendGate>
  const onRequestStart = handler.onRequestStart?.bind(handler)
  handler.onRequestStart = (controller, context) => {
    const refusal = opaque?.open()
    if (refusal === undefined) onRequestStart?.(controller, context)
    else controller.abort(refusal)
  }
  return dispatch(options, handler)
}

function toHeaders(raw: IncomingHttpHeaders): Headers {
  const headers = new Headers()
  for (const [name, value] of Object.entries(raw)) {
    for (const single of [value ?? []].flat()) headers.append(name, single)
  }
  return headers
}

/**
 * Sends with undici's `request`, which costs a quarter of `fetch`. Deadlines are the caller's; undici's own time-outs
 * would end a stream that is meant to last.
 */
export function createUndiciSender(options: {
  undici: Undici
  guard: AddressGuard
  proxy: string | undefined
  connectTimeoutMs: number
}): Sender {
  const { undici, guard, proxy, connectTimeoutMs } = options
  const limits = { allowH2: false, headersTimeout: 0, bodyTimeout: 0, maxHeaderSize: MAX_HEADER_BYTES }

  function createDispatcher(): Dispatcher {
    if (proxy === undefined)
      return new undici.Agent({ ...limits, connect: createGuardedConnector(undici, guard, connectTimeoutMs) })
    return new undici.ProxyAgent({
      ...limits,
      uri: proxy,
      connectTimeout: connectTimeoutMs,
      proxyTls: { allowH2: false },
      // The proxy has to answer CONNECT in the time of a connection.
      clientFactory: (origin, settings) => new undici.Pool(origin, { ...settings, headersTimeout: connectTimeoutMs }),
    })
  }

  const pooled = createDispatcher()
  const fresh = createDispatcher()
  const pooledWithDeparture = pooled.compose(openGateOnWrite)
  const freshWithDeparture = fresh.compose(openGateOnWrite)

  return {
    async send(request, departure) {
      const { url, method, headers, body, signal } = request
      const sending = (request.fresh ? freshWithDeparture : pooledWithDeparture).request({
        origin: url.origin,
        path: `${url.pathname}${url.search}`,
        method,
        headers,
        body: body ?? null,
        signal,
        reset: request.fresh,
        opaque: departure,
      })
      // While a connection is being made, undici does not look at the signal.
      const response = await untilAborted(sending, signal)
      const responseHeaders = toHeaders(response.headers)
      return {
        status: response.statusCode,
        statusText: response.statusText,
        headers: responseHeaders,
        body: decoded(response.body, responseHeaders),
      }
    },
    async close() {
      await Promise.all([fresh.close(), pooled.destroy()])
    },
  }
}

/**
 * Makes connections for undici that go where the guard has looked and nowhere else: it resolves the name once, connects
 * to those addresses only, and looks at the one that was reached. undici asks its own `lookup` for names but never for
 * addresses, so this stands before it for both.
 */
function createGuardedConnector(undici: Undici, guard: AddressGuard, timeoutMs: number): buildConnector.connector {
  async function connect(options: buildConnector.Options): Promise<Socket> {
    const destination = destinationOf(options)
    const timeout = AbortSignal.timeout(timeoutMs)
    const addresses = await untilAborted(guard.resolve(destination), timeout).catch((error: unknown) => {
      throw timeout.aborted ? portError('HTTP_TIMEOUT', 'notSent', { reason: 'nameNotResolved' }) : error
    })
    const connector = undici.buildConnector({
      allowH2: false,
      // Always asks for all addresses at once.
      autoSelectFamily: true,
      lookup: (_name, _options, done) => done(null, [...addresses]),
      timeout: timeoutMs,
    })
    const socket = await new Promise<Socket>((resolve, reject) => {
      connector(options, (error, connected) => (error === null ? resolve(connected) : reject(error)))
    })
    try {
      guard.vet(destination, socket.remoteAddress ?? '0.0.0.0')
    } catch (error) {
      socket.destroy()
      throw error
    }
    return socket
  }
  return (options, callback) => {
    connect(options).then(
      (socket) => callback(null, socket),
      (error: unknown) =>
        callback(error instanceof Error ? error : new Error('the resolver failed', { cause: error }), null),
    )
  }
}
