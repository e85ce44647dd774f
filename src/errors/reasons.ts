import type { Entry, FailureCode } from './codes.ts'

/** A rejected DPoP proof consumes nothing (RFC 9449 §5). */
const PROOF_REJECTED: Entry = [
  'the authorization server rejected the DPoP proof of the token request: check the clock of this machine',
  'retry',
]

/** The entries of codes whose `reason` changes what happened, or what the host can do. */
export const REASONS: Partial<Record<FailureCode, Readonly<Record<string, Entry>>>> = {
  HTTP_TIMEOUT: {
    headers: [
      'the server did not send the headers of its response within network.headersTimeoutMs: raise that if it needs longer',
      'retry',
    ],
    outcomeUnknown: [
      'the server did not send the headers of its response within network.headersTimeoutMs, and the request may have taken effect: raise that if it needs longer, and repeat the request only if that does no harm',
      'none',
    ],
    fetchTimedOut: [
      'the function network.fetch timed out by a limit of its own: raise that if the server needs longer; the request may have taken effect',
      'retry',
    ],
    leaseTooShort: [
      'this process was paused, or too slow, and too little of the lease of its claim was left: nothing was sent, call again',
      'retry',
    ],
  },
  HTTP_NETWORK: {
    connectionRefused: ['nothing accepts connections at the host and port of the request', 'retry'],
    nameNotResolved: ['the name of the host could not be resolved', 'retry'],
    certificate: [
      'the certificate of the server is not valid for its name, has expired or is not trusted: renew it, or let this process trust its issuer (NODE_EXTRA_CA_CERTS)',
      'fixServer',
    ],
    tls: [
      'no TLS connection could be established: check the URL, the server may speak plain http at this port',
      'fixServer',
    ],
    connectionLost: ['the connection was lost before the response arrived', 'retry'],
    proxyUnavailable: [
      'the proxy of network.proxy, in `host`, could not be reached, or did not respond as a proxy: check its URL',
      'configureClient',
    ],
    proxyAuthentication: [
      'the proxy of network.proxy requires other credentials; for a server of plain http, that server may be the one that does',
      'configureClient',
    ],
    proxyRefused: ['the proxy of network.proxy did not open the tunnel: check its rules', 'retry'],
    fetchFailed: [
      'the function network.fetch failed or returned no Response: see the process warning AUTHCHART_CALLBACK_FAILED',
      'configureClient',
    ],
    outcomeUnknown: [
      'the connection was lost after the request was sent, which may have taken effect: repeat it only if that does no harm',
      'none',
    ],
  },
  AUTHORIZATION_NOT_OFFERED: {
    notRequired: ['the server requires no authorization, so that there is no token', 'none'],
    unauthenticatedRequests: [
      "the server requires no authorization, so that there is no token, and policy.unauthenticatedRequests is 'never': set it to 'firstContact' to send requests without one",
      'none',
    ],
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
    allowedScopes: ['the server requires scope that policy.allowedScopes does not list', 'none'],
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
    allowedServers: ['policy.allowedServers does not list the MCP server', 'none'],
    issuerNotAllowed: ['policy.allowedIssuers does not list the issuer', 'none'],
    allowedScopes: ['policy.allowedScopes does not list the scope', 'none'],
    allowedGrants: ['policy.allowedGrants does not list the grant', 'none'],
    issuerNoLongerAllowed: [
      'policy.allowedIssuers no longer lists the issuer of the stored tokens or of the sign-in: authorize() uses one that it lists, if the server names any',
      'authorize',
    ],
    scopeNoLongerAllowed: [
      'policy.allowedScopes no longer lists the scope of the stored tokens or of the sign-in: authorize() requests what it lists, if the server lists any of that',
      'authorize',
    ],
    grantNoLongerAllowed: [
      'policy.allowedGrants no longer lists the grant of the stored tokens or of the sign-in: authorize() with one that it lists obtains others',
      'authorize',
    ],
    issuerNotOffered: ['the server does not name the issuer that authorize() or policy.chooseIssuer selects', 'none'],
    dpop: ["policy.dpop is 'required', and the server supports no algorithm of its proofs", 'none'],
    issuerChanged: [
      'policy.refuseIssuerChange is set, and the server names another issuer than before: if that is right, call disconnect() first',
      'none',
    ],
    chooseIssuerFailed: ['policy.chooseIssuer threw or rejected, and no token request was sent', 'retry'],
    policyFailed: ['the function `policy` threw for this connection, or returned an invalid policy', 'none'],
  },
  ACCOUNT_CHANGED: {
    refuseAccountChange: [
      'policy.refuseAccountChange is set, and the sign-in is not certain to be of the same account as before: sign in with that one, or, if the other is right, call disconnect() first',
      'none',
    ],
  },
  // The next authorization registers a dynamically registered client again.
  CLIENT_REJECTED: { dynamicClient: ['the authorization server rejected the client', 'authorize'] },
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
    doesNotOpen: [
      'the stored record cannot be decrypted: its key id is configured with another secret, or the record was altered',
      'none',
    ],
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
