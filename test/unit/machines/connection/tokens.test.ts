import { describe, expect, test } from 'vitest'
import {
  acceptLateResult,
  clearRejection,
  dropRefreshToken,
  endRefreshes,
  forgetClient,
  importCredentials,
  markRenewalRejected,
  pruneExpired,
  readClock,
  recordFailure,
  recordRejection,
  reset,
  storeTokens,
} from '../../../../machines/connection/tokens.ts'
import type { FailureCode } from '../../../../src/errors/failure.ts'
import { PortError, portError } from '../../../../src/errors/port-error.ts'
import type { Claim, ConnectionContext } from '../../../../src/schemas/connection-context.ts'
import { portFailureOf } from '../../../../machines/rejection.ts'
import {
  contextWith,
  dpopKey,
  issuer,
  rejections,
  server,
  START,
  staticClient,
  TOKEN_TTL_MS,
  tokenResult,
  tokens,
} from '../../../support/charts/facts.ts'
import { after, attemptOf, exchanging, NOW, refreshing, request, stamp } from './support.ts'

test('readClock returns the time of the command, of the port output, or the current record time', () => {
  const context = contextWith()
  expect(readClock(context, { ...stamp, type: 'attempt.expired' })).toBe(NOW)
  expect(readClock(context, { type: 'xstate.done.actor.revokeTokens', output: { at: NOW + 1, revoked: 'yes' } })).toBe(
    NOW + 1,
  )
  expect(readClock(context, { type: 'xstate.error.actor.revokeTokens', error: rejections.unknown })).toBe(START)
})

