import { expect, test } from 'vitest'
import { eventAs, assertDefined } from '../../../machines/assert.ts'

test('a known fact is itself, and a missing one is told by name', () => {
  expect(assertDefined(0, 'a number')).toBe(0)
  expect(() => assertDefined(undefined, 'a number')).toThrow(
    new Error('the chart entered a working state without a number'),
  )
})

test('an event of the right type is itself, and another one is told by name', () => {
  const event = { type: 'one', value: 1 } as { type: 'one'; value: number } | { type: 'two' }
  expect(eventAs(event, 'one').value).toBe(1)
  expect(() => eventAs({ type: 'three' }, 'three', 'four')).not.toThrow()
  expect(() => eventAs<{ type: string }, string>({ type: 'three' }, 'one', 'two')).toThrow(
    new Error('the chart runs an action of one, two at three'),
  )
})
