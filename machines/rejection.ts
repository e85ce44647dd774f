import { isClientError, isRetryLaterStatus } from '../src/protocol/token-endpoint.ts'
import type { Failure } from '../src/errors/failure.ts'
import type { RequestOutcome } from '../src/errors/port-error.ts'

/** The rejection of a port, as the charts read it. */
export interface PortFailure {
  failure: Failure
  outcome: RequestOutcome
  /** Record time when the port failed. */
  at?: number | undefined
}

/** Any other rejection: whether the request was sent is unknown. */
const UNEXPECTED: PortFailure = {
  failure: { code: 'TOKEN_OUTCOME_UNKNOWN', details: { reason: 'unexpected' } },
  outcome: 'unknown',
}

/** The failure in an event: ports reject with a `PortError`; everything else counts as an unknown outcome. */
export function portFailureOf(event: { type: string; error?: unknown }): PortFailure {
  const { error } = event
  if (typeof error !== 'object' || error === null || !('failure' in error && 'outcome' in error)) return UNEXPECTED
  const { failure, outcome, at } = error as PortFailure
  return { failure, outcome, at }
}

/** Whether the server rejected the client itself: its registration is gone, or its secret has expired. */
export function isClientRejected(portFailure: PortFailure): boolean {
  const { failure } = portFailure
  const isOfClient = failure.code === 'CLIENT_REJECTED' || isClientError(failure.details?.error)
  return isDecided(portFailure) && (isOfClient || isSecretFailure(failure))
}

/** Whether a code was rejected for another reason than itself: the server may no longer have the client. */
export function isClientSuspect(failure: Failure | undefined): boolean {
  return failure?.code === 'EXCHANGE_REJECTED' && failure.details?.error !== 'invalid_grant'
}

/** Whether a rejection means what its error says: a response that asks for a later request does not. */
function isDecided({ failure, outcome }: PortFailure): boolean {
  return outcome === 'rejected' && !isRetryLaterStatus(failure.details?.status)
}

/** Whether no request was sent because the client's secret has expired (RFC 7591 §3.2.1). */
export function isSecretFailure(failure: Failure | undefined): boolean {
  return failure?.details?.reason === 'secretExpired'
}

/** Whether the server rejected the refresh token itself (RFC 6749 §5.2). Other rejections say nothing about it. */
export function isGrantRejected(portFailure: PortFailure): boolean {
  return isDecided(portFailure) && portFailure.failure.details?.error === 'invalid_grant'
}

/**
 * Whether the server rejected a renewal, and the same request is likely to be rejected again. A rejection of the
 * client, which its host or another registration resolves, says nothing about the refresh token.
 */
export function isRenewalRejected(portFailure: PortFailure): boolean {
  return portFailure.outcome === 'rejected' && !isClientRejected(portFailure) && !isRetryLater(portFailure)
}

/**
 * Whether the server answered a token request with success, but without usable tokens: the credential of the request
 * may have been consumed.
 */
export function isTokenResponseInvalid({ failure, outcome }: PortFailure): boolean {
  return outcome === 'rejected' && failure.code === 'TOKEN_RESPONSE_INVALID'
}

/** Whether a failure may be over by itself: of the network, of a server that is overloaded or broken, or lost. */
export function isPassing(portFailure: PortFailure): boolean {
  const { failure, outcome } = portFailure
  const { status = 0 } = failure.details ?? {}
  if (outcome === 'unknown' || status >= 500 || isRetryLaterStatus(status)) return true
  if (outcome === 'notSent') return failure.code === 'HTTP_NETWORK' || failure.code === 'HTTP_TIMEOUT'
  return isRetryLater(portFailure)
}

/**
 * Whether the same request can be sent again later: nothing was consumed. A rejected DPoP proof says nothing about the
 * credential: the clock of another process may be right, and the next nonce may be that of the server that receives
 * it.
 */
export function isRetryLater({ failure, outcome }: PortFailure): boolean {
  const { status, error, reason } = failure.details ?? {}
  if (outcome === 'notSent') return true
  const isOther = error === 'temporarily_unavailable' || reason === 'dpopProof'
  return outcome === 'rejected' && (isRetryLaterStatus(status) || isOther)
}

/** Codes of failures that may be over by themselves, although nothing was sent, or metadata were not found. */
const PASSING_CODES: ReadonlySet<Failure['code']> = new Set([
  'RATE_LIMITED',
  'RESOURCE_METADATA_UNAVAILABLE',
  'SERVER_METADATA_UNAVAILABLE',
  'SERVER_UNAVAILABLE',
  'STORE_UNAVAILABLE',
  'TIMED_OUT',
])

/** Whether a failure that is not passing may be over by itself nevertheless: its host need not correct anything. */
export function mayPass({ code, details }: Failure): boolean {
  return PASSING_CODES.has(code) && details?.reason !== 'notPublished'
}

/** Codes of failures that may have their cause in the options of one process alone. */
const OWN_OPTIONS: ReadonlySet<Failure['code']> = new Set([
  'ADDRESS_FORBIDDEN',
  'CLIENT_AUTH_UNSUPPORTED',
  'INSECURE_ENDPOINT',
  'POLICY_REFUSED',
])

/** Whether a failure may have its cause in the options of one process alone: another one may have the right ones. */
export function isOfOneProcess({ code, details }: Failure): boolean {
  // The host has no assertion; without a reason, the server does not list the grant.
  if (code === 'GRANT_UNSUPPORTED') return details?.reason !== undefined
  return OWN_OPTIONS.has(code)
}

/** Whether this process was too slow, or closing: that says nothing about the server. */
export function isLocal({ code, details }: Failure): boolean {
  return code === 'CLOSED' || details?.reason === 'leaseTooShort'
}
