import { quote } from './redact.ts'

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
  /** The host of the request. */
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
  /** Untrusted. The received value. */
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

/** What the host can do about a failure. */
export type NextAction = 'retry' | 'authorize' | 'configureClient' | 'fixServer' | 'none'

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

type Entry = readonly [sentence: string, nextAction: NextAction]

/** A rejected DPoP proof consumes nothing (RFC 9449 §5). */
const PROOF_REJECTED: Entry = [
  'the authorization server rejected the DPoP proof of the token request: check the clock of this machine',
  'retry',
]

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
  ACCOUNT_CHANGED: ['the user signed in with another account than before', 'authorize'],
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
    'the server requires scope that was granted already, or that the policy does not allow: only authorize() with `force` requests another token',
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
    'the stored record was encrypted with a key that is not configured: add that key to keys.sealing',
    'none',
  ],
  SNAPSHOT_TOO_NEW: ['the stored record was written by a newer release', 'none'],
  SNAPSHOT_INCOMPATIBLE: ['the stored record is not compatible with this release', 'none'],
  ABORTED: ['the caller aborted the operation', 'retry'],
  TIMED_OUT: ['timed out waiting: call again, the operation may have completed in the meantime', 'retry'],
  CLOSED: ['the orchestrator is closed', 'none'],
}

