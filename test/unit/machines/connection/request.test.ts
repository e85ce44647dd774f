import { describe, expect, test } from 'vitest'
import {
  adoptServer,
  beginRenewal,
  beginRequest,
  issuerChanged,
  recordChallenge,
  recordDiscovery,
  recordNotRequired,
  rejectGrant,
} from '../../../../machines/connection/request.ts'
import type { AuthorizationRequest } from '../../../../src/schemas/connection-context.ts'
import {
  contextWith,
  dynamicClient,
  issuer,
  LEASE_MS,
  metadata,
  resource,
  server,
  START,
  staticClient,
  tokens,
  wishes,
} from '../../../support/charts/facts.ts'
import { NOW, request, stamp } from './support.ts'

describe('a request', () => {
  test('beginRequest stores the options of the caller with the claim id of the event', () => {
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

  test('beginRenewal of imported tokens uses their original scope, grant and issuer', () => {
    const event = { ...stamp, type: 'refresh.requested', generation: 1 } as const
    const context = contextWith({ tokens, imported: { clientInformation: staticClient, issuer } })
    expect(beginRenewal(context, event)).toEqual({
      at: NOW,
      request: {
        purpose: 'renew',
        scope: 'read',
        issuer,
        grant: 'authorization_code',
        attemptTtlMs: 0,
        claimId: 'claim-2',
        leaseMs: LEASE_MS,
      },
    })
  })

  test('recordDiscovery adds resource, server metadata and client to the request', () => {
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

  test('recordDiscovery prefers the scope of the challenge that the server was asked for', () => {
    const context = contextWith({ request: { ...request, challengeScope: 'read' } })
    const scopeAfter = (output: object): string | undefined =>
      recordDiscovery(context, {
        type: 'xstate.done.actor.discoverResource',
        output: { at: NOW, resource, ...output },
      }).request?.challengeScope
    expect([scopeAfter({}), scopeAfter({ challengeScope: 'write' })]).toEqual(['read', 'write'])
  })

  test('recordDiscovery ends the finding that no authorization is required', () => {
    const output = { at: NOW, metadata }
    expect(
      recordDiscovery(contextWith({ request, notRequiredAt: START }), {
        type: 'xstate.done.actor.discoverServer',
        output,
      }),
    ).toStrictEqual({ at: NOW, request: { ...request, metadata }, notRequiredAt: undefined })
  })

  test('recordNotRequired replaces the challenge and the failure by the time of the finding', () => {
    const event = { type: 'xstate.done.actor.discoverServer', output: { at: NOW, metadata: undefined } } as const
    expect(recordNotRequired(contextWith({ tokens, request }), event)).toStrictEqual({
      at: NOW,
      notRequiredAt: NOW,
      challenge: undefined,
      failure: undefined,
    })
  })

  test('recordNotRequired is a rejection of the renewal that found it', () => {
    const event = { type: 'xstate.done.actor.discoverServer', output: { at: NOW, metadata: undefined } } as const
    const renewal = { ...request, purpose: 'renew' as const }
    const failure = { code: 'AUTHORIZATION_NOT_OFFERED', details: { reason: 'notRequired' } }
    expect(recordNotRequired(contextWith({ tokens, request: renewal }), event)).toMatchObject({
      failure: undefined,
      failedRenewal: { failure, retryAt: NOW + 5_000, retryDelayMs: 5_000, count: 0 },
      tokens: { ...tokens, renewalRejected: true },
    })
  })

  test('recordChallenge stores the challenge with its time and generation, and ends the finding that none is required', () => {
    const challenge = { error: 'invalid_token', scope: 'read', resourceMetadataUrl: 'https://mcp.example.com/prm' }
    expect(recordChallenge({ ...stamp, type: 'challenge.received', generation: 3, challenge })).toStrictEqual({
      at: NOW,
      challenge: { ...challenge, at: NOW, generation: 3 },
      notRequiredAt: undefined,
    })
  })

  test('recordDiscovery adds the server facts that were used to the notes of the next journal entry', () => {
    const withRows = { ...metadata, facts: { names: ['Ours', 'Google'] } }
    const event = { type: 'xstate.done.actor.discoverServer' as const, output: { at: NOW, metadata: withRows } }
    const notes = ['facts: Ours', 'facts: Google']
    expect(recordDiscovery(contextWith({ request }), event).notes).toEqual(notes)
    expect(recordDiscovery(contextWith({ request, notes: ['first'] }), event).notes).toEqual(['first', ...notes])
  })

  test('recordDiscovery stores a client of the host together with its issuer', () => {
    const output = { at: NOW, client: staticClient }
    expect(recordDiscovery(contextWith({ request }), { type: 'xstate.done.actor.ensureRegistration', output })).toEqual(
      {
        at: NOW,
        request: { ...request, client: staticClient },
        rejectedClient: undefined,
        imported: { clientInformation: staticClient, issuer, discovered: true },
        boundClients: [{ clientId: staticClient.clientId, issuer }],
      },
    )
  })

  test('rejectGrant reports POLICY_REFUSED for a disallowed grant and GRANT_UNSUPPORTED for one that the server lacks', () => {
    const refuse = (changes: Partial<AuthorizationRequest>): unknown =>
      rejectGrant(contextWith({ request: { ...request, ...changes } }))
    expect(refuse({ allowedGrants: ['jwt_bearer'] })).toEqual({
      failure: { code: 'POLICY_REFUSED', details: { received: 'authorization_code', reason: 'allowedGrants' } },
    })
    expect(refuse({ allowedScopes: ['write'] })).toEqual({
      failure: { code: 'POLICY_REFUSED', details: { received: 'read', reason: 'allowedScopes' } },
    })
    expect(refuse({ metadata: { ...metadata, grantTypesSupported: ['password', 'x'.repeat(300)] } })).toEqual({
      failure: {
        code: 'GRANT_UNSUPPORTED',
        details: { expected: 'authorization_code', offered: 'password xxxx…' },
      },
    })
    expect(refuse({ grant: 'jwt_bearer' })).toEqual({
      failure: { code: 'GRANT_UNSUPPORTED', details: { expected: 'jwt_bearer' } },
    })
  })
})

describe('a server', () => {
  test('adoptServer adds the discovered server to the record', () => {
    expect(adoptServer(contextWith({ request }))).toEqual({ servers: [server] })
  })

  test('adoptServer retains the id of an unchanged server and moves it to the end', () => {
    const other = { ...server, id: 4, issuer: 'https://other.example' }
    const { servers: known } = adoptServer(contextWith({ request }))
    const again = adoptServer(contextWith({ request, servers: [...(known ?? []), other] }))
    expect(again.servers?.map(({ id }) => id)).toEqual([4, 1])
  })

  test('adoptServer gives a server with changed metadata a new id', () => {
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

  test('adoptServer stores the DPoP settings of the server', () => {
    const dpop = { alg: 'ES256', required: true } as const
    const asked = { ...request, metadata: { ...metadata, dpop } }
    expect(adoptServer(contextWith({ request: asked }))).toEqual({ servers: [{ ...server, dpop }] })
  })

  test('adoptServer binds imported tokens to the server, but only in a renewal', () => {
    const imported = { ...tokens, serverId: undefined }
    const renewal = contextWith({ request: { ...request, purpose: 'renew' }, tokens: imported })
    expect(adoptServer(renewal).tokens).toEqual(tokens)
    expect(adoptServer(contextWith({ request, tokens: imported }))).not.toHaveProperty('tokens')
  })
})

test('beginRequest of a step-up combines the requested, previously requested and challenged scopes', () => {
  const held = { ...tokens, requestedScope: 'read delete', scope: 'read' }
  const event = {
    ...stamp,
    type: 'challenge.insufficientScope',
    request: wishes({ scope: 'list', challengeScope: 'write' }),
  } as const
  expect(beginRequest(contextWith({ tokens: held }), event).request).toMatchObject({
    scope: 'list read delete',
    challengeScope: 'write',
  })
})

test('the failure of another issuer shows neither the query nor the long path segments of the two', () => {
  const key = 'k'.repeat(40)
  const context = contextWith({ issuer: `https://as.example.com/${key}?key=${key}` })
  expect(issuerChanged(context, `https://other.example/${key}/a?key=${key}`)).toEqual({
    code: 'POLICY_REFUSED',
    details: {
      reason: 'issuerChanged',
      expected: 'https://as.example.com/kkkk…',
      received: 'https://other.example/kkkk…/a',
    },
  })
})
