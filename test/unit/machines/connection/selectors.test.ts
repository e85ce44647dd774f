import { describe, expect, test } from 'vitest'
import { dueRevocations, nextWakeAt } from '../../../../machines/connection/schedule.ts'
import {
  backoffLeftMs,
  canRenew,
  currentChallenge,
  hasRenewal,
  hasUnfinishedAttempt,
  isAuthorized,
  isFirstContact,
  isFresh,
  isNotRequired,
  isOnTrial,
  isPending,
  clearableRejection,
  isReplacedTooOften,
  isRenewable,
  isRenewalScheduled,
  isTriable,
  isUsable,
  marginMs,
  pendingExchange,
  requestedScope,
  restingState,
  stateOf,
  tokensOf,
} from '../../../../machines/connection/selectors.ts'
import type { FailureCode } from '../../../../src/errors/failure.ts'
import type { AuthorizationRequest, ConnectionContext } from '../../../../src/schemas/connection-context.ts'
import type { Tokens } from '../../../../src/schemas/credentials.ts'
import {
  contextWith,
  resource,
  server,
  staticClient,
  START,
  TOKEN_TTL_MS,
  tokens,
} from '../../../support/charts/facts.ts'
import { ATTEMPT, CLAIM, EMPTY_CONTEXT, SERVER, TOKENS } from '../../durable/records.ts'
import { BEGINNING } from '../../durable/test-time.ts'
import { request } from './support.ts'

const HOUR = 3_600_000
const { refreshToken: _, ...lastTokens } = tokens
const END = START + TOKEN_TTL_MS

test.each<[string, Tokens | undefined, number, number | undefined, boolean]>([
  ['is false without tokens', undefined, START, undefined, false],
  ['is true for tokens that have not expired', tokens, END - 1, undefined, true],
  ['is false for tokens at their expiry', tokens, END, undefined, false],
  ['is true for tokens with more than the minimum TTL left', tokens, END - 1_001, 1_000, true],
  ['is false for tokens with only the minimum TTL left', tokens, END - 1_000, 1_000, false],
  ['is true for tokens without an expiry', { ...tokens, expiresAt: undefined }, END + 1, 1_000, true],
  ['is false for unverified tokens', { ...tokens, unverified: true }, START, undefined, false],
  ['is false for tokens that the server rejected', { ...tokens, rejectedBy: 'server' }, START, undefined, false],
])('isUsable %s', (_name, held, at, minTtlMs, expected) => {
  expect(isUsable(held, at, minTtlMs)).toBe(expected)
})

test.each<[string, Tokens | undefined, number, boolean]>([
  ['is false without tokens', undefined, START, false],
  ['is true for a refresh token without an expiry', tokens, END, true],
  ['is true for a refresh token that has not expired', { ...tokens, refreshTokenExpiresAt: END }, END - 1, true],
  ['is false for a refresh token at its expiry', { ...tokens, refreshTokenExpiresAt: END }, END, false],
  ['is false for an authorization_code grant without a refresh token', lastTokens, START, false],
  [
    'is true for the client_credentials grant without a refresh token',
    { ...lastTokens, grant: 'client_credentials' },
    END,
    true,
  ],
  ['is true for the jwt_bearer grant without a refresh token', { ...lastTokens, grant: 'jwt_bearer' }, END, true],
  [
    'is true for the identity_assertion grant without a refresh token',
    { ...lastTokens, grant: 'identity_assertion' },
    END,
    true,
  ],
  ['is false for a rejected refresh token', { ...tokens, refreshTokenRejected: true }, START, false],
  ['is true for unverified tokens', { ...tokens, unverified: true }, START, true],
  ['is false after the last renewal was rejected', { ...tokens, renewalRejected: true }, START, false],
  ['is false for tokens that the server rejected', { ...tokens, rejectedBy: 'server' }, START, false],
])('isRenewable %s', (_name, held, at, expected) => {
  expect(isRenewable(contextWith({ tokens: held }), at)).toBe(expected)
})

