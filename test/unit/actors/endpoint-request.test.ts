import { expect, test } from 'vitest'
import { retryAfterMs } from '../../../src/actors/endpoint-request.ts'

const now = Date.parse('2026-11-01T00:00:00Z')

test.each([
  [undefined, undefined],
  ['', undefined],
  ['soon', undefined],
  ['0', 0],
  [' 5 ', 5000],
  ['3600', 300_000],
  ['-5', undefined],
  ['Sun, 01 Nov 2026 00:00:30 GMT', 30_000],
  ['Sun, 01 Nov 2026 01:00:00 GMT', 300_000],
  ['Sat, 31 Oct 2026 00:00:00 GMT', undefined],
])('retryAfterMs for the header retry-after %j returns %j', (value, expected) => {
  expect(retryAfterMs(new Headers(value === undefined ? {} : { 'retry-after': value }), now)).toBe(expected)
})
