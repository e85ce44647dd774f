import { describe, expect, test } from 'vitest'
import {
  addAttempt,
  authorizationRequestBuilt,
  endAttempt,
  endDenied,
} from '../../../../machines/connection/attempts.ts'
import {
  expireClaim,
  claimExchange,
  claimRenewal,
  claimTokenRequest,
  markOutcomeUnknown,
} from '../../../../machines/connection/claims.ts'
import type { RequestedAuthorization } from '../../../../machines/connection/events.ts'
import {
  adoptServer,
  beginRenewal,
  beginRequest,
  recordDiscovery,
  rejectGrant,
} from '../../../../machines/connection/request.ts'
import { requestedScope } from '../../../../machines/connection/selectors.ts'
import { countStepUp, endStepUps, rejectScope } from '../../../../machines/connection/step-up.ts'
import * as change from '../../../../machines/connection/tokens.ts'
import type {
  Attempt,
  AuthorizationRequest,
  Claim,
  ConnectionContext,
} from '../../../../src/schemas/connection-context.ts'
import {
  ATTEMPT_TTL_MS,
  CODE_TTL_MS,
  contextWith,
  dpopKey,
  dynamicClient,
  staticClient,
  issuer,
  LEASE_MS,
  metadata,
  rejections,
  resource,
  server,
  START,
  TOKEN_TTL_MS,
  tokenResult,
  tokens,
  wishes,
} from '../../../support/charts/facts.ts'

const NOW = START + 10
const stamp = { at: NOW, claimId: 'claim-2', leaseMs: LEASE_MS }
const request: AuthorizationRequest = {
  ...wishes({ bindingHash: 'browser', returnTo: 'https://agents.example.com/done' }),
  purpose: 'authorize',
  claimId: 'claim-1',
  leaseMs: LEASE_MS,
  resource,
  metadata,
  client: dynamicClient,
}
const attemptOf = (n: number, changes: Partial<Attempt> = {}): Attempt => ({
  stateHash: `hash-${n}`,
  verifier: `verifier-${n}`,
  serverId: 1,
  scope: 'read',
  expiresAt: START + ATTEMPT_TTL_MS,
  ...changes,
})
const refreshing: Claim = { id: 'claim-1', kind: 'refresh', leaseMs: LEASE_MS, retries: 0 }
const exchanging: Claim = { ...refreshing, kind: 'exchange', stateHash: 'hash-1' }
const after = (context: ConnectionContext, changes: Partial<ConnectionContext>): ConnectionContext => ({
  ...context,
  ...changes,
})

test('record time is that of the command, or of the answer, or what it was', () => {
  const context = contextWith()
  expect(change.readClock(context, { ...stamp, type: 'attempt.expired' })).toBe(NOW)
  expect(change.readClock(context, { type: 'xstate.done.actor.revokeTokens', output: { at: NOW + 1 } })).toBe(NOW + 1)
  expect(change.readClock(context, { type: 'xstate.error.actor.revokeTokens', error: rejections.unknown })).toBe(START)
})

