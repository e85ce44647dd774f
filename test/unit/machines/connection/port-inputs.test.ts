import { describe, expect, test } from 'vitest'
import type { ConnectionEvent } from '../../../../machines/connection/events.ts'
import * as input from '../../../../machines/connection/port-inputs.ts'
import type { AuthorizationRequest, ConnectionContext } from '../../../../src/schemas/connection-context.ts'
import {
  contextWith,
  dpopKey,
  dynamicClient,
  staticClient,
  identity,
  issuer,
  LEASE_MS,
  metadata,
  resource,
  server,
  START,
  tokens,
  wishes,
} from '../../../support/charts/facts.ts'

const goAhead: ConnectionEvent = {
  type: 'checkpoint.saved',
  sendBefore: 7_000,
  at: START,
  claimId: 'claim-2',
  leaseMs: LEASE_MS,
}
const request: AuthorizationRequest = {
  ...wishes({ parameters: { prompt: 'consent' }, resourceMetadataUrl: 'https://mcp.example.com/prm', issuer }),
  purpose: 'authorize',
  claimId: 'claim-1',
  leaseMs: LEASE_MS,
  resource,
  metadata,
  client: dynamicClient,
}
const common = { at: START, identity }

test('the inputs of discovery have the metadata URL, the required issuer and the resource', () => {
  expect(input.discoverResourceInput(contextWith({ request }))).toEqual({
    ...common,
    challenged: false,
    resourceMetadataUrl: 'https://mcp.example.com/prm',
    issuer,
    asksServer: undefined,
  })
  expect(
    input.discoverResourceInput(contextWith({ request: { ...request, challenged: true, asksServer: 'anew' } })),
  ).toMatchObject({ challenged: true, asksServer: 'anew' })
  expect(input.discoverServerInput(contextWith({ request }))).toEqual({ ...common, resource })
})

test.each<[string, Partial<ConnectionContext>, string | undefined]>([
  ['that of the tokens', { tokens, servers: [server] }, server.issuer],
  ['that of imported tokens', { tokens, imported: { issuer: 'https://imported.example' } }, 'https://imported.example'],
  ['none of tokens whose issuer is unknown', { tokens }, undefined],
  ['none without tokens', { imported: { issuer: 'https://imported.example' } }, undefined],
])('discoverResourceInput prefers an issuer: %s', (_name, changes, expected) => {
  expect(input.discoverResourceInput(contextWith({ request, ...changes })).preferredIssuer).toBe(expected)
})

