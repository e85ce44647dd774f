import { describe, expect, test } from 'vitest'
import { connectionMachine } from '../../../machines/connection.ts'
import { registrationMachine } from '../../../machines/registration.ts'
import { durableConnection, durableRegistration } from '../../../src/connection/chart-definitions.ts'
import type { ConnectionContext } from '../../../src/schemas/connection-context.ts'
import type { RegistrationContext } from '../../../src/schemas/registration.ts'
import { ATTEMPT, CLAIM, EMPTY_CONTEXT, SERVER, TOKENS } from '../durable/records.ts'
import { BEGINNING } from '../durable/test-time.ts'

const DAY_MS = 86_400_000
const connection = durableConnection(connectionMachine)
const registration = durableRegistration(registrationMachine)

const EMPTY: ConnectionContext = { ...EMPTY_CONTEXT, servers: [SERVER] }
const UNREGISTERED: RegistrationContext = {
  issuer: SERVER.issuer,
  redirectUri: 'https://app.example/callback',
  at: BEGINNING,
  generation: 0,
  registrationEndpoint: `${SERVER.issuer}/register`,
  orphanedClaims: [],
  journal: [],
}

describe('the TTL of a record', () => {
  const { refreshToken: _, ...withoutRefresh } = TOKENS
  test.each<[string, Partial<ConnectionContext>, number | undefined]>([
    ['with tokens does not expire', { tokens: TOKENS }, undefined],
    [
      'with tokens that cannot be refreshed does not expire',
      { tokens: { ...withoutRefresh, refreshTokenExpiresAt: 1 } },
      undefined,
    ],
    [
      'with an expiring refresh token is stored one day longer than the refresh token',
      { tokens: { ...TOKENS, expiresAt: BEGINNING + 4, refreshTokenExpiresAt: BEGINNING + 5 } },
      DAY_MS + 5,
    ],
    [
      'with an access token that expires after its refresh token is stored one day longer than the access token',
      { tokens: { ...TOKENS, expiresAt: BEGINNING + 6, refreshTokenExpiresAt: BEGINNING + 5 } },
      DAY_MS + 6,
    ],
    [
      'with an access token without an expiry does not expire, although its refresh token does',
      { tokens: { ...TOKENS, expiresAt: undefined, refreshTokenExpiresAt: BEGINNING + 5 } },
      undefined,
    ],
    [
      'with tokens that have expired is stored for one day',
      { tokens: { ...TOKENS, expiresAt: BEGINNING - 5, refreshTokenExpiresAt: BEGINNING - 5 } },
      DAY_MS,
    ],
    [
      'with tokens of a non-interactive grant does not expire',
      { tokens: { ...TOKENS, grant: 'client_credentials', refreshTokenExpiresAt: BEGINNING + 5 } },
      undefined,
    ],
    ['with a claim is stored for two days, longer than any lease', { claim: CLAIM, attempts: [ATTEMPT] }, 2 * DAY_MS],
    [
      'with attempts is stored for one day after the last attempt expires',
      {
        attempts: [
          { ...ATTEMPT, expiresAt: BEGINNING + 9 },
          { ...ATTEMPT, expiresAt: BEGINNING + 5 },
        ],
      },
      DAY_MS + 9,
    ],
    ['without tokens, claim and attempts is stored for one day', {}, DAY_MS],
    [
      'with a pending revocation is stored for one day after its last attempt',
      { revocations: [{ id: 'r', startedAt: EMPTY.at - 1, pending: { server: SERVER, accessToken: 'a' } }] },
      2 * DAY_MS - 1,
    ],
    [
      'with a decided revocation is stored for one day',
      { revocations: [{ id: 'r', startedAt: EMPTY.at, outcome: 'yes' }] },
      DAY_MS,
    ],
  ])('the record of a connection %s', (_what, extra, ttlMs) => {
    expect(connection.ttlMs({ ...EMPTY, ...extra })).toBe(ttlMs)
  })

  test('the record of a registration expires 90 days after its last write, without a client earlier', () => {
    expect(registration.ttlMs({ ...UNREGISTERED, client: SERVER.client })).toBe(90 * DAY_MS)
    expect(registration.ttlMs({ ...UNREGISTERED, claim: CLAIM })).toBe(2 * DAY_MS)
    expect(registration.ttlMs(UNREGISTERED)).toBe(DAY_MS)
  })
})

describe('the late result of a claim', () => {
  const claimed = { ...EMPTY, claim: { ...CLAIM, stateHash: ATTEMPT.stateHash } }
  const rested = { ...EMPTY, generation: 2, tokens: TOKENS }

  test('the late result of a token request contains the tokens and the server that issued them', () => {
    expect(connection.lateResult(claimed, rested)).toEqual({
      type: 'result.late',
      orphanId: CLAIM.id,
      kind: CLAIM.kind,
      attemptHash: ATTEMPT.stateHash,
      generation: 1,
      tokens: TOKENS,
      server: SERVER,
    })
  })

  test('the late result of a revocation is its decision, and nothing while it is pending', () => {
    const revoking = { ...EMPTY, claim: { ...CLAIM, kind: 'disconnect' as const, revocationId: 'r' } }
    const revocation = { id: 'r', startedAt: EMPTY.at }
    expect(connection.lateResult(revoking, { ...rested, revocations: [{ ...revocation, outcome: 'yes' }] })).toEqual({
      type: 'revocation.late',
      id: 'r',
      outcome: 'yes',
    })
    const pending = { server: SERVER, accessToken: 'a' }
    expect(connection.lateResult(revoking, { ...rested, revocations: [{ ...revocation, pending }] })).toBeUndefined()
  })

  test('the late result of a sign-in whose tokens must not be stored contains them and their server', () => {
    const pending = { server: SERVER, accessToken: 'a', refreshToken: 'r', retryAt: EMPTY.at }
    const after = { ...EMPTY, revocations: [{ id: CLAIM.id, startedAt: EMPTY.at, pending }] }
    expect(connection.lateResult(claimed, after)).toEqual({
      type: 'tokens.discarded',
      id: CLAIM.id,
      server: SERVER,
      accessToken: 'a',
      refreshToken: 'r',
    })
  })

  test('only the claim of a revocation yields to other events', () => {
    expect(connection.yields?.({ ...CLAIM, kind: 'disconnect', revocationId: 'r' })).toBe(true)
    expect(connection.yields?.(CLAIM)).toBe(false)
  })

  test.each<[string, ConnectionContext, ConnectionContext]>([
    ['the request failed', claimed, { ...EMPTY, tokens: TOKENS }],
    ['the request changed nothing', claimed, EMPTY],
    ['the tokens are gone', claimed, { ...EMPTY, generation: 2 }],
    ['the record had no claim', EMPTY, rested],
  ])('the late result of a token request is undefined when %s', (_what, before, after) => {
    expect(connection.lateResult(before, after)).toBeUndefined()
  })

  test('the late result of a registration contains the client that was registered', () => {
    const asked = { ...UNREGISTERED, claim: { ...CLAIM, kind: 'register' as const } }
    const done = { ...UNREGISTERED, generation: 1, client: SERVER.client }
    expect(registration.lateResult(asked, done)).toEqual({
      type: 'result.late',
      orphanId: CLAIM.id,
      generation: 0,
      client: SERVER.client,
    })
    expect(registration.lateResult(UNREGISTERED, done)).toBeUndefined()
    expect(registration.lateResult(asked, { ...UNREGISTERED, generation: 1 })).toBeUndefined()
    expect(registration.lateResult(asked, { ...done, generation: 0 })).toBeUndefined()
  })
})
