import type { Failure, FailureCode, NextAction } from './failure.ts'

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
  RATE_LIMITED: ['too many requests in too short a time', 'retry'],
  ADDRESS_FORBIDDEN: ['the address is private, reserved or otherwise not allowed', 'configureClient'],
  TOO_MANY_REDIRECTS: ['the server redirected where no redirect is followed', 'fixServer'],
  RESPONSE_TOO_LARGE: ['the answer is larger than allowed', 'fixServer'],
  RESPONSE_NOT_JSON: ['the answer is not JSON', 'fixServer'],
  RESPONSE_NOT_CONFORM: ['the answer is not what the specification asks for', 'fixServer'],
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