/** The entries of codes whose `reason` changes what happened, or what the host can do. */
export const REASONS: Partial<Record<FailureCode, Readonly<Record<string, Entry>>>> = {
  HTTP_TIMEOUT: {
    leaseTooShort: [
      'this process was paused, or too slow, and too little of the lease of its claim was left: nothing was sent, call again',
      'retry',
    ],
  },
  AUTHORIZATION_NOT_OFFERED: {
    notRequired: ['the server requires no authorization, so that there is no token', 'none'],
    noAuthorizationServer: [
      "the protected resource metadata names no authorization server, and the server's origin publishes no metadata of one: if you have them from its documentation, set authorizationServers[].discovery.metadata for that origin",
      'fixServer',
    ],
  },
  SERVER_METADATA_UNAVAILABLE: {
    notPublished: [
      'the authorization server publishes no metadata at any well-known URL: if you have them from its documentation, set authorizationServers[].discovery.metadata',
      'fixServer',
    ],
  },
  REGISTRATION_UNAVAILABLE: {
    noRegistrationEndpoint: [
      'the authorization server offers no dynamic registration, and no client is configured for its issuer: add one to the option `clients`, or correct clients[].issuer',
      'configureClient',
    ],
  },
  REGISTRATION_REJECTED: {
    secretBornExpired: [
      'the client secret that the server issues has expired already: check the clock of this machine, or configure a client',
      'configureClient',
    ],
  },
  CLIENT_INFORMATION_REQUIRED: {
    otherIssuer: ['the client is configured for another issuer than that of the server', 'configureClient'],
    secretExpired: ['the secret of the configured client has expired', 'configureClient'],
    secretMissing: ['client credentials need a client with a secret or a key', 'configureClient'],
    nonInteractiveGrant: ['this grant needs a client, and none is configured for the issuer', 'configureClient'],
    importedTokens: [
      'imported tokens need the client that they were issued to, and none is configured for the issuer',
      'configureClient',
    ],
  },
  AUTHORIZATION_REQUIRED: {
    assertionUnavailable: [
      'the option `assertions` returned no assertion; the next call requests one again',
      'authorize',
    ],
    everyTokenRejected: [
      'the server rejects every token that the authorization server issues, one after the other: check which issuer, audience and client it accepts; for a grant that needs no user, authorize() requests another one only with `force`',
      'fixServer',
    ],
  },
  INSUFFICIENT_SCOPE: {
    notGranted: [
      'the authorization server issued a token without the scope that the server requires: allow that scope for this client there',
      'configureClient',
    ],
  },
  AUTHORIZATION_DENIED: {
    pushedRequest: [
      'the authorization server rejected the pushed authorization request: correct its scope, its parameters or the client',
      'configureClient',
    ],
    contradictoryScopes: [
      'the scope lists of the server contradict each other: it rejects what it lists; pass a `scope` that it accepts to authorize()',
      'configureClient',
    ],
  },
  POLICY_REFUSED: {
    issuerChanged: ['the server names another issuer than before: if that is right, call disconnect() first', 'none'],
    chooseIssuerFailed: ['policy.chooseIssuer threw or rejected, and no token request was sent', 'retry'],
    policyFailed: ['the function `policy` threw for this connection, or returned an invalid policy', 'none'],
  },
  // The next authorization registers a dynamically registered client again.
  CLIENT_REJECTED: { dynamicClient: [CATALOGUE.CLIENT_REJECTED[0], 'authorize'] },
  EXCHANGE_REJECTED: {
    dpopProof: PROOF_REJECTED,
    nonInteractiveGrant: [
      'the authorization server rejected the token request of this grant, which needs no user: correct its scope, parameters or assertion, or allow it there',
      'configureClient',
    ],
  },
  REFRESH_REJECTED: { dpopProof: PROOF_REJECTED },
  SERVER_UNAVAILABLE: {
    dpopProof: ['the server rejected the DPoP proof of the request: check the clock of this machine', 'retry'],
  },
  STEP_UP_EXHAUSTED: {
    scopeTooLong: [
      'the scope that the server requires, together with what was requested and granted before, is too long to request',
      'fixServer',
    ],
  },
  CALLBACK_ISSUER_MISMATCH: {
    otherRedirectUri: ['the callback came to another redirect URI than that of its authorization server', 'authorize'],
    issNotSent: [
      "the authorization server announces `iss` and did not send it in the callback: if it is known to omit it, set authorizationServers[].iss to 'notRequired'",
      'fixServer',
    ],
  },
  ADDRESS_FORBIDDEN: {
    credentials: ['the URL contains credentials', 'fixServer'],
    malformedUrl: ['the URL is not valid', 'fixServer'],
    ownOrigin: ['the authorization endpoint is at an origin of this application', 'configureClient'],
  },
  INSECURE_ENDPOINT: { scheme: ['the URL of an endpoint is neither https nor http', 'fixServer'] },
  RATE_LIMITED: { registrationsPerServerPerHour: ['the server led to too many new registrations', 'retry'] },
  SNAPSHOT_UNREADABLE: {
    otherIdentity: ['the stored record is that of another connection or registration', 'none'],
  },
  SNAPSHOT_INCOMPATIBLE: {
    invalidContext: [
      'the new record would not be readable and was not stored: this is a fault of authchart, please report it',
      'none',
    ],
  },
  STORE_UNAVAILABLE: {
    cannotOpen: ['the SQLite file cannot be opened: check its path and the permissions of its folder', 'retry'],
    folderMissing: ['the folder of the SQLite file does not exist: create it, or correct the path', 'configureClient'],
    full: ['the store is full: it needs more memory or disk space', 'retry'],
    locked: ['other processes lock the SQLite file for longer than `busyTimeoutMs`', 'retry'],
    notADatabase: ['the file is not a SQLite database, or it is damaged: check its path', 'retry'],
    notAuthenticated: ['the store does not accept the user or the password of the client', 'retry'],
    notPermitted: ['the store does not permit a command or a key to the user of the client', 'retry'],
    readOnly: [
      'the store accepts no writes: it is read-only, or a Redis that misses replicas or cannot write to its disk',
      'retry',
    ],
    tooFewReplicas: ['fewer replicas of Redis than `replicas` requires are connected, or they are late', 'retry'],
  },
}

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

/**
 * Whether the failure says nothing about the connection: retrying may succeed, or another process, since this one was
 * closing.
 */
export function isTransient(failure: Failure): boolean {
  return isRetryable(failure) || failure.code === 'CLOSED'
}

/**
 * Describes a failure in one lower-case sentence: what happened and where. Strings of other parties are JSON-quoted;
 * the sentence contains no secret.
 */
export function describeFailure(failure: Failure): string {
  const { allow, ...details } = failure.details ?? {}
  const facts = Object.entries(details).map(([name, value]) => `${name} ${quote(value)}`)
  const sentence = entryOf(failure)[0] + (allow === undefined ? '' : `; ${remedyOf(allow, details.reason)}`)
  return facts.length === 0 ? sentence : `${sentence} (${facts.join(', ')})`
}

/** How the host allows a destination. A URL that came from a server may lead into the host's own network. */
function remedyOf(allow: string, reason: string | undefined): string {
  const remedy = `add ${quote(allow)} to network.allow`
  return reason === 'connectionServer'
    ? `${remedy} to use this server`
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
