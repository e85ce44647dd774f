import { describe, expect, test } from 'vitest'
import { AuthorizationError } from '../../../src/errors/authorization-error.ts'
import {
  describeFailure,
  type Failure,
  failure,
  FAILURE_CODES,
  isRetryable,
  isTransient,
  type NextAction,
  nextActionFor,
} from '../../../src/errors/failure.ts'
import { truncate } from '../../../src/errors/redact.ts'

test('failure omits undefined details, so that equal failures are equal as JSON', () => {
  expect(failure('HTTP_TIMEOUT')).toStrictEqual({ code: 'HTTP_TIMEOUT' })
  expect(failure('HTTP_TIMEOUT', { host: undefined })).toStrictEqual({ code: 'HTTP_TIMEOUT' })
  expect(failure('HTTP_TIMEOUT', { host: 'as.example.com', status: undefined })).toStrictEqual({
    code: 'HTTP_TIMEOUT',
    details: { host: 'as.example.com' },
  })
})

test('truncate shortens a string of more than 200 characters', () => {
  expect(truncate('x'.repeat(200))).toBe('x'.repeat(200))
  expect(truncate('x'.repeat(201))).toBe(`${'x'.repeat(200)}…`)
})

describe('failure codes', () => {
  test('FAILURE_CODES contains each code once', () => {
    expect(new Set(FAILURE_CODES).size).toBe(FAILURE_CODES.length)
  })

  test.each(FAILURE_CODES)('the code %s has a message without capital or full stop, and a next action', (code) => {
    expect(describeFailure({ code })).toMatch(/^(?:[a-z]|S256|JSON|PKCE)(?!.*\.\s).*[^.\s]$/)
    expect(['retry', 'authorize', 'configureClient', 'fixServer', 'none']).toContain(nextActionFor({ code }))
  })

  test('isRetryable() is true for exactly the codes whose next action is retry', () => {
    const retryable = FAILURE_CODES.filter((code) => isRetryable({ code }))
    expect(retryable).toEqual(FAILURE_CODES.filter((code) => nextActionFor({ code }) === 'retry'))
    expect(retryable).toEqual([
      'RESOURCE_METADATA_UNAVAILABLE',
      'SERVER_METADATA_UNAVAILABLE',
      'TOKEN_OUTCOME_UNKNOWN',
      'HTTP_TIMEOUT',
      'HTTP_NETWORK',
      'SERVER_UNAVAILABLE',
      'RATE_LIMITED',
      'BODY_NOT_REPLAYABLE',
      'STORE_UNAVAILABLE',
      'ABORTED',
      'TIMED_OUT',
    ])
  })

  test('isTransient() is true for the retryable codes and for the CLOSED that a closing process recorded', () => {
    const transient = FAILURE_CODES.filter((code) => isTransient({ code }))
    expect(transient).toEqual(FAILURE_CODES.filter((code) => isRetryable({ code }) || code === 'CLOSED'))
    expect(transient).toContain('CLOSED')
  })

  test.each(['certificate', 'proxyAuthentication', 'fetchFailed'])(
    'isTransient() is true for HTTP_NETWORK with the reason %s, which says nothing about the connection',
    (reason) => {
      const lost = { code: 'HTTP_NETWORK', details: { reason } } as const
      expect([isTransient(lost), isRetryable(lost)]).toEqual([true, false])
    },
  )

  test.each(FAILURE_CODES)('an AuthorizationError %s is retryable exactly if its nextAction is retry', (code) => {
    const { retryable, nextAction } = new AuthorizationError({ code })
    expect({ retryable, nextAction }).toEqual({
      retryable: nextAction === 'retry',
      nextAction: nextActionFor({ code }),
    })
  })
})

test('the message of BODY_NOT_REPLAYABLE names the stream, and its next action is retry', () => {
  const notReplayable = { code: 'BODY_NOT_REPLAYABLE', details: { status: 401 } } as const
  expect(describeFailure(notReplayable)).toBe('the request body was a stream and cannot be sent again (status 401)')
  expect(nextActionFor(notReplayable)).toBe('retry')
})

