import { Readable } from 'node:stream'
import { setImmediate } from 'node:timers/promises'
import type { Clock } from '../clock.ts'
import { portError } from '../errors/port-error.ts'
import { createAddressGuard, type Resolve, systemResolve } from './address-guard.ts'
import { cancelUnread, readBytes, requestBody } from './body-streams.ts'
import { startDeadline } from './deadline.ts'
import { createHostFetchSender } from './host-fetch.ts'
import { type NetworkOptions, parseNetworkOptions } from './network-options.ts'
import { createSendGate, type IncomingResponse, type OutgoingRequest, toResponse } from './outgoing.ts'
import { type Answer, repeatOnce } from './repeat-once.ts'
import { translateError } from './translate-error.ts'
import { createUndiciSender } from './sender.ts'

/** What servers and the firewalls before them expect of everybody. */
const DEFAULT_HEADERS = { accept: '*/*', 'user-agent': 'authchart' }

/**
 * Builds the only way out of the process: every destination is checked, every connection goes where was checked,
 * nothing is followed, and every exchange is bounded in time and bytes.
 *
 * @param options.resolve Stands in for the operating system's resolution of names.
 * @throws `TypeError` that names the wrong part of `network`.
 */
export function createTransport(options: {
  network: NetworkOptions
  clock: Clock
  resolve?: Resolve | undefined
}): Transport {
  const { allow, proxy, fetch, timeoutMs, maxResponseBytes } = parseNetworkOptions(options.network)
  const guard = createAddressGuard({ allow, resolve: options.resolve ?? systemResolve })
  const sender =
    fetch === undefined
      ? createUndiciSender({ guard, proxy, connectTimeoutMs: timeoutMs })
      : createHostFetchSender({ guard, fetch })
  const check = (url: URL): void => (proxy === undefined ? guard.check(url) : guard.checkUnresolved(url))
  let closing: Promise<void> | undefined

  /** Runs one request under its deadline; whatever it fails with comes out as a `PortError`. */
  function begin(
    url: URL,
    limits: { timeoutMs?: number; signal: AbortSignal | undefined; sendBefore?: number | undefined },
  ) {
    const deadline = startDeadline(limits.timeoutMs, limits.signal)
    const departure = createSendGate(options.clock, limits.sendBefore)

    async function translating<Result>(work: () => Promise<Result>): Promise<Result> {
      try {
        return await work()
      } catch (error) {
        throw translateError(error, { url, wasSent: departure.wasSent, endedBy: deadline.endedBy })
      }
    }

    async function run<Result>(work: () => Promise<Result>): Promise<Result> {
      try {
        return await translating(async () => {
          if (closing !== undefined) throw portError('CLOSED', 'notSent')
          check(url)
          deadline.signal.throwIfAborted()
          return work()
        })
      } finally {
        deadline.clear()
      }
    }

    async function send(request: Omit<OutgoingRequest, 'url'>): Promise<IncomingResponse> {
      const response = await sender.send({ url, ...request }, departure)
      // Also 0, which the fetch standard makes of a redirect that is not followed.
      if (response.status < 200 || response.status > 599) {
        response.body?.destroy()
        throw portError('RESPONSE_INVALID', 'unknown', { status: response.status })
      }
      return response
    }

    return { signal: deadline.signal, translating, run, send }
  }

  return {
    async exchange(request: ExchangeRequest): Promise<ExchangeResponse> {
      const url = parseUrl(request.url)
      const { method, body, sendBefore } = request
      const { signal, translating, run, send } = begin(url, { timeoutMs, signal: request.signal, sendBefore })
      const maxBytes = Math.min(request.maxBytes ?? maxResponseBytes, maxResponseBytes)

      const ask = (headers: Record<string, string>): Promise<Answer> =>
        translating(async () => {
          const response = await send({ method, headers, body, signal, fresh: method === 'POST' })
          const { status } = response
          if (status >= 300 && status < 400) {
            response.body?.destroy()
            throw portError('TOO_MANY_REDIRECTS', 'unknown', { status })
          }
          const bytes = await readBytes(response.body, { maxBytes, signal })
          // undici lends a connection again one turn later; without the wait the next GET would make another one.
          if (method === 'GET') await setImmediate()
          return { status, headers: response.headers, bytes }
        })

      return run(async () => {
        const { headers } = request
        const answer = await (method === 'GET' ? repeatOnce({ url, headers, signal }, ask) : ask({ ...headers }))
        return { status: answer.status, headers: answer.headers, text: new TextDecoder().decode(answer.bytes) }
      })
    },

    async fetch(request: Request): Promise<Response> {
      const { method, signal } = request
      const url = parseUrl(request.url)
      const { run, send } = begin(url, { signal })
      let body: OutgoingRequest['body']
      try {
        return await run(async () => {
          const headers = { ...DEFAULT_HEADERS, ...Object.fromEntries(request.headers) }
          body = request.body === null ? undefined : await requestBody(request.body)
          return toResponse(await send({ method, headers, body, signal, fresh: false }), method, url)
        })
      } catch (error) {
        // Whoever makes the body must learn that nobody reads it, whatever the reason.
        if (body instanceof Readable) body.destroy()
        else cancelUnread(request.body, error)
        throw error
      }
    },

    close() {
      closing ??= sender.close()
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

/** One request that is answered as a whole: bounded in time over headers and body, and in bytes after decompression. */
export interface ExchangeRequest {
  readonly url: string
  readonly method: 'GET' | 'POST'
  readonly headers?: Readonly<Record<string, string>> | undefined
  /** A form or JSON text. */
  readonly body?: string | undefined
  /** Byte cap on the decompressed body; never above `network.maxResponseBytes`. */
  readonly maxBytes?: number | undefined
  /**
   * Monotonic instant (of the clock that the transport was given) after which the request must not leave any more: the
   * lease of the claim that covers it would be too short. Checked right before it is sent; rejects with outcome
   * `notSent`, code `HTTP_TIMEOUT`, reason `leaseTooShort`.
   */
  readonly sendBefore?: number | undefined
  readonly signal?: AbortSignal | undefined
}

/** The whole answer. Redirects (3xx) are never followed by `exchange`; they reject with `TOO_MANY_REDIRECTS`. */
export interface ExchangeResponse {
  readonly status: number
  readonly headers: Headers
  readonly text: string
}

/** The only way out of the process. */
export interface Transport {
  /**
   * Sends a request and reads the whole answer, whatever its status.
   *
   * @throws `PortError` with `HTTP_TIMEOUT`, `HTTP_NETWORK`, `ADDRESS_FORBIDDEN`, `INSECURE_ENDPOINT`,
   *   `TOO_MANY_REDIRECTS`, `RESPONSE_TOO_LARGE`, `RESPONSE_INVALID`, `ABORTED` or `CLOSED`; `outcome` says whether the
   *   request left. An answer with an error status is not an error here.
   */
  exchange(request: ExchangeRequest): Promise<ExchangeResponse>
  /**
   * Sends a request to the MCP server itself and answers as soon as the headers are there; the body streams, without a
   * byte cap or a deadline. Follows no redirect, whatever `request.redirect` says. `response.url` is the URL of the
   * request without its fragment. The same guard of addresses and schemes. A body that is not read to its end because
   * of a failure is cancelled.
   */
  fetch(request: Request): Promise<Response>
  close(): Promise<void>
}
