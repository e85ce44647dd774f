import type { IncomingHttpHeaders } from 'node:http'
import type { Dispatcher } from 'undici/index.js'
import type { AddressGuard } from './address-guard.ts'
import { untilAborted } from './deadline.ts'
import type { Departure } from './departure.ts'
import { decoded } from './decoded.ts'
import { createGuardedConnector } from './guarded-connector.ts'
import { MAX_HEADER_BYTES } from './limits.ts'
import type { Sender } from './sender.ts'
import type { Undici } from './undici.ts'

/** Tells the departure, which travels as `opaque`, right before undici writes the request to its socket. */
const announceDeparture: Dispatcher.DispatcherComposeInterceptor = (dispatch) => (options, handler) => {
  const { opaque } = options as Dispatcher.RequestOptions<Departure>
  const onRequestStart = handler.onRequestStart?.bind(handler)
  handler.onRequestStart = (controller, context) => {
    const refusal = opaque?.leave()
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
  const pooledWithDeparture = pooled.compose(announceDeparture)
  const freshWithDeparture = fresh.compose(announceDeparture)

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
