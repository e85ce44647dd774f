import { describe, expect, test } from 'vitest'
import { connectionMachine } from '../../../machines/connection.ts'
import { registrationMachine } from '../../../machines/registration.ts'
import { durableConnection, durableRegistration } from '../../../src/connection/chart-definitions.ts'
import type { ConnectionContext } from '../../../src/schemas/connection-context.ts'
import type { RegistrationContext } from '../../../src/schemas/registration.ts'
import { ATTEMPT, CLAIM, IDENTITY, SERVER, TOKENS } from '../durable/records.ts'
import { BEGINNING } from '../durable/test-time.ts'

const DAY_MS = 86_400_000
const connection = durableConnection(connectionMachine)
const registration = durableRegistration(registrationMachine)

const EMPTY: ConnectionContext = {
  identity: IDENTITY,
  at: BEGINNING,
  generation: 1,
  servers: [SERVER],
  attempts: [],
  endedAttempts: [],
  orphanedClaims: [],
  journal: [],
}
const UNREGISTERED: RegistrationContext = {
  issuer: SERVER.issuer,
  redirectUri: 'https://app.example/callback',
  at: BEGINNING,
  generation: 0,
  registrationEndpoint: `${SERVER.issuer}/register`,
  orphanedClaims: [],
  journal: [],
}

describe('how long a record is kept', () => {
  const { refreshToken: _, ...withoutRefresh } = TOKENS
  test.each<[string, Partial<ConnectionContext>, number | undefined]>([
    ['with tokens: for good', { tokens: TOKENS }, undefined],
    [
      'with tokens that cannot be refreshed: for good',
      { tokens: { ...withoutRefresh, refreshTokenExpiresAt: 1 } },
      undefined,
    ],
    [
      'with a refresh token that ends: a day longer',
      { tokens: { ...TOKENS, refreshTokenExpiresAt: BEGINNING + 5 } },
      DAY_MS + 5,
    ],
    ['with one that has ended: a day', { tokens: { ...TOKENS, refreshTokenExpiresAt: BEGINNING - 5 } }, DAY_MS],
    [
      'with tokens that need no user: for good',
      { tokens: { ...TOKENS, grant: 'client_credentials', refreshTokenExpiresAt: BEGINNING + 5 } },
      undefined,
    ],
    ['with a claim: longer than any lease', { claim: CLAIM, attempts: [ATTEMPT] }, 2 * DAY_MS],
    [
      'with attempts: a day after the end of the last',
      {
        attempts: [
          { ...ATTEMPT, expiresAt: BEGINNING + 9 },
          { ...ATTEMPT, expiresAt: BEGINNING + 5 },
        ],
      },
      DAY_MS + 9,
    ],
    ['with neither: a day', {}, DAY_MS],
  ])('of a connection %s', (_what, extra, ttlMs) => {
    expect(connection.ttlMs({ ...EMPTY, ...extra })).toBe(ttlMs)
  })

  test('of a registration: for good once there is a client', () => {
    expect(registration.ttlMs({ ...UNREGISTERED, client: SERVER.client })).toBeUndefined()
    expect(registration.ttlMs({ ...UNREGISTERED, claim: CLAIM })).toBe(2 * DAY_MS)
    expect(registration.ttlMs(UNREGISTERED)).toBe(DAY_MS)
  })
})

describe('what the holder of a claim has to tell if its result could not be saved', () => {
  const claimed = { ...EMPTY, claim: { ...CLAIM, stateHash: ATTEMPT.stateHash } }
  const rested = { ...EMPTY, generation: 2, tokens: TOKENS }

  test('the tokens, with the server that issued them', () => {
    expect(connection.lateResult(claimed, rested)).toEqual({
      type: 'result.late',
      orphanId: CLAIM.id,
      attemptHash: ATTEMPT.stateHash,
      generation: 1,
      tokens: TOKENS,
      server: SERVER,
    })
  })

  test.each<[string, ConnectionContext, ConnectionContext]>([
    ['it failed', claimed, { ...EMPTY, tokens: TOKENS }],
    ['nothing came of it', claimed, EMPTY],
    ['the tokens are gone', claimed, { ...EMPTY, generation: 2 }],
    ['there was no claim', EMPTY, rested],
  ])('nothing, where %s', (_what, before, after) => {
    expect(connection.lateResult(before, after)).toBeUndefined()
  })

  test('the client that was registered', () => {
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
