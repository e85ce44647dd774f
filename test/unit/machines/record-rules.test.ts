import { expect, test } from 'vitest'
import { appendToJournal, newestWithin } from '../../../machines/record-rules.ts'
import { MAX_JOURNAL_ENTRIES, MAX_TOTAL_SCOPE_LENGTH } from '../../../machines/limits.ts'
import { rejections, START } from '../../support/charts/facts.ts'

const first = { at: START, from: 'disconnected', to: 'authorized', reason: 'exchangeCode.done' }

test('appendToJournal adds an entry with time, source, target and reason', () => {
  const context = { at: START + 1, journal: [first] }
  expect(appendToJournal(context, { type: 'refresh.requested' }, 'refreshing', 'disconnected')).toEqual([
    first,
    { at: START + 1, from: 'authorized', to: 'refreshing', reason: 'refresh.requested' },
  ])
})

test('newestWithin drops the oldest entries beyond a count or a total length of scopes', () => {
  const entries = [4_096, 4_000, 96, 0].map((length) => ({ scope: 'x'.repeat(length) }))
  const lengths = (all: { scope?: string }[], count: number): unknown[] =>
    newestWithin(all, count).map(({ scope }) => scope?.length)
  expect(MAX_TOTAL_SCOPE_LENGTH).toBe(8_192)
  expect(lengths(entries, 8)).toEqual([4_096, 4_000, 96, 0])
  expect(lengths([...entries, {}, { scope: 'y' }], 8)).toEqual([4_000, 96, 0, undefined, 1])
  expect(lengths(entries, 2)).toEqual([96, 0])
  expect(lengths([{ scope: 'x' }, { scope: 'y'.repeat(9_000) }], 8)).toEqual([9_000])
})

test('appendToJournal adds the notes of the transition to its entry', () => {
  const context = { at: START, journal: [], notes: ['facts: Google'] }
  expect(appendToJournal(context, { type: 'attempt.expired' }, 'failed', 'disconnected')).toEqual([
    { at: START, from: 'disconnected', to: 'failed', reason: 'attempt.expired', notes: ['facts: Google'] },
  ])
})

test('appendToJournal uses the initial state as the source of the first entry', () => {
  expect(
    appendToJournal({ at: START, journal: [] }, { type: 'attempt.expired' }, 'disconnected', 'unregistered'),
  ).toEqual([{ at: START, from: 'unregistered', to: 'disconnected', reason: 'attempt.expired' }])
})

test.each([
  ['an event', { type: 'attempt.expired' }, undefined, 'attempt.expired'],
  [
    'an event after an older failure',
    { type: 'attempt.expired' },
    { code: 'HTTP_NETWORK' as const },
    'attempt.expired',
  ],
  ['the output of a port', { type: 'xstate.done.actor.refreshTokens' }, undefined, 'refreshTokens.done'],
  [
    'a failure that a port output led to',
    { type: 'xstate.done.actor.ensureRegistration' },
    { code: 'GRANT_UNSUPPORTED' as const },
    'GRANT_UNSUPPORTED',
  ],
  [
    'a failure of a port',
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
])('the reason of a journal entry names %s', (_, event, failure, reason) => {
  expect(appendToJournal({ at: START, journal: [], failure }, event, 'authorized', 'disconnected')[0]?.reason).toBe(
    reason,
  )
})

test('appendToJournal drops the oldest entry of a full journal', () => {
  const full = Array.from({ length: MAX_JOURNAL_ENTRIES }, (_, index) => ({ ...first, at: START + index }))
  const journal = appendToJournal(
    { at: START + 99, journal: full },
    { type: 'attempt.expired' },
    'disconnected',
    'disconnected',
  )
  expect(journal.map(({ at }) => at - START)).toEqual([...full.slice(1).map(({ at }) => at - START), 99])
})
