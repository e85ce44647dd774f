import { describeFailure, failure, type Failure, type FailureCode, type FailureDetails } from './failure.ts'

/**
 * What became of a request that failed: it never left (`notSent`), the server said no (`rejected`: 4xx, 429 and 503),
 * or nobody knows whether it took effect (`unknown`: any other 5xx, a reset or time-out after sending, a 200 that
 * cannot be read). Only the chart decides what follows.
 */
export type RequestOutcome = 'notSent' | 'rejected' | 'unknown'

/**
 * What an actor rejects with. Carries plain data only, so that the chart can keep it and nothing secret can travel
 * along.
 */
export class PortError extends Error {
  override readonly name = 'PortError'
  readonly failure: Failure
  readonly outcome: RequestOutcome

  constructor(reason: Failure, outcome: RequestOutcome) {
    super(describeFailure(reason))
    this.failure = reason
    this.outcome = outcome
  }
}

/** Shorthand for the common throw: a code, its details and what became of the request. */
export function portError(code: FailureCode, outcome: RequestOutcome, details?: FailureDetails): PortError {
  return new PortError(failure(code, details), outcome)
}