describe('the input of registration', () => {
  test('ensureRegistrationInput has the client of the host, and the imported one', () => {
    const imported = { ...staticClient, clientId: 'imported' }
    const context = contextWith({
      request: { ...request, clientInformation: staticClient },
      imported: { clientInformation: imported },
    })
    expect(input.ensureRegistrationInput(context)).toEqual({
      ...common,
      metadata,
      clientInformation: staticClient,
      importedClient: imported,
      grant: 'authorization_code',
      mayRegister: true,
      rejectedClientId: undefined,
      configuredIssuer: undefined,
      scope: 'read',
    })
  })

  describe('ensureRegistrationInput of a client that was used at another issuer', () => {
    const client = { ...staticClient, issuer: 'https://other.example' }
    const imported = { clientInformation: client, issuer: client.issuer, discovered: true as const }
    const there = [{ ...server, issuer: client.issuer, client }]
    const anywhere = { ...request, issuer: undefined }
    test.each<[string, Partial<ConnectionContext>, ConnectionContext['servers'][number]['client'] | undefined]>([
      ['omits it', { request: anywhere }, undefined],
      ['omits it beside tokens of this issuer', { request: anywhere, tokens, servers: [server] }, undefined],
      ['has it if its tokens are stored', { request: anywhere, tokens, servers: there }, client],
      [
        'omits it if its tokens are stored and the caller named this issuer',
        { request, tokens, servers: there },
        undefined,
      ],
      ['omits it in a renewal', { request: { ...anywhere, purpose: 'renew' } }, undefined],
      [
        'has it if it was imported only',
        { request: anywhere, imported: { ...imported, discovered: undefined } },
        client,
      ],
    ])('%s', (_name, changes, expected) => {
      const context = contextWith({ imported, ...changes })
      expect(input.ensureRegistrationInput(context).importedClient).toEqual(expected)
    })
  })

  test('ensureRegistrationInput has the scope that was granted to the dynamic client of the same server', () => {
    const granted = (changes: Partial<ConnectionContext['servers'][number]>): string | undefined =>
      input.ensureRegistrationInput(
        contextWith({ request, servers: [{ ...server, ...changes }], tokens: { ...tokens, scope: 'granted' } }),
      ).grantedScope
    expect(granted({})).toBe('granted')
    expect(granted({ issuer: `${issuer}/` })).toBe('granted')
    expect(granted({ issuer: 'https://other.example' })).toBeUndefined()
    expect(granted({ client: staticClient })).toBeUndefined()
  })

  test('ensureRegistrationInput names the client whose scope the same server refused, and that of no other', () => {
    const refused = (at: string): string | undefined =>
      input.ensureRegistrationInput(contextWith({ request, invalidScope: { issuer: at, clientId: 'client-1' } }))
        .invalidScopeClientId
    const issuers = [issuer, `${issuer}/`, 'https://other.example']
    expect(issuers.map(refused)).toEqual(['client-1', 'client-1', undefined])
  })

  test('ensureRegistrationInput says that the last attempt was not finished, and which client the caller replaces', () => {
    const endedAttempts = [{ stateHash: 'hash-1', outcome: 'expired' as const, endedAt: START }]
    const reregister = { issuer, clientId: 'client-1', calledAt: START }
    const context = contextWith({ request: { ...request, reregister }, endedAttempts })
    expect(input.ensureRegistrationInput(context)).toMatchObject({ isSuspect: true, reregister })
  })

  test('ensureRegistrationInput does not allow a new registration in a renewal, since a refresh token belongs to its client', () => {
    const context = contextWith({ request: { ...request, purpose: 'renew' } })
    expect(input.ensureRegistrationInput(context).mayRegister).toBe(false)
  })

  test('ensureRegistrationInput names the client that was rejected by the same server, and by no other', () => {
    const rejectedAt = (at: string): object => {
      const rejectedClient = { issuer: at, clientId: 'client-1', failedMethod: 'client_secret_basic' }
      const { rejectedClientId, failedMethod } = input.ensureRegistrationInput(contextWith({ request, rejectedClient }))
      return { rejectedClientId, failedMethod }
    }
    for (const at of [issuer, `${issuer}/`])
      expect(rejectedAt(at)).toEqual({ rejectedClientId: 'client-1', failedMethod: 'client_secret_basic' })
    expect(rejectedAt('https://other.example')).toEqual({})
  })
})

test('buildAuthorizationRequestInput has the discovered metadata, resource and client', () => {
  expect(input.buildAuthorizationRequestInput(contextWith({ request }))).toEqual({
    ...common,
    metadata,
    resource,
    client: dynamicClient,
    scope: 'read',
    parameters: { prompt: 'consent' },
  })
})

