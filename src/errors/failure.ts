import { type Entry, FAILURE_CODES, type FailureCode, type NextAction } from './codes.ts'
import { REASONS } from './reasons.ts'
import { quote } from './redact.ts'

export { FAILURE_CODES, type FailureCode, type NextAction }

/** How many items a list in the details of a failure has at most. */
export const MAX_DETAIL_ITEMS = 8

/**
 * The details of a failure. JSON-safe, without secrets. Every string of another party is truncated to 200 characters,
 * its control characters are escaped, and it must be treated as data: `error`, `expected`, `received`, `offered`,
 * `url`, `urls`, `host`, `allow`.
 */
export interface FailureDetails {
  /** The URL of the request: origin and path, of which segments of 20 characters or more are cut. */
  readonly url?: string | undefined
  /** The URLs that were requested, as `url`. At most 8. */
  readonly urls?: readonly string[] | undefined
  /** The host of the request; of `proxyUnavailable`, that of the proxy. */
  readonly host?: string | undefined
  /**
   * The entry of `network.allow` that would allow the request, as `host:port`. Untrusted, unless `reason` is
   * `connectionServer`: the URL was then that of the connection's own `server`; any other URL came from a document of a
   * server, or from an option.
   */
  readonly allow?: string | undefined
  /** The HTTP status of the response. */
  readonly status?: number | undefined
  /** Untrusted. The error code of the response (RFC 6749 §5.2), present only if it matches `[a-z_]{1,64}`. */
  readonly error?: string | undefined
  /** The invalid document, for example `protected resource metadata`. */
  readonly document?: string | undefined
  /** The invalid member of that document, as a dotted path. */
  readonly field?: string | undefined
  /** The expected value. */
  readonly expected?: string | undefined
  /**
   * Untrusted. The received value; of `POLICY_REFUSED`, what the policy does not allow; of `SNAPSHOT_KEY_UNKNOWN`, the
   * id of the key that the record names.
   */
  readonly received?: string | undefined
  /** Untrusted. The values that the server supports, space-separated. */
  readonly offered?: string | undefined
  /** The issuers of the option `clients`, those most similar to `expected` first. At most 8. */
  readonly configuredIssuers?: readonly string[] | undefined
  /** The `Retry-After` of the response (RFC 9110 §10.2.3), in milliseconds. */
  readonly retryAfterMs?: number | undefined
  /** A constant that distinguishes cases of one code, for example `proxyRefused`. */
  readonly reason?: string | undefined
}

/** The reason of a failure: plain data without secrets, used in snapshots, results, errors and logs. */
export interface Failure {
  /** One of the closed union of codes. */
  readonly code: FailureCode
  /** The details, if any. */
  readonly details?: FailureDetails | undefined
}

/** Creates a failure without the details that are `undefined`, so that equal failures are equal as JSON. */
export function failure(code: FailureCode, details: FailureDetails = {}): Failure {
  const defined = Object.fromEntries(Object.entries(details).filter(([, value]) => value !== undefined))
  return Object.keys(defined).length === 0 ? { code } : { code, details: defined }
}

/**
 * `AUTHORIZATION_REQUIRED` with the details of the failure before it, and its code as the `reason`. Without
 * `connectionServer` the advice about `allow` would be another one.
 */
export function authorizationRequired({ code, details }: Partial<Failure> = {}): Failure {
  const reason = details?.reason === 'connectionServer' ? details.reason : code
  return failure('AUTHORIZATION_REQUIRED', { ...details, reason })
}

