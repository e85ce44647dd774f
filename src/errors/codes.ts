/** All failure codes: the closed union of `error.code` and `failure.code`. */
export const FAILURE_CODES = [
  // discovery
  'AUTHORIZATION_NOT_OFFERED',
  'RESOURCE_METADATA_UNAVAILABLE',
  'RESOURCE_MISMATCH',
  'SERVER_METADATA_UNAVAILABLE',
  'SERVER_ISSUER_MISMATCH',
  'PKCE_UNSUPPORTED',
  // registration
  'REGISTRATION_UNAVAILABLE',
  'REGISTRATION_REJECTED',
  'CLIENT_INFORMATION_REQUIRED',
  'CLIENT_REJECTED',
  // grant
  'GRANT_UNSUPPORTED',
  'CLIENT_AUTH_UNSUPPORTED',
  'POLICY_REFUSED',
  'ACCOUNT_CHANGED',
  'STEP_UP_EXHAUSTED',
  // callback
  'CALLBACK_MALFORMED',
  'CALLBACK_BINDING_MISMATCH',
  'CALLBACK_ISSUER_MISMATCH',
  'AUTHORIZATION_DENIED',
  // token
  'AUTHORIZATION_REQUIRED',
  'TOKEN_OUTCOME_UNKNOWN',
  'EXCHANGE_REJECTED',
  'REFRESH_REJECTED',
  'REVOCATION_FAILED',
  'TOKEN_RESPONSE_INVALID',
  'INSECURE_ENDPOINT',
  'INSUFFICIENT_SCOPE',
  // transport
  'HTTP_TIMEOUT',
  'HTTP_NETWORK',
  'SERVER_UNAVAILABLE',
  'RATE_LIMITED',
  'BODY_NOT_REPLAYABLE',
  'ADDRESS_FORBIDDEN',
  'TOO_MANY_REDIRECTS',
  'RESPONSE_TOO_LARGE',
  'RESPONSE_NOT_JSON',
  'RESPONSE_INVALID',
  // store
  'STORE_UNAVAILABLE',
  'SNAPSHOT_UNREADABLE',
  'SNAPSHOT_KEY_UNKNOWN',
  'SNAPSHOT_TOO_NEW',
  'SNAPSHOT_INCOMPATIBLE',
  // control
  'ABORTED',
  'TIMED_OUT',
  'CLOSED',
] as const

/** One of {@link FAILURE_CODES}. */
export type FailureCode = (typeof FAILURE_CODES)[number]

/** What the host can do about a failure. */
export type NextAction = 'retry' | 'authorize' | 'configureClient' | 'fixServer' | 'none'

/** What a failure says, in one lower-case sentence, and what the host can do. */
export type Entry = readonly [sentence: string, nextAction: NextAction]
