import * as v from 'valibot'
import { afterEach, describe, expect, test } from 'vitest'
import type { CheckRegistrationOutput } from '../../../machines/ports.ts'
import { registrationPorts } from '../../../machines/ports.ts'
import { registrationMachine } from '../../../machines/registration.ts'
import { type RegistrationContext, RegistrationContextSchema } from '../../../src/schemas/registration.ts'
import {
  dynamicClient,
  issuer,
  LEASE_MS,
  metadata,
  registrationWith,
  rejection,
  rejections,
} from '../../support/charts/facts.ts'
import { type Answer, LiveChart } from '../../support/charts/live-chart.ts'

const HOUR_MS = 3_600_000
const request = {
  type: 'registration.requested',
  registrationEndpoint: metadata.registrationEndpoint,
  tokenEndpointAuthMethodsSupported: ['none'],
  scope: 'read',
}
const check = { tokenEndpoint: metadata.tokenEndpoint, dpop: { alg: 'ES256' } }
const suspicious = { ...request, check }
const configuration = { url: `${issuer}/register/client-1`, accessToken: 'fake-registration-token' }
const registered: Answer = ({ at }) => ({ at, client: dynamicClient, configuration })
const answering =
  (changes: Omit<CheckRegistrationOutput, 'at'>): Answer =>
  ({ at }) => ({ at: at + 5, ...changes })
const failing: Answer = () => {
  throw rejections.unavailable
}

let open: LiveChart<RegistrationContext>[] = []
afterEach(() => {
  for (const live of open) live.stop()
  open = []
})

/** A registration with a client, and a server that answers a check with this. */
async function start(checkRegistration: Answer): Promise<LiveChart<RegistrationContext>> {
  const input = { issuer, redirectUri: 'https://agents.example.com/callback' }
  const live = new LiveChart<RegistrationContext>(registrationMachine, registrationPorts, input, {
    registerClient: registered,
    checkRegistration,
  })
  open.push(live)
  await live.send(request)
  return live
}

const ports = (live: LiveChart<RegistrationContext>): string[] => live.calls.map(({ port }) => port)

test('the record of a registration that is only used is written at most once a week', async () => {
  const WEEK_MS = 604_800_000
  const live = await start(failing)
  const { at, journal } = live.context
  await live.send(request, { afterMs: WEEK_MS - 1_000 })
  expect(live.context.at).toBe(at)
  await live.send(request, { afterMs: 1_000 })
  expect(live.context).toMatchObject({ client: dynamicClient, journal })
  expect(live.context.at).toBeGreaterThanOrEqual(at + WEEK_MS)
  expect([live.value, ports(live)]).toEqual([{ resting: 'registered' }, ['registerClient']])
})