describe('a request', () => {
  test('begins with the wishes of its caller and the ids of its event', () => {
    const event = {
      ...stamp,
      type: 'authorization.requested',
      request: wishes({ clientInformation: staticClient }),
    } as const
    const began = {
      ...wishes({ clientInformation: staticClient }),
      purpose: 'authorize',
      claimId: 'claim-2',
      leaseMs: LEASE_MS,
    }
    expect(beginRequest(contextWith(), event)).toEqual({ at: NOW, request: began })
  })

  test('falls back on the client that the host brought along', () => {
    const imported = { clientInformation: { ...staticClient, clientId: 'imported' }, issuer }
    const client = (clientInformation: typeof staticClient | undefined): string | undefined =>
      beginRequest(contextWith({ imported }), {
        ...stamp,
        type: 'challenge.insufficientScope',
        request: wishes({ clientInformation }),
      }).request?.clientInformation?.clientId
    expect([client(undefined), client(staticClient)]).toEqual(['imported', 'given-1'])
  })

  test('renews imported tokens as they were asked for', () => {
    const event = { ...stamp, type: 'refresh.requested', generation: 1 } as const
    const context = contextWith({ tokens, imported: { clientInformation: staticClient, issuer } })
    expect(beginRenewal(context, event)).toEqual({
      at: NOW,
      request: {
        purpose: 'renew',
        scope: 'read',
        clientInformation: staticClient,
        issuer,
        grant: 'authorization_code',
        attemptTtlMs: 0,
        claimId: 'claim-2',
        leaseMs: LEASE_MS,
      },
    })
  })

  test('learns what the ports found out', () => {
    const { resource: _resource, metadata: _metadata, client: _client, ...bare } = request
    const rejectedClient = { issuer, clientId: 'client-0' }
    const context = contextWith({ request: bare, rejectedClient })
    expect(
      recordDiscovery(context, { type: 'xstate.done.actor.discoverResource', output: { at: NOW, resource } }),
    ).toEqual({
      at: NOW,
      request: { ...bare, resource },
    })
    expect(
      recordDiscovery(context, { type: 'xstate.done.actor.discoverServer', output: { at: NOW, metadata } }),
    ).toEqual({
      at: NOW,
      request: { ...bare, metadata },
    })
    expect(
      recordDiscovery(context, {
        type: 'xstate.done.actor.ensureRegistration',
        output: { at: NOW, client: dynamicClient },
      }),
    ).toEqual({ at: NOW, request: { ...bare, client: dynamicClient }, rejectedClient: undefined })
  })

  test('keeps a client that the host gave, bound to its issuer', () => {
    const output = { at: NOW, client: staticClient }
    expect(recordDiscovery(contextWith({ request }), { type: 'xstate.done.actor.ensureRegistration', output })).toEqual(
      {
        at: NOW,
        request: { ...request, client: staticClient },
        rejectedClient: undefined,
        imported: { clientInformation: staticClient, issuer },
      },
    )
  })

  test('is refused by the policy, or for want of a grant', () => {
    const refuse = (changes: Partial<AuthorizationRequest>): unknown =>
      rejectGrant(contextWith({ request: { ...request, ...changes } }))
    expect(refuse({ allowedGrants: ['jwt_bearer'] })).toEqual({
      failure: { code: 'POLICY_REFUSED', details: { reason: 'allowedGrants', expected: 'authorization_code' } },
    })
    expect(refuse({ metadata: { ...metadata, grantTypesSupported: ['password', 'x'.repeat(300)] } })).toEqual({
      failure: {
        code: 'GRANT_UNSUPPORTED',
        details: { expected: 'authorization_code', offered: `password ${'x'.repeat(191)}` },
      },
    })
    expect(refuse({ grant: 'jwt_bearer' })).toEqual({
      failure: { code: 'GRANT_UNSUPPORTED', details: { expected: 'jwt_bearer' } },
    })
  })

  test('asks for the scope that is left of its wishes', () => {
    const scope = (changes: Partial<AuthorizationRequest>): string | undefined =>
      requestedScope(contextWith({ request: { ...request, ...changes } }))
    expect(scope({ challengeScope: 'write' })).toBe('read write')
    expect(scope({ scope: undefined, resource: { ...resource, scopesSupported: ['admin'] } })).toBe('admin')
    expect(scope({ scope: undefined, defaultScope: 'base' })).toBe('base')
    expect(scope({ scope: undefined })).toBeUndefined()
    expect(scope({ scope: 'read write', allowedScopes: ['write'] })).toBe('write')
    expect(scope({ allowedScopes: ['write'] })).toBeUndefined()
    expect(scope({ scope: undefined, allowedScopes: ['write'] })).toBeUndefined()
  })
})

