import { describe, expect, test } from 'vitest'
import type { AnyMachineSnapshot } from 'xstate'
import { connectionMachine } from '../../machines/connection.ts'
import type { ConnectionCommand } from '../../machines/connection/events.ts'
import { registrationMachine } from '../../machines/registration.ts'
import type { RegistrationCommand } from '../../machines/registration/events.ts'
import type { Claim, ConnectionContext } from '../../src/schemas/connection-context.ts'
import type { RegistrationContext } from '../../src/schemas/registration.ts'
import { leavesOf, placeOf, restore } from '../support/charts/chart-graph.ts'
import {
  CODE_TTL_MS,
  contextWith,
  dynamicClient,
  issuer,
  LEASE_MS,
  registrationWith,
  server,
  START,
  TOKEN_TTL_MS,
  tokens,
  wishes,
} from '../support/charts/facts.ts'

const attempt = {
  stateHash: 'hash-1',
  verifier: 'fake-verifier',
  serverId: 1,
  scope: 'read',
  bindingHash: 'fake-binding-hash',
  expiresAt: START + 300_000,
}
const claimOf = (kind: 'exchange' | 'refresh' | 'requestToken' | 'disconnect'): Claim => ({
  id: 'claim-1',
  kind,
  leaseMs: LEASE_MS,
  retries: 0,
  ...(kind === 'exchange' && { stateHash: 'hash-1' }),
})
const { serverId: _, ...importedTokens } = tokens
const { refreshToken: _token, ...lastTokens } = tokens
const orphanedClaims = [
  { id: 'claim-0', retried: false },
  { id: 'claim-disconnected', retried: false, disconnected: true as const },
]
const revocations: ConnectionContext['revocations'] = [
  { id: 'revocation-0', startedAt: START, outcome: 'failed' },
  { id: 'revocation-1', startedAt: START, pending: { server, accessToken: 'fake-access-token', retryAt: START } },
]
const withServer = { servers: [server], generation: 1 }

/**
 * A record for each storable state of the connection chart, and for each variant in which a command is answered
 * otherwise.
 */
const connections: Record<string, { value: unknown; context: ConnectionContext }> = {
  disconnected: { value: { resting: 'disconnected' }, context: contextWith({ orphanedClaims }) },
  awaiting: {
    value: { resting: 'awaitingCallback' },
    context: contextWith({ servers: [server], attempts: [attempt], orphanedClaims }),
  },
  'awaiting+code': {
    value: { resting: 'awaitingCallback' },
    context: contextWith({ servers: [server], attempts: [{ ...attempt, code: 'fake-code' }], orphanedClaims }),
  },
  authorized: { value: { resting: 'authorized' }, context: contextWith({ ...withServer, tokens, orphanedClaims }) },
  imported: {
    value: { resting: 'authorized' },
    context: contextWith({ generation: 1, tokens: importedTokens, orphanedClaims }),
  },
  clientCredentials: {
    value: { resting: 'authorized' },
    context: contextWith({ ...withServer, tokens: { ...lastTokens, grant: 'client_credentials' }, orphanedClaims }),
  },
  lastToken: {
    value: { resting: 'authorized' },
    context: contextWith({ ...withServer, tokens: lastTokens, orphanedClaims }),
  },
  reauthorize: {
    value: { resting: 'reauthorizationRequired' },
    context: contextWith({
      ...withServer,
      tokens: { ...lastTokens, refreshTokenRejected: true },
      reauthorizationRequired: true,
      orphanedClaims,
    }),
  },
  rejected: {
    value: { resting: 'reauthorizationRequired' },
    context: contextWith({ ...withServer, tokens: { ...lastTokens, rejectedBy: 'server' }, orphanedClaims }),
  },
  failed: { value: { resting: 'failed' }, context: contextWith({ failure: { code: 'HTTP_NETWORK' }, orphanedClaims }) },
  exchanging: {
    value: { exchanging: 'claimed' },
    context: contextWith({
      servers: [server],
      attempts: [{ ...attempt, code: 'fake-code' }],
      claim: claimOf('exchange'),
      orphanedClaims,
    }),
  },
  refreshing: {
    value: { refreshing: 'claimed' },
    context: contextWith({ ...withServer, tokens, claim: claimOf('refresh'), orphanedClaims }),
  },
  suspected: {
    value: { refreshing: 'claimed' },
    context: contextWith({
      ...withServer,
      tokens,
      claim: { id: 'claim-1', kind: 'refresh', leaseMs: LEASE_MS, retries: 0, outcomeUnknown: true },
      orphanedClaims,
    }),
  },
  requestingToken: {
    value: { requestingToken: 'claimed' },
    context: contextWith({ ...withServer, claim: claimOf('requestToken'), orphanedClaims }),
  },
  retiring: {
    value: { retiring: 'recorded' },
    context: contextWith({ ...withServer, rejectedClient: { issuer, clientId: 'client-1' }, orphanedClaims }),
  },
  disconnecting: {
    value: { disconnecting: 'claimed' },
    context: contextWith({
      revocations,
      claim: { ...claimOf('disconnect'), revocationId: 'revocation-1' },
      orphanedClaims,
    }),
  },
}

