import { getEventListeners } from 'node:events'
import { describe, expect, test } from 'vitest'
import { abortable } from '../../../src/connection/record.ts'

describe('abortable()', () => {
  test.each([
    ['what it resolves to', () => Promise.resolve('done'), { status: 'fulfilled', value: 'done' }],
    ['what it rejects with', () => Promise.reject(new Error('no')), { status: 'rejected', reason: new Error('no') }],
  ])('hands on %s, and lets go of the signal', async (_what, start, outcome) => {
    const { signal } = new AbortController()
    const settled = await Promise.allSettled([abortable<unknown>(start, signal), abortable<unknown>(start, undefined)])
    expect(settled).toEqual([outcome, outcome])
    expect(getEventListeners(signal, 'abort')).toEqual([])
  })

  test('an abort lets the caller go; what comes later is no business of its own', async () => {
    const controller = new AbortController()
    let fail = (_error: Error): void => {}
    const work = new Promise((_resolve, reject) => (fail = reject))
    const detached = abortable(() => work, controller.signal)
    controller.abort()
    await expect(detached).rejects.toMatchObject({ code: 'ABORTED', retryable: true })
    fail(new Error('too late to be told'))
    await expect(work).rejects.toThrow('too late to be told')
    expect(getEventListeners(controller.signal, 'abort')).toEqual([])
  })

  test('with a signal that was aborted before, nothing is even begun', async () => {
    let begun = 0
    const start = async (): Promise<number> => (begun += 1)
    await expect(abortable(start, AbortSignal.abort())).rejects.toMatchObject({ code: 'ABORTED' })
    expect(begun).toBe(0)
  })
})
