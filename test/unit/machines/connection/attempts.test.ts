import { describe, expect, test } from 'vitest'
import {
  addAttempt,
  authorizationRequestBuilt,
  endAttempt,
  endDenied,
} from '../../../../machines/connection/attempts.ts'
import { ATTEMPT_TTL_MS, contextWith, server } from '../../../support/charts/facts.ts'
import { attemptOf, NOW, request, stamp } from './support.ts'

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
})
