import { Readable } from 'node:stream'
import { setImmediate } from 'node:timers/promises'
import type { Clock } from '../clock.ts'
import { ofConnectionServer, PortError, portError } from '../errors/port-error.ts'
import { createAddressGuard, type Resolve } from './address-guard.ts'
import { acceptsBrotli, cancelUnread, readBytes, requestBody } from './body-streams.ts'
import { startDeadline, untilAborted } from './deadline.ts'
import { headerMisuse } from './header-misuse.ts'
import { mayUseHttp, type NetworkOptions, parseNetworkOptions } from './network-options.ts'
import { createSendGate, type IncomingResponse, type OutgoingRequest, type Sender, toResponse } from './outgoing.ts'
import { type CompleteResponse, repeatOnce } from './repeat-once.ts'
import { destinationDetails, ofCallersRequest, translateError } from './translate-error.ts'
import { createHostFetchSender, createUndiciSender } from './sender.ts'
import { systemResolve } from './system-resolver.ts'
import { loadUndici } from './undici.ts'

/** Headers that servers and firewalls expect of every client. */
const DEFAULT_HEADERS = { accept: '*/*', 'user-agent': 'authchart' }

/**
 * Creates the guarded transport, which sends all requests of authchart: every destination is checked, every connection
 * is pinned to a checked address, no redirect is followed unless its request says so, and every exchange is bounded in
 * time and bytes.
 *
 * @param options.resolve Replaces the resolver of the operating system.
 * @throws `TypeError` that names the invalid part of `network`.
 */
export function createTransport(options: {
  network: NetworkOptions
  clock: Clock
  resolve?: Resolve | undefined
}): Transport {
  const { allow, proxy, fetch, timeoutMs, headersTimeoutMs, maxResponseBytes } = parseNetworkOptions(options.network)
  const guard = createAddressGuard({ allow, resolve: options.resolve ?? systemResolve })
  const createSender = async (): Promise<Sender> =>
    fetch === undefined
      ? createUndiciSender({ undici: await loadUndici(), guard, proxy, connectTimeoutMs: timeoutMs })
      : createHostFetchSender({ guard, fetch })
  let sender: Promise<Sender> | undefined
  const check = (url: URL): void => (proxy === undefined ? guard.check(url) : guard.checkUnresolved(url))
  let closing: Promise<void> | undefined

  /** Prepares one request with its deadline; every error but misuse is converted to a `PortError`. */
  function begin(
    url: URL,
    limits: {
      timeoutMs?: number
      signal: AbortSignal | undefined
      sendBefore?: number | undefined
      /** What is wrong with the request itself, by the error that it failed with. */
      misuse?: (error: unknown) => TypeError | undefined
    },
  ) {
    const deadline = startDeadline(limits.timeoutMs, limits.signal)
    const gate = createSendGate(options.clock, limits.sendBefore, deadline)

    async function translating<Result>(work: () => Promise<Result>): Promise<Result> {
      try {
        return await work()
      } catch (error) {
        throw limits.misuse?.(error) ?? translateError(error, { url, wasSent: gate.wasSent, endedBy: deadline.endedBy })
      }
    }

    async function run<Result>(work: () => Promise<Result>): Promise<Result> {
      return await translating(async () => {
        if (closing !== undefined) throw portError('CLOSED', 'notSent')
        check(url)
        deadline.signal.throwIfAborted()
        return work()
      })
    }

    async function send(request: Omit<OutgoingRequest, 'url'>): Promise<IncomingResponse> {
      // Between the check in `run` and here a body may have been read.
      if (closing !== undefined) throw portError('CLOSED', 'notSent')
      sender ??= createSender()
      const opened = await untilAborted(sender, request.signal)
      const response = await opened.send({ url, ...request }, gate)
      deadline.progressed()
      // Includes 0, the status of an opaque redirect in the Fetch standard.
      if (response.status < 200 || response.status > 599) {
        response.body?.destroy()
        throw portError('RESPONSE_INVALID', 'unknown', { status: response.status })
      }
      return response
    }

    return { deadline, translating, run, send }
  }

  /** Sends a request to one URL and reads its response, a redirect without its body. */
  function exchangeOnce(url: URL, request: ExchangeRequest, leftMs: number): Promise<CompleteResponse> {
    const { method, body, sendBefore, isHeadEnough = () => false } = request
    const limits = { timeoutMs: leftMs, signal: request.signal, sendBefore }
    const { deadline, translating, run, send } = begin(url, limits)
    const { signal } = deadline
    const maxBytes = Math.min(request.maxBytes ?? maxResponseBytes, maxResponseBytes)
    const whole = { maxBytes, signal, onChunk: deadline.progressed }

    const sendWith = (headers: Record<string, string>): Promise<CompleteResponse> =>
      translating(async () => {
        const response = await send({ method, headers, body, signal, fresh: method === 'POST', whole })
        const { status } = response
        if ((status >= 300 && status < 400) || isHeadEnough(response)) {
          response.body?.destroy()
          return { status, headers: response.headers, bytes: new Uint8Array() }
        }
        const bytes = await readBytes(response.body, whole)
        // undici returns a connection to its pool one turn later; without this the next GET opens another one.
        if (method === 'GET') await setImmediate()
        return { status, headers: response.headers, bytes }
      })

    return run(() =>
      method === 'GET'
        ? repeatOnce({ url, headers: request.headers, signal }, sendWith)
        : sendWith({ ...request.headers }),
    ).finally(deadline.clear)
  }

  /** The URL of a redirect that may be followed: within https, or between hosts that may be plain http. */
  function redirectTarget(from: URL, location: string | null): URL | undefined {
    if (location === null || !URL.canParse(location, from.href)) return undefined
    const next = new URL(location, from)
    const isBetweenListed = mayUseHttp(allow, from) && mayUseHttp(allow, next)
    return next.protocol === 'https:' || isBetweenListed ? next : undefined
  }

  async function closeSender(): Promise<void> {
    await (await sender?.catch(() => undefined))?.close()
  }

  return {
    async exchange(request: ExchangeRequest): Promise<ExchangeResponse> {
      const endsAt = performance.now() + timeoutMs
      let url = parseUrl(request.url)
      for (let left = request.method === 'GET' ? (request.maxRedirects ?? 0) : 0; ; left -= 1) {
        const { status, headers, bytes } = await exchangeOnce(url, request, Math.max(endsAt - performance.now(), 1))
        const isRedirect = status >= 300 && status < 400
        const redirected = url.href !== parseUrl(request.url).href
        if (!isRedirect) return { status, headers, text: new TextDecoder().decode(bytes), redirected }
        const next = left > 0 ? redirectTarget(url, headers.get('location')) : undefined
        if (next === undefined) {
          const details = { ...destinationDetails(url), status }
          throw portError('TOO_MANY_REDIRECTS', 'unknown', details)
        }
        url = next
      }
    },

    async fetch(request: Request, callerSignal: AbortSignal = request.signal): Promise<Response> {
      const { method } = request
      const url = parseUrl(request.url)
      const { deadline, run, send } = begin(url, {
        timeoutMs: headersTimeoutMs,
        signal: callerSignal,
        misuse: headerMisuse,
      })
      const { signal } = deadline
      let body: OutgoingRequest['body']
      try {
        const response = await run(async () => {
          const headers = { ...DEFAULT_HEADERS, ...Object.fromEntries(request.headers) }
          body = request.body === null ? undefined : await requestBody(request.body, deadline.restart)
          // A brotli decoder takes up to 16 MiB, by the choice of the server: streamed only for whoever asked for it.
          const whole = acceptsBrotli(request.headers) ? undefined : { maxBytes: maxResponseBytes, signal }
          const incoming = await send({ method, headers, body, signal, fresh: false, whole })
          // The caller's signal holds until the body ends.
          incoming.body?.once('close', deadline.clear)
          return toResponse(incoming, { method, url, signal })
        })
        if (response.body === null) deadline.clear()
        else deadline.stopTimer()
        return response
      } catch (error) {
        deadline.clear()
        // The source of the body must be notified that it will not be read.
        if (body instanceof Readable) body.destroy()
        else cancelUnread(request.body, error)
        throw error instanceof PortError ? ofConnectionServer(ofCallersRequest(error, method)) : error
      }
    },

    close() {
      closing ??= closeSender()
      return closing
    },
  }
}

