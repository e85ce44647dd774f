import { expect, test } from 'vitest'
import { SimulatedClock } from '../../../src/testing/index.ts'

test('SimulatedClock stands still until advance() moves both of its times', () => {
  const clock = new SimulatedClock({ startAt: 1_000, bootedMs: 50 })
  expect([clock.now(), clock.monotonic()]).toEqual([1_000, 50])
  clock.advance(1.5)
  expect([clock.now(), clock.monotonic()]).toEqual([1_001.5, 51.5])
})

test('SimulatedClock starts in 2027 with a monotonic time of zero', () => {
  const clock = new SimulatedClock()
  expect([clock.now(), clock.monotonic()]).toEqual([1_800_000_000_000, 0])
})

test.each([-1, Number.NaN])('SimulatedClock.advance throws a RangeError for %d', (ms) => {
  expect(() => new SimulatedClock().advance(ms)).toThrow(RangeError)
})

test('SimulatedClock.random repeats its values with the same seed and never within one clock', () => {
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
