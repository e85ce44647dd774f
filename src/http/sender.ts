import type { IncomingHttpHeaders } from 'node:http'
import { finished, Readable } from 'node:stream'
import type { buildConnector, Client, Dispatcher, Pool } from 'undici/index.js'
import { type AddressGuard, destinationOf } from './address-guard.ts'
import { cancelUnread, decoded, fromWebStream, toWebStream } from './body-streams.ts'
import { untilAborted } from './deadline.ts'
import { createGuardedClient } from './guarded-client.ts'
import { createIdleConnections } from './idle-connections.ts'
import { MAX_KEEP_ALIVE_MS, UNREACHABLE_HEADER_BYTES } from './limits.ts'
import type { Sender } from './outgoing.ts'
import { createGuardedConnector, type Undici } from './undici.ts'

function toHeaders(raw: IncomingHttpHeaders): Headers {
  const headers = new Headers()
  for (const [name, value] of Object.entries(raw)) {
    for (const single of [value ?? []].flat()) headers.append(name, single)
  }
  return headers
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
  const createClient = (origin: URL, settings: object): Client =>
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- a pool gives its clients its own connector
    createGuardedClient(undici, idle, origin, settings as Client.Options & { connect: buildConnector.connector })
  // A proxy that forwards plain http gets no limits from its agent.
  const createPool = (origin: string | URL, settings: object): Pool =>
    new undici.Pool(origin, { ...limits, ...settings, factory: createClient })

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
      clientFactory: (origin, settings) => new undici.Pool(origin, { ...settings, headersTimeout: connectTimeoutMs }),
    })
  }

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
      const response = await untilAborted(sending, signal)
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
      const responding = fetch(url.href, init)
      const response = await untilAborted(responding, signal).catch((error: unknown) => {
        // That function may ignore the signal.
        responding.then(
          ({ body: late }) => cancelUnread(late, error),
          () => undefined,
        )
        throw error
      })
      const incoming = response.body === null ? undefined : fromWebStream(response.body)
      if (body instanceof Readable && incoming !== undefined) {
        // Node's `fetch` notices a cancelled exchange only at the next chunk of the request body.
        finished(incoming, (error) => {
          if (error) body.destroy()
        })
      }
      return {
        status: response.status,
        statusText: response.statusText,
        headers: response.headers,
        body: incoming,
      }
    },
    async close() {},
  }
}