describe('tokens', () => {
  const stored = {
    at: NOW + 100,
    generation: 4,
    failure: undefined,
    retryAt: undefined,
    reauthorizationRequired: undefined,
  }
  const exchange = contextWith({
    at: NOW,
    generation: 3,
    servers: [server],
    reauthorizationRequired: true,
    failure: { code: 'HTTP_NETWORK' },
    attempts: [attemptOf(1), attemptOf(2), attemptOf(3, { scope: 'read write' }), attemptOf(4, { scope: undefined })],
    claim: exchanging,
  })

  test('storeTokens of an exchange ends its attempt and every attempt that requested no more scope', () => {
    expect(storeTokens(exchange, tokenResult(NOW + 100, { subject: 'alice', refreshTokenExpiresInMs: 5_000 }))).toEqual(
      {
        ...stored,
        tokens: {
          accessToken: `access-${NOW + 100}`,
          tokenType: 'Bearer',
          scope: 'read',
          requestedScope: 'read',
          expiresAt: NOW + TOKEN_TTL_MS,
          lifetimeMs: TOKEN_TTL_MS,
          refreshToken: `refresh-${NOW + 100}`,
          refreshTokenExpiresAt: NOW + 5_000,
          grant: 'authorization_code',
          serverId: 1,
          subject: 'alice',
        },
        attempts: [attemptOf(3, { scope: 'read write' })],
        endedAttempts: [
          { stateHash: 'hash-1', outcome: 'authorized', endedAt: NOW + 100 },
          { stateHash: 'hash-2', outcome: 'alreadyAuthorized', endedAt: NOW + 100 },
          { stateHash: 'hash-4', outcome: 'alreadyAuthorized', endedAt: NOW + 100 },
        ],
        historyTruncatedAt: undefined,
      },
    )
  })

  test('storeTokens of an exchange omits expiry and refresh token if the response has neither', () => {
    const output = tokenResult(NOW + 100, { expiresInMs: undefined, refreshToken: undefined, scope: 'less' })
    expect(storeTokens(exchange, output).tokens).toEqual({
      accessToken: `access-${NOW + 100}`,
      tokenType: 'Bearer',
      scope: 'less',
      requestedScope: 'read',
      grant: 'authorization_code',
      serverId: 1,
    })
  })

  const refresh = contextWith({
    at: NOW,
    generation: 3,
    servers: [server],
    attempts: [attemptOf(1)],
    tokens: { ...tokens, scope: 'less', subject: 'alice', refreshTokenExpiresAt: NOW + 9_000, unverified: true },
    claim: refreshing,
  })

  test('storeTokens of a refresh retains what the response omits and ends no attempt', () => {
    const output = tokenResult(NOW + 100, { refreshToken: undefined })
    expect(storeTokens(refresh, output)).toEqual({
      ...stored,
      tokens: {
        accessToken: `access-${NOW + 100}`,
        tokenType: 'Bearer',
        scope: 'less',
        requestedScope: 'read',
        expiresAt: NOW + TOKEN_TTL_MS,
        lifetimeMs: TOKEN_TTL_MS,
        refreshToken: 'fake-refresh-token',
        refreshTokenExpiresAt: NOW + 9_000,
        grant: 'authorization_code',
        serverId: 1,
        subject: 'alice',
      },
    })
  })

  test('storeTokens of a refresh with a new refresh token drops the expiry of the old one', () => {
    const changed = storeTokens(refresh, tokenResult(NOW + 100, { scope: 'read' }))
    expect(changed.tokens).toMatchObject({
      scope: 'read',
      refreshToken: `refresh-${NOW + 100}`,
      refreshTokenExpiresAt: undefined,
    })
  })

  test.each([
    ['none without a rejection', { signedInAfterRejection: { at: NOW, rejections: 1 } }, undefined],
    ['one', { rejectedBy: 'server', rejectedAt: NOW }, 1],
    ['two if a renewal did not help', { rejectedBy: 'server', rejectedAt: NOW, replacedRejectedAt: NOW - 59_999 }, 2],
    ['one if it did', { rejectedBy: 'server', rejectedAt: NOW, replacedRejectedAt: NOW - 60_000 }, 1],
    [
      'one more than a sign-in just before',
      { rejectedBy: 'host', signedInAfterRejection: { at: NOW, rejections: 1 } },
      2,
    ],
    [
      'one again after ten minutes',
      { rejectedBy: 'server', rejectedAt: NOW, signedInAfterRejection: { at: NOW - 600_000, rejections: 2 } },
      1,
    ],
  ] as const)('storeTokens of an exchange counts the rejected tokens before it: %s', (_name, old, count) => {
    const at = NOW + 100
    const { tokens: stored } = storeTokens({ ...exchange, tokens: { ...tokens, ...old } }, tokenResult(at))
    expect(stored?.signedInAfterRejection).toEqual(count && { at, rejections: count })
  })

  test('storeTokens of a refresh retains how many tokens were rejected before the sign-in', () => {
    const signedInAfterRejection = { at: START, rejections: 2 }
    const renewed = storeTokens({ ...refresh, tokens: { ...tokens, signedInAfterRejection } }, tokenResult(NOW + 100))
    expect(renewed.tokens?.signedInAfterRejection).toEqual(signedInAfterRejection)
  })

  test('storeTokens stores a client that has another secret by now at its server only', () => {
    const [other, current] = [
      { ...server, id: 2 },
      { ...staticClient, clientSecret: 'replaced' },
    ]
    const before = { ...refresh, servers: [server, other] }
    expect(storeTokens(before, tokenResult(NOW + 100, { client: current })).servers).toEqual([
      { ...server, client: current },
      other,
    ])
    expect(storeTokens(before, tokenResult(NOW + 100))).not.toHaveProperty('servers')
  })

  test('storeTokens of a sign-in stores the secret that its provided client has by now for the next sign-in', () => {
    const before = { ...exchange, servers: [{ ...server, client: staticClient }] }
    const current = { ...staticClient, clientSecret: 'replaced' }
    expect(storeTokens(before, tokenResult(NOW + 100, { client: current })).imported).toEqual({
      clientInformation: current,
      issuer,
      discovered: true,
    })
  })

  test('storeTokens takes token type and DPoP key from the port output alone', () => {
    const bound = { tokenType: 'DPoP', dpopKey }
    const before = { ...refresh, tokens: { ...tokens, ...bound } }
    expect(storeTokens(exchange, tokenResult(NOW + 100, bound)).tokens).toMatchObject(bound)
    expect(storeTokens(before, tokenResult(NOW + 100, bound)).tokens).toMatchObject(bound)
    expect(storeTokens(before, tokenResult(NOW + 100)).tokens).toMatchObject({
      tokenType: 'Bearer',
      dpopKey: undefined,
    })
  })

  test('storeTokens records the grant and scope of a client_credentials claim', () => {
    const claim: Claim = { ...refreshing, kind: 'requestToken', serverId: 1, scope: 'admin' }
    const context = contextWith({ at: NOW, servers: [server], tokens, attempts: [attemptOf(1)], claim })
    expect(storeTokens(context, tokenResult(NOW, { refreshToken: undefined, expiresInMs: undefined }))).toEqual({
      ...stored,
      at: NOW,
      generation: 1,
      tokens: {
        accessToken: `access-${NOW}`,
        tokenType: 'Bearer',
        scope: 'admin',
        requestedScope: 'admin',
        grant: 'client_credentials',
        serverId: 1,
      },
    })
  })

  test.each(['jwt_bearer', 'identity_assertion'] as const)(
    'storeTokens of a claim for %s records that grant',
    (grant) => {
      const claim: Claim = { ...refreshing, kind: 'requestToken', serverId: 1, grant }
      const context = contextWith({ at: NOW, servers: [server], claim })
      expect(storeTokens(context, tokenResult(NOW)).tokens?.grant).toBe(grant)
    },
  )

  test('importCredentials stores imported tokens without a server', () => {
    const { serverId: _, ...imported } = tokens
    const event = {
      ...stamp,
      type: 'credentials.imported',
      generation: 3,
      tokens: imported,
      clientInformation: staticClient,
      issuer,
    } as const
    expect(importCredentials(contextWith({ generation: 3 }), event)).toEqual({
      ...stored,
      at: NOW,
      tokens: imported,
      imported: { clientInformation: staticClient, issuer },
    })
    expect(importCredentials(contextWith({ tokens }), { ...event, tokens: undefined })).toEqual({
      at: NOW,
      imported: { clientInformation: staticClient, issuer },
    })
  })
})

