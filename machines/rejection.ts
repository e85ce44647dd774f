import { isClientError } from '../src/protocol/client-authentication.ts'
import type { Failure } from '../src/errors/failure.ts'
import type { RequestOutcome } from '../src/errors/port-error.ts'

/** What a port rejects with, as the charts read it. */
export interface PortFailure {
  failure: Failure
  outcome: RequestOutcome
}

/** What is made of a rejection that no port should ever give: nobody can say whether the request left. */
const UNEXPECTED: PortFailure = {
  failure: { code: 'TOKEN_OUTCOME_UNKNOWN', details: { reason: 'unexpected' } },
  outcome: 'unknown',
}

/** The failure in an event: ports reject with a `PortError`; everything else counts as an unknown outcome. */
export function portFailureOf(event: { type: string; error?: unknown }): PortFailure {
  const { error } = event
  return typeof error === 'object' && error !== null && 'failure' in error && 'outcome' in error
    ? { failure: error.failure as Failure, outcome: error.outcome as RequestOutcome }
    : UNEXPECTED
}

/** Whether the server refused the client itself: its registration is gone, or its secret is over. */
export function isClientRejected({ failure, outcome }: PortFailure): boolean {
  if (outcome !== 'rejected') return false
  return isClientError(failure.details?.error) || isSecretExpired(failure)
}

/** Whether the client's secret is over (RFC 7591 §3.2.1): its server has not been asked. */
export function isSecretExpired(failure: Failure | undefined): boolean {
  return failure?.details?.reason === 'secretExpired'
}

/** Whether the server refused the refresh token itself (RFC 6749 §5.2). Other refusals say nothing about it. */
export function isGrantRejected({ failure, outcome }: PortFailure): boolean {
  return outcome === 'rejected' && failure.details?.error === 'invalid_grant'
}

/** Whether the server asks to come again with the same request: nothing was spent. */
export function isRetryLater({ failure, outcome }: PortFailure): boolean {
  const { status, error } = failure.details ?? {}
  if (outcome === 'notSent') return true
  return outcome === 'rejected' && (status === 429 || status === 503 || error === 'temporarily_unavailable')
}
