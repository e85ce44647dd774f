import { hasRetriesLeft, isCurrentClaim, withUnknownOutcome } from '../../../machines/record-rules.ts'
import { afterEach, describe, expect, test } from 'vitest'
import { registrationPorts } from '../../../machines/ports.ts'
import { registrationMachine } from '../../../machines/registration.ts'
import * as change from '../../../machines/registration/actions.ts'
import type { RegistrationEvent } from '../../../machines/registration/events.ts'
import * as ask from '../../../machines/registration/guards.ts'
import type { RegistrationContext } from '../../../src/schemas/registration.ts'
import { dynamicClient, issuer, LEASE_MS, registrationWith, rejections, START } from '../../support/charts/facts.ts'
import { type Answer, LiveChart } from '../../support/charts/live-chart.ts'

const NOW = START + 10
const stamp = { at: NOW, claimId: 'claim-2', leaseMs: LEASE_MS }
const endpoint = 'https://as.example.com/register'
const request = {
  type: 'registration.requested' as const,
  registrationEndpoint: endpoint,
  tokenEndpointAuthMethodsSupported: ['none'],
}
const claim = { id: 'claim-1', kind: 'register', leaseMs: LEASE_MS, retries: 0 } as const
const expired: RegistrationEvent = { ...stamp, type: 'client.rejected', clientId: 'another' }

describe('the guards', () => {
  test.each<[string, Partial<RegistrationContext>, RegistrationEvent, boolean]>([
    ['no client is known', {}, { ...stamp, ...request }, true],
    ['a client without an end is known', { client: dynamicClient }, { ...stamp, ...request }, false],
    [
      'a client that lives is known',
      { client: { ...dynamicClient, clientSecretExpiresAt: NOW + 1 } },
      { ...stamp, ...request },
      false,
    ],
    [
      'a client at its end is known',
      { client: { ...dynamicClient, clientSecretExpiresAt: NOW } },
      { ...stamp, ...request },
      true,
    ],
    ['nobody asks', {}, expired, false],
  ])('a registration is needed: %s', (_, changes, event, expected) => {
    expect(ask.needsRegistration(registrationWith(changes), event)).toBe(expected)
  })

  test('are false for every other event', () => {
    const context = registrationWith({
      client: dynamicClient,
      claim,
      orphanedClaims: [{ id: 'claim-1', retried: false }],
    })
    const guards = [isCurrentClaim, ask.isAcceptableLateResult, ask.isCurrentClient]
    expect(guards.map((guard) => guard(context, expired))).toEqual([false, false, false])
    expect(ask.isCurrentClient(context, { ...expired, clientId: 'client-1' })).toBe(true)
    expect(ask.isCurrentClient(context, { ...stamp, ...request })).toBe(false)
  })

  test('a claim may be repeated once', () => {
    expect(hasRetriesLeft(claim)).toBe(true)
    expect(hasRetriesLeft({ ...claim, retries: 1 })).toBe(false)
    expect(hasRetriesLeft(undefined)).toBe(false)
  })
})

describe('the actions', () => {
  test('a claim holds what the request needs', () => {
    const before = registrationWith({ registeredAt: [NOW - 3_600_000, NOW - 1] })
    expect(change.claimRegistration(before, { ...stamp, ...request })).toEqual({
      at: NOW,
      registrationEndpoint: endpoint,
      tokenEndpointAuthMethodsSupported: ['none'],
      failure: undefined,
      registeredAt: [NOW - 1, NOW],
      claim: { ...claim, id: 'claim-2' },
    })
  })

  test('a client that uses bound tokens only is asked for as such', () => {
    const asked = { ...stamp, ...request, dpopBoundAccessTokens: true } as const
    const context = registrationWith(change.claimRegistration(registrationWith(), asked))
    expect(change.registerClientInput(context, { ...stamp, type: 'checkpoint.saved', sendBefore: 7_000 })).toEqual({
      at: NOW,
      issuer,
      redirectUri: 'https://agents.example.com/callback',
      registrationEndpoint: endpoint,
      tokenEndpointAuthMethodsSupported: ['none'],
      dpopBoundAccessTokens: true,
      sendBefore: 7_000,
    })
  })

  test.each<[string, number[] | undefined, number | undefined, number | undefined]>([
    ['without a limit', [NOW], undefined, undefined],
    ['with none sent', undefined, 1, undefined],
    ['with some left', [NOW - 5], 2, undefined],
    ['with none left', [NOW - 9, NOW - 5], 2, NOW - 9 + 3_600_000],
    ['with fewer than before allowed', [NOW - 9, NOW - 5], 1, NOW - 5 + 3_600_000],
    ['with none allowed at all', undefined, 0, NOW + 3_600_000],
  ])('a registration %s may be sent at its time', (_name, registeredAt, maxPerHour, until) => {
    const event = { ...stamp, ...request, maxPerHour }
    expect(ask.limitedUntil(registrationWith({ registeredAt }), event)).toBe(until)
    expect(ask.limitedUntil(registrationWith({ registeredAt }), expired)).toBeUndefined()
  })

  test('a claim whose outcome nobody knows says so', () => {
    const event = { type: 'xstate.error.actor.registerClient', error: rejections.unknown } as const
    const { failure } = rejections.unknown
    expect(withUnknownOutcome(registrationWith({ claim }), event)).toEqual({
      failure,
      claim: { ...claim, outcomeUnknown: true },
    })
    expect(withUnknownOutcome(registrationWith(), event)).toEqual({ failure, claim: undefined })
  })

  test('a claim that is given up is repeated once', () => {
    const event = { ...stamp, type: 'claim.expired', orphanId: 'claim-1' } as const
    const failure = { code: 'HTTP_TIMEOUT' } as const
    expect(change.expireClaim(registrationWith({ claim: { ...claim, outcomeUnknown: true }, failure }), event)).toEqual(
      {
        at: NOW,
        registeredAt: [NOW],
        orphanedClaims: [{ id: 'claim-1', retried: true }],
        claim: { ...claim, id: 'claim-2', retries: 1 },
        failure,
      },
    )
    const given = {
      at: NOW,
      orphanedClaims: [{ id: 'claim-1', retried: false }],
      claim: undefined,
      failure: { code: 'REGISTRATION_UNAVAILABLE' },
    }
    expect(change.expireClaim(registrationWith({ claim: { ...claim, retries: 1 } }), event)).toEqual(given)
    expect(change.expireClaim(registrationWith(), event)).toEqual(given)
  })

  test('a client is everybody’s from then on, until its server refuses it', () => {
    expect(change.storeClient(registrationWith({ generation: 3 }), { at: NOW, client: dynamicClient })).toEqual({
      at: NOW,
      client: dynamicClient,
      generation: 4,
      failure: undefined,
    })
    expect(change.forgetClient({ at: NOW })).toEqual({ at: NOW, client: undefined })
  })

  test('a request without a fence never leaves', () => {
    const context = registrationWith({ registrationEndpoint: endpoint, tokenEndpointAuthMethodsSupported: ['none'] })
    const { redirectUri } = context
    const told = {
      at: START,
      issuer,
      redirectUri,
      registrationEndpoint: endpoint,
      tokenEndpointAuthMethodsSupported: ['none'],
    }
    expect(change.registerClientInput(context, { ...stamp, type: 'checkpoint.saved', sendBefore: 7_000 })).toEqual({
      ...told,
      sendBefore: 7_000,
    })
    expect(change.registerClientInput(context, expired)).toEqual({ ...told, sendBefore: -Infinity })
  })
})

