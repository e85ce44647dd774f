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
  /** Always the same. */
  name: 'AuthorizationError'
  /** Why. */
  code: FailureCode
  /** One lower-case sentence; nothing in it is secret. */
  message: string
  /** Whether the same call may succeed later without anybody changing anything. */
  retryable: boolean
  /** What the host can do about it. */
  nextAction: NextAction
  /** The code with its details. */
  failure: Failure
}

/**
 * Thrown by the facade for everything that it could not do. Holds no secret anywhere: neither in its message, nor in
 * `failure`, `cause` or `toJSON()`.
 */
export class AuthorizationError extends Error {
  override readonly name = 'AuthorizationError'
  /** Why, as one of the closed union of codes. */
  readonly code: FailureCode
  /** The same with its details; plain data. */
  readonly failure: Failure
  /** Whether the same call may succeed later without anybody changing anything. */
  readonly retryable: boolean
  /** What the host can do about it. */
  readonly nextAction: NextAction
  /** The `WWW-Authenticate` value that led here, to be handed to `authorize({ challenge })`. Untrusted. */
  readonly challenge: string | undefined
  /** @internal */
  readonly [BRAND] = true

  constructor(failure: Failure, options: { challenge?: string | undefined; cause?: unknown } = {}) {
    super(describeFailure(failure), options.cause === undefined ? undefined : { cause: options.cause })
    this.code = failure.code
    this.failure = failure
    this.retryable = isRetryable(failure)
    this.nextAction = nextActionFor(failure)
    this.challenge = options.challenge
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

/** Whether a caught value is an {@link AuthorizationError}, whichever copy of this package made it. */
export function isAuthorizationError(value: unknown): value is AnyAuthorizationError {
  return value instanceof Error && BRAND in value
}
