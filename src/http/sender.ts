import type { Readable } from 'node:stream'
import type { Departure } from './departure.ts'

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