/** For each code: what happened, as a lower-case sentence, and what the host can do about it. */
const CATALOGUE: Record<FailureCode, Entry> = {
  AUTHORIZATION_NOT_OFFERED: [
    "no authorization metadata was found, and the server asks for no token or is not an MCP server: check the server's URL",
    'configureClient',
  ],
  RESOURCE_METADATA_UNAVAILABLE: ['the protected resource metadata could not be read', 'retry'],
  RESOURCE_MISMATCH: [
    "the protected resource metadata describes another resource: check the server's URL",
    'fixServer',
  ],
  SERVER_METADATA_UNAVAILABLE: ['the authorization server metadata could not be read', 'retry'],
  SERVER_ISSUER_MISMATCH: [
    'the authorization server metadata names another issuer: if you have checked that it is the same server, list it in authorizationServers[].discovery.alsoAnnounces',
    'fixServer',
  ],
  PKCE_UNSUPPORTED: [
    "the authorization server does not list S256 as a code challenge method: if S256 works nevertheless, set authorizationServers[].discovery.pkce to 'unlisted'",
    'fixServer',
  ],
  REGISTRATION_UNAVAILABLE: ['the authorization server offers no way to register this client', 'configureClient'],
  REGISTRATION_REJECTED: ['the authorization server rejected the client registration', 'configureClient'],
  CLIENT_INFORMATION_REQUIRED: ['this grant needs a client configured by the host', 'configureClient'],
  CLIENT_REJECTED: ['the authorization server rejected the client', 'configureClient'],
  GRANT_UNSUPPORTED: ['the grant is not supported', 'configureClient'],
  CLIENT_AUTH_UNSUPPORTED: ['no client authentication method is supported by both sides', 'configureClient'],
  POLICY_REFUSED: ['the policy of this deployment does not allow the operation', 'none'],
  ACCOUNT_CHANGED: ['a refresh returned tokens of another account than before', 'authorize'],
  STEP_UP_EXHAUSTED: [
    'the server requested more scope too often: only authorize() with `force` requests it again',
    'fixServer',
  ],
  CALLBACK_MALFORMED: ['the callback is not a valid authorization response', 'authorize'],
  CALLBACK_BINDING_MISMATCH: ['the callback came from another browser than the one that was redirected', 'authorize'],
  CALLBACK_ISSUER_MISMATCH: [
    'the callback names another issuer than the one of the authorization request',
    'authorize',
  ],
  AUTHORIZATION_DENIED: ['the authorization was denied', 'authorize'],
  AUTHORIZATION_REQUIRED: [
    'a new authorization is required: call authorize(), and send the user where it redirects, if it does',
    'authorize',
  ],
  TOKEN_OUTCOME_UNKNOWN: [
    'the outcome of the token request is unknown: call again, the request is repeated once after the lease',
    'retry',
  ],
  EXCHANGE_REJECTED: ['the authorization server rejected the token request', 'authorize'],
  REFRESH_REJECTED: ['the authorization server rejected the refresh token', 'authorize'],
  REVOCATION_FAILED: ['the authorization server rejected the revocation of the tokens', 'none'],
  TOKEN_RESPONSE_INVALID: ['the token response is not valid', 'fixServer'],
  INSECURE_ENDPOINT: ['an endpoint is not https', 'fixServer'],
  INSUFFICIENT_SCOPE: [
    'the server requires scope that was granted already: only authorize() with `force` requests another token',
    'fixServer',
  ],
  HTTP_TIMEOUT: ['the server did not respond in time', 'retry'],
  HTTP_NETWORK: ['the server could not be reached', 'retry'],
  SERVER_UNAVAILABLE: ['the server is temporarily unavailable', 'retry'],
  RATE_LIMITED: ['too many requests in too short a time', 'retry'],
  BODY_NOT_REPLAYABLE: ['the request body was a stream and cannot be sent again', 'retry'],
  ADDRESS_FORBIDDEN: ['the address is private, reserved or otherwise not allowed', 'configureClient'],
  TOO_MANY_REDIRECTS: ['the server sent a redirect that is not followed', 'fixServer'],
  RESPONSE_TOO_LARGE: ['the response is larger than allowed', 'fixServer'],
  RESPONSE_NOT_JSON: ['the response is not JSON', 'fixServer'],
  RESPONSE_INVALID: ['the response does not conform to the specification', 'fixServer'],
  STORE_UNAVAILABLE: ['the store did not respond: check that it can be reached, then call again', 'retry'],
  SNAPSHOT_UNREADABLE: ['the stored record cannot be read', 'none'],
  SNAPSHOT_KEY_UNKNOWN: [
    'the stored record was encrypted with a key that is not configured: add the key with the id `received` to keys.sealing; if it is lost, and the record is a registration, call forgetRegistration()',
    'none',
  ],
  SNAPSHOT_TOO_NEW: ['the stored record was written by a newer release', 'none'],
  SNAPSHOT_INCOMPATIBLE: ['the stored record is not compatible with this release', 'none'],
  ABORTED: ['the caller aborted the operation', 'retry'],
  TIMED_OUT: ['timed out waiting: call again, the operation may have completed in the meantime', 'retry'],
  CLOSED: ['the orchestrator is closed', 'none'],
}