test.each<[string, Partial<Tokens>, FailureCode, boolean]>([
  ['is true once their renewal failed for a reason that the host can correct', {}, 'CLIENT_REJECTED', true],
  ['is false after a renewal that failed for a passing reason', {}, 'SERVER_UNAVAILABLE', false],
  ['is false once their renewal was rejected', { renewalRejected: true }, 'REFRESH_REJECTED', false],
])('isRenewable of rejected tokens %s', (_name, changes, code, expected) => {
  const count = Number(code === 'SERVER_UNAVAILABLE')
  const failedRenewal = { ...failedAt(START), count, failure: { code } }
  const context = contextWith({ tokens: { ...tokens, rejectedBy: 'server', ...changes }, failedRenewal })
  expect([isRenewable(context, START), isAuthorized(context, START)]).toEqual([expected, false])
})

const attempt = { stateHash: 'hash-1', verifier: 'fake-verifier', serverId: 1, expiresAt: START + 1 }

test('hasRenewal is true although callers may not renew', () => {
  const held = [{ ...tokens, renewalRejected: true }, { ...tokens, rejectedBy: 'host' }, lastTokens] as const
  expect(held.map((each) => hasRenewal(each, START))).toEqual([true, true, false])
})

test('canRenew and isRenewalScheduled are false once a renewal found that the secret of the client has expired', () => {
  const failedRenewal = { ...failedAt(START), failure: { code: 'CLIENT_INFORMATION_REQUIRED' } } as const
  const found = { ...failedRenewal, failure: { ...failedRenewal.failure, details: { reason: 'secretExpired' } } }
  const expiring = { ...server, client: { ...staticClient, clientSecretExpiresAt: START } }
  const [held, rejected] = [{ tokens }, { tokens: { ...tokens, renewalRejected: true as const } }]
  const rows: [Partial<ConnectionContext>, number, boolean, boolean][] = [
    [{}, START, false, false],
    [{ ...held, servers: [server], failedRenewal: found }, START, true, true],
    [{ ...held, servers: [expiring] }, START, true, true],
    [{ ...held, servers: [expiring], failedRenewal }, START, true, true],
    [{ ...held, servers: [expiring], failedRenewal: found }, START - 1, true, true],
    [{ ...held, servers: [expiring], failedRenewal: found }, START, false, false],
    [{ ...rejected, servers: [server] }, START, false, true],
  ]
  for (const [changes, at, renews, schedules] of rows) {
    const context = contextWith(changes)
    expect([canRenew(context, at), isRenewalScheduled(context, at)]).toEqual([renews, schedules])
  }
})

test('isTriable is true for rejected tokens until they expire', () => {
  const held: Tokens = { ...tokens, rejectedBy: 'server' }
  expect([END - 1, END].map((at) => isTriable(held, at))).toEqual([true, false])
})

test.each<[string, Partial<ConnectionContext>, number | undefined]>([
  ['is when the server rejected the tokens', { tokens: { ...tokens, rejectedBy: 'server', rejectedAt: END } }, END],
  ['is undefined where the host rejected them', { tokens: { ...tokens, rejectedBy: 'host' } }, undefined],
  [
    'is undefined where the server serves requests without a token',
    { tokens: { ...tokens, rejectedBy: 'server' }, servesWithoutToken: true },
    undefined,
  ],
  ['is when the server responded with a challenge', { tokens, challenge: { at: START, generation: 0 } }, START],
  [
    'is undefined where the challenge was for older tokens',
    { tokens, generation: 2, challenge: { at: START, generation: 1 } },
    undefined,
  ],
  [
    'is undefined where the challenge was for more scope',
    { tokens, challenge: { at: START, generation: 0, error: 'insufficient_scope' } },
    undefined,
  ],
  [
    'is undefined where the challenge names more scope',
    { tokens, challenge: { at: START, generation: 0, scope: 'x' } },
    undefined,
  ],
  ['is 0 for a rejection that was recorded without its instant', { tokens: { ...tokens, rejectedBy: 'server' } }, 0],
  ['is undefined without a rejection', { tokens }, undefined],
  ['is undefined without tokens', { challenge: { at: START, generation: 0 } }, undefined],
])('clearableRejection %s', (_, changes, expected) => {
  expect(clearableRejection(contextWith(changes))).toBe(expected)
})

const failedAt = (retryAt: number) =>
  ({ failure: { code: 'HTTP_NETWORK' }, retryAt, retryDelayMs: 5_000, count: 1 }) as const

