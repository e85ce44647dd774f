import * as v from 'valibot'
import { describe, expect, test } from 'vitest'
import { type Failure, FAILURE_CODES } from '../../../src/errors/failure.ts'
import { ConnectionContextSchema } from '../../../src/schemas/connection-context.ts'
import type { FailureSchema } from '../../../src/schemas/credentials.ts'
import { RegistrationContextSchema } from '../../../src/schemas/registration.ts'
import {
  contextWith,
  dynamicClient,
  LEASE_MS,
  registrationWith,
  server,
  START,
  tokens,
} from '../../support/charts/facts.ts'

const whole = contextWith({
  servers: [server],
  tokens,
  attempts: [{ stateHash: 'hash-1', verifier: 'fake-verifier', serverId: 1, expiresAt: START }],
  endedAttempts: [{ stateHash: 'hash-0', outcome: 'denied', endedAt: START }],
  claim: { id: 'claim-1', kind: 'refresh', leaseMs: LEASE_MS, retries: 0 },
  orphanedClaims: [{ id: 'claim-0', retried: true }],
  failure: { code: 'HTTP_TIMEOUT', details: { host: 'as.example.com', retryAfterMs: 1 } },
  challenge: {
    at: START,
    generation: 0,
    error: 'invalid_token',
    scope: 'read',
    resourceMetadataUrl: 'https://mcp.example.com/prm',
    acrValues: 'strong',
    maxAge: '5',
  },
  notRequiredAt: START,
  journal: [{ at: START, from: 'disconnected', to: 'authorized', reason: 'exchangeCode.done' }],
})
const request = {
  scope: 'read',
  attemptTtlMs: 1,
  purpose: 'authorize',
  claimId: 'claim-1',
  leaseMs: LEASE_MS,
}
const isConnection = (changes: object): boolean => v.is(ConnectionContextSchema, { ...whole, ...changes })

test('a complete connection context and a complete registration context are parsed unchanged', () => {
  expect(v.parse(ConnectionContextSchema, whole)).toEqual(whole)
  const registration = registrationWith({ client: dynamicClient, failure: { code: 'REGISTRATION_REJECTED' } })
  expect(v.parse(RegistrationContextSchema, registration)).toEqual(registration)
})

test('an optional member of a connection context may be `undefined` or absent', () => {
  const optional = {
    historyTruncatedAt: undefined,
    imported: undefined,
    request: undefined,
    retryAt: undefined,
    reauthorizationRequired: undefined,
    rejectedClient: undefined,
    challenge: undefined,
    notRequiredAt: undefined,
  }
  expect(
    v.parse(ConnectionContextSchema, {
      ...contextWith(),
      ...optional,
      tokens: undefined,
      claim: undefined,
      failure: undefined,
    }),
  ).toEqual(contextWith())
})

describe('a connection context', () => {
  test.each<[string, object]>([
    ['without an instant', { at: undefined }],
    ['with an instant that is not a number', { at: Number.NaN }],
    ['with an infinite instant', { at: Infinity }],
    ['with a negative generation', { generation: -1 }],
    ['with a fractional generation', { generation: 0.5 }],
    ['with an empty tenant', { identity: { tenant: '', server: 'https://mcp.example.com/mcp' } }],
    ['with an unknown member', { later: true }],
    ['with an unknown token member', { tokens: { ...tokens, idToken: 'fake' } }],
    ['with an unknown grant', { tokens: { ...tokens, grant: 'password' } }],
    ['with an empty access token', { tokens: { ...tokens, accessToken: '' } }],
    ['with an `unverified` mark other than true', { tokens: { ...tokens, unverified: false } }],
    ['with an unknown kind of claim', { claim: { id: 'claim-1', kind: 'wash', leaseMs: 1, retries: 0 } }],
    [
      'with an unknown outcome of an ended attempt',
      { endedAttempts: [{ stateHash: 'hash-1', outcome: 'lost', endedAt: START }] },
    ],
    ['with an unknown failure code', { failure: { code: 'OOPS' } }],
    ['with an unknown failure detail', { failure: { code: 'HTTP_TIMEOUT', details: { body: 'secret' } } }],
    [
      'with too many URLs in a failure',
      { failure: { code: 'AUTHORIZATION_NOT_OFFERED', details: { urls: Array(9).fill('https://h/') } } },
    ],
    ['with a client of an unknown source', { servers: [{ ...server, client: { ...dynamicClient, source: 'found' } }] }],
    ['with a challenge without a generation', { challenge: { at: START } }],
    ['with an unknown challenge member', { challenge: { at: START, generation: 0, realm: 'x' } }],
    ['with a `notRequiredAt` that is not an instant', { notRequiredAt: '2026' }],
    ['with an unknown way to ask the server', { request: { ...request, asksServer: 'twice' } }],
    ['without a journal', { journal: undefined }],
    ['with an infinite lifetime of its tokens', { tokens: { ...tokens, lifetimeMs: Infinity } }],
    ['with an infinite delay in a failure', { failure: { code: 'RATE_LIMITED', details: { retryAfterMs: Infinity } } }],
    ['with an infinite status in a failure', { failure: { code: 'RATE_LIMITED', details: { status: Infinity } } }],
  ])('is rejected %s', (_, changes) => {
    expect(isConnection({})).toBe(true)
    expect(isConnection(changes)).toBe(false)
  })
})

test.each([
  { at: Infinity },
  { generation: 0.5 },
  { registeredAt: [Infinity] },
  { maxPerHour: Infinity },
  { failedMethods: [{ method: 'none', at: Infinity }] },
])('a registration context is rejected with %o, which JSON or the chart cannot hold', (changes) => {
  expect(v.is(RegistrationContextSchema, registrationWith({}))).toBe(true)
  expect(v.is(RegistrationContextSchema, { ...registrationWith({}), ...changes })).toBe(false)
})

test('a request can store how the server is asked, and what its responses mean', () => {
  const resource = { issuer: 'https://mcp.example.com', legacy: true, requestedUrls: ['https://mcp.example.com/mcp'] }
  expect(
    isConnection({ request: { ...request, asksServer: 'anew', resource: { ...resource, mayGuessEndpoints: true } } }),
  ).toBe(true)
  expect(
    isConnection({
      request: { ...request, asksServer: 'cached', resource: { ...resource, answeredWithoutToken: true } },
    }),
  ).toBe(true)
  expect(isConnection({ request: { ...request, resource: { ...resource, mayGuessEndpoints: false } } })).toBe(false)
})

test('a connection context can store every failure code', () => {
  expect(FAILURE_CODES.filter((code) => !isConnection({ failure: { code } }))).toEqual([])
  const urls = Array<string>(8).fill('https://h/')
  expect(isConnection({ failure: { code: 'AUTHORIZATION_NOT_OFFERED', details: { urls } } })).toBe(true)
  const same: (failure: Failure) => Readonly<v.InferOutput<typeof FailureSchema>> = (failure) => failure
  expect(same({ code: 'ABORTED' })).toEqual({ code: 'ABORTED' })
})