const callback = { type: 'callback.received', code: 'fake-code', codeTtlMs: CODE_TTL_MS } as const
const denied = { type: 'callback.denied', error: 'access_denied' } as const
const mine = { stateHash: 'hash-1', bindingHash: 'fake-binding-hash' }
const late = {
  type: 'result.late',
  orphanId: 'claim-0',
  kind: 'exchange',
  server,
  tokens: { ...tokens, expiresAt: START + TOKEN_TTL_MS },
} as const

/** Every command, in each variant that is answered otherwise; `at` where time matters. */
const commands: Record<string, (context: ConnectionContext) => ConnectionCommand & { at?: number }> = {
  'authorization.requested': () => ({ type: 'authorization.requested', request: wishes() }),
  'challenge.insufficientScope': () => ({
    type: 'challenge.insufficientScope',
    request: wishes({ scope: 'read write' }),
  }),
  'challenge.insufficientAuthentication': () => ({
    type: 'challenge.insufficientAuthentication',
    request: wishes(),
  }),
  'challenge.received': ({ generation }) => ({ type: 'challenge.received', generation, challenge: { scope: 'read' } }),
  'challenge.received, older generation': ({ generation }) => ({
    type: 'challenge.received',
    generation: generation - 1,
    challenge: {},
  }),
  'token.rejected': ({ generation }) => ({ type: 'token.rejected', generation, challenge: {}, by: 'server' }),
  'token.rejected, older generation': ({ generation }) => ({
    type: 'token.rejected',
    generation: generation - 1,
    by: 'server',
  }),
  'token.accepted': ({ generation }) => ({ type: 'token.accepted', generation, rejection: 0 }),
  'request.servedWithoutToken': () => ({ type: 'request.servedWithoutToken' }),
  'callback.received': () => ({ ...callback, ...mine, iss: issuer }),
  'callback.received, without iss': () => ({ ...callback, ...mine }),
  'callback.received, browser recognised': () => ({ ...callback, stateHash: 'hash-1', bindingProven: true }),
  'callback.received, unknown state': () => ({ ...callback, ...mine, stateHash: 'hash-2' }),
  'callback.received, other issuer': () => ({ ...callback, ...mine, iss: `${issuer}/` }),
  'callback.received, other browser': () => ({ ...callback, ...mine, bindingHash: 'another' }),
  'callback.received, no binding': () => ({ ...callback, stateHash: 'hash-1' }),
  'callback.received, too late': () => ({ ...callback, ...mine, at: attempt.expiresAt }),
  'callback.denied': () => ({ ...denied, ...mine }),
  'callback.denied, other issuer': () => ({ ...denied, ...mine, iss: 'https://evil.example' }),
  'exchange.resumed': () => ({ type: 'exchange.resumed', stateHash: 'hash-1' }),
  'exchange.resumed, too late': () => ({ type: 'exchange.resumed', stateHash: 'hash-1', at: attempt.expiresAt }),
  'attempt.expired': () => ({ type: 'attempt.expired' }),
  'refresh.requested': ({ generation }) => ({ type: 'refresh.requested', generation }),
  'refresh.requested, older generation': ({ generation }) => ({
    type: 'refresh.requested',
    generation: generation - 1,
  }),
  'disconnect.requested': () => ({ type: 'disconnect.requested', id: 'disconnect-1' }),
  'revocation.resumed': () => ({ type: 'revocation.resumed', id: 'revocation-1' }),
  'revocation.resumed, decided': () => ({ type: 'revocation.resumed', id: 'revocation-0' }),
  'revocation.resumed, unknown': () => ({ type: 'revocation.resumed', id: 'unknown' }),
  'revocation.late': () => ({ type: 'revocation.late', id: 'revocation-1', outcome: 'yes' }),
  'revocation.late, decided': () => ({ type: 'revocation.late', id: 'revocation-0', outcome: 'yes' }),
  'tokens.discarded': () => ({
    type: 'tokens.discarded',
    id: 'claim-0',
    server,
    accessToken: 'fake-access-token',
    refreshToken: undefined,
  }),
  'tokens.discarded, again': () => ({
    type: 'tokens.discarded',
    id: 'revocation-1',
    server,
    accessToken: 'fake-access-token',
    refreshToken: undefined,
  }),
  'credentials.imported': ({ generation }) => ({
    type: 'credentials.imported',
    generation,
    tokens: importedTokens,
    clientInformation: undefined,
    issuer,
  }),
  'credentials.imported, older generation': ({ generation }) => ({
    type: 'credentials.imported',
    generation: generation - 1,
    tokens: importedTokens,
    clientInformation: undefined,
    issuer,
  }),
  'result.late': ({ generation }) => ({ ...late, generation }),
  'result.late, older generation': ({ generation }) => ({ ...late, generation: generation - 1 }),
  'result.late, disconnected': ({ generation }) => ({ ...late, generation, orphanId: 'claim-disconnected' }),
  'result.late, unknown claim': ({ generation }) => ({ ...late, generation, orphanId: 'unknown' }),
  'claim.expired': () => ({ type: 'claim.expired', orphanId: 'claim-1' }),
  'claim.expired, another claim': () => ({ type: 'claim.expired', orphanId: 'claim-0' }),
  'checkpoint.saved': () => ({ type: 'checkpoint.saved', sendBefore: 1_000 }),
}