test('backoffLeftMs is the rest of the backoff, and 0 without one', () => {
  expect(
    [{ failedRenewal: failedAt(START + 1) }, { failedRenewal: failedAt(START - 1) }, {}].map((each) =>
      backoffLeftMs(contextWith(each), START),
    ),
  ).toEqual([1, 0, 0])
})

test('isReplacedTooOften is true for the fifth replacement in a row while it is on trial', () => {
  const replaced: Tokens = { ...tokens, replacedRejectedAt: START, replacements: 5 }
  expect([START, START + 60_000].map((at) => isReplacedTooOften(replaced, at))).toEqual([true, false])
  expect(
    [{ ...replaced, replacements: 4 }, { ...replaced, replacements: undefined }, undefined].map((each) =>
      isReplacedTooOften(each, START),
    ),
  ).toEqual([false, false, false])
})

test('isOnTrial is true for a minute after tokens replaced rejected ones', () => {
  const replaced: Tokens = { ...tokens, replacedRejectedAt: START }
  expect([START, START + 59_999, START + 60_000].map((at) => isOnTrial(replaced, at))).toEqual([true, true, false])
  expect([tokens, undefined].map((each) => isOnTrial(each, START))).toEqual([false, false])
})

test('isPending is true for an attempt until its expiry', () => {
  expect([START, START + 1].map((at) => isPending(attempt, at))).toEqual([true, false])
})

describe('the resting state', () => {
  test.each<[string, Partial<ConnectionContext>, string]>([
    ['disconnected for an empty record', {}, 'disconnected'],
    ['failed after a failure', { failure: { code: 'HTTP_NETWORK' } }, 'failed'],
    [
      'awaitingCallback with a pending attempt, even after a failure',
      { attempts: [attempt], failure: { code: 'HTTP_NETWORK' } },
      'awaitingCallback',
    ],
    ['disconnected with only an expired attempt', { attempts: [{ ...attempt, expiresAt: START }] }, 'disconnected'],
    ['authorized with tokens, even with a pending attempt', { tokens, attempts: [attempt] }, 'authorized'],
    ['authorized with tokens, even after a failure', { tokens, failure: { code: 'HTTP_NETWORK' } }, 'authorized'],
    ['authorized with expired tokens that are renewable', { tokens: { ...tokens, expiresAt: START } }, 'authorized'],
    [
      'reauthorizationRequired with expired tokens that are not renewable',
      { tokens: { ...lastTokens, expiresAt: START } },
      'reauthorizationRequired',
    ],
    [
      'reauthorizationRequired after the refresh token was rejected',
      { tokens: { ...tokens, refreshTokenRejected: true } },
      'reauthorizationRequired',
    ],
    [
      'reauthorizationRequired with tokens that the server rejected',
      { tokens: { ...tokens, rejectedBy: 'server' } },
      'reauthorizationRequired',
    ],
    [
      'authorized with a usable token whose last renewal was rejected',
      { tokens: { ...tokens, renewalRejected: true } },
      'authorized',
    ],
    [
      'reauthorizationRequired with an expired token whose last renewal was rejected',
      { tokens: { ...tokens, expiresAt: START, renewalRejected: true } },
      'reauthorizationRequired',
    ],
    [
      'reauthorizationRequired after the tokens of an earlier sign-in were dropped',
      { reauthorizationRequired: true, failure: { code: 'HTTP_NETWORK' } },
      'reauthorizationRequired',
    ],
    [
      'awaitingCallback with a pending attempt of a user who must reauthorize',
      { reauthorizationRequired: true, attempts: [attempt] },
      'awaitingCallback',
    ],
    [
      'disconnected where no authorization is required, although asking again failed',
      { notRequiredAt: START, failure: { code: 'HTTP_NETWORK' } },
      'disconnected',
    ],
    [
      'disconnected where no authorization is required any more',
      { notRequiredAt: START, generation: 1, reauthorizationRequired: true },
      'disconnected',
    ],
    [
      'disconnected where no authorization is required any more, with tokens that are over',
      { notRequiredAt: START, generation: 1, tokens: { ...lastTokens, expiresAt: START } },
      'disconnected',
    ],
    [
      'reauthorizationRequired with rejected tokens, although requests without a token are answered',
      { notRequiredAt: START, tokens: { ...tokens, rejectedBy: 'server' } },
      'reauthorizationRequired',
    ],
  ])('restingState is %s', (_name, changes, expected) => {
    expect(restingState(contextWith(changes))).toBe(expected)
  })

  test('restingState changes when the tokens expire', () => {
    const context = contextWith({ tokens: lastTokens })
    expect([START, END].map((at) => restingState(context, at))).toEqual(['authorized', 'reauthorizationRequired'])
  })
})