describe('the new secret of an imported client', () => {
  const old = { ...staticClient, clientSecret: 'old', clientSecretExpiresAt: NOW }
  const renewed = { ...staticClient, clientSecret: 'new', clientSecretExpiresAt: undefined }
  const rejected = { code: 'CLIENT_REJECTED' } as const
  const refused = { code: 'REFRESH_REJECTED' } as const
  const failedRenewal = { failure: rejected, retryDelayMs: 5000, retryAt: NOW + 5000, count: 0 }
  const imported = (context: ConnectionContext, clientInformation: typeof renewed | typeof staticClient) =>
    importCredentials(context, {
      ...stamp,
      type: 'credentials.imported',
      generation: 3,
      tokens: undefined,
      clientInformation,
      issuer,
    })
  const pending = (client: typeof old | typeof renewed) => ({ server: { ...server, client }, accessToken: 'a' })
  const decided = { id: 'r2', startedAt: NOW, outcome: 'yes' } as const

  test('importCredentials stores it for the servers and revocations of that client of the host only', () => {
    const announced = { ...server, id: 4, issuer: 'https://named.example', announcedIssuer: issuer }
    const others = [
      { ...server, id: 5, client: { ...old, clientId: 'other' } },
      { ...server, id: 6, client: { ...old, source: 'dynamic' as const } },
      { ...server, id: 7, issuer: 'https://other.example', client: old },
    ]
    const context = contextWith({
      servers: [
        { ...server, client: old },
        { ...server, id: 2, client: { ...old, source: 'configured' } },
        { ...announced, client: old },
        ...others,
      ],
      revocations: [{ id: 'r1', startedAt: NOW, pending: pending(old) }, decided],
    })
    expect(imported(context, renewed)).toEqual({
      at: NOW,
      imported: { clientInformation: renewed, issuer },
      servers: [
        { ...server, client: renewed },
        { ...server, id: 2, client: { ...renewed, source: 'configured' } },
        { ...announced, client: renewed },
        ...others,
      ],
      revocations: [{ id: 'r1', startedAt: NOW, pending: pending(renewed) }, decided],
    })
  })

  test('importCredentials ends the failures that the old one may have caused, and no others', () => {
    const servers = [{ ...server, client: old }]
    const ended = imported(contextWith({ servers, failure: rejected, failedRenewal }), renewed)
    expect(ended).toMatchObject({ failure: undefined, failedRenewal: undefined })
    const passing = { ...failedRenewal, failure: { code: 'HTTP_NETWORK' }, count: 1 } as const
    const stood = imported(contextWith({ servers, failedRenewal: { ...passing, standing: rejected } }), renewed)
    expect(stood.failedRenewal).toEqual(passing)
    const rejectedTokens = { tokens: { ...tokens, rejectedBy: 'server' } } as const
    const owed = imported(contextWith({ ...rejectedTokens, servers, failedRenewal }), renewed)
    expect(owed.failedRenewal).toEqual({ ...failedRenewal, retryAt: NOW })
    const deferred = imported(contextWith({ ...rejectedTokens, servers, failedRenewal: passing }), renewed)
    expect(deferred.failedRenewal).toEqual(passing)
    const others = { failure: refused, failedRenewal: { ...failedRenewal, failure: refused } }
    expect(imported(contextWith({ servers, ...others }), renewed)).toMatchObject(others)
    const expired = { code: 'CLIENT_INFORMATION_REQUIRED' } as const
    expect(imported(contextWith({ servers, failure: expired }), renewed)).toMatchObject({ failure: undefined })
    expect(imported(contextWith({ failure: rejected, failedRenewal }), renewed)).not.toHaveProperty('failure')
    expect(imported(contextWith({ servers, failure: rejected }), staticClient)).toEqual({
      at: NOW,
      imported: { clientInformation: staticClient, issuer },
    })
  })
})

