import { describe, expect, test } from 'vitest'
import { warnOnFailure } from '../../../src/errors/warn-on-failure.ts'
import { processWarnings } from '../../support/process-warnings.ts'

/** An error that throws whenever it is looked at. */
const hostile: unknown = Object.create(Error.prototype, {
  message: {
    get: () => {
      throw new Error('no message')
    },
  },
})

describe('warnOnFailure', () => {
  test('warnOnFailure resolves to true without a warning after work that succeeded', async () => {
    const results: boolean[] = []
    const warnings = await processWarnings(async () => {
      results.push(await warnOnFailure('AUTHCHART_CALLBACK_FAILED', 'the callback', () => {}))
      results.push(await warnOnFailure('AUTHCHART_CALLBACK_FAILED', 'the callback', async () => 'done'))
    })
    expect({ results, warnings }).toEqual({ results: [true, true], warnings: [] })
  })

  test('warnOnFailure starts the work before it returns', () => {
    const order: string[] = []
    void warnOnFailure('AUTHCHART_CALLBACK_FAILED', 'the callback', () => order.push('begun'))
    expect(order).toEqual(['begun'])
  })

  test.each<[string, unknown, string]>([
    ['an error', new Error('out of paper'), 'out of paper'],
    ['text', 'out of ink', 'out of ink'],
    ['undefined', undefined, 'undefined'],
    ['a symbol', Symbol('x'), 'Symbol(x)'],
    ['an object without a string form', Object.create(null), 'unknown error'],
    ['an error whose message throws when read', hostile, 'unknown error'],
  ])('warnOnFailure warns with the message of %s, thrown or rejected', async (_name, thrown, message) => {
    const results: boolean[] = []
    const throwing = (): never => {
      throw thrown
    }
    const warnings = await processWarnings(async () => {
      results.push(await warnOnFailure('AUTHCHART_CALLBACK_FAILED', 'the callback', throwing))
      results.push(await warnOnFailure('AUTHCHART_CALLBACK_FAILED', 'the callback', async () => throwing()))
    })
    const warning = {
      name: 'AuthchartWarning',
      code: 'AUTHCHART_CALLBACK_FAILED',
      message: `the callback failed: ${message}`,
    }
    expect({ results, warnings }).toEqual({ results: [false, false], warnings: [warning, warning] })
  })

  test('warnOnFailure of a failed close reports only the class of the error', async () => {
    const throwing = (error: unknown) => (): never => {
      throw error
    }
    const warnings = await processWarnings(async () => {
      for (const error of [new RangeError('password'), 'password'])
        await warnOnFailure('AUTHCHART_CLOSE_FAILED', 'closing the store', throwing(error))
    })
    expect(warnings.map(({ message }) => message)).toEqual([
      'closing the store failed: RangeError',
      'closing the store failed: string',
    ])
  })
})
