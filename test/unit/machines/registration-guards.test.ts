import { describe, expect, test } from 'vitest'
import {
  REGISTRATION_CHECK_INTERVAL_MS,
  REGISTRATION_RENEWAL_MS,
  REGISTRATION_WINDOW_MS,
} from '../../../machines/limits.ts'
import { hasRetriesLeft, isCurrentClaim } from '../../../machines/record-rules.ts'
import type { RegistrationCommand, RegistrationEvent } from '../../../machines/registration/events.ts'
import * as ask from '../../../machines/registration/guards.ts'
import type { RegistrationContext } from '../../../src/schemas/registration.ts'
import { dynamicClient, LEASE_MS, registrationWith, START } from '../../support/charts/facts.ts'

const NOW = START + 10
const stamp = { at: NOW, claimId: 'claim-2', leaseMs: LEASE_MS }
const requested: Extract<RegistrationCommand, { type: 'registration.requested' }> & typeof stamp = {
  ...stamp,
  type: 'registration.requested',
  registrationEndpoint: 'https://as.example.com/register',
  tokenEndpointAuthMethodsSupported: ['none'],
}
const checking = { ...requested, check: { tokenEndpoint: 'https://as.example.com/token' } }
const rejected: Extract<RegistrationCommand, { type: 'client.rejected' }> & typeof stamp = {
  ...stamp,
  type: 'client.rejected',
  clientId: 'client-1',
}
const late = { ...stamp, type: 'result.late', orphanId: 'claim-1', generation: 3, client: dynamicClient } as const
const orphanedClaims = [{ id: 'claim-1', retried: false }]
const deferral = { retryAt: NOW + 5, failure: { code: 'RATE_LIMITED', details: { status: 429 } } } as const
const claim = { id: 'claim-1', kind: 'register', leaseMs: LEASE_MS, retries: 0 } as const
const expired: RegistrationEvent = { ...stamp, type: 'client.rejected', clientId: 'another' }
const withClient = { client: dynamicClient }

test.each<[string, Partial<RegistrationContext>, RegistrationEvent, boolean]>([
  ['is true for the stored generation', { generation: 3, orphanedClaims }, late, true],
  ['is false after a newer client was stored', { generation: 4, orphanedClaims }, late, false],
  ['is false for a claim that was never orphaned', { generation: 3 }, late, false],
  [
    'is false for the expiry of a claim',
    { orphanedClaims },
    { ...stamp, type: 'claim.expired', orphanId: 'claim-1' },
    false,
  ],
])('isAcceptableLateResult of a registration %s', (_name, changes, event, expected) => {
  expect(ask.isAcceptableLateResult(registrationWith(changes), event)).toBe(expected)
})

test.each<[string, Partial<RegistrationContext>, RegistrationEvent, boolean]>([
  ['is true without a client at the maximum per hour', {}, { ...requested, maxPerHour: 0 }, true],
  ['is true without a client while the server defers registrations', { deferral }, requested, true],
  ['is false without a client below the maximum', {}, requested, false],
  ['is false for a usable client', withClient, { ...requested, maxPerHour: 0 }, false],
  ['is false for any other event', { deferral }, { ...stamp, type: 'checkpoint.saved', sendBefore: 0 }, false],
])('isLimited %s', (_name, changes, event, expected) => {
  expect(ask.isLimited(registrationWith(changes), event)).toBe(expected)
})

describe('deferralOf', () => {
  test.each([
    ['before', NOW, { code: 'RATE_LIMITED', details: { status: 429, retryAfterMs: 5 } }],
    ['at', NOW + 5, undefined],
    ['after', NOW + 6, undefined],
  ])('deferralOf is the failure, with what is left to wait, only before its instant: %s it', (_when, at, expected) => {
    expect(ask.deferralOf(registrationWith({ deferral }), at)).toEqual(expected)
  })

  test('deferralOf is undefined unless the server asked to wait, and then a registration may be sent', () => {
    expect(ask.deferralOf(registrationWith(), NOW)).toBeUndefined()
    expect(ask.mayRegister(registrationWith(), requested)).toBe(true)
    expect(ask.mayRegister(registrationWith({ deferral }), requested)).toBe(false)
  })
})

