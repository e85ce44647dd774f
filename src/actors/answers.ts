import { type FailureCode, type FailureDetails, truncate } from '../errors/failure.ts'
import { type PortError, portError } from '../errors/port-error.ts'
import type { ExchangeResponse } from '../http/transport.ts'
import { decodeAnswer, wireErrorOf } from '../schemas/endpoint-responses.ts'
import { MAX_RETRY_AFTER_MS } from './limits.ts'

/** Which codes a refusal and an outcome that nobody knows have at this endpoint. */
export interface RejectionCodes {
  readonly rejected: FailureCode
  readonly unknown: FailureCode
}

/** A URL as failures show it: without its query, which may hold a secret. */
export function redactUrl(url: string): string {
  const { origin, pathname } = new URL(url)
  return truncate(origin + pathname)
}

/** How long a server asks us to wait, in milliseconds; no more than 5 minutes. */
export function retryAfterMs(headers: Headers, now: number): number | undefined {
  const value = headers.get('retry-after')?.trim() ?? ''
  const waitMs = /^\d{1,10}$/.test(value) ? Number(value) * 1000 : Date.parse(value) - now
  return Number.isNaN(waitMs) ? undefined : Math.min(Math.max(waitMs, 0), MAX_RETRY_AFTER_MS)
}

/**
 * The failure that a response other than 2xx stands for: 429 and 503 ask to try again, every other 4xx is a rejection,
 * and any other 5xx leaves the outcome unknown.
 *
 * @see [RFC 6749 §5.2](https://www.rfc-editor.org/rfc/rfc6749.html#section-5.2)
 */
export function rejectionOf(answer: ExchangeResponse, url: string, now: number, codes: RejectionCodes): PortError {
  const { status, headers, text } = answer
  const { fields = {} } = decodeAnswer(text) ?? {}
  const details: FailureDetails = {
    url: redactUrl(url),
    status,
    error: wireErrorOf(fields)?.error,
    retryAfterMs: retryAfterMs(headers, now),
  }
  if (status === 429) return portError('RATE_LIMITED', 'rejected', details)
  if (status === 503) return portError('SERVER_UNAVAILABLE', 'rejected', details)
  return status >= 500 ? portError(codes.unknown, 'unknown', details) : portError(codes.rejected, 'rejected', details)
}

/** Whether the server did what it was asked for. */
export function isSuccess({ status }: ExchangeResponse): boolean {
  return status >= 200 && status < 300
}