describe('a late result', () => {
  const event = {
    ...stamp,
    type: 'result.late',
    orphanId: 'claim-1',
    kind: 'exchange',
    generation: 3,
    tokens: { ...tokens, serverId: 9 },
    server: { ...server, id: 9 },
  } as const
  const context = contextWith({ generation: 3, orphanedClaims: [{ id: 'claim-1', retried: false }] })

  test('acceptLateResult stores the DPoP key of the late tokens', () => {
    const late = { ...event, tokens: { ...event.tokens, tokenType: 'DPoP', dpopKey } }
    expect(acceptLateResult(context, late).tokens).toEqual({ ...tokens, tokenType: 'DPoP', dpopKey })
  })

  test('acceptLateResult stores late tokens with their server under an id of this record', () => {
    expect(acceptLateResult(context, event)).toEqual({
      at: NOW,
      generation: 4,
      servers: [server],
      tokens,
      failure: undefined,
      retryAt: undefined,
      reauthorizationRequired: undefined,
      endedAttempts: [],
    })
  })

  test('acceptLateResult marks tokens as unverified if their claim was retried', () => {
    const retried = after(context, { orphanedClaims: [{ id: 'claim-1', retried: true }] })
    expect(acceptLateResult(retried, event).tokens).toEqual({ ...tokens, unverified: true })
    expect(acceptLateResult(context, { ...event, tokens: { ...tokens, unverified: true } }).tokens).toEqual(tokens)
  })

  test('acceptLateResult marks refreshed tokens as unverified if the same refresh token was rejected since', () => {
    const late = { ...event, kind: 'refresh', tokens: { ...tokens, accessToken: 'late' } } as const
    const rows: [Partial<ConnectionContext>, true | undefined][] = [
      [{ tokens: undefined }, true],
      [{ tokens: { ...tokens, refreshTokenRejected: true } }, true],
      [{ tokens: { ...tokens, refreshTokenMayBeConsumed: true } }, undefined],
      [{ tokens, orphanedClaims: [] }, undefined],
    ]
    for (const [changes, unverified] of rows)
      expect(acceptLateResult(after(context, changes), late).tokens?.unverified).toBe(unverified)
  })

  test('acceptLateResult of an exchange ends its attempt or corrects the recorded outcome of an ended one', () => {
    const late = { ...event, attemptHash: 'hash-1' }
    expect(acceptLateResult(after(context, { attempts: [attemptOf(1)] }), late)).toMatchObject({
      attempts: [],
      endedAttempts: [{ stateHash: 'hash-1', outcome: 'authorized', endedAt: NOW }],
    })
    const endedAttempts = [
      { stateHash: 'hash-0', outcome: 'failed', endedAt: START },
      { stateHash: 'hash-1', outcome: 'failed', endedAt: START },
    ] as const
    expect(acceptLateResult(after(context, { endedAttempts: [...endedAttempts] }), late).endedAttempts).toEqual([
      endedAttempts[0],
      { stateHash: 'hash-1', outcome: 'authorized', endedAt: START },
    ])
  })
})

const failedRenewal = (count: number) =>
  ({ failure: { code: 'HTTP_NETWORK' }, retryAt: NOW, retryDelayMs: 5_000, count }) as const

