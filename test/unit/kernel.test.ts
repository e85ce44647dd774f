import { getEventListeners } from 'node:events'
import { describe, expect, test } from 'vitest'
import { detachable } from '../../src/kernel.ts'

describe('detachable()', () => {
  test('without a signal it is the promise itself', async () => {
    const promise = Promise.resolve(1)
    expect(detachable(promise, undefined)).toBe(promise)
  })

  test.each([
    ['what it resolves to', () => Promise.resolve('done'), { status: 'fulfilled', value: 'done' }],
    ['what it rejects with', () => Promise.reject(new Error('no')), { status: 'rejected', reason: new Error('no') }],
  ])('hands on %s, and lets go of the signal', async (_what, work, outcome) => {
    const { signal } = new AbortController()
    const [settled] = await Promise.allSettled([detachable<unknown>(work(), signal)])
    expect(settled).toEqual(outcome)
    expect(getEventListeners(signal, 'abort')).toEqual([])
  })

  test('an abort lets the caller go; what comes later is nobody’s business', async () => {
    const controller = new AbortController()
    let fail = (_error: Error): void => {}
    const promise = new Promise((_resolve, reject) => (fail = reject))
    const detached = detachable(promise, controller.signal)
    controller.abort()
    await expect(detached).rejects.toMatchObject({ code: 'ABORTED', retryable: true })
    fail(new Error('too late to be told'))
    await expect(promise).rejects.toThrow('too late to be told')
    expect(getEventListeners(controller.signal, 'abort')).toEqual([])
  })

  test('a signal that was aborted before lets the caller go at once', async () => {
    const detached = detachable(new Promise(() => {}), AbortSignal.abort())
    await expect(detached).rejects.toMatchObject({ code: 'ABORTED' })
  })
})
