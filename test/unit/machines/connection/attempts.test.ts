import { describe, expect, test } from 'vitest'
import {
  addAttempt,
  authorizationRequestBuilt,
  endAttempt,
  endDenied,
} from '../../../../machines/connection/attempts.ts'
import type { Attempt, ConnectionContext } from '../../../../src/schemas/connection-context.ts'
import { ATTEMPT_TTL_MS, contextWith, issuer, server, START, staticClient } from '../../../support/charts/facts.ts'
import { attemptOf, NOW, request, stamp } from './support.ts'

describe('an attempt', () => {
  const built = { at: NOW, stateHash: 'hash-1', verifier: 'verifier-1' }

  test('addAttempt stores everything that the callback of the attempt needs', () => {
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

  test('addAttempt supersedes the oldest attempt without a code that can be redeemed, and one with such a code last', () => {
    const code = { code: 'code', expiresAt: NOW + 1 }
    const superseded = (first: Partial<Attempt>, others: Partial<Attempt>): unknown => {
      const attempts = [attemptOf(1, first), ...[2, 3, 4, 5, 6, 7, 8].map((number) => attemptOf(number, others))]
      const added = addAttempt(contextWith({ request, servers: [server], attempts }), { ...built, stateHash: 'new' })
      const pending = added.attempts?.map(({ stateHash }) => stateHash)
      return [added.endedAttempts, pending?.length, pending?.at(0), pending?.at(-1)]
    }
    const ended = (stateHash: string): object => ({ stateHash, outcome: 'superseded', endedAt: NOW })
    expect(superseded({}, {})).toEqual([[ended('hash-1')], 8, 'hash-2', 'new'])
    expect(superseded(code, {})).toEqual([[ended('hash-2')], 8, 'hash-1', 'new'])
    expect(superseded({ ...code, expiresAt: NOW }, {})).toEqual([[ended('hash-1')], 8, 'hash-2', 'new'])
    expect(superseded(code, code)).toEqual([[ended('hash-1')], 8, 'hash-2', 'new'])
  })

  test('authorizationRequestBuilt emits the authorization URL and state with the expiry of the attempt', () => {
    const context = contextWith({ attempts: [attemptOf(1, { expiresAt: NOW })] })
    const url = 'https://as.example.com/authorize?state=fake'
    expect(authorizationRequestBuilt(context, { authorizationUrl: url, state: 'fake' })).toEqual({
      type: 'authorizationRequest.built',
      authorizationUrl: url,
      state: 'fake',
      expiresAt: NOW,
    })
  })

  test('endAttempt ends only the named attempt and ignores an unknown one', () => {
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

  test('endDenied ends the attempt as denied, records the OAuth error code and clears the challenge', () => {
    const event = { ...stamp, type: 'callback.denied', stateHash: 'hash-1', error: 'access_denied' } as const
    const challenge = { at: START, generation: 0, scope: 'admin' }
    expect(endDenied(contextWith({ attempts: [attemptOf(1)], challenge }), event)).toStrictEqual({
      at: NOW,
      attempts: [],
      endedAttempts: [{ stateHash: 'hash-1', outcome: 'denied', endedAt: NOW }],
      historyTruncatedAt: undefined,
      failure: { code: 'AUTHORIZATION_DENIED', details: { error: 'access_denied' } },
      // Whether its scope is still wanted is for the next challenge to say.
      challenge: undefined,
    })
  })

  test('endDenied records that the server was unavailable for an error that says so, and retains the challenge', () => {
    const event = { ...stamp, type: 'callback.denied', stateHash: 'hash-1', error: 'server_error' } as const
    const change = endDenied(contextWith({ attempts: [attemptOf(1)] }), event)
    expect(change.failure).toEqual({ code: 'SERVER_UNAVAILABLE', details: { error: 'server_error' } })
    expect(change).not.toHaveProperty('challenge')
  })

  test('endDenied records the first registration whose scope was refused, and a contradiction for the next one', () => {
    const event = { ...stamp, type: 'callback.denied', stateHash: 'hash-1', error: 'invalid_scope' } as const
    const refused = { code: 'AUTHORIZATION_DENIED', details: { error: 'invalid_scope' } }
    const denied = (changes: Partial<ConnectionContext>): object => {
      const { failure, invalidScope } = endDenied(contextWith({ attempts: [attemptOf(1)], ...changes }), event)
      return { failure, invalidScope }
    }
    const first = { issuer, clientId: 'client-1' }
    expect(denied({ servers: [server] })).toEqual({ failure: refused, invalidScope: first })
    // Another attempt with the same client says nothing new, nor does a client of another server.
    expect(denied({ servers: [server], invalidScope: first })).toEqual({ failure: refused, invalidScope: first })
    const elsewhere = { issuer: 'https://other.example', clientId: 'client-0' }
    expect(denied({ servers: [server], invalidScope: elsewhere })).toEqual({ failure: refused, invalidScope: first })
    expect(denied({ servers: [server], invalidScope: { issuer, clientId: 'client-0' } })).toEqual({
      failure: {
        code: 'AUTHORIZATION_DENIED',
        details: { error: 'invalid_scope', reason: 'contradictoryScopes', offered: 'read' },
      },
      invalidScope: undefined,
    })
    // A client of the host, or an unknown attempt: no registration can help.
    expect(denied({ servers: [{ ...server, client: staticClient }] })).toEqual({ failure: refused })
    expect(denied({})).toEqual({ failure: refused })
  })
})
