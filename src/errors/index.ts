export {
  type AnyAuthorizationError,
  AuthorizationError,
  type AuthorizationErrorJson,
  isAuthorizationError,
} from './authorization-error.ts'
export { describeFailure, nextActionFor } from './describe-failure.ts'
export {
  failure,
  type Failure,
  FAILURE_CODES,
  type FailureCode,
  type FailureDetails,
  isRetryable,
  type NextAction,
  untrusted,
} from './failure.ts'
export { invalidArgument } from './invalid-argument.ts'
export { PortError, portError } from './port-error.ts'
