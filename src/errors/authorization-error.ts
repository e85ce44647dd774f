import { redactChallenge } from './redact.ts'
import {
  describeFailure,
  type Failure,
  type FailureCode,
  isRetryable,
  type NextAction,
  nextActionFor,
} from './failure.ts'

const BRAND: unique symbol = Symbol.for('authchart.AuthorizationError')

/** The plain form of an {@link AuthorizationError}, for logs and responses. */
export interface AuthorizationErrorJson {
  /** Constant. */
  name: 'AuthorizationError'
  /** The failure code. */
  code: FailureCode
  /** One lower-case sentence without secrets. */
  message: string
  /** Whether the same call may succeed later without any change: true exactly if `nextAction` is `retry`. */
  retryable: boolean
  /** What the host can do. */
  nextAction: NextAction
  /** The code with its details. */
  failure: Failure
}

/**
 * The error of every failed operation, except for misuse, which is a `TypeError`. Contains no secret: not in its
 * message, `failure`, `cause` or `toJSON()`.
 */
export class AuthorizationError extends Error {
  override readonly name = 'AuthorizationError'
  /** The failure code, one of a closed union. */
  readonly code: FailureCode
  /** The code with its details; plain data. */
  readonly failure: Failure
  /** Whether the same call may succeed later without any change: true exactly if `nextAction` is `retry`. */
  readonly retryable: boolean
  /** What the host can do. */
  readonly nextAction: NextAction
  /**
   * The `WWW-Authenticate` value that caused the error, to pass to `authorize({ challenge })`. Untrusted; what
   * resembles a token is cut. Not enumerable.
   */
  declare readonly challenge: string | undefined
  /** @internal */
  readonly [BRAND] = true

  constructor(failure: Failure, options: { challenge?: string | undefined; cause?: unknown } = {}) {
    super(describeFailure(failure), options.cause === undefined ? undefined : { cause: options.cause })
    this.code = failure.code
    this.failure = failure
    this.retryable = isRetryable(failure)
    this.nextAction = nextActionFor(failure)
    // Not enumerable: a server's header does not belong in a log.
    const { challenge } = options
    Object.defineProperty(this, 'challenge', { value: challenge && redactChallenge(challenge) })
  }

  /** The plain form, for logs and responses. */
  toJSON(): AuthorizationErrorJson {
    const { name, code, message, retryable, nextAction, failure } = this
    return { name, code, message, retryable, nextAction, failure }
  }
}

/** An {@link AuthorizationError} whose `code` narrows `failure.code` as well. */
export type AnyAuthorizationError = {
  [Code in FailureCode]: AuthorizationError & {
    readonly code: Code
    readonly failure: Failure & { readonly code: Code }
  }
}[FailureCode]

/** Whether a caught value is an {@link AuthorizationError}, of any copy of this package. */
export function isAuthorizationError(value: unknown): value is AnyAuthorizationError {
  return value instanceof Error && BRAND in value
}