describe('a failure', () => {
  const error = (what: Error) => ({ type: 'xstate.error.actor.refreshTokens', error: what }) as const

  test('recordFailure stores the failure and doubles the back-off of renewals up to ten minutes', () => {
    let context = contextWith({ tokens, claim: refreshing })
    const delays = Array.from({ length: 9 }, () => {
      const changed = recordFailure(context, error(rejections.otherRefusal))
      const { failure } = rejections.otherRefusal
      const { retryDelayMs = 0 } = changed.failedRenewal ?? {}
      expect(changed).toEqual({
        at: START,
        failure,
        failedRenewal: { failure, retryAt: START + retryDelayMs, retryDelayMs, count: 0 },
      })
      context = after(context, changed)
      return retryDelayMs
    })
    expect(delays).toEqual([5_000, 10_000, 20_000, 40_000, 80_000, 160_000, 320_000, 600_000, 600_000])
  })

  const withRetryAfter = (retryAfterMs: number) => portError('RATE_LIMITED', 'rejected', { status: 429, retryAfterMs })
  test.each<[string, Error, number]>([
    ['the Retry-After time of the server', rejections.rateLimited, 7_000],
    ['a Retry-After of one second', withRetryAfter(1_000), 1_000],
    ['the backoff after a Retry-After of zero', withRetryAfter(0), 5_000],
    ['the backoff after a Retry-After that is almost over', withRetryAfter(999), 5_000],
  ])('recordFailure defers the next renewal by %s', (_, failed, delayMs) => {
    const { failedRenewal: recorded } = recordFailure(contextWith({ tokens, claim: refreshing }), error(failed))
    expect(recorded).toMatchObject({ retryAt: START + delayMs, retryDelayMs: 5_000 })
  })

  test.each<[Error, number]>([
    [rejections.rateLimited, 7_000],
    [rejections.unavailable, 10_000],
  ])('recordFailure defers the retained code of its attempt, no other code, and no renewal', (failed, delayMs) => {
    const deferred = attemptOf(1, { code: 'fake-code', retryDelayMs: 5_000 })
    const other = attemptOf(2, { code: 'fake-code' })
    const changed = recordFailure(
      contextWith({ tokens, claim: exchanging, attempts: [deferred, other] }),
      error(failed),
    )
    expect(changed.attempts).toEqual([
      { ...deferred, failure: portFailureOf(error(failed)).failure, retryAt: START + delayMs, retryDelayMs: 10_000 },
      other,
    ])
    expect(changed.failedRenewal).toBeUndefined()
  })

  test('recordFailure does not defer an exchange that this process was too slow to send', () => {
    const late = portError('HTTP_TIMEOUT', 'notSent', { reason: 'leaseTooShort' })
    expect(Object.keys(recordFailure(contextWith({ tokens, claim: exchanging }), error(late)))).toEqual([
      'at',
      'failure',
      'attempts',
    ])
  })

  test('recordFailure defers and counts nothing for a discovery, nor because this process was too slow or closing', () => {
    const late = (code: FailureCode, reason?: string) => error(portError(code, 'notSent', { reason }))
    expect(recordFailure(contextWith({ tokens }), error(rejections.rateLimited)).failedRenewal).toBeUndefined()
    for (const event of [late('CLOSED'), late('HTTP_TIMEOUT', 'leaseTooShort')])
      expect(Object.keys(recordFailure(contextWith({ tokens, claim: refreshing }), event))).toEqual(['at', 'failure'])
  })

  test('recordFailure stores where a request without a user was sent, and by which client', () => {
    const claim: Claim = { ...refreshing, kind: 'requestToken', serverId: 1 }
    const of = (servers: ConnectionContext['servers']) =>
      recordFailure(contextWith({ claim, request, servers }), error(rejections.rateLimited)).failedRequest
    const { failure } = rejections.rateLimited
    const failedRequest = { failure, retryAt: START + 7_000, retryDelayMs: 5_000 }
    expect(of([server])).toEqual({ ...failedRequest, issuer, clientId: server.client.clientId })
    expect(of([])).toEqual(failedRequest)
  })

  test('recordFailure defers equal requests without a user after a rejection, and says that authorize() does not help', () => {
    const claim: Claim = { ...refreshing, kind: 'requestToken', serverId: 1 }
    const of = (failed: PortError, purpose: 'authorize' | 'renew' = 'authorize') =>
      recordFailure(contextWith({ claim, request: { ...request, purpose, fingerprint: 'f' } }), error(failed))
    const { failure } = rejections.otherRefusal
    const rejected = { ...failure, details: { ...failure.details, reason: 'nonInteractiveGrant' } }
    expect(of(rejections.otherRefusal)).toMatchObject({
      failure: rejected,
      failedRequest: { fingerprint: 'f', failure: rejected, retryAt: START + 5_000, retryDelayMs: 5_000 },
    })
    expect(of(rejections.otherRefusal, 'renew')).toMatchObject({ failure })
    expect(of(rejections.otherRefusal, 'renew').failedRequest).toBeUndefined()
    const proof = portError('EXCHANGE_REJECTED', 'rejected', { reason: 'dpopProof' })
    expect(of(proof).failure).toEqual(proof.failure)
    expect(of(rejections.rateLimited).failedRequest?.fingerprint).toBeUndefined()
    const notSent = portError('ADDRESS_FORBIDDEN', 'notSent')
    const expired = portError('CLIENT_INFORMATION_REQUIRED', 'rejected', { reason: 'secretExpired' })
    for (const each of [notSent, expired]) expect(of(each).failedRequest).toBeUndefined()
  })

  test('recordFailure counts the back-off from when the port failed', () => {
    const { failure, outcome } = rejections.unavailable
    const failed = error(new PortError(failure, outcome, NOW + 8_000))
    const changed = recordFailure(contextWith({ tokens, claim: refreshing }), failed)
    expect([changed.at, changed.failedRenewal?.retryAt]).toEqual([NOW + 8_000, NOW + 13_000])
  })

  test('recordFailure takes back a step-up round that failed before an authorization request was built', () => {
    const other = { scope: 'list', rounds: 1, at: START }
    const counted = (rounds: number) => [other, { scope: 'write', rounds, at: START }]
    const left = (changes: Partial<ConnectionContext>) =>
      recordFailure(
        contextWith({ request: { ...request, challengeScope: 'write' }, ...changes }),
        error(rejections.rateLimited),
      ).stepUps
    expect(left({ stepUps: counted(2) })).toEqual(counted(1))
    expect(left({ stepUps: counted(1) })).toEqual([other])
    // While an attempt waits for it, none was counted; under a claim the server was asked.
    const attempts = [attemptOf(1, { scope: 'read write' })]
    expect(left({ stepUps: counted(2), attempts })).toEqual(counted(2))
    expect(left({ stepUps: counted(2), claim: { ...refreshing, kind: 'requestToken' } })).toBeUndefined()
  })

  test.each<[string, Partial<ConnectionContext>, number | undefined]>([
    ['counts a refresh', { claim: refreshing }, 1],
    ['counts the second refresh in a row', { claim: refreshing, failedRenewal: failedRenewal(1) }, 2],
    ['counts no more than two', { claim: refreshing, failedRenewal: failedRenewal(2) }, 2],
    ['counts a renewal by a non-interactive grant', { claim: { ...refreshing, kind: 'requestToken' } }, 1],
    ['counts a renewal whose server was not discovered', { request: { ...request, purpose: 'renew' } }, 1],
    [
      'counts the first renewal of imported tokens',
      { claim: { ...refreshing, kind: 'requestToken' }, request: { ...request, purpose: 'renew' } },
      1,
    ],
    [
      'does not count the grant of an authorization',
      { claim: { ...refreshing, kind: 'requestToken' }, request },
      undefined,
    ],
    ['does not count an exchange', { claim: exchanging, request: undefined }, undefined],
    ['does not count a discovery', { request }, undefined],
  ])('recordFailure %s as a failed renewal', (_, changes, expected) => {
    expect(recordFailure(contextWith({ tokens, ...changes }), error(rejections.unavailable)).failedRenewal?.count).toBe(
      expected,
    )
  })

  test.each<[string, Error]>([
    ['passes by itself', rejections.unavailable],
    ['may have its cause in the options of one process', portError('INSECURE_ENDPOINT', 'notSent')],
  ])('recordFailure of a renewal that %s retains the failure before, unless that is over', (_, failed) => {
    const of = (code: FailureCode, rejectedBy?: 'server') => {
      const before = contextWith({
        tokens: { ...tokens, rejectedBy },
        claim: refreshing,
        failedRenewal: { ...failedRenewal(0), failure: { code } },
      })
      const once = after(before, recordFailure(before, error(failed)))
      const twice = after(once, recordFailure(once, error(failed)))
      const { failure } = portFailureOf(error(failed))
      expect([once.failedRenewal?.failure, twice.failure, twice.failedRenewal?.failure]).toEqual([
        failure,
        failure,
        failure,
      ])
      expect(twice.failedRenewal?.standing).toEqual(once.failedRenewal?.standing)
      return once.failedRenewal?.standing
    }
    expect(of('CLIENT_REJECTED')).toEqual({ code: 'CLIENT_REJECTED' })
    expect(of('CLIENT_INFORMATION_REQUIRED', 'server')).toEqual({ code: 'CLIENT_INFORMATION_REQUIRED' })
    expect(of('CLIENT_INFORMATION_REQUIRED')).toBeUndefined()
  })

  test('storeTokens puts the first tokens that replace rejected ones on trial, also if a renewal failed before', () => {
    const failed = { ...failedRenewal(0), failure: { code: 'CLIENT_REJECTED' } } as const
    const context = contextWith({
      claim: refreshing,
      failedRenewal: failed,
      tokens: { ...tokens, rejectedBy: 'server' },
    })
    expect(storeTokens(context, tokenResult(NOW)).tokens).toMatchObject({ replacedRejectedAt: NOW, replacements: 1 })
  })

  test('markRenewalRejected retains both tokens', () => {
    expect(markRenewalRejected(contextWith({ tokens }))).toEqual({ tokens: { ...tokens, renewalRejected: true } })
  })

  test('recordRejection stores who rejected the tokens, and the challenge of the server', () => {
    const context = contextWith({ generation: 3, tokens, notRequiredAt: START })
    const event = { ...stamp, type: 'token.rejected', generation: 3 } as const
    expect(recordRejection(context, { ...event, by: 'server', challenge: { scope: 'read' } })).toEqual({
      at: NOW,
      challenge: { at: NOW, generation: 3, scope: 'read' },
      notRequiredAt: undefined,
      tokens: { ...tokens, rejectedBy: 'server', rejectedAt: NOW },
    })
    expect(recordRejection(context, { ...event, by: 'host' })).toEqual({
      at: NOW,
      notRequiredAt: undefined,
      tokens: { ...tokens, rejectedBy: 'host', rejectedAt: NOW },
    })
  })

  test('clearRejection retains a challenge for scope', () => {
    const challenge = { at: START, generation: 0, error: 'insufficient_scope', scope: 'admin' }
    const context = contextWith({ challenge, tokens: { ...tokens, rejectedBy: 'server' } })
    expect(
      clearRejection(context, { ...stamp, type: 'token.accepted', generation: 0, rejection: 0 }).challenge,
    ).toEqual(challenge)
  })

  test('clearRejection removes the rejection and its challenge', () => {
    const challenge = { at: START, generation: 0 }
    const context = contextWith({ challenge, tokens: { ...tokens, rejectedBy: 'server' } })
    expect(clearRejection(context, { ...stamp, type: 'token.accepted', generation: 0, rejection: 0 })).toEqual({
      at: NOW,
      challenge: undefined,
      tokens: { ...tokens, rejectedBy: undefined, rejectedAt: undefined },
    })
  })

  test.each<[string, Partial<ConnectionContext>, string | undefined]>([
    ['a refresh inherit the rejection', { claim: refreshing }, 'server'],
    ['a renewal by a non-interactive grant inherit it', { claim: { ...refreshing, kind: 'requestToken' } }, 'server'],
    [
      'a refresh do not where the server serves requests without a token',
      { claim: refreshing, servesWithoutToken: true },
      undefined,
    ],
    [
      'a refresh do not if the one before failed for another reason',
      { claim: refreshing, failedRenewal: { ...failedRenewal(0), failure: { code: 'CLIENT_REJECTED' } } },
      undefined,
    ],
    [
      'a refresh inherit it if the one before was rejected',
      {
        tokens: { ...tokens, rejectedBy: 'host', renewalRejected: true },
        claim: refreshing,
        failedRenewal: { ...failedRenewal(0), failure: { code: 'REFRESH_REJECTED' } },
      },
      'server',
    ],
    [
      'a refresh inherit it although wake() met a failure before',
      { claim: refreshing, failedRenewal: failedRenewal(1) },
      'server',
    ],
    ['an authorization do not', { claim: { ...refreshing, kind: 'requestToken' }, request }, undefined],
    ['a sign-in do not', { claim: exchanging, attempts: [attemptOf(1)] }, undefined],
  ])('the tokens of %s', (_, changes, expected) => {
    const context = contextWith({ servers: [server], tokens: { ...tokens, rejectedBy: 'host' }, ...changes })
    expect(storeTokens(context, tokenResult(NOW)).tokens?.rejectedBy).toBe(expected)
  })

  test('dropRefreshToken retains the access token', () => {
    const { refreshToken: _, ...rest } = tokens
    const context = contextWith({ tokens: { ...tokens, refreshTokenExpiresAt: NOW } })
    expect(dropRefreshToken(context)).toEqual({
      reauthorizationRequired: true,
      tokens: { ...rest, refreshTokenRejected: true },
    })
  })

  test.each<[string, Partial<ConnectionContext>]>([
    [
      'the refresh token may already be consumed, since the server may have revoked the family',
      { tokens: { ...tokens, refreshTokenMayBeConsumed: true } },
    ],
    ['the tokens are unverified', { tokens: { ...tokens, unverified: true } }],
    ['the record has no tokens', {}],
  ])('dropRefreshToken drops all tokens when %s', (_, changes) => {
    expect(dropRefreshToken(contextWith(changes))).toEqual({ reauthorizationRequired: true, tokens: undefined })
  })

  test('endRefreshes retains a usable access token and its refresh token, which was just accepted', () => {
    const doubted = { ...tokens, refreshTokenExpiresAt: NOW, refreshTokenMayBeConsumed: true as const }
    const { refreshTokenExpiresAt: _, ...rest } = doubted
    expect(endRefreshes(contextWith({ at: NOW, tokens: doubted }))).toEqual({
      reauthorizationRequired: true,
      tokens: { ...rest, refreshTokenRejected: true },
    })
    expect(endRefreshes(contextWith({ at: NOW, tokens: { ...doubted, expiresAt: NOW } })).tokens).toBeUndefined()
  })

  test('forgetClient drops the tokens issued to the client and records it as rejected', () => {
    const context = contextWith({
      servers: [server, { ...server, id: 2, issuer: 'https://other.example' }],
      tokens,
      claim: refreshing,
    })
    const rejectedClient = { issuer, clientId: 'client-1' }
    expect(forgetClient(context)).toEqual({ rejectedClient, tokens: undefined, reauthorizationRequired: true })
    expect(forgetClient(after(context, { claim: exchanging, attempts: [attemptOf(1, { serverId: 2 })] }))).toEqual({
      rejectedClient: { ...rejectedClient, issuer: 'https://other.example' },
    })
  })

  test('forgetClient records the authentication method of a client that invalid_client rejected before it had tokens', () => {
    const { failure } = rejections.invalidClient
    const context = contextWith({ servers: [server], attempts: [attemptOf(1)], claim: exchanging, failure })
    const rejectedClient = { issuer, clientId: 'client-1' }
    expect(forgetClient(context)).toEqual({
      rejectedClient: { ...rejectedClient, failedMethod: 'client_secret_basic' },
    })
    // The same client has obtained tokens: its registration was deleted.
    expect(forgetClient(after(context, { tokens }))).toMatchObject({ rejectedClient })
    const secretExpired = { code: 'EXCHANGE_REJECTED', details: { reason: 'secretExpired' } } as const
    expect(forgetClient(after(context, { failure: secretExpired }))).toEqual({ rejectedClient })
  })
})