describe('an attempt that was not finished', () => {
  const ended = (outcome: 'authorized' | 'expired' | 'denied' | 'superseded' | 'failed', endedAt: number) => ({
    stateHash: `hash-${endedAt}`,
    outcome,
    endedAt,
  })
  const waiting = { stateHash: 'hash-9', verifier: 'fake-verifier', serverId: 1, expiresAt: START }

  test.each<[string, Partial<ConnectionContext>, boolean]>([
    ['is none before the first attempt', {}, false],
    ['is the newest one if it expired', { endedAttempts: [ended('expired', START - 1)] }, true],
    ['is the newest one if it was denied', { endedAttempts: [ended('denied', START - 1)] }, true],
    ['is none if the newest one was superseded', { endedAttempts: [ended('superseded', START - 1)] }, false],
    ['is none if the newest one failed', { endedAttempts: [ended('failed', START - 1)] }, false],
    [
      'is the newest one if its code was rejected',
      { endedAttempts: [{ ...ended('failed', START - 1), failure: { code: 'EXCHANGE_REJECTED' as const } }] },
      true,
    ],
    [
      'is none if its code was rejected as such',
      {
        endedAttempts: [
          {
            ...ended('failed', START - 1),
            failure: { code: 'EXCHANGE_REJECTED' as const, details: { error: 'invalid_grant' } },
          },
        ],
      },
      false,
    ],
    [
      'is none if another one succeeded later',
      { endedAttempts: [ended('expired', START - 2), ended('authorized', START - 1)] },
      false,
    ],
    [
      'is the newest one if another one succeeded before',
      { endedAttempts: [ended('authorized', START - 2), ended('denied', START - 1)] },
      true,
    ],
    ['is one that has expired and that nobody has ended yet', { attempts: [waiting] }, true],
    ['is none while it waits for its callback', { attempts: [{ ...waiting, expiresAt: START + 1 }] }, false],
    [
      'is none if another one succeeded after it had expired',
      { attempts: [{ ...waiting, expiresAt: START - 5 }], endedAttempts: [ended('authorized', START - 1)] },
      false,
    ],
    ['is none if tokens were obtained later', { tokens, endedAttempts: [ended('expired', START - 1)] }, false],
    [
      'is the newest one if tokens were obtained before',
      { tokens: { ...tokens, expiresAt: END - 2 }, endedAttempts: [ended('expired', START - 1)] },
      true,
    ],
    [
      'is the newest one beside tokens without a lifetime',
      { tokens: { ...tokens, lifetimeMs: undefined }, endedAttempts: [ended('expired', START - 1)] },
      true,
    ],
  ])('%s', (_name, changes, expected) => {
    expect(hasUnfinishedAttempt(contextWith(changes))).toBe(expected)
  })
})

describe('what the server answered', () => {
  const DAY = 86_400_000
  const challenge = { at: START, generation: 0, scope: 'read' }

  test('currentChallenge is the challenge for a day, and none before the tokens', () => {
    const context = contextWith({ challenge })
    expect(currentChallenge(context, START + DAY - 1)).toBe(challenge)
    expect(currentChallenge(context, START + DAY)).toBeUndefined()
    expect(currentChallenge({ ...context, generation: 1 }, START)).toBeUndefined()
    expect(currentChallenge(contextWith(), START)).toBeUndefined()
  })

  test('isNotRequired is true for a day', () => {
    const context = contextWith({ notRequiredAt: START })
    expect([START, START + DAY - 1, START + DAY].map((at) => isNotRequired(context, at))).toEqual([true, true, false])
    expect(isNotRequired(contextWith(), START)).toBe(false)
  })

  test.each<[string, Partial<ConnectionContext>, boolean]>([
    ['true for an empty record', {}, true],
    ['true with a challenge', { challenge }, true],
    ['true with a pending attempt', { attempts: [attempt] }, true],
    ['true with an expired code', { attempts: [{ ...attempt, code: 'c', expiresAt: START }] }, true],
    ['false with a code that can still be redeemed', { attempts: [{ ...attempt, code: 'c' }] }, false],
    ['false with tokens', { tokens }, false],
    ['false after earlier tokens', { generation: 1 }, false],
    ['true after earlier tokens where none are required', { generation: 1, notRequiredAt: START }, true],
    ['false during a claim', { claim: CLAIM }, false],
  ])('isFirstContact is %s', (_name, changes, expected) => {
    expect(isFirstContact(contextWith(changes), START)).toBe(expected)
  })
})

