import { expect, test } from 'vitest'
import { eventAs, assertDefined } from '../../../machines/assert.ts'

test('assertDefined returns a defined fact and throws an error that names an undefined one', () => {
  expect(assertDefined(0, 'a number')).toBe(0)
  expect(() => assertDefined(undefined, 'a number')).toThrow(
    new Error('the chart entered a working state without a number'),
  )
})

test('eventAs returns an event of the expected type and throws an error that names any other type', () => {
  const event = { type: 'one', value: 1 } as { type: 'one'; value: number } | { type: 'two' }
  expect(eventAs(event, 'one').value).toBe(1)
  expect(() => eventAs({ type: 'three' }, 'three', 'four')).not.toThrow()
  expect(() => eventAs<{ type: string }, string>({ type: 'three' }, 'one', 'two')).toThrow(
    new Error('the chart runs an action of one, two at three'),
  )
})