describe('a server', () => {
  test('becomes an entry of the record', () => {
    expect(adoptServer(contextWith({ request }))).toEqual({ servers: [server] })
  })

  test('keeps its id while it says the same, and comes last', () => {
    const other = { ...server, id: 4, issuer: 'https://other.example' }
    const { servers: known } = adoptServer(contextWith({ request }))
    const again = adoptServer(contextWith({ request, servers: [...(known ?? []), other] }))
    expect(again.servers?.map(({ id }) => id)).toEqual([4, 1])
  })

  test('that says something else gets an id of its own', () => {
    const context = contextWith({
      request,
      servers: [
        { ...server, tokenEndpoint: 'https://as.example.com/old' },
        { ...server, id: 7 },
      ],
    })
    const changed = adoptServer({
      ...context,
      request: { ...request, metadata: { ...metadata, issRequired: true } },
    })
    expect(changed.servers?.map(({ id }) => id)).toEqual([1, 7, 8])
    expect(changed).not.toHaveProperty('tokens')
  })

  test('says how its tokens are bound', () => {
    const dpop = { alg: 'ES256', required: true } as const
    const asked = { ...request, metadata: { ...metadata, dpop } }
    expect(adoptServer(contextWith({ request: asked }))).toEqual({ servers: [{ ...server, dpop }] })
  })

  test('binds imported tokens', () => {
    const imported = { ...tokens, serverId: undefined }
    const renewal = contextWith({ request: { ...request, purpose: 'renew' }, tokens: imported })
    expect(adoptServer(renewal).tokens).toEqual(tokens)
    expect(adoptServer(contextWith({ request, tokens: imported }))).not.toHaveProperty('tokens')
  })
})

describe('an attempt', () => {
  const built = { at: NOW, stateHash: 'hash-1', verifier: 'verifier-1' }

  test('waits with what its callback will need', () => {
    expect(addAttempt(contextWith({ request, servers: [server], failure: { code: 'HTTP_NETWORK' } }), built)).toEqual({
      at: NOW,
      failure: undefined,
      attempts: [
        {
          stateHash: 'hash-1',
          verifier: 'verifier-1',
          serverId: 1,
          scope: 'read',
          bindingHash: 'browser',
          returnTo: 'https://agents.example.com/done',
          expiresAt: NOW + ATTEMPT_TTL_MS,
        },
      ],
      endedAttempts: [],
      historyTruncatedAt: undefined,
    })
  })

  test('is told to its caller alone', () => {
    const context = contextWith({ attempts: [attemptOf(1, { expiresAt: NOW })] })
    const url = 'https://as.example.com/authorize?state=fake'
    expect(authorizationRequestBuilt(context, { authorizationUrl: url, state: 'fake' })).toEqual({
      type: 'authorizationRequest.built',
      authorizationUrl: url,
      state: 'fake',
      expiresAt: NOW,
    })
  })

  test('ends once, and the others stay', () => {
    const context = contextWith({ attempts: [attemptOf(1), attemptOf(2)] })
    expect(endAttempt(context, 'hash-1', 'failed', NOW)).toEqual({
      at: NOW,
      attempts: [attemptOf(2)],
      endedAttempts: [{ stateHash: 'hash-1', outcome: 'failed', endedAt: NOW }],
      historyTruncatedAt: undefined,
    })
    expect(endAttempt(context, 'hash-3', 'failed', NOW)).toEqual({ at: NOW })
    expect(endAttempt(context, undefined, 'failed', NOW)).toEqual({ at: NOW })
  })

  test('is denied with the wire code', () => {
    const event = { ...stamp, type: 'callback.denied', stateHash: 'hash-1', error: 'access_denied' } as const
    expect(endDenied(contextWith({ attempts: [attemptOf(1)] }), event)).toEqual({
      at: NOW,
      attempts: [],
      endedAttempts: [{ stateHash: 'hash-1', outcome: 'denied', endedAt: NOW }],
      historyTruncatedAt: undefined,
      failure: { code: 'AUTHORIZATION_DENIED', details: { error: 'access_denied' } },
    })
  })

  test('keeps its code before it is spent, and lives as long as that', () => {
    const context = contextWith({ attempts: [attemptOf(1), attemptOf(2)] })
    const event = {
      ...stamp,
      type: 'callback.received',
      stateHash: 'hash-1',
      code: 'fake-code',
      codeTtlMs: CODE_TTL_MS,
    } as const
    const claim = { id: 'claim-2', kind: 'exchange', stateHash: 'hash-1', leaseMs: LEASE_MS, retries: 0 }
    const kept = attemptOf(1, { code: 'fake-code', expiresAt: NOW + CODE_TTL_MS })
    expect(claimExchange(context, event)).toEqual({ at: NOW, claim, attempts: [kept, attemptOf(2)] })
    const again = contextWith({ attempts: [kept] })
    expect(claimExchange(again, { ...event, at: NOW + 1, code: 'another' })).toEqual({
      at: NOW + 1,
      claim,
      attempts: [kept],
    })
    expect(claimExchange(again, { ...stamp, type: 'exchange.resumed', stateHash: 'hash-1' })).toEqual({
      at: NOW,
      claim,
    })
  })
})