test('requestedScope combines caller, challenge, resource and default scopes and drops the disallowed ones', () => {
  const scope = (changes: Partial<AuthorizationRequest>): string | undefined =>
    requestedScope(contextWith({ request: { ...request, ...changes } }))
  expect(scope({ challengeScope: 'write' })).toBe('read write')
  expect(scope({ scope: undefined, resource: { ...resource, scopesSupported: ['admin'] } })).toBe('admin')
  expect(scope({ scope: undefined, defaultScope: 'base' })).toBe('base')
  expect(scope({ scope: undefined })).toBeUndefined()
  expect(scope({ scope: 'read write', allowedScopes: ['write'] })).toBe('write')
  expect(scope({ allowedScopes: ['write'] })).toBeUndefined()
  expect(scope({ scope: undefined, allowedScopes: ['write'] })).toBeUndefined()
})

const EMPTY: ConnectionContext = { ...EMPTY_CONTEXT, servers: [SERVER] }
const SIGNED_IN: ConnectionContext = { ...EMPTY, tokens: TOKENS }
const EXPIRES_AT = BEGINNING + 60_000
/** A token whose end is the end of everything. */
const { refreshToken: _refreshToken, ...LAST } = TOKENS

describe('the state of a connection', () => {
  test.each([
    ['exchange', 'exchanging'],
    ['refresh', 'refreshing'],
    ['requestToken', 'requestingToken'],
    ['register', 'authorized'],
  ] as const)('stateOf a record with a claim of kind %s is %s', (kind, state) => {
    expect(stateOf({ ...SIGNED_IN, claim: { ...CLAIM, kind } }, BEGINNING)).toBe(state)
  })

  test('stateOf a record whose revocation is attempted is disconnecting, or its resting state beside a new sign-in', () => {
    const claim = { ...CLAIM, kind: 'disconnect', revocationId: 'revocation-1' } as const
    expect(stateOf({ ...EMPTY, claim }, BEGINNING)).toBe('disconnecting')
    expect(stateOf({ ...SIGNED_IN, claim }, BEGINNING)).toBe('authorized')
  })

  test('stateOf a record without a claim is its resting state at the given time', () => {
    const context = { ...EMPTY, tokens: LAST, attempts: [ATTEMPT] }
    expect(stateOf(context, EXPIRES_AT - 1)).toBe('authorized')
    expect(stateOf(context, EXPIRES_AT)).toBe('awaitingCallback')
    expect(stateOf(context, ATTEMPT.expiresAt)).toBe('reauthorizationRequired')
  })
})

describe('token selectors', () => {
  test('tokensOf returns no tokens while an earlier release revokes them', () => {
    expect(tokensOf({ ...SIGNED_IN, claim: CLAIM })).toBe(TOKENS)
    expect(tokensOf({ ...SIGNED_IN, claim: { ...CLAIM, kind: 'disconnect' } })).toBeUndefined()
    expect(tokensOf({ ...SIGNED_IN, claim: { ...CLAIM, kind: 'disconnect', revocationId: 'r' } })).toBe(TOKENS)
    expect(tokensOf(undefined)).toBeUndefined()
  })

  test('marginMs is the margin of the policy, and at most a quarter of the token lifetime', () => {
    expect(marginMs(TOKENS, 30_000)).toBe(30_000)
    expect(marginMs({ ...TOKENS, lifetimeMs: 40_000 }, 30_000)).toBe(10_000)
    expect(marginMs({ ...TOKENS, lifetimeMs: undefined }, 30_000)).toBe(30_000)
  })

  test('isFresh is true for tokens with more than the margin left that are not the rejected ones', () => {
    expect(isFresh(TOKENS, EXPIRES_AT - 10_001, 10_000, undefined)).toBe(true)
    expect(isFresh(TOKENS, EXPIRES_AT - 10_000, 10_000, undefined)).toBe(false)
    expect(isFresh(TOKENS, BEGINNING, 0, 'access-old')).toBe(false)
    expect(isFresh(TOKENS, BEGINNING, 0, 'another')).toBe(true)
    expect(isFresh(undefined, BEGINNING, 0, undefined)).toBe(false)
  })

  test('isAuthorized is true while the tokens are usable or renewable', () => {
    expect(isAuthorized(SIGNED_IN, EXPIRES_AT)).toBe(true)
    expect(isAuthorized({ ...EMPTY, tokens: LAST }, EXPIRES_AT - 1)).toBe(true)
    expect(isAuthorized({ ...EMPTY, tokens: LAST }, EXPIRES_AT)).toBe(false)
    expect(isAuthorized(EMPTY, BEGINNING)).toBe(false)
  })
})