test.each<[Failure, string, NextAction]>([
  [
    { code: 'AUTHORIZATION_NOT_OFFERED', details: { urls: ['https://h/mcpx', 'https://h/.well-known/x'] } },
    `no authorization metadata was found, and the server asks for no token or is not an MCP server: check the server's URL (urls ["https://h/mcpx","https://h/.well-known/x"])`,
    'configureClient',
  ],
  [
    { code: 'AUTHORIZATION_NOT_OFFERED', details: { reason: 'noAuthorizationServer' } },
    `the protected resource metadata names no authorization server, and the server's origin publishes no metadata of one: if you have them from its documentation, set authorizationServers[].discovery.metadata for that origin (reason "noAuthorizationServer")`,
    'fixServer',
  ],
  [
    { code: 'SNAPSHOT_KEY_UNKNOWN', details: { received: '2025' } },
    'the stored record was encrypted with a key that is not configured: add the key with the id `received` to keys.sealing; if it is lost, and the record is a registration, call forgetRegistration() (received "2025")',
    'none',
  ],
  [
    { code: 'SNAPSHOT_UNREADABLE', details: { reason: 'doesNotOpen' } },
    'the stored record cannot be decrypted: its key id is configured with another secret, or the record was altered (reason "doesNotOpen")',
    'none',
  ],
  [{ code: 'TIMED_OUT' }, 'timed out waiting: call again, the operation may have completed in the meantime', 'retry'],
  [{ code: 'STORE_UNAVAILABLE' }, 'the store did not respond: check that it can be reached, then call again', 'retry'],
  [
    { code: 'TOKEN_OUTCOME_UNKNOWN' },
    'the outcome of the token request is unknown: call again, the request is repeated once after the lease',
    'retry',
  ],
  [
    { code: 'INSECURE_ENDPOINT', details: { allow: 'localhost:80', reason: 'connectionServer' } },
    'an endpoint is not https; add "localhost:80" to network.allow to use this server, only if you trust it (reason "connectionServer")',
    'configureClient',
  ],
  [
    {
      code: 'INSECURE_ENDPOINT',
      details: { url: 'http://example.com/mcp', allow: 'example.com:80', reason: 'connectionServer' },
    },
    'an endpoint is not https; use https if the server offers it; otherwise add "example.com:80" to network.allow to use this server, only if you trust it (url "http://example.com/mcp", reason "connectionServer")',
    'configureClient',
  ],
  [
    {
      code: 'INSECURE_ENDPOINT',
      details: { url: 'http://127.0.0.1:3000/mcp', allow: '127.0.0.1:3000', reason: 'connectionServer' },
    },
    'an endpoint is not https; add "127.0.0.1:3000" to network.allow to use this server, only if you trust it (url "http://127.0.0.1:3000/mcp", reason "connectionServer")',
    'configureClient',
  ],
  [
    {
      code: 'ADDRESS_FORBIDDEN',
      details: { url: 'https://mcp.corp/', allow: 'mcp.corp:443', reason: 'connectionServer' },
    },
    'the address is private, reserved or otherwise not allowed; add "mcp.corp:443" to network.allow to use this server, only if you trust it (url "https://mcp.corp/", reason "connectionServer")',
    'configureClient',
  ],
  [
    { code: 'ADDRESS_FORBIDDEN', details: { allow: '10.0.0.1:443' } },
    `the address is private, reserved or otherwise not allowed; it is not the connection's own server: add "10.0.0.1:443" to network.allow only if you trust it`,
    'configureClient',
  ],
  [
    { code: 'ADDRESS_FORBIDDEN', details: { reason: 'credentials' } },
    'the URL contains credentials (reason "credentials")',
    'fixServer',
  ],
  [
    { code: 'SERVER_METADATA_UNAVAILABLE', details: { reason: 'notPublished' } },
    'the authorization server publishes no metadata at any well-known URL: if you have them from its documentation, set authorizationServers[].discovery.metadata (reason "notPublished")',
    'fixServer',
  ],
  [
    { code: 'CALLBACK_ISSUER_MISMATCH', details: { expected: 'https://as', reason: 'issNotSent' } },
    `the authorization server announces \`iss\` and did not send it in the callback: if it is known to omit it, set authorizationServers[].iss to 'notRequired' (expected "https://as", reason "issNotSent")`,
    'fixServer',
  ],
  [
    { code: 'CLIENT_REJECTED', details: { reason: 'dynamicClient' } },
    'the authorization server rejected the client (reason "dynamicClient")',
    'authorize',
  ],
  [
    { code: 'REFRESH_REJECTED', details: { reason: 'dpopProof' } },
    'the authorization server rejected the DPoP proof of the token request: check the clock of this machine (reason "dpopProof")',
    'retry',
  ],
  [
    { code: 'SERVER_UNAVAILABLE', details: { reason: 'dpopProof' } },
    'the server rejected the DPoP proof of the request: check the clock of this machine (reason "dpopProof")',
    'retry',
  ],
  [
    { code: 'AUTHORIZATION_REQUIRED' },
    'a new authorization is required: call authorize(), and send the user where it redirects, if it does',
    'authorize',
  ],
  [
    { code: 'AUTHORIZATION_REQUIRED', details: { reason: 'assertionUnavailable', expected: 'workload' } },
    'the option `assertions` returned no assertion; the next call requests one again (expected "workload", reason "assertionUnavailable")',
    'authorize',
  ],
  [
    { code: 'AUTHORIZATION_REQUIRED', details: { reason: 'everyTokenRejected' } },
    'the server rejects every token that the authorization server issues, one after the other: check which issuer, audience and client it accepts; for a grant that needs no user, authorize() requests another one only with `force` (reason "everyTokenRejected")',
    'fixServer',
  ],
  [
    { code: 'INSUFFICIENT_SCOPE', details: { expected: 'a' } },
    'the server requires scope that was granted already: only authorize() with `force` requests another token (expected "a")',
    'fixServer',
  ],
  [
    { code: 'INSUFFICIENT_SCOPE', details: { expected: 'a', reason: 'allowedScopes' } },
    'the server requires scope that policy.allowedScopes does not list (expected "a", reason "allowedScopes")',
    'none',
  ],
  [
    { code: 'POLICY_REFUSED', details: { received: 'https://a', reason: 'allowedServers' } },
    'policy.allowedServers does not list the MCP server (received "https://a", reason "allowedServers")',
    'none',
  ],
  [
    { code: 'POLICY_REFUSED', details: { reason: 'issuerChanged', received: 'https://b', expected: 'https://a' } },
    'policy.refuseIssuerChange is set, and the server names another issuer than before: if that is right, call disconnect() first (expected "https://a", received "https://b", reason "issuerChanged")',
    'none',
  ],
  [
    { code: 'POLICY_REFUSED', details: { received: 'admin', reason: 'scopeNoLongerAllowed' } },
    'policy.allowedScopes no longer lists the scope of the stored tokens or of the sign-in: authorize() requests what it lists, if the server lists any of that (received "admin", reason "scopeNoLongerAllowed")',
    'authorize',
  ],
  [
    { code: 'ACCOUNT_CHANGED', details: { reason: 'refuseAccountChange' } },
    'policy.refuseAccountChange is set, and the sign-in is not certain to be of the same account as before: sign in with that one, or, if the other is right, call disconnect() first (reason "refuseAccountChange")',
    'none',
  ],
  [
    { code: 'HTTP_TIMEOUT', details: { reason: 'headers' } },
    'the server did not send the headers of its response within network.headersTimeoutMs: raise that if it needs longer (reason "headers")',
    'retry',
  ],
  [
    { code: 'HTTP_TIMEOUT', details: { reason: 'outcomeUnknown' } },
    'the server did not send the headers of its response within network.headersTimeoutMs, and the request may have taken effect: raise that if it needs longer, and repeat the request only if that does no harm (reason "outcomeUnknown")',
    'none',
  ],
  [
    { code: 'INSUFFICIENT_SCOPE', details: { reason: 'notGranted' } },
    'the authorization server issued a token without the scope that the server requires: allow that scope for this client there (reason "notGranted")',
    'configureClient',
  ],
  [
    { code: 'STEP_UP_EXHAUSTED' },
    'the server requested more scope too often: only authorize() with `force` requests it again',
    'fixServer',
  ],
  [
    { code: 'STEP_UP_EXHAUSTED', details: { reason: 'scopeTooLong' } },
    'the scope that the server requires, together with what was requested and granted before, is too long to request (reason "scopeTooLong")',
    'fixServer',
  ],
  [
    { code: 'STORE_UNAVAILABLE', details: { reason: 'folderMissing' } },
    'the folder of the SQLite file does not exist: create it, or correct the path (reason "folderMissing")',
    'configureClient',
  ],
  [
    { code: 'STORE_UNAVAILABLE', details: { reason: 'tooFewReplicas' } },
    'fewer replicas of Redis than `replicas` requires are connected, or they are late (reason "tooFewReplicas")',
    'retry',
  ],
])('the failure %j says what happened and what to do', (reason, message, nextAction) => {
  expect([describeFailure(reason), nextActionFor(reason)]).toEqual([message, nextAction])
})

test('metadata that is not published is not retryable, and metadata that cannot be read is', () => {
  const code = 'SERVER_METADATA_UNAVAILABLE'
  expect([isRetryable({ code, details: { reason: 'notPublished' } }), isRetryable({ code })]).toEqual([false, true])
})

test('describeFailure names and quotes each detail', () => {
  const told = describeFailure({
    code: 'SERVER_ISSUER_MISMATCH',
    details: { expected: 'https://as', received: 'x", "y\n', status: 200 },
  })
  expect(told).toBe(
    'the authorization server metadata names another issuer: if you have checked that it is the same server, list it in authorizationServers[].discovery.alsoAnnounces (status 200, expected "https://as", received "x\\", \\"y\\n")',
  )
})
