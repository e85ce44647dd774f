import { describe, expect, test } from 'vitest'
import {
  addAttempt,
  authorizationRequestBuilt,
  endAttempt,
  endDenied,
} from '../../../../machines/connection/attempts.ts'
import { ATTEMPT_TTL_MS, contextWith, server, START } from '../../../support/charts/facts.ts'
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
})