describe('a claim', () => {
  test('of a grant without a user knows where and what', () => {
    const asked = { ...request, grant: 'jwt_bearer' as const }
    const context = contextWith({ at: NOW, request: asked, servers: [server] })
    const claim = { id: 'claim-1', leaseMs: LEASE_MS, retries: 0, serverId: 1 }
    expect(claimTokenRequest(context)).toEqual({
      at: NOW,
      claim: { ...claim, kind: 'requestToken', scope: 'read', grant: 'jwt_bearer' },
    })
    const renewal = after(context, { request: { ...request, purpose: 'renew' }, tokens })
    expect(claimTokenRequest(renewal)).toEqual({ at: NOW, claim: { ...claim, kind: 'refresh' } })
  })

  test('of a renewal without a refresh token asks for the same again', () => {
    const held = { ...tokens, grant: 'identity_assertion' as const }
    const event = { ...stamp, type: 'refresh.requested' as const, generation: 1 }
    expect(claimRenewal(contextWith({ tokens: held }), event)).toEqual({
      at: NOW,
      claim: {
        id: 'claim-2',
        kind: 'requestToken',
        leaseMs: LEASE_MS,
        retries: 0,
        serverId: 1,
        scope: 'read',
        grant: 'identity_assertion',
      },
    })
    expect(claimRenewal(contextWith(), { ...event, rejectedToken: true }).claim).toEqual({
      id: 'claim-2',
      kind: 'requestToken',
      leaseMs: LEASE_MS,
      retries: 0,
      afterRejection: true,
    })
  })

  test('whose outcome nobody knows says so', () => {
    const event = { type: 'xstate.error.actor.refreshTokens', error: rejections.unknown } as const
    const { failure } = rejections.unknown
    expect(markOutcomeUnknown(contextWith({ claim: refreshing, tokens }), event)).toEqual({
      failure,
      claim: { ...refreshing, outcomeUnknown: true },
      tokens: { ...tokens, refreshTokenMayBeConsumed: true },
    })
    expect(markOutcomeUnknown(contextWith({ claim: exchanging, tokens }), event)).toEqual({
      failure,
      claim: { ...exchanging, outcomeUnknown: true },
    })
    expect(markOutcomeUnknown(contextWith(), event)).toEqual({ failure, claim: undefined })
  })

  const event = { ...stamp, type: 'claim.expired', orphanId: 'claim-1' } as const

  test('that is given up is repeated once, as a new one', () => {
    const context = contextWith({
      claim: { ...refreshing, outcomeUnknown: true },
      tokens,
      failure: { code: 'HTTP_TIMEOUT' },
    })
    const once = expireClaim(context, event)
    expect(once).toEqual({
      at: NOW,
      orphanedClaims: [{ id: 'claim-1', retried: true }],
      claim: { id: 'claim-2', kind: 'refresh', leaseMs: LEASE_MS, retries: 1 },
      tokens: { ...tokens, refreshTokenMayBeConsumed: true },
      failure: { code: 'HTTP_TIMEOUT' },
      retryAt: NOW + LEASE_MS,
    })
    expect(expireClaim(after(context, once), { ...event, orphanId: 'claim-2', claimId: 'claim-3' })).toEqual({
      at: NOW,
      orphanedClaims: [
        { id: 'claim-1', retried: true },
        { id: 'claim-2', retried: false },
      ],
      claim: undefined,
      tokens: { ...tokens, refreshTokenMayBeConsumed: true },
      failure: { code: 'TOKEN_OUTCOME_UNKNOWN' },
      retryAt: NOW + LEASE_MS,
    })
  })

  test('that is not there is not repeated', () => {
    expect(expireClaim(contextWith(), event)).toMatchObject({
      claim: undefined,
      orphanedClaims: [{ id: 'claim-1', retried: false }],
    })
  })
})

