import { describe, expect, test } from 'vitest'
import type { RequestedAuthorization } from '../../../../machines/connection/events.ts'
import { countStepUp, endStepUps, rejectScope } from '../../../../machines/connection/step-up.ts'
import { contextWith, tokens, wishes } from '../../../support/charts/facts.ts'
import { NOW, stamp } from './support.ts'

describe('a step-up', () => {
  const challenged = (request: Partial<RequestedAuthorization>) =>
    ({ ...stamp, type: 'challenge.insufficientScope', request: wishes(request) }) as const

  test('countStepUp counts rounds per scope regardless of order, for one day and at most MAX_STEP_UPS scopes', () => {
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

  test.each(['scope', 'requestedScope'])(
    'endStepUps records a combined scope that is too long beside the %s',
    (name) => {
      // Each scope takes 10 characters with its blank.
      const list = (letter: string, length: number): string =>
        Array.from({ length }, (_, index) => letter.repeat(6) + String(index + 100)).join(' ')
      const context = contextWith({ tokens: { ...tokens, scope: 'a', [name]: list('a', 200) } })
      const end = (length: number) => endStepUps(context, challenged({ challengeScope: list('b', length) }))
      const expected = `${list('b', 200).slice(0, 200)}…`
      expect(end(210)).toEqual({
        at: NOW,
        failure: { code: 'STEP_UP_EXHAUSTED', details: { expected, reason: 'scopeTooLong' } },
      })
      expect(end(200)).toEqual({ at: NOW, failure: { code: 'STEP_UP_EXHAUSTED', details: { expected } } })
    },
  )

  test('rejectScope and endStepUps record their failure codes for a challenge without a scope', () => {
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