test('pendingExchange returns an attempt with a code until the attempt expires', () => {
  const kept = { ...ATTEMPT, stateHash: 'kept', code: 'c' }
  const context = { ...EMPTY, attempts: [ATTEMPT, kept] }
  expect(pendingExchange(context, ATTEMPT.expiresAt - 1)).toBe(kept)
  expect(pendingExchange(context, ATTEMPT.expiresAt)).toBeUndefined()
})

test('of several retained codes, pendingExchange returns the one that may be sent again first', () => {
  const never = { ...ATTEMPT, code: 'c' }
  const late = { ...never, retryAt: BEGINNING + 300_000 }
  const soon = { ...never, retryAt: BEGINNING + 5_000 }
  expect(pendingExchange({ ...EMPTY, attempts: [late, soon] }, BEGINNING)).toBe(soon)
  expect(pendingExchange({ ...EMPTY, attempts: [late, soon, never] }, BEGINNING)).toBe(never)
})

describe('the next wake time', () => {
  const due = (context: Partial<ConnectionContext>, claimEndsAt?: number): number | undefined =>
    nextWakeAt({ ...EMPTY, ...context }, BEGINNING, claimEndsAt, 30_000)

  test('nextWakeAt is undefined without a renewable token, an attempt or a claim', () => {
    expect(due({})).toBeUndefined()
    expect(due({ tokens: LAST })).toBeUndefined()
    expect(due({ tokens: { ...TOKENS, expiresAt: undefined } })).toBeUndefined()
  })

  test('nextWakeAt is the end of the claim before anything else', () => {
    expect(due({ tokens: TOKENS, attempts: [ATTEMPT] }, BEGINNING + 1)).toBe(BEGINNING + 1)
  })

  test('nextWakeAt is what else is due before the end of a claim that revokes tokens', () => {
    const claim = { ...CLAIM, kind: 'disconnect' as const, revocationId: 'd-1' }
    const endsAt = ATTEMPT.expiresAt + 60_000
    expect(due({ claim, attempts: [ATTEMPT] }, endsAt + 1)).toBe(endsAt)
    expect(due({ claim, attempts: [ATTEMPT] }, endsAt - 1)).toBe(endsAt - 1)
  })

  test('nextWakeAt is now for a revocation whose claim an earlier release has ended, and which was never attempted', () => {
    const pending = { server: SERVER, accessToken: 'a-1' }
    const revocations = [{ id: 'd-1', startedAt: BEGINNING, pending }]
    expect([due({ revocations }), dueRevocations({ ...EMPTY, revocations }, BEGINNING)]).toEqual([
      BEGINNING,
      revocations,
    ])
    const claim = { ...CLAIM, kind: 'disconnect' as const, revocationId: 'd-1' }
    const context = { ...EMPTY, revocations, claim }
    expect([due({ revocations, claim }), dueRevocations(context, BEGINNING)]).toEqual([undefined, []])
  })

  test('nextWakeAt is the end of the claim while a later attempt of a revocation is in progress', () => {
    const pending = { server: SERVER, accessToken: 'a-1', retryAt: BEGINNING }
    const revocations = [{ id: 'd-1', startedAt: BEGINNING, pending }]
    const claim = { ...CLAIM, kind: 'disconnect' as const, revocationId: 'd-1' }
    const context = { ...EMPTY, revocations, claim }
    expect([due(context, BEGINNING + 1), dueRevocations(context, BEGINNING)]).toEqual([BEGINNING + 1, []])
    expect(due({ revocations }, undefined)).toBe(BEGINNING)
  })

  test('nextWakeAt is the time of the early refresh', () => {
    expect(due({ tokens: TOKENS })).toBe(EXPIRES_AT - 30_000)
    expect(due({ tokens: { ...TOKENS, rejectedBy: 'server' } })).toBe(EXPIRES_AT - 30_000)
    expect(due({ tokens: { ...TOKENS, expiresAt: undefined } })).toBeUndefined()
  })

  test('nextWakeAt is before the refresh token expires, if that is first, with at most a quarter of its lifetime left', () => {
    const [lifetimeMs, expiresAt] = [HOUR, BEGINNING + HOUR]
    const at = (refreshTokenExpiresAt: number, changes: Partial<Tokens> = {}) =>
      due({ tokens: { ...TOKENS, expiresAt, lifetimeMs, refreshTokenExpiresAt, ...changes } })
    expect(at(expiresAt - 1_000)).toBe(expiresAt - 31_000)
    expect(at(BEGINNING + 40_000)).toBe(BEGINNING + 30_000)
    expect(at(expiresAt + 1)).toBe(expiresAt - 30_000)
    expect(at(BEGINNING + 40_000, { grant: 'client_credentials' })).toBe(expiresAt - 30_000)
    expect(at(BEGINNING + 40_000, { expiresAt: undefined })).toBeUndefined()
    expect(at(expiresAt - 1_000, { lifetimeMs: undefined })).toBe(expiresAt - 30_000)
  })

  test('nextWakeAt is five seconds after tokens were issued at the earliest', () => {
    const living = (lifetimeMs: number, changes: Partial<Tokens> = {}) =>
      due({ tokens: { ...TOKENS, expiresAt: BEGINNING + lifetimeMs, lifetimeMs, ...changes } })
    expect([0, 4_000, 8_000].map((lifetimeMs) => living(lifetimeMs))).toEqual(
      [5_000, 5_000, 6_000].map((afterMs) => BEGINNING + afterMs),
    )
    expect(living(0, { grant: 'client_credentials' })).toBe(BEGINNING + 5_000)
    expect(living(HOUR, { refreshTokenExpiresAt: BEGINNING + 6_000 })).toBe(BEGINNING + 5_000)
    expect(living(HOUR, { refreshTokenExpiresAt: BEGINNING + 5_000 })).toBeUndefined()
  })

  test('nextWakeAt is never an instant at which the refresh token has expired', () => {
    const tokens = { ...TOKENS, lifetimeMs: undefined, refreshTokenExpiresAt: BEGINNING + 5_000 }
    expect(due({ tokens })).toBeUndefined()
    expect(due({ tokens, failedRenewal: failedAt(BEGINNING + 4_999) })).toBe(BEGINNING + 4_999)
    expect(due({ tokens, failedRenewal: failedAt(BEGINNING + 5_000) })).toBeUndefined()
  })

  test('nextWakeAt is the end of the backoff after a failed renewal, long before tokens expire and also without an expiry', () => {
    for (const expiresAt of [EXPIRES_AT, undefined])
      expect(due({ tokens: { ...TOKENS, expiresAt }, failedRenewal: failedAt(BEGINNING + 5_000) })).toBe(
        BEGINNING + 5_000,
      )
  })

  test('nextWakeAt is a minute after the first attempt expiry, or at once for an attempt with a code', () => {
    const later = { ...ATTEMPT, expiresAt: ATTEMPT.expiresAt + 1 }
    expect(due({ attempts: [later, ATTEMPT] })).toBe(ATTEMPT.expiresAt + 60_000)
    const kept = { ...ATTEMPT, code: 'c' }
    expect(due({ attempts: [kept] })).toBe(BEGINNING)
    expect(due({ attempts: [{ ...kept, retryAt: BEGINNING + 5_000 }] })).toBe(BEGINNING + 5_000)
  })

  test('nextWakeAt is the end of the backoff that an earlier release stored once for all codes', () => {
    const kept = { ...ATTEMPT, code: 'c' }
    expect(due({ attempts: [kept], retryAt: BEGINNING + 5_000 })).toBe(BEGINNING + 5_000)
  })
})
