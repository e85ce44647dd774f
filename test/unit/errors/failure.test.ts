import { describe, expect, test } from 'vitest'
import {
  describeFailure,
  failure,
  FAILURE_CODES,
  isRetryable,
  nextActionFor,
  truncate,
} from '../../../src/errors/failure.ts'

test('a failure leaves out what is not known, so that equal failures are equal as JSON', () => {
  expect(failure('HTTP_TIMEOUT')).toStrictEqual({ code: 'HTTP_TIMEOUT' })
  expect(failure('HTTP_TIMEOUT', { host: undefined })).toStrictEqual({ code: 'HTTP_TIMEOUT' })
  expect(failure('HTTP_TIMEOUT', { host: 'as.example.com', status: undefined })).toStrictEqual({
    code: 'HTTP_TIMEOUT',
    details: { host: 'as.example.com' },
  })
})

test('a string from another party is cut', () => {
  expect(truncate('x'.repeat(200))).toBe('x'.repeat(200))
  expect(truncate('x'.repeat(201))).toBe(`${'x'.repeat(200)}…`)
})

describe('every code', () => {
  test('is there once', () => {
    expect(new Set(FAILURE_CODES).size).toBe(FAILURE_CODES.length)
  })

  test.each(FAILURE_CODES)('%s has a sentence in lower case without a full stop, and a next action', (code) => {
    expect(describeFailure({ code })).toMatch(/^(?:[a-z]|S256|JSON|PKCE)[^.]*[^.\s]$/)
    expect(['retry', 'authorize', 'configureClient', 'fixServer', 'none']).toContain(nextActionFor({ code }))
  })

  test('that may pass by itself is retryable', () => {
    expect(FAILURE_CODES.filter((code) => isRetryable({ code }))).toEqual([
      'RESOURCE_METADATA_UNAVAILABLE',
      'SERVER_METADATA_UNAVAILABLE',
      'TOKEN_OUTCOME_UNKNOWN',
      'HTTP_TIMEOUT',
      'HTTP_NETWORK',
      'SERVER_UNAVAILABLE',
      'RATE_LIMITED',
      'STORE_UNAVAILABLE',
      'ABORTED',
      'TIMED_OUT',
      'CLOSED',
    ])
  })

  test('that says to retry is retryable', () => {
    const advised = FAILURE_CODES.filter((code) => nextActionFor({ code }) === 'retry')
    expect(advised.filter((code) => !isRetryable({ code }))).toEqual([])
  })
})

test('details are named and quoted, whatever they hold', () => {
  const told = describeFailure({
    code: 'SERVER_ISSUER_MISMATCH',
    details: { expected: 'https://as', received: 'x", "y\n', status: 200 },
  })
  expect(told).toBe(
    'the authorization server metadata names another issuer (expected "https://as", received "x\\", \\"y\\n", status 200)',
  )
})