test.each<[string, Partial<RegistrationContext>, RegistrationEvent, boolean]>([
  ['is true for a client that was never checked', withClient, checking, true],
  [
    'is true an hour after the last check',
    { ...withClient, checkedAt: NOW - REGISTRATION_CHECK_INTERVAL_MS },
    checking,
    true,
  ],
  [
    'is false within an hour of the last check',
    { ...withClient, checkedAt: NOW - REGISTRATION_CHECK_INTERVAL_MS + 1 },
    checking,
    false,
  ],
  ['is false for a request that has no doubt', withClient, requested, false],
  ['is false without a client', {}, checking, false],
  ['is false for any other event', withClient, rejected, false],
])('needsCheck %s', (_name, changes, event, expected) => {
  expect(ask.needsCheck(registrationWith(changes), event)).toBe(expected)
})

test('a client is replaced unless another authentication method has failed within the hour', () => {
  const replaceable = (failedAt: number[] | undefined, failedMethod?: string): boolean => {
    const failedMethods = failedAt?.map((at) => ({ method: 'none', at }))
    return ask.isReplaceable(registrationWith({ failedMethods }), { ...rejected, failedMethod })
  }
  expect(replaceable(undefined, 'none')).toBe(true)
  expect(replaceable([NOW - REGISTRATION_WINDOW_MS, NOW - 1], 'none')).toBe(false)
  expect(replaceable([NOW - 1])).toBe(true)
})

test.each<[string, number, boolean]>([
  ['is false within an hour of an earlier one', NOW - REGISTRATION_WINDOW_MS + 1, false],
  ['is true an hour after an earlier one', NOW - REGISTRATION_WINDOW_MS, true],
])('the replacement of a client whose authentication method failed %s', (_name, at, expected) => {
  const context = registrationWith({ failedMethods: [{ method: 'none', at }] })
  const event: RegistrationEvent = { ...rejected, failedMethod: 'client_secret_basic' }
  expect(ask.isReplaceable(context, event)).toBe(expected)
})

describe('a record without a client', () => {
  test('replaces no client, and no client of it can be rejected', () => {
    expect(ask.isReplaced(registrationWith(), { replaces: 'client-1' })).toBe(false)
    expect(ask.isReplaced(registrationWith(), {})).toBe(false)
    expect(ask.isCurrentClient(registrationWith(), rejected)).toBe(false)
    expect(ask.isCurrentClient(registrationWith(), requested)).toBe(false)
  })

  test('is registered again for each scope, since none was rejected', () => {
    expect(ask.isScopeRejected(registrationWith(), undefined)).toBe(false)
    expect(ask.isScopeRejected(registrationWith(), 'read')).toBe(false)
  })
})

test('a registration is due for renewal a week after it was written, when it is requested', () => {
  const [later, registration] = [{ at: START + REGISTRATION_RENEWAL_MS }, registrationWith()]
  expect(ask.isDueForRenewal(registration, { ...requested, ...later })).toBe(true)
  expect(ask.isDueForRenewal(registration, { ...requested, at: later.at - 1 })).toBe(false)
  expect(ask.isDueForRenewal(registration, { ...rejected, ...later })).toBe(false)
})

test('a registration is forgotten only by a check that found no client', () => {
  const found = (isForgotten: boolean) =>
    ask.isForgotten({ type: 'xstate.done.actor.checkRegistration', output: { at: NOW, isForgotten } })
  expect([found(true), found(false)]).toEqual([true, false])
  expect(ask.isForgotten(rejected)).toBe(false)
})

