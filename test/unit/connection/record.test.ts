import { getEventListeners } from 'node:events'
import { describe, expect, test } from 'vitest'
import { abortable } from '../../../src/connection/record.ts'

describe('abortable()', () => {
  test.each([
    ['the value of the promise', () => Promise.resolve('done'), { status: 'fulfilled', value: 'done' }],
    [
      'the error of the promise',
      () => Promise.reject(new Error('no')),
      { status: 'rejected', reason: new Error('no') },
    ],
  ])('abortable() settles with %s and removes its abort listener', async (_what, start, outcome) => {
    const { signal } = new AbortController()
    const settled = await Promise.allSettled([abortable<unknown>(start, signal), abortable<unknown>(start, undefined)])
    expect(settled).toEqual([outcome, outcome])
    expect(getEventListeners(signal, 'abort')).toEqual([])
  })

  test('abortable() rejects with ABORTED when the signal aborts and ignores a later rejection of the operation', async () => {
    const controller = new AbortController()
    let fail = (_error: Error): void => {}
    const work = new Promise((_resolve, reject) => (fail = reject))
    const aborted = abortable(() => work, controller.signal)
    controller.abort()
    await expect(aborted).rejects.toMatchObject({ code: 'ABORTED', retryable: true })
    fail(new Error('too late'))
    await expect(work).rejects.toThrow('too late')
    expect(getEventListeners(controller.signal, 'abort')).toEqual([])
  })

  test('abortable() does not start the operation when the signal has already aborted', async () => {
    let begun = 0
    const start = async (): Promise<number> => (begun += 1)
    await expect(abortable(start, AbortSignal.abort())).rejects.toMatchObject({ code: 'ABORTED' })
    expect(begun).toBe(0)
  })
})
