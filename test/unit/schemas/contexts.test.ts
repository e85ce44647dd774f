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
  journal: [{ at: START, from: 'disconnected', to: 'authorized', reason: 'exchangeCode.done' }],
})
const isConnection = (changes: object): boolean => v.is(ConnectionContextSchema, { ...whole, ...changes })

test('a whole context is read as it is', () => {
  expect(v.parse(ConnectionContextSchema, whole)).toEqual(whole)
  const registration = registrationWith({ client: dynamicClient, failure: { code: 'REGISTRATION_REJECTED' } })
  expect(v.parse(RegistrationContextSchema, registration)).toEqual(registration)
})

test('what is optional may be there as `undefined`, or not at all', () => {
  const optional = {
    historyTruncatedAt: undefined,
    imported: undefined,
    request: undefined,
    retryAt: undefined,
    reauthorizationRequired: undefined,
    rejectedClient: undefined,
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

describe('a context is refused', () => {
  test.each<[string, object]>([
    ['without an instant', { at: undefined }],
    ['with an instant that is none', { at: Number.NaN }],
    ['with an instant beyond all', { at: Infinity }],
    ['with a generation below zero', { generation: -1 }],
    ['with half a generation', { generation: 0.5 }],
    ['with an empty tenant', { identity: { tenant: '', server: 'https://mcp.example.com/mcp' } }],
    ['with a member that nobody knows', { later: true }],
    ['with a token that nobody knows of', { tokens: { ...tokens, idToken: 'fake' } }],
    ['with an unknown grant', { tokens: { ...tokens, grant: 'password' } }],
    ['with an empty access token', { tokens: { ...tokens, accessToken: '' } }],
    ['with a mark that is not true', { tokens: { ...tokens, unverified: false } }],
    ['with an unknown claim', { claim: { id: 'claim-1', kind: 'wash', leaseMs: 1, retries: 0 } }],
    [
      'with an unknown end of an attempt',
      { endedAttempts: [{ stateHash: 'hash-1', outcome: 'lost', endedAt: START }] },
    ],
    ['with a code that is not ours', { failure: { code: 'OOPS' } }],
    ['with a detail that is not ours', { failure: { code: 'HTTP_TIMEOUT', details: { body: 'secret' } } }],
    ['with a client from nowhere', { servers: [{ ...server, client: { ...dynamicClient, source: 'found' } }] }],
    ['without a journal', { journal: undefined }],
  ])('%s', (_, changes) => {
    expect(isConnection({})).toBe(true)
    expect(isConnection(changes)).toBe(false)
  })
})

test('every failure that can be told can be stored', () => {
  expect(FAILURE_CODES.filter((code) => !isConnection({ failure: { code } }))).toEqual([])
  const same: (failure: Failure) => Readonly<v.InferOutput<typeof FailureSchema>> = (failure) => failure
  expect(same({ code: 'ABORTED' })).toEqual({ code: 'ABORTED' })
})
