import { expect, test } from 'vitest'
import { systemClock } from '../../src/clock.ts'

test('systemClock.now returns the wall-clock time in milliseconds', () => {
  const before = Date.now()
  const now = systemClock.now()
  expect(now).toBeGreaterThanOrEqual(before)
  expect(now).toBeLessThanOrEqual(Date.now())
})

test('systemClock.monotonic never decreases', () => {
  const readings = Array.from({ length: 100 }, () => systemClock.monotonic())
  expect(readings).toEqual(readings.toSorted((a, b) => a - b))
})

test('systemClock.random returns the requested number of bytes, different in each call', () => {
  const values = Array.from({ length: 100 }, () => systemClock.random(16))
  expect(values.map(({ length }) => length)).toEqual(Array(100).fill(16))
  expect(new Set(values.map((value) => Buffer.from(value).toString('hex'))).size).toBe(100)
  expect(systemClock.random(0)).toEqual(new Uint8Array())
})