const always =
  'disconnected, awaiting, awaiting+code, authorized, imported, clientCredentials, lastToken, reauthorize, rejected, failed'
/** Where each command is taken; everywhere else it is refused, and nothing is changed by it. */
const taken: Record<string, string> = {
  'authorization.requested': always,
  'challenge.insufficientScope': always,
  'challenge.insufficientAuthentication': always,
  'challenge.received': always,
  'challenge.received, older generation': '',
  'token.rejected': 'authorized, imported, clientCredentials, lastToken, reauthorize',
  'token.rejected, older generation': '',
  'token.accepted': 'rejected',
  'request.servedWithoutToken': always,
  'callback.received': 'awaiting, awaiting+code',
  'callback.received, without iss': 'awaiting, awaiting+code',
  'callback.received, browser recognised': 'awaiting, awaiting+code',
  'callback.received, unknown state': '',
  'callback.received, other issuer': '',
  'callback.received, other browser': '',
  'callback.received, no binding': '',
  'callback.received, too late': '',
  'callback.denied': 'awaiting, awaiting+code',
  'callback.denied, other issuer': '',
  'exchange.resumed': 'awaiting+code',
  'exchange.resumed, too late': '',
  'attempt.expired': always,
  'refresh.requested': 'authorized, imported, clientCredentials',
  'refresh.requested, older generation': '',
  'disconnect.requested': always,
  'revocation.resumed': always,
  'revocation.resumed, decided': '',
  'revocation.resumed, unknown': '',
  'revocation.late': always,
  'revocation.late, decided': '',
  'tokens.discarded': always,
  'tokens.discarded, again': '',
  'credentials.imported': always,
  'credentials.imported, older generation': '',
  'result.late': always,
  'result.late, older generation': '',
  // The connection was disconnected meanwhile: what comes late is revoked.
  'result.late, disconnected': always,
  'result.late, unknown claim': '',
  'claim.expired': 'exchanging, refreshing, suspected, requestingToken, disconnecting',
  'claim.expired, another claim': '',
  'checkpoint.saved': 'exchanging, refreshing, requestingToken, retiring, disconnecting',
}

const stamp = { at: START + 1, claimId: 'claim-2', leaseMs: LEASE_MS }

