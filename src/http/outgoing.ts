import type { Readable } from 'node:stream'
import type { Clock } from '../clock.ts'
import { type PortError, portError } from '../errors/port-error.ts'
import { toWebStream, type WholeBody } from './body-streams.ts'
import type { Deadline } from './deadline.ts'
import { NULL_BODY_STATUSES } from './limits.ts'

/** Records whether a request was sent, and prevents that it is sent too late. */
export interface SendGate {
  /** Whether any of it may have reached the network. */
  readonly wasSent: boolean
  /**
   * Called right before the first byte is written.
   *
   * @returns The failure if the request must not be sent: `HTTP_TIMEOUT`, with reason `leaseTooShort` if that is why.
   */
  open(): PortError | undefined
}

/**
 * A gate for a request that must not be sent after `sendBefore`, a monotonic instant of this clock, nor after its
 * deadline, when nobody would wait for the response.
 */
export function createSendGate(
  clock: Clock,
  sendBefore: number | undefined,
  deadline?: Pick<Deadline, 'isElapsed'>,
): SendGate {
  let wasSent = false
  return {
    get wasSent() {
      return wasSent
    },
    open() {
      if (sendBefore !== undefined && clock.monotonic() >= sendBefore) {
        return portError('HTTP_TIMEOUT', 'notSent', { reason: 'leaseTooShort' })
      }
      if (deadline?.isElapsed) return portError('HTTP_TIMEOUT', 'notSent')
      wasSent = true
      return undefined
    },
  }
}

/** One request whose destination was checked. */
export interface OutgoingRequest {
  readonly url: URL
  readonly method: string
  readonly headers: Record<string, string>
  readonly body: string | Uint8Array<ArrayBuffer> | Readable | undefined
  /** Use a new connection: if the server closes a pooled one at that moment, the outcome of the request is unknown. */
  readonly fresh: boolean
  readonly signal: AbortSignal
  /** How the body of the response is read, unless it is streamed. */
  readonly whole?: WholeBody | undefined
}

/** The head of a response and its decompressed body. */
export interface IncomingResponse {
  readonly status: number
  readonly statusText: string
  readonly headers: Headers
  readonly body: Readable | undefined
}

/** Sends a request once and resolves with the head of the response. Follows no redirect. */
export interface Sender {
  send(request: OutgoingRequest, gate: SendGate): Promise<IncomingResponse>
  close(): Promise<void>
}

/**
 * Converts a response to a `Response` with `url`. A body that such a response cannot have is not read.
 *
 * @param signal Ends the body.
 * @throws `PortError` `RESPONSE_INVALID` for a reason phrase that a `Response` cannot have.
 */
export function toResponse(
  { status, statusText, headers, body }: IncomingResponse,
  { method, url, signal }: { method: string; url: URL; signal: AbortSignal },
): Response {
  const isNullBody = body === undefined || method === 'HEAD' || NULL_BODY_STATUSES.has(status)
  if (isNullBody) body?.destroy()
  let response: Response
  try {
    response = new Response(isNullBody ? null : toWebStream(body, signal), { status, statusText, headers })
  } catch {
    body?.destroy()
    throw portError('RESPONSE_INVALID', 'unknown', { status, field: 'reason phrase' })
  }
  const bare = new URL(url)
  bare.hash = ''
  return locate(response, bare.href, false)
}

/** Sets `redirected` on the response to a followed redirect. */
export function markRedirected(response: Response): Response {
  return locate(response, response.url, true)
}

/**
 * Sets `url`, `redirected` and `type`, which the constructor of `Response` cannot set, on the response and its clones.
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