describe('the live chart', () => {
  const running: LiveChart<RegistrationContext>[] = []
  const registration = (registerClient: Answer): LiveChart<RegistrationContext> => {
    const live = new LiveChart<RegistrationContext>(
      registrationMachine,
      registrationPorts,
      { issuer, redirectUri: 'https://agents.example.com/callback' },
      { registerClient },
    )
    running.push(live)
    return live
  }
  const well: Answer = ({ at }: { at: number }) => ({ at: at + 100, client: dynamicClient })
  const failing = (error: unknown): Answer => {
    return () => {
      throw error
    }
  }
  afterEach(() => {
    for (const live of running.splice(0)) live.stop()
  })

  test('registers once for everybody', async () => {
    const live = registration(well)
    expect(live.value).toEqual({ resting: 'unregistered' })
    await live.send(request)
    await live.send(request)
    expect(live.value).toEqual({ resting: 'registered' })
    expect(live.context).toEqual({
      registeredAt: [START + 1],
      issuer,
      redirectUri: 'https://agents.example.com/callback',
      at: START + 101,
      generation: 1,
      registrationEndpoint: endpoint,
      tokenEndpointAuthMethodsSupported: ['none'],
      client: dynamicClient,
      orphanedClaims: [],
      journal: [
        { at: START + 1, from: 'unregistered', to: 'registering', reason: 'registration.requested' },
        { at: START + 101, from: 'registering', to: 'registered', reason: 'registerClient.done' },
      ],
    })
    expect(live.calls).toHaveLength(1)
  })

  test('registers anew once its server refused this very client', async () => {
    const live = registration(well)
    await live.send(request)
    await live.send({ type: 'client.rejected', clientId: 'another' })
    expect(live.value).toEqual({ resting: 'registered' })
    await live.send({ type: 'client.rejected', clientId: 'client-1' })
    expect(live.value).toEqual({ resting: 'unregistered' })
    await live.send(request)
    expect(live.value).toEqual({ resting: 'registered' })
    expect(live.calls).toHaveLength(2)
  })

  test('rests in its failure until somebody asks again', async () => {
    const live = registration(failing(rejections.otherRefusal))
    await live.send(request)
    expect([live.value, live.context.failure]).toEqual([{ resting: 'failed' }, rejections.otherRefusal.failure])
    live.answers['registerClient'] = well
    await live.send(request)
    expect([live.value, live.context.failure]).toEqual([{ resting: 'registered' }, undefined])
  })

  test('waits out a claim whose outcome nobody knows, tries once more, and gives up', async () => {
    const live = registration(failing(rejections.unknown))
    await live.send(request)
    expect(live.value).toEqual({ registering: 'claimed' })
    expect(live.calls).toHaveLength(1)
    await live.send({ type: 'claim.expired', orphanId: live.context.claim?.id }, { afterMs: 35_000 })
    expect([live.value, live.context.failure]).toEqual([{ resting: 'failed' }, rejections.unknown.failure])
    expect(live.calls).toHaveLength(2)
    expect(live.context.orphanedClaims.map(({ retried }) => retried)).toEqual([true])
  })

  test('takes what comes late for a claim that was given up', async () => {
    const live = registration(failing(rejections.unknown))
    await live.send(request, { stopAtCheckpoint: true })
    await live.send({ type: 'claim.expired', orphanId: live.context.claim?.id }, { stopAtCheckpoint: true })
    await live.send({ type: 'claim.expired', orphanId: live.context.claim?.id }, { stopAtCheckpoint: true })
    expect([live.value, live.context.failure]).toEqual([{ resting: 'failed' }, { code: 'REGISTRATION_UNAVAILABLE' }])
    const [first] = live.context.orphanedClaims
    await live.send({ type: 'result.late', orphanId: first?.id, generation: 0, client: dynamicClient })
    expect([live.value, live.context.client, live.context.generation]).toEqual([
      { resting: 'registered' },
      dynamicClient,
      1,
    ])
  })
})
