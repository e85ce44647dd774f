import { expect, test } from 'vitest'
import { SimulatedClock } from '../../../src/testing/index.ts'

test('advance() moves both times of a simulated clock, which otherwise stand still', () => {
  const clock = new SimulatedClock({ startAt: 1_000, bootedMs: 50 })
  expect([clock.now(), clock.monotonic()]).toEqual([1_000, 50])
  clock.advance(1.5)
  expect([clock.now(), clock.monotonic()]).toEqual([1_001.5, 51.5])
})

test('a simulated clock starts in the future by default, with monotonic time 0', () => {
  const clock = new SimulatedClock()
  expect([clock.now(), clock.monotonic()]).toEqual([1_800_000_000_000, 0])
})

test.each([-1, Number.NaN])('advance(%d) throws a RangeError', (ms) => {
  expect(() => new SimulatedClock().advance(ms)).toThrow(RangeError)
})

test('clocks with the same seed produce the same random values, which never repeat within one clock', () => {
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
