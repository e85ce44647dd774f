import { describe, expect, test } from 'vitest'
import { actionsBetween, identityOf } from '../../../src/connection/host-actions.ts'
import type { ConnectionContext } from '../../../src/schemas/connection-context.ts'
import { ATTEMPT, EMPTY_CONTEXT, IDENTITY, ISSUER, SERVER, TOKENS } from '../durable/records.ts'
import { BEGINNING, recordClock } from '../durable/test-time.ts'

const COMMON = { tenant: 't1', user: 'u1', server: IDENTITY.server, label: undefined }
const SIGNED_IN: ConnectionContext = { ...EMPTY_CONTEXT, servers: [SERVER], tokens: TOKENS }

const SAVE_CLIENT = {
  type: 'saveClientInformation',
  ...COMMON,
  generation: 1,
  data: {
    issuer: ISSUER,
    clientId: 'client-1',
    clientSecret: 'secret-of-client-1',
    clientSecretExpiresAt: undefined,
    tokenEndpointAuthMethod: 'client_secret_basic',
    redirectUri: 'https://app.example/callback',
  },
}
const SAVE_TOKENS = {
  type: 'saveTokens',
  ...COMMON,
  generation: 1,
  data: {
    accessToken: 'access-old',
    tokenType: 'Bearer',
    scope: 'mcp:tools',
    expiresAt: BEGINNING + 60_000,
    refreshToken: 'refresh-old',
    grant: 'authorization_code',
    issuer: ISSUER,
  },
}
const FORGET_TOKENS = { type: 'forgetTokens', ...COMMON, generation: 2, data: { issuer: ISSUER } }

/** The actions on a process whose clock is that of the record. */
const between = (before: ConnectionContext | undefined, after: ConnectionContext | undefined) =>
  actionsBetween(before, after && { context: after, toLocal: recordClock(0) })

describe('actionsBetween()', () => {
  test('actionsBetween() returns no action for an empty record', () => {
    expect(between(undefined, undefined)).toEqual([])
    expect(between(undefined, EMPTY_CONTEXT)).toEqual([])
  })

  test('actionsBetween() saves the client as soon as an attempt uses it, and tokens together with their client', () => {
    expect(between(undefined, { ...EMPTY_CONTEXT, servers: [SERVER], attempts: [ATTEMPT] })).toEqual([SAVE_CLIENT])
    expect(between(EMPTY_CONTEXT, SIGNED_IN)).toEqual([SAVE_CLIENT, SAVE_TOKENS])
  })

  test('actionsBetween() saves the client of the tokens before that of an attempt at another server', () => {
    const elsewhere = { ...SERVER, id: 2, issuer: 'https://other.example' }
    const after = { ...SIGNED_IN, servers: [SERVER, elsewhere], attempts: [{ ...ATTEMPT, serverId: 2 }] }
    expect(between(SIGNED_IN, after)).toEqual([SAVE_CLIENT, SAVE_TOKENS])
  })

  test('actionsBetween() saves imported tokens with the imported issuer, if there is one', () => {
    const { serverId: _, ...tokens } = TOKENS
    const after = { ...EMPTY_CONTEXT, tokens, imported: { issuer: ISSUER } }
    expect(between(undefined, after)).toEqual([SAVE_TOKENS])
    expect(between(undefined, { ...EMPTY_CONTEXT, tokens })).toEqual([
      { ...SAVE_TOKENS, data: { ...SAVE_TOKENS.data, issuer: undefined } },
    ])
  })

  test('actionsBetween() does not save tokens whose refresh token was rejected or that are unverified', () => {
    const dead = { ...SIGNED_IN, tokens: { ...TOKENS, refreshTokenRejected: true as const } }
    expect(between(SIGNED_IN, dead)).toEqual([SAVE_CLIENT])
    const unverified = { ...SIGNED_IN, tokens: { ...TOKENS, unverified: true as const } }
    expect(between(SIGNED_IN, unverified)).toEqual([SAVE_CLIENT])
  })

  test('actionsBetween() forgets tokens that were deleted', () => {
    expect(between(SIGNED_IN, { ...EMPTY_CONTEXT, generation: 2 })).toEqual([FORGET_TOKENS])
    const { serverId: _, ...unbound } = TOKENS
    expect(between({ ...SIGNED_IN, tokens: unbound }, { ...EMPTY_CONTEXT, generation: 2 })).toEqual([
      { ...FORGET_TOKENS, data: { issuer: undefined } },
    ])
  })

  test('actionsBetween() forgets the client too when the registration was retired', () => {
    const retiring = { at: BEGINNING + 1, from: 'refreshing', to: 'retiring', reason: 'REFRESH_REJECTED' }
    const after = { ...EMPTY_CONTEXT, generation: 2, journal: [retiring] }
    const registered = { ...SERVER, client: { ...SERVER.client, source: 'dynamic' as const } }
    const before = { ...SIGNED_IN, servers: [registered] }
    const forgetClient = { ...FORGET_TOKENS, type: 'forgetClientInformation' }
    expect(between(before, after)).toEqual([FORGET_TOKENS, forgetClient])
    // Without tokens as well: its server rejected it at the exchange.
    const waiting = { ...EMPTY_CONTEXT, servers: [registered], attempts: [ATTEMPT] }
    expect(between(waiting, after)).toEqual([forgetClient])
    // The client of the tokens elsewhere is as good as before.
    const other = { ...registered, id: 2, issuer: 'https://other.example' }
    const moving = { ...before, servers: [registered, other], attempts: [{ ...ATTEMPT, serverId: 2 }] }
    expect(between(moving, { ...before, journal: [retiring] })).toContainEqual({
      ...forgetClient,
      generation: before.generation,
      data: { issuer: other.issuer },
    })
    // That was another time.
    expect(between({ ...before, journal: [retiring] }, after)).toEqual([FORGET_TOKENS])
  })
})

test('identityOf() returns all four parts of the identity', () => {
  expect(identityOf({ tenant: 't', server: 's' })).toEqual({
    tenant: 't',
    user: undefined,
    server: 's',
    label: undefined,
  })
})
