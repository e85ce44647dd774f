import { describeFailure, failure, type Failure, type FailureCode, type FailureDetails } from './failure.ts'

/**
 * The outcome of a failed request. Only the chart decides what follows.
 *
 * - `notSent`: the request was not sent.
 * - `rejected`: the server rejected it: 4xx (429 included), 503, or a 200 that was read and is not a token response.
 * - `unknown`: it may have taken effect: any other 5xx, a reset or time-out after sending, an unreadable 200.
 */
export type RequestOutcome = 'notSent' | 'rejected' | 'unknown'

/** The rejection of an actor. Contains only plain data without secrets, so that the chart can store it. */
export class PortError extends Error {
  override readonly name = 'PortError'
  /** What happened: a code with its details. */
  readonly failure: Failure
  /** Whether the request may have taken effect. */
  readonly outcome: RequestOutcome
  /** Record time when the port failed; absent inside the port. */
  readonly at: number | undefined

  constructor(reason: Failure, outcome: RequestOutcome, at?: number) {
    super(describeFailure(reason))
    this.failure = reason
    this.outcome = outcome
    this.at = at
  }
}

/** Creates a {@link PortError} from a failure code, the outcome of the request, and details. */
export function portError(code: FailureCode, outcome: RequestOutcome, details?: FailureDetails): PortError {
  return new PortError(failure(code, details), outcome)
}

/**
 * Marks the rejection of a destination that `network.allow` can list as that of the connection's own server: the host
 * named it, not a document of a server.
 */
export function ofConnectionServer(error: PortError): PortError {
  const { code, details } = error.failure
  if (details?.allow === undefined) return error
  return portError(code, error.outcome, { ...details, reason: 'connectionServer' })
}