describe('tokens', () => {
  const stored = {
    at: NOW + 100,
    generation: 4,
    failure: undefined,
    retryAt: undefined,
    reauthorizationRequired: undefined,
  }
  const exchange = contextWith({
    at: NOW,
    generation: 3,
    servers: [server],
    reauthorizationRequired: true,
    failure: { code: 'HTTP_NETWORK' },
    attempts: [attemptOf(1), attemptOf(2), attemptOf(3, { scope: 'read write' }), attemptOf(4, { scope: undefined })],
    claim: exchanging,
  })

  test('of an exchange end its attempt, and those that asked for no more', () => {
    expect(
      change.storeTokens(exchange, tokenResult(NOW + 100, { subject: 'alice', refreshTokenExpiresInMs: 5_000 })),
    ).toEqual({
      ...stored,
      tokens: {
        accessToken: `access-${NOW + 100}`,
        tokenType: 'Bearer',
        scope: 'read',
        requestedScope: 'read',
        expiresAt: NOW + TOKEN_TTL_MS,
        lifetimeMs: TOKEN_TTL_MS,
        refreshToken: `refresh-${NOW + 100}`,
        refreshTokenExpiresAt: NOW + 5_000,
        grant: 'authorization_code',
        serverId: 1,
        subject: 'alice',
      },
      attempts: [attemptOf(3, { scope: 'read write' })],
      endedAttempts: [
        { stateHash: 'hash-1', outcome: 'authorized', endedAt: NOW + 100 },
        { stateHash: 'hash-2', outcome: 'alreadyAuthorized', endedAt: NOW + 100 },
        { stateHash: 'hash-4', outcome: 'alreadyAuthorized', endedAt: NOW + 100 },
      ],
      historyTruncatedAt: undefined,
    })
  })

  test('say nothing that the server did not say', () => {
    const output = tokenResult(NOW + 100, { expiresInMs: undefined, refreshToken: undefined, scope: 'less' })
    expect(change.storeTokens(exchange, output).tokens).toEqual({
      accessToken: `access-${NOW + 100}`,
      tokenType: 'Bearer',
      scope: 'less',
      requestedScope: 'read',
      grant: 'authorization_code',
      serverId: 1,
    })
  })

  const refresh = contextWith({
    at: NOW,
    generation: 3,
    servers: [server],
    attempts: [attemptOf(1)],
    tokens: { ...tokens, scope: 'less', subject: 'alice', refreshTokenExpiresAt: NOW + 9_000, unverified: true },
    claim: refreshing,
  })

  test('of a refresh keep what the answer leaves out, and end no attempt', () => {
    const output = tokenResult(NOW + 100, { refreshToken: undefined })
    expect(change.storeTokens(refresh, output)).toEqual({
      ...stored,
      tokens: {
        accessToken: `access-${NOW + 100}`,
        tokenType: 'Bearer',
        scope: 'less',
        requestedScope: 'read',
        expiresAt: NOW + TOKEN_TTL_MS,
        lifetimeMs: TOKEN_TTL_MS,
        refreshToken: 'fake-refresh-token',
        refreshTokenExpiresAt: NOW + 9_000,
        grant: 'authorization_code',
        serverId: 1,
        subject: 'alice',
      },
    })
  })

  test('of a refresh with a new refresh token forget the life of the old one', () => {
    const changed = change.storeTokens(refresh, tokenResult(NOW + 100, { scope: 'read' }))
    expect(changed.tokens).toMatchObject({
      scope: 'read',
      refreshToken: `refresh-${NOW + 100}`,
      refreshTokenExpiresAt: undefined,
    })
  })

  test('come with the key that they are bound to, and are bound to none that the port does not name', () => {
    const bound = { tokenType: 'DPoP', dpopKey }
    const before = { ...refresh, tokens: { ...tokens, ...bound } }
    expect(change.storeTokens(exchange, tokenResult(NOW + 100, bound)).tokens).toMatchObject(bound)
    expect(change.storeTokens(before, tokenResult(NOW + 100, bound)).tokens).toMatchObject(bound)
    expect(change.storeTokens(before, tokenResult(NOW + 100)).tokens).toMatchObject({
      tokenType: 'Bearer',
      dpopKey: undefined,
    })
  })

  test('of a grant without a user are marked as such', () => {
    const claim: Claim = { ...refreshing, kind: 'requestToken', serverId: 1, scope: 'admin' }
    const context = contextWith({ at: NOW, servers: [server], tokens, attempts: [attemptOf(1)], claim })
    expect(change.storeTokens(context, tokenResult(NOW, { refreshToken: undefined, expiresInMs: undefined }))).toEqual({
      ...stored,
      at: NOW,
      generation: 1,
      tokens: {
        accessToken: `access-${NOW}`,
        tokenType: 'Bearer',
        scope: 'admin',
        requestedScope: 'admin',
        grant: 'client_credentials',
        serverId: 1,
      },
    })
  })

  test.each(['jwt_bearer', 'identity_assertion'] as const)('of a claim by %s say so', (grant) => {
    const claim: Claim = { ...refreshing, kind: 'requestToken', serverId: 1, grant }
    const context = contextWith({ at: NOW, servers: [server], claim })
    expect(change.storeTokens(context, tokenResult(NOW)).tokens?.grant).toBe(grant)
  })

  test('that a host held before are bound to nothing yet', () => {
    const { serverId: _, ...imported } = tokens
    const event = {
      ...stamp,
      type: 'credentials.imported',
      tokens: imported,
      clientInformation: staticClient,
      issuer,
    } as const
    expect(change.importCredentials(contextWith({ generation: 3 }), event)).toEqual({
      ...stored,
      at: NOW,
      tokens: imported,
      imported: { clientInformation: staticClient, issuer },
    })
    expect(change.importCredentials(contextWith({ tokens }), { ...event, tokens: undefined })).toEqual({
      at: NOW,
      imported: { clientInformation: staticClient, issuer },
    })
  })
})

