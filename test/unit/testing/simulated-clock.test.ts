import { expect, test } from 'vitest'
import { SimulatedClock } from '../../../src/testing/index.ts'

test('stands still until it is moved, and then both its times move', () => {
  const clock = new SimulatedClock({ startAt: 1_000, bootedMs: 50 })
  expect([clock.now(), clock.monotonic()]).toEqual([1_000, 50])
  clock.advance(1.5)
  expect([clock.now(), clock.monotonic()]).toEqual([1_001.5, 51.5])
})

test('begins in the future, at zero', () => {
  const clock = new SimulatedClock()
  expect([clock.now(), clock.monotonic()]).toEqual([1_800_000_000_000, 0])
})

test.each([-1, Number.NaN])('never goes back: %d', (ms) => {
  expect(() => new SimulatedClock().advance(ms)).toThrow(RangeError)
})

test('repeats its random values with the same seed, and never within one', () => {
  const draw = (seed?: string): string[] => {
    const clock = new SimulatedClock({ seed })
    return Array.from({ length: 50 }, () => Buffer.from(clock.random(12)).toString('hex'))
  }
  expect(draw('a')).toEqual(draw('a'))
  expect(new Set([...draw('a'), ...draw('b'), ...draw(), ...draw()]).size).toBe(200)
  expect([0, 1, 32, 100].map((bytes) => new SimulatedClock({ seed: 'a' }).random(bytes).length)).toEqual([
    0, 1, 32, 100,
  ])
})