describe('the inputs of single-use requests', () => {
  const other = { ...server, id: 2, issuer: 'https://other.example' }
  const servers = [other, server]
  const claim = { id: 'claim-1', leaseMs: LEASE_MS, retries: 0 }

  test('exchangeCodeInput has the server of the attempt and the send deadline', () => {
    const attempt = {
      stateHash: 'hash-1',
      verifier: 'fake-verifier',
      serverId: 2,
      expiresAt: START + 1,
      code: 'fake-code',
    }
    const context = contextWith({
      servers,
      attempts: [attempt],
      claim: { ...claim, kind: 'exchange', stateHash: 'hash-1' },
    })
    expect(input.exchangeCodeInput(context, goAhead)).toEqual({
      ...common,
      server: other,
      code: 'fake-code',
      verifier: 'fake-verifier',
      sendBefore: 7_000,
    })
  })

  test('refreshTokensInput has the server and the scope of the tokens, and the send deadline', () => {
    const context = contextWith({ servers, tokens, claim: { ...claim, kind: 'refresh' } })
    expect(input.refreshTokensInput(context, goAhead)).toEqual({
      ...common,
      server,
      refreshToken: 'fake-refresh-token',
      scope: 'read',
      sendBefore: 7_000,
    })
  })

  test('refreshTokensInput has the requested scope where the granted one is unknown', () => {
    const unknown = { ...tokens, scope: undefined, requestedScope: 'read write' }
    const context = contextWith({ servers, tokens: unknown, claim: { ...claim, kind: 'refresh' } })
    expect(input.refreshTokensInput(context, goAhead).scope).toBe('read write')
  })

  test('refreshTokensInput of DPoP-bound tokens has their key', () => {
    const context = contextWith({ servers, tokens: { ...tokens, dpopKey }, claim: { ...claim, kind: 'refresh' } })
    expect(input.refreshTokensInput(context, goAhead).dpopKey).toEqual(dpopKey)
  })

  test.each([
    ['of a claim without a grant', undefined, 'client_credentials'],
    ['of a claim by assertion', 'jwt_bearer', 'jwt_bearer'],
  ] as const)('requestTokenInput %s has the server of the claim and the send deadline', (_, held, grant) => {
    const wanted = { ...claim, kind: 'requestToken', serverId: 2, scope: 'read', grant: held } as const
    expect(input.requestTokenInput(contextWith({ servers, claim: wanted }), goAhead)).toEqual({
      ...common,
      server: other,
      scope: 'read',
      grant,
      sendBefore: 7_000,
    })
  })

  test('revokeTokensInput has both tokens, their server and the send deadline', () => {
    const { accessToken, refreshToken } = tokens
    const context = contextWith({
      revocations: [{ id: 'revocation-1', startedAt: START, pending: { server, accessToken, refreshToken } }],
      claim: { ...claim, kind: 'disconnect', revocationId: 'revocation-1' },
    })
    expect(input.revokeTokensInput(context, goAhead)).toEqual({
      ...common,
      server,
      accessToken: 'fake-access-token',
      refreshToken: 'fake-refresh-token',
      sendBefore: 7_000,
    })
  })

  test('a single-use input without a checkpoint has a send deadline in the past', () => {
    const context = contextWith({ servers, tokens, claim: { ...claim, kind: 'refresh' } })
    const expired: ConnectionEvent = { type: 'attempt.expired', at: START, claimId: 'claim-2', leaseMs: LEASE_MS }
    expect(input.refreshTokensInput(context, expired).sendBefore).toBe(-Infinity)
  })
})

test('retireRegistrationInput names the rejected client', () => {
  const rejectedClient = { issuer, clientId: 'client-1' }
  expect(input.retireRegistrationInput(contextWith({ rejectedClient }))).toEqual({ ...common, ...rejectedClient })
})

describe('an input without its facts', () => {
  const { resource: _resource, metadata: _metadata, client: _client, ...bare } = request
  test.each<[string, (context: ConnectionContext) => unknown, Partial<ConnectionContext>]>([
    ['a request', input.discoverResourceInput, {}],
    ['a resource', input.discoverServerInput, { request: bare }],
    ['server metadata', input.ensureRegistrationInput, { request: bare }],
    ['a client', input.buildAuthorizationRequestInput, { request: { ...bare, metadata, resource } }],
    ['an attempt', (context) => input.exchangeCodeInput(context, goAhead), {}],
    ['a server', (context) => input.refreshTokensInput(context, goAhead), { tokens }],
    [
      'a refresh token',
      (context) => input.refreshTokensInput(context, goAhead),
      { servers: [server], tokens: { ...tokens, refreshToken: undefined } },
    ],
    ['a claim', (context) => input.requestTokenInput(context, goAhead), {}],
    ['a revocation', (context) => input.revokeTokensInput(context, goAhead), {}],
    ['a rejected client', input.retireRegistrationInput, {}],
  ])('the input of a port throws an error that names the missing fact: %s', (what, build, changes) => {
    expect(() => build(contextWith(changes))).toThrow(new Error(`the chart entered a working state without ${what}`))
  })
})
