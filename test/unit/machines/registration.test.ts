import * as v from 'valibot'
import { withUnknownOutcome } from '../../../machines/record-rules.ts'
import { afterEach, describe, expect, test } from 'vitest'
import { registrationPorts } from '../../../machines/ports.ts'
import { registrationMachine } from '../../../machines/registration.ts'
import * as change from '../../../machines/registration/actions.ts'
import type { RegistrationEvent } from '../../../machines/registration/events.ts'
import { amendmentAfter } from '../../../machines/registration/metadata.ts'
import { type RegistrationContext, RegistrationContextSchema } from '../../../src/schemas/registration.ts'
import {
  dynamicClient,
  issuer,
  LEASE_MS,
  registrationWith,
  rejection,
  rejections,
  START,
} from '../../support/charts/facts.ts'
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

describe('registration actions', () => {
  test('claimRegistration stores the endpoint and authentication methods and counts the registration', () => {
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

  test('registerClientInput requests DPoP-bound access tokens if the registration does', () => {
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

  test('an unknown registration outcome is recorded in the claim', () => {
    const event = { type: 'xstate.error.actor.registerClient', error: rejections.unknown } as const
    const { failure } = rejections.unknown
    expect(withUnknownOutcome(registrationWith({ claim }), event)).toEqual({
      failure,
      claim: { ...claim, outcomeUnknown: true },
    })
    expect(withUnknownOutcome(registrationWith(), event)).toEqual({ failure, claim: undefined })
  })

  test('an expired registration claim is retried once and then ends in SERVER_UNAVAILABLE', () => {
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
      failure: { code: 'SERVER_UNAVAILABLE' },
    }
    expect(change.expireClaim(registrationWith({ claim: { ...claim, retries: 1 } }), event)).toEqual(given)
    expect(change.expireClaim(registrationWith(), event)).toEqual(given)
  })

  test('a registered client is stored with a new generation until its server rejects it', () => {
    expect(change.storeClient(registrationWith({ generation: 3 }), { at: NOW, client: dynamicClient })).toEqual({
      at: NOW,
      client: dynamicClient,
      generation: 4,
      failure: undefined,
    })
    expect(change.forgetClient({ at: NOW })).toEqual({ at: NOW, client: undefined })
  })

  test('registerClientInput without a checkpoint has a send deadline in the past', () => {
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

describe('the registration chart', () => {
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

  test('the registration chart registers one client for two requests', async () => {
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

  test('the registration chart registers a new client only after the current client was rejected', async () => {
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

  test('a failed registration is retried by the next request', async () => {
    const live = registration(failing(rejections.otherRefusal))
    await live.send(request)
    expect([live.value, live.context.failure]).toEqual([{ resting: 'failed' }, rejections.otherRefusal.failure])
    live.answers['registerClient'] = well
    await live.send(request)
    expect([live.value, live.context.failure]).toEqual([{ resting: 'registered' }, undefined])
  })

  test('a registration with an unknown outcome is retried once after its lease and then fails', async () => {
    const live = registration(failing(rejections.unknown))
    await live.send(request)
    expect(live.value).toEqual({ registering: 'claimed' })
    expect(live.calls).toHaveLength(1)
    await live.send({ type: 'claim.expired', orphanId: live.context.claim?.id }, { afterMs: 35_000 })
    expect([live.value, live.context.failure]).toEqual([{ resting: 'failed' }, rejections.unknown.failure])
    expect(live.calls).toHaveLength(2)
    expect(live.context.orphanedClaims.map(({ retried }) => retried)).toEqual([true])
  })

  const asked = (scope: string, further: object = {}) => ({ ...request, scope, ...further })
  const methods = { tokenEndpointAuthMethodsSupported: ['none', 'client_secret_post', 'client_secret_basic'] }
  const refusing = (error: string): Answer => failing(rejection('REGISTRATION_REJECTED', 'rejected', { error }))
  const sent = (live: LiveChart<RegistrationContext>): object[] =>
    live.calls.map(({ input }) => ({
      scope: input['scope'],
      ...(input['omitsScope'] === true && { omitsScope: true }),
      ...(input['tokenEndpointAuthMethod'] !== undefined && { method: input['tokenEndpointAuthMethod'] }),
    }))

  test('a registration names the union of the scopes that its connections request, and is sent only for more scope', async () => {
    const live = registration(well)
    await live.send(asked('read'))
    await live.send(asked('read'))
    await live.send(asked('write', { grantedScope: 'profile' }))
    await live.send(asked('profile read'))
    expect(sent(live)).toEqual([{ scope: 'read' }, { scope: 'read profile write' }])
    expect([live.value, live.context.scope]).toEqual([{ resting: 'registered' }, 'read profile write'])
  })

  test('a registration includes the scope that the server added before, unless that is too long', async () => {
    const live = registration(({ at, scope = '' }: { at: number; scope?: string }) => ({
      at,
      client: dynamicClient,
      scope: `openid ${scope}`.trim(),
    }))
    await live.send(request)
    await live.send(asked('read'))
    const long = 'x'.repeat(4_090)
    await live.send(asked(long))
    expect(sent(live)).toEqual([{ scope: undefined }, { scope: 'openid read' }, { scope: long }])
    expect(live.context.scope).toBe(`openid ${long}`)
  })

  test.each<[string, Answer, string[] | undefined]>([
    ['rejects it for good', refusing('access_denied'), ['write']],
    ['is unavailable', failing(rejections.unavailable), undefined],
    ['does not answer', failing(rejections.unknown), undefined],
  ])('a registration for more scope keeps its client when the server %s', async (_name, answer, rejectedScopes) => {
    const live = registration(well)
    await live.send(asked('read'))
    live.answers['registerClient'] = answer
    await live.send(asked('write'))
    const { client, scope, failure } = live.context
    expect([live.value, client, scope, failure]).toEqual([{ resting: 'registered' }, dynamicClient, 'read', undefined])
    expect(live.context.rejectedScopes).toEqual(rejectedScopes)
  })

  test('a registration for more scope is not sent beyond the maximum per hour, and its client stays usable', async () => {
    const live = registration(well)
    await live.send(asked('read', { maxPerHour: 1 }))
    await live.send(asked('write', { maxPerHour: 1 }))
    expect([live.value, live.context.failure, live.calls.length]).toEqual([{ resting: 'registered' }, undefined, 1])
  })

  test('a registration whose metadata is refused is sent with each listed method, then without scope, each one counted', async () => {
    const live = registration(refusing('invalid_client_metadata'))
    await live.send(asked('read', methods))
    expect(sent(live)).toEqual([
      { scope: 'read' },
      { scope: 'read', method: 'client_secret_post' },
      { scope: 'read', method: 'none' },
      { scope: 'read', omitsScope: true },
    ])
    expect(live.context).toMatchObject({
      failure: { code: 'REGISTRATION_REJECTED' },
      registeredAt: [1, 1, 1, 1].map(() => START + 1),
    })
    expect([live.context.rejectedMethods, live.context.omitsScope]).toEqual([undefined, undefined])
  })

  test('a registration that is refused with invalid_scope is sent once more without scope', async () => {
    const live = registration(refusing('invalid_scope'))
    await live.send(asked('read', methods))
    expect(sent(live)).toEqual([{ scope: 'read' }, { scope: 'read', omitsScope: true }])
    live.answers['registerClient'] = refusing('invalid_scope')
    await live.send(request)
    expect(sent(live).slice(2)).toEqual([{ scope: undefined }])
  })

  /** A server that rejects every registration that names one of these scopes. */
  const rejectingScopes = (error: string, ...rejected: string[]): Answer => {
    return (input: { at: number; scope?: string; omitsScope?: true }) => {
      const scopes = input.omitsScope ? [] : (input.scope ?? '').split(' ')
      return rejected.some((scope) => scopes.includes(scope)) ? refusing(error)(input as never) : well(input as never)
    }
  }

  test.each(['invalid_scope', 'invalid_client_metadata'])(
    'a scope that the server rejects with %s is sent once, and no other request names it',
    async (error) => {
      const live = registration(rejectingScopes(error, 'nonsense'))
      await live.send(asked('read nonsense'))
      expect([live.context.scope, live.context.rejectedScopes]).toEqual([undefined, ['read nonsense']])
      await live.send(asked('read'))
      await live.send(asked('nonsense'))
      await live.send(asked('read nonsense'))
      await live.send(asked('write'))
      expect(sent(live)).toEqual([
        { scope: 'read nonsense' },
        { scope: 'read nonsense', omitsScope: true },
        { scope: 'read' },
        { scope: 'read nonsense' },
        { scope: 'nonsense' },
        { scope: 'read write' },
      ])
      expect(live.context).toMatchObject({ scope: 'read write', rejectedScopes: ['read nonsense', 'nonsense'] })
      // The next client is registered for it without `scope` at once.
      await live.send({ type: 'client.rejected', clientId: 'client-1' })
      await live.send(asked('nonsense'))
      expect(sent(live).slice(6)).toEqual([{ scope: 'read write nonsense', omitsScope: true }])
    },
  )

  test('a registration that is refused with the scopes of other connections is sent with the requested scope alone', async () => {
    const live = registration(well)
    await live.send(asked('old'))
    live.answers['registerClient'] = rejectingScopes('invalid_scope', 'old')
    await live.send(asked('read'))
    expect(sent(live)).toEqual([{ scope: 'old' }, { scope: 'old read' }, { scope: 'read' }])
    expect([live.context.scope, live.context.rejectedScopes]).toEqual(['read', undefined])
  })

  test('the scopes of other connections that cost a registration its maximum per hour are not sent again without a client', async () => {
    const live = registration(well)
    await live.send(asked('old'))
    await live.send({ type: 'client.rejected', clientId: 'client-1' })
    live.answers['registerClient'] = rejectingScopes('invalid_scope', 'old')
    await live.send(asked('read', { maxPerHour: 2 }))
    expect([live.value, live.context.scope]).toEqual([{ resting: 'failed' }, undefined])
    await live.send(asked('read', { maxPerHour: 2 }), { afterMs: 3_600_000 })
    expect(sent(live)).toEqual([{ scope: 'old' }, { scope: 'old read' }, { scope: 'read' }])
    expect([live.value, live.context.scope]).toEqual([{ resting: 'registered' }, 'read'])
  })

  test('a response with less scope than was requested rejects the request, and what it names is registered', async () => {
    const live = registration(({ at }: { at: number }) => ({ at, client: dynamicClient, scope: 'read' }))
    await live.send(asked('read write'))
    await live.send(asked('read write'))
    await live.send(asked('read'))
    await live.send(asked('profile'))
    expect(sent(live)).toEqual([{ scope: 'read write' }, { scope: 'read profile' }])
    expect(live.context).toMatchObject({ scope: 'read', rejectedScopes: ['read write', 'profile'] })
  })

  test('a rejected scope is forgotten once it is registered, or once its omission is rejected as well', async () => {
    const live = registration(rejectingScopes('invalid_scope', 'read'))
    await live.send(asked('read'))
    expect(live.context.rejectedScopes).toEqual(['read'])
    live.answers['registerClient'] = well
    await live.send(asked('read', { replaces: 'client-1' }))
    expect([live.context.scope, live.context.rejectedScopes]).toEqual(['read', undefined])

    const other = registration(refusing('invalid_scope'))
    await other.send(asked('read'))
    expect([other.value, other.context.rejectedScopes]).toEqual([{ resting: 'failed' }, undefined])
  })

  test('a client whose scope the server refused is replaced by one without the scopes of other connections', async () => {
    const live = registration(well)
    await live.send(asked('old'))
    await live.send(asked('read'))
    await live.send(asked('read', { grantedScope: 'profile', replaces: 'client-1' }))
    expect(sent(live)).toEqual([{ scope: 'old' }, { scope: 'old read' }, { scope: 'profile read' }])
  })

  test('a rejected replacement that requested no scope adds no rejected scope', async () => {
    const live = registration(well)
    await live.send(request)
    live.answers['registerClient'] = refusing('access_denied')
    await live.send({ ...request, replaces: 'client-1' })
    expect([live.value, live.calls.length]).toEqual([{ resting: 'registered' }, 2])
    expect([live.context.client, live.context.rejectedScopes]).toEqual([dynamicClient, undefined])
  })

  test('the newest sixteen rejected scopes are retained', async () => {
    const live = registration(well)
    await live.send(asked('read'))
    live.answers['registerClient'] = refusing('access_denied')
    const scopes = Array.from({ length: 18 }, (_, index) => `scope-${index}`)
    for (const scope of scopes) await live.send(asked(scope))
    expect(live.context.rejectedScopes).toEqual(scopes.slice(2))
  })

  test.each([
    ['a lower maximum for replacements', { maxPerHour: 9, maxReplacementsPerHour: 2 }, 2],
    ['a lower maximum for all registrations', { maxPerHour: 2, maxReplacementsPerHour: 9 }, 2],
    ['a maximum for replacements only', { maxReplacementsPerHour: 3 }, 3],
  ])('a client is replaced for more scope within %s, and is then used as it is', async (_name, maxima, count) => {
    const live = registration(well)
    for (let index = 0; index < 12; index += 1) await live.send(asked(`scope-${index}`, maxima))
    expect([live.value, live.context.failure, live.calls.length]).toEqual([{ resting: 'registered' }, undefined, count])
  })

  test('the maximum of replacements per hour bounds amendments of a usable client, and no registration without one', async () => {
    const live = registration(well)
    const maxima = { ...methods, maxReplacementsPerHour: 2 }
    await live.send(asked('read', maxima))
    live.answers['registerClient'] = refusing('invalid_client_metadata')
    await live.send(asked('write', maxima))
    expect([live.value, live.context.failure, live.calls.length]).toEqual([{ resting: 'registered' }, undefined, 2])
    live.answers['registerClient'] = well
    await live.send({ type: 'client.rejected', clientId: 'client-1' })
    await live.send(asked('write', maxima))
    expect([live.value, live.calls.length]).toEqual([{ resting: 'registered' }, 3])
  })

  test('a registration without scope that is refused with invalid_scope is not repeated', async () => {
    const live = registration(refusing('invalid_scope'))
    await live.send(request)
    expect(sent(live)).toEqual([{ scope: undefined }])
  })

  test('a registration is amended only within the maximum per hour, and continues with the next request', async () => {
    const live = registration(refusing('invalid_client_metadata'))
    await live.send(asked('read', { ...methods, maxPerHour: 1 }))
    expect([live.value, live.context.failure]).toEqual([
      { resting: 'failed' },
      { code: 'REGISTRATION_REJECTED', details: { error: 'invalid_client_metadata' } },
    ])
    live.answers['registerClient'] = well
    await live.send(asked('read', { ...methods, maxPerHour: 1 }), { afterMs: 3_600_001 })
    expect(sent(live)).toEqual([{ scope: 'read' }, { scope: 'read', method: 'client_secret_post' }])
    expect([live.value, live.context.rejectedMethods]).toEqual([{ resting: 'registered' }, undefined])
  })

  test('a server that now lists only the method that it rejected is asked for it again', async () => {
    const live = registration(refusing('invalid_client_metadata'))
    await live.send(asked('read', { ...methods, maxPerHour: 1 }))
    expect(live.context.rejectedMethods).toEqual(['client_secret_basic'])
    const basic = { tokenEndpointAuthMethodsSupported: ['client_secret_basic'] }
    await live.send(asked('read', basic))
    expect(sent(live).slice(1)).toEqual([{ scope: 'read' }, { scope: 'read', omitsScope: true }])
    expect([live.value, live.context.rejectedMethods]).toEqual([{ resting: 'failed' }, undefined])
  })

  test('a registration for a server that lists no usable method is not amended', () => {
    const context = registrationWith({ claim, tokenEndpointAuthMethodsSupported: ['private_key_jwt'] })
    const error = rejection('REGISTRATION_REJECTED', 'rejected', { error: 'invalid_client_metadata' })
    expect(amendmentAfter(context, { type: 'xstate.error.actor.registerClient', error })).toBeUndefined()
  })

  test('a record holds at most four rejected methods of each kind, of 256 characters', () => {
    const names = (length: number) => Array.from({ length }, (_, index) => `name-${index}`)
    const isValid = (changes: Partial<RegistrationContext>): boolean =>
      v.is(RegistrationContextSchema, registrationWith(changes))
    const failed = (texts: string[]) => texts.map((method) => ({ method, at: NOW }))
    const valid = { rejectedMethods: names(4), failedMethods: failed(names(4)) }
    expect(isValid(valid)).toBe(true)
    for (const changes of [
      { rejectedMethods: names(5) },
      { failedMethods: failed(names(5)) },
      { rejectedMethods: ['x'.repeat(257)] },
      { failedMethods: failed(['x'.repeat(257)]) },
    ])
      expect(isValid({ ...valid, ...changes })).toBe(false)
    const event = { ...stamp, type: 'client.rejected', clientId: 'client-1', failedMethod: 'another' } as const
    expect(change.recordFailedMethod(registrationWith(valid), event)).toEqual({})
  })

  test('a client that the token endpoint rejects before it had tokens is replaced by one with another method, once an hour', async () => {
    const live = registration(well)
    await live.send(asked('read', methods))
    const rejected = (failedMethod: string) => ({ type: 'client.rejected', clientId: 'client-1', failedMethod })
    await live.send(rejected('client_secret_basic'))
    expect(live.value).toEqual({ resting: 'unregistered' })
    await live.send(asked('read', methods))
    await live.send(rejected('client_secret_post'))
    expect([live.value, live.context.client]).toEqual([{ resting: 'registered' }, dynamicClient])
    await live.send(rejected('client_secret_post'), { afterMs: 3_600_000 })
    await live.send(asked('read', methods))
    await live.send(rejected('none'), { afterMs: 3_600_000 })
    await live.send(asked('read', methods))
    expect(sent(live)).toEqual([
      { scope: 'read' },
      { scope: 'read', method: 'client_secret_post' },
      { scope: 'read', method: 'none' },
      { scope: 'read', method: 'client_secret_basic' },
    ])
    // A client that had tokens was deleted: nothing is wrong with its method.
    await live.send({ type: 'client.rejected', clientId: 'client-1' })
    expect(live.value).toEqual({ resting: 'unregistered' })
  })

  test('a late client is stored with the scope of its own registration', async () => {
    const live = registration(failing(rejections.unknown))
    await live.send(asked('read'), { stopAtCheckpoint: true })
    await live.send({ type: 'claim.expired', orphanId: live.context.claim?.id }, { stopAtCheckpoint: true })
    await live.send({ type: 'claim.expired', orphanId: live.context.claim?.id }, { stopAtCheckpoint: true })
    const [first] = live.context.orphanedClaims
    await live.send({ type: 'result.late', orphanId: first?.id, generation: 0, client: dynamicClient, scope: 'read' })
    expect(live.context).toMatchObject({ client: dynamicClient, scope: 'read' })
  })

  test('the registration chart accepts a late client for an orphaned claim', async () => {
    const live = registration(failing(rejections.unknown))
    await live.send(request, { stopAtCheckpoint: true })
    await live.send({ type: 'claim.expired', orphanId: live.context.claim?.id }, { stopAtCheckpoint: true })
    await live.send({ type: 'claim.expired', orphanId: live.context.claim?.id }, { stopAtCheckpoint: true })
    expect([live.value, live.context.failure]).toEqual([{ resting: 'failed' }, { code: 'SERVER_UNAVAILABLE' }])
    const [first] = live.context.orphanedClaims
    await live.send({ type: 'result.late', orphanId: first?.id, generation: 0, client: dynamicClient })
    expect([live.value, live.context.client, live.context.generation]).toEqual([
      { resting: 'registered' },
      dynamicClient,
      1,
    ])
  })
})