function parseUrl(text: string): URL {
  try {
    return new URL(text)
  } catch {
    throw portError('ADDRESS_FORBIDDEN', 'notSent', { reason: 'malformedUrl' })
  }
}

/** One request whose response is read completely: bounded in time over headers and body, and in bytes. */
export interface ExchangeRequest {
  readonly url: string
  readonly method: 'GET' | 'POST'
  readonly headers?: Readonly<Record<string, string>> | undefined
  /** A form or JSON. */
  readonly body?: string | undefined
  /** Byte cap on the decompressed body; never above `network.maxResponseBytes`. */
  readonly maxBytes?: number | undefined
  /**
   * Monotonic instant (of the transport's clock) after which the request must not be sent: too little of its claim's
   * lease would be left. Checked right before it is sent; rejects with outcome `notSent`, code `HTTP_TIMEOUT`, reason
   * `leaseTooShort`.
   */
  readonly sendBefore?: number | undefined
  /** How many redirects are followed, each to a checked address; only for a GET. @defaultValue 0 */
  readonly maxRedirects?: number | undefined
  /** Whether the body of this response is not read. @defaultValue it is always read */
  readonly isHeadEnough?: ((head: Pick<ExchangeResponse, 'status' | 'headers'>) => boolean) | undefined
  readonly signal?: AbortSignal | undefined
}

/** The complete response. A redirect (3xx) that is not followed rejects with `TOO_MANY_REDIRECTS`. */
export interface ExchangeResponse {
  readonly status: number
  readonly headers: Headers
  readonly text: string
  /** Whether it is the response to a redirect that was followed. */
  readonly redirected: boolean
}

/** The guarded transport. */
export interface Transport {
  /**
   * Sends a request and reads the complete response, whatever its status.
   *
   * @throws `PortError` with `HTTP_TIMEOUT`, `HTTP_NETWORK`, `ADDRESS_FORBIDDEN`, `INSECURE_ENDPOINT`,
   *   `TOO_MANY_REDIRECTS`, `RESPONSE_TOO_LARGE`, `RESPONSE_INVALID`, `ABORTED` or `CLOSED`; `outcome` says whether the
   *   request was sent. A response with an error status does not reject.
   */
  exchange(request: ExchangeRequest): Promise<ExchangeResponse>
  /**
   * Sends a request to the MCP server itself and resolves with the headers, within `network.headersTimeoutMs`; the body
   * is streamed without a limit in bytes or time, except that brotli which the request does not accept is decoded as a
   * whole, of at most `network.maxResponseBytes`. Addresses and schemes are checked as for `exchange`. Follows no
   * redirect, whatever `request.redirect` says. `response.url` is the URL of the request without its fragment. The
   * request body is cancelled if the request fails.
   *
   * @param signal The caller's own signal, which holds until the body ends: that of a derived `Request` ends with that
   *   `Request`, which the garbage collector may take at any time.
   * @throws `PortError` As `exchange`. `TypeError` that names a header of the request that cannot be sent.
   */
  fetch(request: Request, signal?: AbortSignal): Promise<Response>
  close(): Promise<void>
}
