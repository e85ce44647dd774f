import type { Readable } from 'node:stream'
import type { Clock } from '../clock.ts'
import { type PortError, portError } from '../errors/port-error.ts'
import { toWebStream } from './body-streams.ts'
import { NULL_BODY_STATUSES } from './limits.ts'

/** Watches whether a request has left, and keeps it from leaving too late. */
export interface SendGate {
  /** Whether any of it may have reached the network. */
  readonly wasSent: boolean
  /**
   * Called right before the first byte is written.
   *
   * @returns Why the request must not leave: `HTTP_TIMEOUT` with reason `leaseTooShort`, if it is too late.
   */
  open(): PortError | undefined
}

/** The departure of a request that must not leave after `sendBefore`, a monotonic instant of this clock. */
export function createSendGate(clock: Clock, sendBefore: number | undefined): SendGate {
  let wasSent = false
  return {
    get wasSent() {
      return wasSent
    },
    open() {
      if (sendBefore !== undefined && clock.monotonic() >= sendBefore) {
        return portError('HTTP_TIMEOUT', 'notSent', { reason: 'leaseTooShort' })
      }
      wasSent = true
      return undefined
    },
  }
}

/** One request, checked, on its way out. */
export interface OutgoingRequest {
  readonly url: URL
  readonly method: string
  readonly headers: Record<string, string>
  readonly body: string | Uint8Array<ArrayBuffer> | Readable | undefined
  /** A connection of its own: a kept one may be closing, and then nobody knows whether the request arrived. */
  readonly fresh: boolean
  readonly signal: AbortSignal
}

/** The head of an answer and its body, decompressed. */
export interface IncomingResponse {
  readonly status: number
  readonly statusText: string
  readonly headers: Headers
  readonly body: Readable | undefined
}

/** Sends a request and answers with the head, following nothing and repeating nothing. */
export interface Sender {
  send(request: OutgoingRequest, departure: SendGate): Promise<IncomingResponse>
  close(): Promise<void>
}

/** The answer as a `Response` of the platform, with the URL that sent it. */
export function toResponse(
  { status, statusText, headers, body }: IncomingResponse,
  method: string,
  url: URL,
): Response {
  const isNullBody = body === undefined || method === 'HEAD' || NULL_BODY_STATUSES.has(status)
  if (isNullBody) body?.resume()
  const response = new Response(isNullBody ? null : toWebStream(body), { status, statusText, headers })
  const bare = new URL(url)
  bare.hash = ''
  return locate(response, bare.href, false)
}

/** The response as one that came after a redirect which was followed. */
export function markRedirected(response: Response): Response {
  return locate(response, response.url, true)
}

/**
 * Sets what a constructor of `Response` cannot: `url`, `redirected` and `type`, for clones too.
 *
 * @see [Fetch Standard, Response class](https://fetch.spec.whatwg.org/#response-class)
 */
function locate(response: Response, url: string, redirected: boolean): Response {
  const clone = (): Response => locate(Response.prototype.clone.call(response), url, redirected)
  return Object.defineProperties(response, {
    url: { value: url, configurable: true },
    redirected: { value: redirected, configurable: true },
    type: { value: 'basic', configurable: true },
    clone: { value: clone, configurable: true },
  })
}