describe('a late result', () => {
  const event = {
    ...stamp,
    type: 'result.late',
    orphanId: 'claim-1',
    generation: 3,
    tokens: { ...tokens, serverId: 9 },
    server: { ...server, id: 9 },
  } as const
  const context = contextWith({ generation: 3, orphanedClaims: [{ id: 'claim-1', retried: false }] })

  test('brings the key that it is bound to', () => {
    const late = { ...event, tokens: { ...event.tokens, tokenType: 'DPoP', dpopKey } }
    expect(change.acceptLateResult(context, late).tokens).toEqual({ ...tokens, tokenType: 'DPoP', dpopKey })
  })

  test('is taken with its server, under an id of this record', () => {
    expect(change.acceptLateResult(context, event)).toEqual({
      at: NOW,
      generation: 4,
      servers: [server],
      tokens,
      failure: undefined,
      retryAt: undefined,
      reauthorizationRequired: undefined,
      endedAttempts: [],
    })
  })

  test('has to prove itself if its claim was repeated', () => {
    const retried = after(context, { orphanedClaims: [{ id: 'claim-1', retried: true }] })
    expect(change.acceptLateResult(retried, event).tokens).toEqual({ ...tokens, unverified: true })
    expect(change.acceptLateResult(context, { ...event, tokens: { ...tokens, unverified: true } }).tokens).toEqual(
      tokens,
    )
  })

  test('of an exchange ends its attempt, or tells what became of it after all', () => {
    const late = { ...event, attemptHash: 'hash-1' }
    expect(change.acceptLateResult(after(context, { attempts: [attemptOf(1)] }), late)).toMatchObject({
      attempts: [],
      endedAttempts: [{ stateHash: 'hash-1', outcome: 'authorized', endedAt: NOW }],
    })
    const endedAttempts = [
      { stateHash: 'hash-0', outcome: 'failed', endedAt: START },
      { stateHash: 'hash-1', outcome: 'failed', endedAt: START },
    ] as const
    expect(change.acceptLateResult(after(context, { endedAttempts: [...endedAttempts] }), late).endedAttempts).toEqual([
      endedAttempts[0],
      { stateHash: 'hash-1', outcome: 'authorized', endedAt: START },
    ])
  })
})