/** The names of the details but `allow`, in the order of stored records: a message is the same before and after storing. */
const DETAIL_NAMES = [
  'url',
  'urls',
  'host',
  'status',
  'error',
  'document',
  'field',
  'expected',
  'received',
  'offered',
  'configuredIssuers',
  'retryAfterMs',
  'reason',
] as const satisfies readonly Exclude<keyof FailureDetails, 'allow'>[]

function entryOf({ code, details }: Failure): Entry {
  return REASONS[code]?.[details?.reason ?? ''] ?? CATALOGUE[code]
}

/** What the host can do about a failure. */
export function nextActionFor(failure: Failure): NextAction {
  return failure.details?.allow === undefined ? entryOf(failure)[1] : 'configureClient'
}

/** Whether the same call may succeed later without any change: true exactly if the next action is `retry`. */
export function isRetryable(failure: Failure): boolean {
  return nextActionFor(failure) === 'retry'
}

/** Codes of failures on the way to a server, or of this process, whatever the host has to do about them. */
const TRANSIENT: ReadonlySet<FailureCode> = new Set(['CLOSED', 'HTTP_NETWORK', 'HTTP_TIMEOUT'])

/**
 * Whether the failure says nothing about the connection: retrying may succeed, or another process, since this one was
 * closing.
 */
export function isTransient(failure: Failure): boolean {
  return isRetryable(failure) || TRANSIENT.has(failure.code)
}

/**
 * Describes a failure in one lower-case sentence: what happened and where. Strings of other parties are JSON-quoted;
 * the sentence contains no secret.
 */
export function describeFailure(failure: Failure): string {
  const { allow, ...details } = failure.details ?? {}
  const facts = DETAIL_NAMES.flatMap((name) => (details[name] === undefined ? [] : `${name} ${quote(details[name])}`))
  const sentence = entryOf(failure)[0] + (allow === undefined ? '' : `; ${remedyOf(allow, details)}`)
  return facts.length === 0 ? sentence : `${sentence} (${facts.join(', ')})`
}

/** How the host allows a destination. A URL that came from a server may lead into the host's own network. */
function remedyOf(allow: string, { url, reason }: FailureDetails): string {
  const remedy = `add ${quote(allow)} to network.allow`
  // A name with a dot may be public, where http protects nothing.
  const isHttpByName = url?.startsWith('http:') === true && /\.[a-z][a-z\d-]*:\d+$/.test(allow)
  return reason === 'connectionServer'
    ? `${isHttpByName ? 'use https if the server offers it; otherwise ' : ''}${remedy} to use this server, only if you trust it`
    : `it is not the connection's own server: ${remedy} only if you trust it`
}

/**
 * Whether a text has the form of an error code. Free text may echo a secret.
 *
 * @see [RFC 6749 §5.2](https://www.rfc-editor.org/rfc/rfc6749.html#section-5.2)
 */
export function isErrorCode(text: string): boolean {
  return /^[a-z_]{1,64}$/.test(text)
}