describe('a connection', () => {
  const records = Object.entries(connections).map(
    ([name, { value, context }]) =>
      [name, restore(connectionMachine, { value, context: { revocations, ...context } })] as const,
  )

  test('the connection records of this test cover every storable state', () => {
    const places = leavesOf(connectionMachine).flatMap(({ path, tags }) =>
      tags.includes('storable') ? [path.join('.')] : [],
    )
    expect(new Set(records.map(([, record]) => placeOf(record)))).toEqual(new Set(places))
  })

  test('the commands of this test cover every event of the connection chart', () => {
    const existing = new Set(connectionMachine.events.filter((type) => !type.startsWith('xstate.')))
    expect(new Set(Object.values(commands).map((command) => command(contextWith()).type))).toEqual(existing)
    expect(Object.keys(taken)).toEqual(Object.keys(commands))
  })

  test.each(Object.entries(commands))(
    'the connection chart accepts %s only in the states listed for it',
    (name, command) => {
      const takers = records.flatMap(([record, snapshot]) =>
        snapshot.can({ ...stamp, ...command(snapshot.context as ConnectionContext) }) ? [record] : [],
      )
      expect(takers.join(', ')).toBe(taken[name])
    },
  )
})

describe('a registration', () => {
  const claim = { id: 'claim-1', kind: 'register', leaseMs: LEASE_MS, retries: 0 } as const
  const records: Record<string, { value: unknown; context: RegistrationContext }> = {
    unregistered: { value: { resting: 'unregistered' }, context: registrationWith({ orphanedClaims }) },
    registered: {
      value: { resting: 'registered' },
      context: registrationWith({ client: dynamicClient, orphanedClaims }),
    },
    expired: {
      value: { resting: 'registered' },
      context: registrationWith({ client: { ...dynamicClient, clientSecretExpiresAt: START + 1 }, orphanedClaims }),
    },
    failed: {
      value: { resting: 'failed' },
      context: registrationWith({ failure: { code: 'REGISTRATION_REJECTED' }, orphanedClaims }),
    },
    checking: {
      value: { checking: 'claimed' },
      context: registrationWith({
        client: dynamicClient,
        claim,
        check: { tokenEndpoint: `${issuer}/token` },
        orphanedClaims,
      }),
    },
    registering: { value: { registering: 'claimed' }, context: registrationWith({ claim, orphanedClaims }) },
    suspected: {
      value: { registering: 'claimed' },
      context: registrationWith({ claim: { ...claim, outcomeUnknown: true }, orphanedClaims }),
    },
  }
  const request = {
    type: 'registration.requested',
    registrationEndpoint: 'https://as.example.com/register',
    tokenEndpointAuthMethodsSupported: undefined,
  } as const
  const result = { type: 'result.late', orphanId: 'claim-0', generation: 0, client: dynamicClient } as const
  const rows: [string, RegistrationCommand, string][] = [
    ['registration.requested', request, 'unregistered, expired, failed'],
    [
      'registration.requested, with a check',
      { ...request, check: { tokenEndpoint: `${issuer}/token` } },
      'unregistered, registered, expired, failed',
    ],
    ['client.rejected', { type: 'client.rejected', clientId: 'client-1' }, 'registered, expired'],
    ['client.rejected, another client', { type: 'client.rejected', clientId: 'client-2' }, ''],
    ['result.late', result, 'unregistered, registered, expired, failed'],
    ['result.late, older generation', { ...result, generation: -1 }, ''],
    ['result.late, unknown claim', { ...result, orphanId: 'unknown' }, ''],
    ['claim.expired', { type: 'claim.expired', orphanId: 'claim-1' }, 'checking, registering, suspected'],
    ['claim.expired, another claim', { type: 'claim.expired', orphanId: 'claim-0' }, ''],
    ['checkpoint.saved', { type: 'checkpoint.saved', sendBefore: 1_000 }, 'checking, registering'],
  ]
  const snapshots = Object.entries(records).map(
    ([name, record]) => [name, restore(registrationMachine, record)] as [string, AnyMachineSnapshot],
  )

  test('the registration records and commands of this test cover every storable state and event', () => {
    const places = leavesOf(registrationMachine).flatMap(({ path, tags }) =>
      tags.includes('storable') ? [path.join('.')] : [],
    )
    expect(new Set(snapshots.map(([, record]) => placeOf(record)))).toEqual(new Set(places))
    const existing = registrationMachine.events.filter((type) => !type.startsWith('xstate.'))
    expect(new Set(rows.map(([, { type }]) => type))).toEqual(new Set(existing))
  })

  test.each(rows)('the registration chart accepts %s only in the states listed for it', (_name, command, where) => {
    const takers = snapshots.flatMap(([name, snapshot]) => (snapshot.can({ ...stamp, ...command }) ? [name] : []))
    expect(takers.join(', ')).toBe(where)
  })
})