describe('the check of a registration', () => {
  test('sends the client, its configuration endpoint and what a token request needs, under a stored claim', async () => {
    const live = await start(answering({ isForgotten: false }))
    await live.send(suspicious, { stopAtCheckpoint: true })
    expect(live.value).toEqual({ checking: 'claimed' })
    const { claim, checkedAt, at } = live.context
    expect([claim?.kind, checkedAt]).toEqual(['register', at])
    await live.send({ type: 'checkpoint.saved', sendBefore: 7_000 })
    expect(live.calls.at(-1)).toEqual({
      port: 'checkRegistration',
      input: { at: live.context.at - 5, client: dynamicClient, configuration, ...check, sendBefore: 7_000 },
    })
    expect(live.context).toMatchObject({ client: dynamicClient, configuration, checkedAt })
    expect([live.value, live.context.claim, live.context.check]).toEqual([
      { resting: 'registered' },
      undefined,
      undefined,
    ])
  })

  test('that finds no client registers another one under the same claim, with the scopes of the old one', async () => {
    const live = await start(answering({ isForgotten: true }))
    live.answers['registerClient'] = ({ at }) => ({ at, client: { ...dynamicClient, clientId: 'client-2' } })
    await live.send({ ...suspicious, scope: 'read' })
    expect(ports(live)).toEqual(['registerClient', 'checkRegistration', 'registerClient'])
    const { client, generation, registeredAt, configuration: left } = live.context
    expect([client?.clientId, generation, registeredAt?.length, left]).toEqual(['client-2', 2, 2, undefined])
    expect(live.calls.at(-1)?.input).toMatchObject({ scope: 'read' })
    expect(live.context.journal.slice(-3).map(({ from, to, reason }) => [from, to, reason])).toEqual([
      ['registered', 'checking', 'registration.requested'],
      ['checking', 'registering', 'checkRegistration.done'],
      ['registering', 'registered', 'registerClient.done'],
    ])
  })

  test('that finds no client removes it where no other one may be registered yet', async () => {
    const live = await start(answering({ isForgotten: true }))
    await live.send({ ...suspicious, maxPerHour: 1 })
    expect([live.value, live.context.client, live.context.configuration]).toEqual([
      { resting: 'failed' },
      undefined,
      undefined,
    ])
    const { code, details } = live.context.failure ?? {}
    expect([code, details?.reason]).toEqual(['RATE_LIMITED', 'registrationsPerIssuerPerHour'])
    expect(details?.retryAfterMs).toBeGreaterThan(HOUR_MS - 10_000)
    expect(ports(live)).toEqual(['registerClient', 'checkRegistration'])
  })

  test('is limited by the maximum of replacements as well', async () => {
    const live = await start(answering({ isForgotten: true }))
    await live.send({ ...suspicious, maxPerHour: 9, maxReplacementsPerHour: 1 })
    expect([live.value, live.context.failure?.code]).toEqual([{ resting: 'failed' }, 'RATE_LIMITED'])
  })

  test('that fails changes nothing but its instant', async () => {
    const live = await start(failing)
    await live.send(suspicious)
    expect([live.value, live.context.failure, live.context.client]).toEqual([
      { resting: 'registered' },
      undefined,
      dynamicClient,
    ])
    await live.send(suspicious)
    expect(ports(live)).toEqual(['registerClient', 'checkRegistration'])
  })

  test.each([
    ['was too slow', rejection('HTTP_TIMEOUT', 'notSent', { reason: 'leaseTooShort' })],
    ['was closing', rejection('CLOSED', 'notSent')],
  ])('that its process did not send, because it %s, is made by the next request', async (_, unsent) => {
    const live = await start(() => {
      throw unsent
    })
    await live.send(suspicious)
    const { client, failure: stored, checkedAt } = live.context
    expect([live.value, client, stored, checkedAt]).toEqual([
      { resting: 'registered' },
      dynamicClient,
      undefined,
      undefined,
    ])
    await live.send(suspicious)
    expect(ports(live)).toEqual(['registerClient', 'checkRegistration', 'checkRegistration'])
  })

  test('that its process does not finish changes nothing, and is made by the next one', async () => {
    const live = await start(answering({ isForgotten: true }))
    await live.send(suspicious, { stopAtCheckpoint: true })
    await live.send({ type: 'claim.expired', orphanId: 'another' }, { stopAtCheckpoint: true })
    expect(live.value).toEqual({ checking: 'claimed' })
    await live.send({ type: 'claim.expired', orphanId: live.context.claim?.id }, { afterMs: LEASE_MS })
    const { client, failure, claim, orphanedClaims, checkedAt } = live.context
    expect([live.value, client, failure, claim, orphanedClaims, checkedAt]).toEqual([
      { resting: 'registered' },
      dynamicClient,
      undefined,
      undefined,
      [],
      undefined,
    ])
    await live.send(suspicious)
    expect(ports(live)).toEqual(['registerClient', 'checkRegistration', 'registerClient'])
  })

  test('is claimed at most once an hour, and only for a usable client that need not be registered anyway', async () => {
    const live = await start(answering({ isForgotten: false }))
    await live.send(request)
    expect(ports(live)).toEqual(['registerClient'])
    await live.send(suspicious)
    await live.send(suspicious, { afterMs: HOUR_MS - 100 })
    expect(ports(live)).toEqual(['registerClient', 'checkRegistration'])
    await live.send({ ...suspicious, scope: 'write' }, { afterMs: 200 })
    expect(ports(live)).toEqual(['registerClient', 'checkRegistration', 'registerClient'])
    await live.send(suspicious)
    expect(ports(live).slice(3)).toEqual(['checkRegistration'])
    await live.send({ type: 'client.rejected', clientId: 'client-1' })
    await live.send(suspicious, { afterMs: HOUR_MS })
    expect(ports(live).slice(4)).toEqual(['registerClient'])
  })

  test('stores the credentials that the server has replaced', async () => {
    const client = { ...dynamicClient, clientSecret: 'fake-new-secret' }
    const replaced = { url: configuration.url, accessToken: 'fake-new-token' }
    const live = await start(answering({ isForgotten: false, client, configuration: replaced }))
    await live.send(suspicious)
    expect(live.context).toMatchObject({ client, configuration: replaced, generation: 1 })
  })
})

describe('the client configuration endpoint in a record', () => {
  test('is removed with its client, and is not that of the next one', async () => {
    const live = await start(failing)
    await live.send({ type: 'client.rejected', clientId: 'client-1' })
    expect(live.context.configuration).toBeUndefined()
    live.answers['registerClient'] = ({ at }) => ({ at, client: dynamicClient })
    await live.send(request)
    expect([live.context.client, live.context.configuration]).toEqual([dynamicClient, undefined])
  })

  test('has a strict schema with bounds', () => {
    const isValid = (value: object): boolean =>
      v.is(RegistrationContextSchema, registrationWith({ configuration: { ...configuration, ...value } }))
    expect(isValid({})).toBe(true)
    for (const change of [
      { accessToken: '' },
      { accessToken: 'a\nb' },
      { accessToken: 'x'.repeat(4_097) },
      { url: 'ftp://as.example.com' },
      { url: `${issuer}/${'x'.repeat(2_048)}` },
      { another: 'member' },
    ])
      expect(isValid(change)).toBe(false)
  })
})
