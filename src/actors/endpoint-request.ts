import * as oauth from 'oauth4webapi'
import type { FailureCode, FailureDetails } from '../errors/failure.ts'
import { type PortError, portError } from '../errors/port-error.ts'
import { redactUrl } from '../errors/redact.ts'
import type { ExchangeResponse, Transport } from '../http/transport.ts'
import { isClientError, isRetryLaterStatus } from '../protocol/token-endpoint.ts'
import type { ClientInformation } from '../schemas/credentials.ts'
import { decodeAnswer, wireErrorOf } from '../schemas/endpoint-responses.ts'
import { MAX_RETRY_AFTER_MS, MAX_TOKEN_RESPONSE_BYTES, USER_AGENT } from './limits.ts'

/** How a request that must not be repeated is sent. */
export interface SendOptions {
  readonly transport: Transport
  /** Monotonic instant after which the request must not be sent. */
  readonly sendBefore: number
  readonly signal: AbortSignal
}

/**
 * The options that every request function of oauth4webapi takes. Plain http is allowed here because the guarded
 * transport checks the scheme.
 */
interface RequestOptions {
  [oauth.customFetch]: (
    url: string,
    init: { body?: unknown; headers: Record<string, string>; method: string },
  ) => Promise<Response>
  [oauth.allowInsecureRequests]: true
  headers: Record<string, string>
}

/**
 * Sends a request that oauth4webapi builds through the guarded transport, and returns the transport's response.
 * oauth4webapi itself receives only the status and the headers.
 */
export async function sendOnce(
  { transport, sendBefore, signal }: SendOptions,
  request: (options: RequestOptions) => Promise<Response>,
): Promise<ExchangeResponse> {
  const responses: ExchangeResponse[] = []
  await request({
    [oauth.customFetch]: async (url, { body, headers }) => {
      const maxBytes = MAX_TOKEN_RESPONSE_BYTES
      const response = await transport.exchange({
        url,
        method: 'POST',
        headers,
        body: String(body),
        maxBytes,
        sendBefore,
        signal,
      })
      responses.push(response)
      return new Response(null, { status: response.status, headers: response.headers })
    },
    [oauth.allowInsecureRequests]: true,
    headers: { 'user-agent': USER_AGENT },
  })
  const [response] = responses
  if (response === undefined) throw new Error('oauth4webapi sent no request')
  return response
}

/** Whether the status of a response is 2xx. */
export function isSuccess({ status }: Pick<ExchangeResponse, 'status'>): boolean {
  return status >= 200 && status < 300
}

/** The failure codes of an endpoint for a rejected request and for an unknown outcome. */
export interface RejectionCodes {
  readonly rejected: FailureCode
  readonly unknown: FailureCode
}

/**
 * The failure for a response that is not 2xx, or contains an error. A response that asks for a later request and every
 * other 4xx are rejections; any other 5xx leaves the outcome unknown.
 *
 * @see [RFC 6749 §5.2](https://www.rfc-editor.org/rfc/rfc6749.html#section-5.2)
 */
export function rejectionOf(response: ExchangeResponse, url: string, now: number, codes: RejectionCodes): PortError {
  const { status, headers, text } = response
  const error = wireErrorOf(decodeAnswer(text) ?? {})?.error
  const details: FailureDetails = { url: redactUrl(url), status, error, retryAfterMs: retryAfterMs(headers, now) }
  if (status === 429) return portError('RATE_LIMITED', 'rejected', details)
  const isUnavailable = isRetryLaterStatus(status) || (status < 500 && error === 'temporarily_unavailable')
  if (isUnavailable) return portError('SERVER_UNAVAILABLE', 'rejected', details)
  return status >= 500 ? portError(codes.unknown, 'unknown', details) : portError(codes.rejected, 'rejected', details)
}

/**
 * The delay that a server requests by `Retry-After`, in milliseconds; at most {@link MAX_RETRY_AFTER_MS}. None for a
 * date that is over by the clock of this process, which may be ahead: then the backoff applies.
 */
export function retryAfterMs(headers: Headers, now: number): number | undefined {
  const value = headers.get('retry-after')?.trim() ?? ''
  if (/^\d{1,10}$/.test(value)) return Math.min(Number(value) * 1000, MAX_RETRY_AFTER_MS)
  const waitMs = Date.parse(value) - now
  return waitMs > 0 ? Math.min(waitMs, MAX_RETRY_AFTER_MS) : undefined
}

/** Replaces a rejection of the client itself by `CLIENT_REJECTED`, whose reason decides who can resolve it. */
export function withClientRejection(error: PortError, client: Pick<ClientInformation, 'source'>): PortError {
  const { details } = error.failure
  if (error.outcome !== 'rejected' || !isClientError(details?.error) || isRetryLaterStatus(details?.status))
    return error
  return clientRejection(error, client)
}

/**
 * Replaces a 401 to an authorization code by `CLIENT_REJECTED`, whatever the server calls it: RFC 6749 §5.2 has that
 * status for the client only. Only for a client of the host, which can correct it; the next authorization asks whether
 * the server still has a dynamic one.
 */
export function withUnauthorizedClient(error: PortError, client: Pick<ClientInformation, 'source'>): PortError {
  const { code, details: { status, error: reason } = {} } = error.failure
  const isOfCredential = reason === 'invalid_grant' || isProofError(reason)
  if (code !== 'EXCHANGE_REJECTED' || status !== 401 || isOfCredential || client.source === 'dynamic') return error
  return clientRejection(error, client)
}

function clientRejection(error: PortError, client: Pick<ClientInformation, 'source'>): PortError {
  const { details } = error.failure
  const reason = client.source === 'dynamic' ? 'dynamicClient' : undefined
  return portError('CLIENT_REJECTED', 'rejected', { ...details, reason })
}

/** The errors of a request whose DPoP proof was rejected (RFC 9449 §5, §8). */
const PROOF_ERRORS: ReadonlySet<string | undefined> = new Set(['invalid_dpop_proof', 'use_dpop_nonce'])

/** Whether an error rejects the DPoP proof of a request. */
export function isProofError(error: string | undefined): boolean {
  return PROOF_ERRORS.has(error)
}

/** Marks a rejection of the DPoP proof that the request was sent with: it is none of the credential. */
export function withProofRejection(error: PortError): PortError {
  const { code, details } = error.failure
  if (error.outcome !== 'rejected' || !isProofError(details?.error)) return error
  return portError(code, 'rejected', { ...details, reason: 'dpopProof' })
}