describe('registration guards', () => {
  test.each<[string, Partial<RegistrationContext>, RegistrationEvent, boolean]>([
    ['is true without a client', {}, { ...requested }, true],
    ['is false for a client whose secret does not expire', { client: dynamicClient }, { ...requested }, false],
    [
      'is false for a client whose secret has not expired',
      { client: { ...dynamicClient, clientSecretExpiresAt: NOW + 1 } },
      { ...requested },
      false,
    ],
    [
      'is true for a client whose secret has expired',
      { client: { ...dynamicClient, clientSecretExpiresAt: NOW } },
      { ...requested },
      true,
    ],
    [
      'is true for a client whose secret expires before a sign-in can be finished',
      { client: { ...dynamicClient, clientSecretExpiresAt: NOW + 60_000 } },
      { ...requested, minSecretTtlMs: 60_000 },
      true,
    ],
    [
      'is false for a client whose secret outlasts a sign-in',
      { client: { ...dynamicClient, clientSecretExpiresAt: NOW + 60_001 } },
      { ...requested, minSecretTtlMs: 60_000 },
      false,
    ],
    [
      'is true for a client that is not registered for the requested scope',
      { client: dynamicClient, scope: 'read' },
      { ...requested, scope: 'read write' },
      true,
    ],
    [
      'is false for a client that is registered for the requested scope',
      { client: dynamicClient, scope: 'read write' },
      { ...requested, scope: 'write' },
      false,
    ],
    [
      'is true for the client whose scope the server refused',
      { client: dynamicClient, scope: 'read' },
      { ...requested, scope: 'read', replaces: 'client-1' },
      true,
    ],
    [
      'is false for a client that has replaced the one whose scope the server refused',
      { client: dynamicClient, scope: 'read' },
      { ...requested, scope: 'read', replaces: 'client-0' },
      false,
    ],
    [
      'is false for a scope that the server refused to register',
      { client: dynamicClient, scope: 'read', rejectedScopes: ['write', 'admin'] },
      { ...requested, scope: 'read admin' },
      false,
    ],
    [
      'is true for a part of a scope that the server refused to register',
      { client: dynamicClient, scope: 'read', rejectedScopes: ['write admin'] },
      { ...requested, scope: 'write' },
      true,
    ],
    ['is false for any other event', {}, rejected, false],
  ])('needsRegistration %s', (_, changes, event, expected) => {
    expect(ask.needsRegistration(registrationWith(changes), event)).toBe(expected)
  })

  test('registration guards are false for every other event', () => {
    const context = registrationWith({
      client: dynamicClient,
      claim,
      orphanedClaims: [{ id: 'claim-1', retried: false }],
    })
    const guards = [isCurrentClaim, ask.isAcceptableLateResult, ask.isCurrentClient, ask.isLimited]
    expect(guards.map((guard) => guard(context, expired))).toEqual([false, false, false, false])
    expect(ask.isReplaceable(context, { ...requested })).toBe(true)
    expect(ask.isCurrentClient(context, { ...expired, clientId: 'client-1' })).toBe(true)
    expect(ask.isCurrentClient(context, { ...requested })).toBe(false)
  })

  test('hasRetriesLeft allows exactly one retry of a registration claim', () => {
    expect(hasRetriesLeft(claim)).toBe(true)
    expect(hasRetriesLeft({ ...claim, retries: 1 })).toBe(false)
    expect(hasRetriesLeft(undefined)).toBe(false)
  })
})

test.each<[string, number[] | undefined, number | undefined, number | undefined]>([
  ['without a maximum is undefined', [NOW], undefined, undefined],
  ['with no registration in the last hour is undefined', undefined, 1, undefined],
  ['below the maximum is undefined', [NOW - 5], 2, undefined],
  ['at the maximum is one hour after the oldest registration', [NOW - 9, NOW - 5], 2, NOW - 9 + 3_600_000],
  ['above a lowered maximum is one hour after the newest registration', [NOW - 9, NOW - 5], 1, NOW - 5 + 3_600_000],
  ['with a maximum of 0 is one hour from now', undefined, 0, NOW + 3_600_000],
])('limitedUntil %s', (_name, registeredAt, maxPerHour, until) => {
  const event = { ...requested, maxPerHour }
  expect(ask.limitedUntil(registrationWith({ registeredAt }), event)).toBe(until)
  expect(ask.limitedUntil(registrationWith({ registeredAt }), rejected)).toBeUndefined()
})

test.each<[string, Partial<RegistrationContext>, object, number | undefined]>([
  ['is that of all registrations without a client', {}, { maxPerHour: 9, maxReplacementsPerHour: 2 }, 9],
  ['is that of replacements beside a usable client', withClient, { maxPerHour: 9, maxReplacementsPerHour: 2 }, 2],
  ['is that of replacements alone beside a usable client', withClient, { maxReplacementsPerHour: 2 }, 2],
  ['is that of all registrations where it is lower', withClient, { maxPerHour: 2, maxReplacementsPerHour: 9 }, 2],
  ['is that of all registrations where replacements have none', withClient, { maxPerHour: 9 }, 9],
  ['is absent where there is none', withClient, {}, undefined],
])('the maximum of registrations per hour %s', (_name, changes, maxima, expected) => {
  expect(ask.maxPerHourOf(registrationWith(changes), { ...requested, ...maxima })).toBe(expected)
})

test('a registration may be sent with other metadata only within the maximum per hour, by the time of the record', () => {
  const within = (registeredAt: number[]): boolean =>
    ask.isWithinLimit(registrationWith({ at: NOW, maxPerHour: 1, registeredAt }))
  expect([[], [NOW - REGISTRATION_WINDOW_MS], [NOW - REGISTRATION_WINDOW_MS + 1]].map(within)).toEqual([
    true,
    true,
    false,
  ])
})