describe('a failure', () => {
  const error = (what: Error) => ({ type: 'xstate.error.actor.refreshTokens', error: what }) as const

  test('is kept, and leaves an early refresh alone, twice as long each time', () => {
    let context = contextWith({ tokens })
    const delays = Array.from({ length: 9 }, () => {
      const changed = change.recordFailure(context, error(rejections.otherRefusal))
      expect(changed.failure).toEqual(rejections.otherRefusal.failure)
      expect(changed.retryAt).toBe(START + (changed.retryDelayMs ?? 0))
      context = after(context, changed)
      return changed.retryDelayMs
    })
    expect(delays).toEqual([5_000, 10_000, 20_000, 40_000, 80_000, 160_000, 320_000, 600_000, 600_000])
  })

  test('that names a time is tried again then', () => {
    expect(change.recordFailure(contextWith(), error(rejections.rateLimited))).toMatchObject({
      retryAt: START + 7_000,
      retryDelayMs: 5_000,
    })
  })

  test('before anybody was asked for more scope takes its round back', () => {
    const other = { scope: 'list', rounds: 1, at: START }
    const counted = (rounds: number) => [other, { scope: 'write', rounds, at: START }]
    const left = (changes: Partial<ConnectionContext>) =>
      change.recordFailure(
        contextWith({ request: { ...request, challengeScope: 'write' }, ...changes }),
        error(rejections.rateLimited),
      ).stepUps
    expect(left({ stepUps: counted(2) })).toEqual(counted(1))
    expect(left({ stepUps: counted(1) })).toEqual([other])
    // While an attempt waits for it, none was counted; under a claim the server was asked.
    const attempts = [attemptOf(1, { scope: 'read write' })]
    expect(left({ stepUps: counted(2), attempts })).toEqual(counted(2))
    expect(left({ stepUps: counted(2), claim: { ...refreshing, kind: 'requestToken' } })).toBeUndefined()
  })

  test('of the refresh token leaves the access token its rest of life', () => {
    const { refreshToken: _, ...rest } = tokens
    const context = contextWith({ tokens: { ...tokens, refreshTokenExpiresAt: NOW } })
    expect(change.dropRefreshToken(context)).toEqual({
      reauthorizationRequired: true,
      tokens: { ...rest, refreshTokenRejected: true },
    })
  })

  test.each<[string, Partial<ConnectionContext>]>([
    [
      'it may have been sent before: the server may have revoked the whole family',
      { tokens: { ...tokens, refreshTokenMayBeConsumed: true } },
    ],
    ['it was to be proven', { tokens: { ...tokens, unverified: true } }],
    ['nothing is there', {}],
  ])('of the refresh token takes everything when %s', (_, changes) => {
    expect(change.dropRefreshToken(contextWith(changes))).toEqual({ reauthorizationRequired: true, tokens: undefined })
  })

  test('of the client takes what was issued to it', () => {
    const context = contextWith({
      servers: [server, { ...server, id: 2, issuer: 'https://other.example' }],
      tokens,
      claim: refreshing,
    })
    const rejectedClient = { issuer, clientId: 'client-1' }
    expect(change.forgetClient(context)).toEqual({ rejectedClient, tokens: undefined, reauthorizationRequired: true })
    expect(
      change.forgetClient(after(context, { claim: exchanging, attempts: [attemptOf(1, { serverId: 2 })] })),
    ).toEqual({
      rejectedClient: { ...rejectedClient, issuer: 'https://other.example' },
    })
  })
})

