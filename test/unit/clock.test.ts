import { describe, expect, test } from 'vitest'
import { startTimeout, systemClock } from '../../src/clock.ts'

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

describe('a timeout that has elapsed', () => {
  const started = (timeoutMs: number) => {
    const { promise, resolve } = Promise.withResolvers<number>()
    return { fired: promise, timeout: startTimeout(timeoutMs, () => resolve(performance.now())) }
  }

  test('fires a little later, when nothing arrives', async () => {
    const startedAt = performance.now()
    const { fired, timeout } = started(20)
    expect(timeout.isElapsed).toBe(false)
    expect((await fired) - startedAt).toBeGreaterThanOrEqual(40)
    expect(timeout.isElapsed).toBe(true)
  })

  test('is postponed while something arrives, ten times', async () => {
    const startedAt = performance.now()
    const { fired, timeout } = started(1)
    const drip = setInterval(() => timeout.progressed(), 1)
    const firedAt = await fired
    clearInterval(drip)
    expect(firedAt - startedAt).toBeGreaterThanOrEqual(11 * 20)
  })

  test('does not fire once it is cleared, at whatever moment', async () => {
    const fired: string[] = []
    const timeouts = ['at once', 'when it has elapsed', 'later'].map((name) => startTimeout(1, () => fired.push(name)))
    timeouts[0]?.clear()
    await new Promise((resolve) => setTimeout(resolve, 1))
    timeouts[1]?.clear()
    await new Promise((resolve) => setTimeout(resolve, 10))
    timeouts[2]?.clear()
    await started(60).fired
    expect(fired).toEqual([])
  })
})