test('a reset record retains its identity, clock, generation, journal, ended attempts, orphaned claims, revocations, the issuers of clients and how the server answers, and nothing else', () => {
  const journal = [{ at: START, from: 'disconnected', to: 'authorized', reason: 'exchangeCode.done' }]
  const ended = { stateHash: 'hash-0', outcome: 'denied', endedAt: NOW } as const
  // Every member of the context, so that one that is added later has to be decided on here.
  const full: Required<ConnectionContext> = {
    ...contextWith(),
    at: NOW,
    generation: 3,
    servers: [server],
    attempts: [attemptOf(1)],
    endedAttempts: [ended],
    historyTruncatedAt: NOW,
    tokens,
    imported: { issuer },
    importedToken: 'imported-1',
    issuer,
    issuerGeneration: 3,
    boundClients: [{ clientId: 'given', issuer }],
    claim: refreshing,
    orphanedClaims: [{ id: 'claim-0', retried: false }],
    revocations: [{ id: 'revocation-1', startedAt: NOW, outcome: 'failed' }],
    request,
    failure: { code: 'HTTP_NETWORK' },
    retryAt: NOW,
    retryDelayMs: 5_000,
    failedRenewal: failedRenewal(1),
    failedRequest: { failure: { code: 'HTTP_NETWORK' }, retryAt: NOW, retryDelayMs: 5_000 },
    reauthorizationRequired: true,
    challenge: { at: NOW, generation: 3, scope: 'admin' },
    notRequiredAt: NOW,
    servesWithoutToken: true,
    rejectedClient: { issuer, clientId: 'client-1' },
    invalidScope: { issuer, clientId: 'client-1' },
    account: { issuer, subject: 'alice' },
    stepUps: [{ scope: 'admin', rounds: 3, at: NOW }],
    notes: undefined,
    journal,
  }
  const forgotten = after(full, reset(full))
  expect(after(forgotten, pruneExpired(forgotten))).toEqual(
    contextWith({
      at: NOW,
      generation: 4,
      endedAttempts: [ended, { stateHash: 'hash-1', outcome: 'superseded', endedAt: NOW }],
      historyTruncatedAt: NOW,
      // A late result has to be recognized, so that it is revoked as well.
      orphanedClaims: [{ id: 'claim-0', retried: false, disconnected: true }],
      revocations: [{ id: 'revocation-1', startedAt: NOW, outcome: 'failed' }],
      servesWithoutToken: true,
      // A client of the host stays bound to its issuer.
      boundClients: [{ clientId: 'given', issuer }],
      journal,
    }),
  )
})

