import { expect, test } from 'vitest'
import { appendToJournal } from '../../../machines/record-rules.ts'
import { MAX_JOURNAL_ENTRIES } from '../../../machines/limits.ts'
import { rejections, START } from '../../support/charts/facts.ts'

const first = { at: START, from: 'disconnected', to: 'authorized', reason: 'exchangeCode.done' }

test('a transition says when, from where, to where and why', () => {
  const context = { at: START + 1, journal: [first] }
  expect(appendToJournal(context, { type: 'refresh.requested' }, 'refreshing', 'disconnected')).toEqual([
    first,
    { at: START + 1, from: 'authorized', to: 'refreshing', reason: 'refresh.requested' },
  ])
})

test('the first one comes from where the chart begins', () => {
  expect(
    appendToJournal({ at: START, journal: [] }, { type: 'attempt.expired' }, 'disconnected', 'unregistered'),
  ).toEqual([{ at: START, from: 'unregistered', to: 'disconnected', reason: 'attempt.expired' }])
})

test.each([
  ['an event', { type: 'attempt.expired' }, undefined, 'attempt.expired'],
  [
    'an event in spite of an older failure',
    { type: 'attempt.expired' },
    { code: 'HTTP_NETWORK' as const },
    'attempt.expired',
  ],
  ['the answer of a port', { type: 'xstate.done.actor.refreshTokens' }, undefined, 'refreshTokens.done'],
  [
    'what an answer led to',
    { type: 'xstate.done.actor.ensureRegistration' },
    { code: 'GRANT_UNSUPPORTED' as const },
    'GRANT_UNSUPPORTED',
  ],
  [
    'what a port failed with',
    { type: 'xstate.error.actor.refreshTokens', error: rejections.unknown },
    undefined,
    'HTTP_TIMEOUT',
  ],
  [
    'a bug in a port',
    { type: 'xstate.error.actor.refreshTokens', error: rejections.unexpected },
    undefined,
    'TOKEN_OUTCOME_UNKNOWN',
  ],
])('the reason is %s', (_, event, failure, reason) => {
  expect(appendToJournal({ at: START, journal: [], failure }, event, 'authorized', 'disconnected')[0]?.reason).toBe(
    reason,
  )
})

test('the oldest one goes', () => {
  const full = Array.from({ length: MAX_JOURNAL_ENTRIES }, (_, index) => ({ ...first, at: START + index }))
  const journal = appendToJournal(
    { at: START + 99, journal: full },
    { type: 'attempt.expired' },
    'disconnected',
    'disconnected',
  )
  expect(journal.map(({ at }) => at - START)).toEqual([...full.slice(1).map(({ at }) => at - START), 99])
})
