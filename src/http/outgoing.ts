import type { Readable } from 'node:stream'
import type { Clock } from '../clock.ts'
import { type PortError, portError } from '../errors/port-error.ts'

/** Watches whether a request has left, and keeps it from leaving too late. */
export interface Departure {
  /** Whether any of it may have reached the network. */
  readonly hasLeft: boolean
  /**
   * Called right before the first byte is written.
   *
   * @returns Why the request must not leave: `HTTP_TIMEOUT` with reason `leaseTooShort`, if it is too late.
   */
  leave(): PortError | undefined
}

/** The departure of a request that must not leave after `sendBefore`, a monotonic instant of this clock. */
export function createDeparture(clock: Clock, sendBefore: number | undefined): Departure {
  let hasLeft = false
  return {
    get hasLeft() {
      return hasLeft
    },
    leave() {
      if (sendBefore !== undefined && clock.monotonic() >= sendBefore) {
        return portError('HTTP_TIMEOUT', 'notSent', { reason: 'leaseTooShort' })
      }
      hasLeft = true
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
  send(request: OutgoingRequest, departure: Departure): Promise<IncomingResponse>
  close(): Promise<void>
}