test('what is forgotten on purpose leaves a generation, a journal and the ends of its attempts', () => {
  const journal = [{ at: START, from: 'disconnected', to: 'authorized', reason: 'exchangeCode.done' }]
  const context = contextWith({
    at: NOW,
    generation: 3,
    servers: [server],
    tokens,
    attempts: [attemptOf(1)],
    orphanedClaims: [{ id: 'claim-0', retried: false }],
    imported: { issuer },
    reauthorizationRequired: true,
    failure: { code: 'HTTP_NETWORK' },
    retryAt: NOW,
    rejectedClient: { issuer, clientId: 'client-1' },
    journal,
  })
  const forgotten = after(context, change.reset(context))
  expect(after(forgotten, change.pruneExpired(forgotten))).toEqual(
    contextWith({
      at: NOW,
      generation: 4,
      endedAttempts: [{ stateHash: 'hash-1', outcome: 'superseded', endedAt: NOW }],
      // So that what comes late can be revoked as well.
      orphanedClaims: [{ id: 'claim-0', retried: false }],
      journal,
    }),
  )
})

test('at rest what nobody needs goes, and so does what time has ended', () => {
  const DAY = 86_400_000
  const later = START + DAY
  const context = contextWith({
    at: later,
    servers: [server, { ...server, id: 2 }, { ...server, id: 3 }, { ...server, id: 4 }],
    tokens,
    attempts: [attemptOf(1, { serverId: 2 }), attemptOf(2, { serverId: 3, expiresAt: later + 1 })],
    endedAttempts: [
      { stateHash: 'older', outcome: 'denied', endedAt: START },
      { stateHash: 'newer', outcome: 'denied', endedAt: START + 1 },
    ],
    historyTruncatedAt: START,
    request,
    claim: refreshing,
  })
  expect(change.pruneExpired(context)).toEqual({
    request: undefined,
    claim: undefined,
    attempts: [attemptOf(2, { serverId: 3, expiresAt: later + 1 })],
    endedAttempts: [
      { stateHash: 'newer', outcome: 'denied', endedAt: START + 1 },
      { stateHash: 'hash-1', outcome: 'expired', endedAt: later },
    ],
    historyTruncatedAt: undefined,
    servers: [server, { ...server, id: 3 }],
  })
  expect(change.pruneExpired(after(context, { historyTruncatedAt: START + 1 })).historyTruncatedAt).toBe(START + 1)
})

describe('a step-up', () => {
  const challenged = (request: Partial<RequestedAuthorization>) =>
    ({ ...stamp, type: 'challenge.insufficientScope', request: wishes(request) }) as const

  test('asks for what was asked for, what was granted, and what is new', () => {
    const held = { ...tokens, requestedScope: 'read delete', scope: 'read' }
    const event = challenged({ scope: 'list', challengeScope: 'write' })
    expect(beginRequest(contextWith({ tokens: held }), event).request).toMatchObject({
      scope: 'list read delete',
      challengeScope: 'write',
    })
  })

  test('counts the rounds of each scope, whatever its order, for a day and for a few', () => {
    const event = challenged({ challengeScope: 'write admin' })
    const old = { scope: 'old', rounds: 2, at: NOW - 86_400_000 }
    const others = ['a', 'b', 'c', 'd'].map((scope) => ({ scope, rounds: 1, at: NOW - 1 }))
    expect(countStepUp(contextWith(), event)).toEqual({
      stepUps: [{ scope: 'admin write', rounds: 1, at: NOW }],
    })
    expect(countStepUp(contextWith({ stepUps: [old, ...others] }), event).stepUps).toEqual([
      ...others.slice(1),
      { scope: 'admin write', rounds: 1, at: NOW },
    ])
    const again = contextWith({ stepUps: [{ scope: 'admin write', rounds: 1, at: NOW - 1 }] })
    expect(countStepUp(again, event).stepUps).toEqual([{ scope: 'admin write', rounds: 2, at: NOW }])
    expect(countStepUp(contextWith(), challenged({})).stepUps).toEqual([{ scope: '', rounds: 1, at: NOW }])
  })

  test('that cannot help says so without a scope as well', () => {
    expect(rejectScope(contextWith(), challenged({}))).toEqual({
      at: NOW,
      failure: { code: 'INSUFFICIENT_SCOPE' },
    })
    expect(endStepUps(contextWith(), challenged({}))).toEqual({
      at: NOW,
      failure: { code: 'STEP_UP_EXHAUSTED' },
    })
  })
})
