/** Every reason for which authchart can fail: the closed union that `error.code` and `failure.code` belong to. */
export const FAILURE_CODES = [
  // discovery
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
  'TOKEN_RESPONSE_INVALID',
  'INSECURE_ENDPOINT',
  'INSUFFICIENT_SCOPE',
  // transport
  'HTTP_TIMEOUT',
  'HTTP_NETWORK',
  'SERVER_UNAVAILABLE',
  'RATE_LIMITED',
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

/**
 * What is known about a failure beside its code. JSON-safe, never a secret. Every string that came from another party
 * is cut to 200 characters and must be treated as data: `error`, `expected`, `received`, `offered`, `url`, `host`.
 */
export interface FailureDetails {
  /** The URL that was asked, without its query. */
  readonly url?: string | undefined
  /** The host that was asked. */
  readonly host?: string | undefined
  /** The HTTP status that was answered. */
  readonly status?: number | undefined
  /** Untrusted. The wire error code (RFC 6749 §5.2), kept only if it matches `[a-z_]{1,64}`. */
  readonly error?: string | undefined
  /** Which document was wrong, for example `protected resource metadata`. */
  readonly document?: string | undefined
  /** The member of that document that was wrong, as a dotted path. */
  readonly field?: string | undefined
  /** What a value had to be. */
  readonly expected?: string | undefined
  /** Untrusted. What the value was. */
  readonly received?: string | undefined
  /** Untrusted. What the server offers instead, space-separated. */
  readonly offered?: string | undefined
  /** How long the server asks us to wait (RFC 9110 §10.2.3), in milliseconds. */
  readonly retryAfterMs?: number | undefined
  /** A short word of our own that tells cases of one code apart, for example `proxyRefused`. */
  readonly reason?: string | undefined
}

/** Why something failed: plain data that lives in snapshots, results, errors and logs alike, and never holds a secret. */
export interface Failure {
  /** Which of the closed union it is. */
  readonly code: FailureCode
  /** What is known beside the code. */
  readonly details?: FailureDetails | undefined
}

/** What the host can do about a failure. */
export type NextAction = 'retry' | 'authorize' | 'configureClient' | 'fixServer' | 'none'

const RETRYABLE: ReadonlySet<FailureCode> = new Set([
  'RESOURCE_METADATA_UNAVAILABLE',
  'SERVER_METADATA_UNAVAILABLE',
  'HTTP_TIMEOUT',
  'HTTP_NETWORK',
  'SERVER_UNAVAILABLE',
  'RATE_LIMITED',
  'TOKEN_OUTCOME_UNKNOWN',
  'STORE_UNAVAILABLE',
  'ABORTED',
  'TIMED_OUT',
  'CLOSED',
] satisfies FailureCode[])

/** Whether the same call may succeed later without anybody changing anything. */
export function isRetryable(failure: Failure): boolean {
  return RETRYABLE.has(failure.code)
}

const MAX_UNTRUSTED_LENGTH = 200

/** Cuts a string from another party to a length that is safe to keep and to print. */
export function truncate(text: string): string {
  return text.length > MAX_UNTRUSTED_LENGTH ? `${text.slice(0, MAX_UNTRUSTED_LENGTH)}…` : text
}

/** Builds a failure; details that are `undefined` are left out, so that equal failures are equal as JSON. */
export function failure(code: FailureCode, details: FailureDetails = {}): Failure {
  const known = Object.fromEntries(Object.entries(details).filter(([, value]) => value !== undefined))
  return Object.keys(known).length === 0 ? { code } : { code, details: known }
}

/** For each code: what happened, as a lower-case sentence, and what the host can do about it. */
const CATALOGUE: Record<FailureCode, readonly [sentence: string, nextAction: NextAction]> = {
  RESOURCE_METADATA_UNAVAILABLE: ['the protected resource metadata could not be read', 'retry'],
  RESOURCE_MISMATCH: ['the protected resource metadata describes another resource', 'fixServer'],
  SERVER_METADATA_UNAVAILABLE: ['the authorization server metadata could not be read', 'retry'],
  SERVER_ISSUER_MISMATCH: ['the authorization server metadata names another issuer', 'fixServer'],
  PKCE_UNSUPPORTED: ['the authorization server does not list S256 as a code challenge method', 'fixServer'],
  REGISTRATION_UNAVAILABLE: ['the authorization server offers no way to register this client', 'configureClient'],
  REGISTRATION_REJECTED: ['the authorization server refused to register this client', 'configureClient'],
  CLIENT_INFORMATION_REQUIRED: ['this grant needs a client id that was given by the host', 'configureClient'],
  CLIENT_REJECTED: ['the authorization server rejected the client', 'configureClient'],
  GRANT_UNSUPPORTED: ['the grant is not supported', 'configureClient'],
  CLIENT_AUTH_UNSUPPORTED: ['no client authentication method is known to both sides', 'configureClient'],
  POLICY_REFUSED: ['the policy of this deployment does not allow it', 'none'],
  ACCOUNT_CHANGED: ['the user signed in with another account than before', 'authorize'],
  STEP_UP_EXHAUSTED: ['the server kept asking for more scope', 'fixServer'],
  CALLBACK_MALFORMED: ['the callback is not a valid authorization response', 'authorize'],
  CALLBACK_BINDING_MISMATCH: ['the callback came from another browser than the one that was sent away', 'authorize'],
  CALLBACK_ISSUER_MISMATCH: ['the callback names another issuer than the one that was asked', 'authorize'],
  AUTHORIZATION_DENIED: ['the authorization was denied', 'authorize'],
  AUTHORIZATION_REQUIRED: ['the user has to sign in', 'authorize'],
  TOKEN_OUTCOME_UNKNOWN: ['it is not known whether the token request took effect', 'retry'],
  EXCHANGE_REJECTED: ['the authorization server refused the token request', 'authorize'],
  REFRESH_REJECTED: ['the authorization server refused the refresh token', 'authorize'],
  TOKEN_RESPONSE_INVALID: ['the token response is not valid', 'fixServer'],
  INSECURE_ENDPOINT: ['an endpoint is not https', 'fixServer'],
  INSUFFICIENT_SCOPE: ['the token has not the scope that the server asks for', 'authorize'],
  HTTP_TIMEOUT: ['the server did not answer in time', 'retry'],
  HTTP_NETWORK: ['the server could not be reached', 'retry'],
  SERVER_UNAVAILABLE: ['the server is temporarily unavailable', 'retry'],
  RATE_LIMITED: ['too many requests in too short a time', 'retry'],
  ADDRESS_FORBIDDEN: ['the address is private, reserved or otherwise not allowed', 'configureClient'],
  TOO_MANY_REDIRECTS: ['the server redirected where no redirect is followed', 'fixServer'],
  RESPONSE_TOO_LARGE: ['the answer is larger than allowed', 'fixServer'],
  RESPONSE_NOT_JSON: ['the answer is not JSON', 'fixServer'],
  RESPONSE_INVALID: ['the answer is not what the specification asks for', 'fixServer'],
  STORE_UNAVAILABLE: ['the store did not answer', 'retry'],
  SNAPSHOT_UNREADABLE: ['the stored record cannot be read', 'none'],
  SNAPSHOT_KEY_UNKNOWN: ['the stored record was sealed with a key that is not configured', 'none'],
  SNAPSHOT_TOO_NEW: ['the stored record was written by a newer release', 'none'],
  SNAPSHOT_INCOMPATIBLE: ['the stored record does not fit this release', 'none'],
  ABORTED: ['the caller aborted', 'retry'],
  TIMED_OUT: ['the wait ended before anything happened', 'retry'],
  CLOSED: ['the orchestrator is closed', 'none'],
}

/** What the host can do about this failure. */
export function nextActionFor(failure: Failure): NextAction {
  // A client that we registered ourselves is registered anew by the next authorization.
  if (failure.code === 'CLIENT_REJECTED' && failure.details?.reason === 'dynamicClient') return 'authorize'
  return CATALOGUE[failure.code][1]
}

/**
 * One lower-case sentence for a person: what happened and where. Words of other parties are JSON-quoted; nothing in it
 * is secret.
 */
export function describeFailure(failure: Failure): string {
  const facts = Object.entries(failure.details ?? {}).map(([name, value]) => `${name} ${JSON.stringify(value)}`)
  const [sentence] = CATALOGUE[failure.code]
  return facts.length === 0 ? sentence : `${sentence} (${facts.join(', ')})`
}