test('pruneExpired removes the request, the claim, unused servers and everything that has expired', () => {
  const DAY = 86_400_000
  const later = START + DAY
  const context = contextWith({
    at: later,
    servers: [server, { ...server, id: 2 }, { ...server, id: 3 }, { ...server, id: 4 }],
    tokens,
    attempts: [attemptOf(1, { serverId: 2 }), attemptOf(2, { serverId: 3, expiresAt: later + 1 })],
    endedAttempts: [
      { stateHash: 'older', outcome: 'denied', endedAt: START },
      { stateHash: 'newer', outcome: 'denied', endedAt: START + 1 },
    ],
    historyTruncatedAt: START,
    request,
    claim: refreshing,
  })
  expect(pruneExpired(context)).toEqual({
    request: undefined,
    claim: undefined,
    attempts: [attemptOf(2, { serverId: 3, expiresAt: later + 1 })],
    endedAttempts: [
      { stateHash: 'newer', outcome: 'denied', endedAt: START + 1 },
      { stateHash: 'hash-1', outcome: 'expired', endedAt: later },
    ],
    historyTruncatedAt: undefined,
    servers: [server, { ...server, id: 3 }],
    issuer: server.issuer,
    issuerGeneration: 0,
  })
  expect(pruneExpired(after(context, { historyTruncatedAt: START + 1 })).historyTruncatedAt).toBe(START + 1)
})

test('pruneExpired removes a challenge of other tokens, and what the server answered a day ago', () => {
  const DAY = 86_400_000
  const prune = (changes: Partial<ConnectionContext>) => {
    const { challenge, notRequiredAt } = pruneExpired(contextWith({ at: START + DAY, generation: 1, ...changes }))
    return { challenge, notRequiredAt }
  }
  const challenge = { at: START + 1, generation: 1, scope: 'admin' }
  expect(prune({ challenge, notRequiredAt: START + 1 })).toEqual({ challenge, notRequiredAt: START + 1 })
  const nothing = { challenge: undefined, notRequiredAt: undefined }
  expect(prune({ challenge: { ...challenge, at: START }, notRequiredAt: START })).toEqual(nothing)
  expect(prune({ challenge: { ...challenge, generation: 0 } })).toEqual(nothing)
})
