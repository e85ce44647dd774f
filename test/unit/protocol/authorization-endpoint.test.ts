import { describe, expect, test } from 'vitest'
import {
  failureOfResponse,
  issuerVerdict,
  parseCallback,
  RESERVED_PARAMETERS,
} from '../../../src/protocol/authorization-endpoint.ts'
import { verifies } from '../../support/verifies.ts'

const base = 'https://app.example/callback'

describe('parseCallback', () => {
  const callbacks: [string, ReturnType<typeof parseCallback>][] = [
    [`${base}?code=c&state=s`, { code: 'c', state: 's' }],
    [`${base}?code=c&state=s&iss=https%3A%2F%2Fas%2F&x=1&x=2`, { code: 'c', state: 's', iss: 'https://as/' }],
    [`${base}?code=a%2Bb+c`, { code: 'a+b c' }],
    [`${base}?error=access_denied&state=s&iss=i`, { error: 'access_denied', state: 's', iss: 'i' }],
    [`${base}?error=access_denied&error_description=secret&error_uri=u`, { error: 'access_denied' }],
    [`${base}?error=Not%20a%20code`, { error: 'other' }],
    [`${base}?error=${'a'.repeat(65)}`, { error: 'other' }],
    [`${base}?error=&code=c&state=`, { code: 'c' }],
    [base, { malformed: 'noCode' }],
    [`${base}?state=s`, { state: 's', malformed: 'noCode' }],
    [`${base}?state=s&iss=i`, { state: 's', iss: 'i', malformed: 'noCode' }],
    [`${base}?code=a&code=b&state=s`, { state: 's', malformed: 'repeatedParameter' }],
    [`${base}?code=a&code=a&state=s`, { state: 's', malformed: 'repeatedParameter' }],
    [`${base}?code=a&state=s&state=s`, { malformed: 'repeatedParameter' }],
    [`${base}?code=a&state=s&state=`, { malformed: 'repeatedParameter' }],
    [`${base}?code=a&iss=a&iss=b`, { malformed: 'repeatedParameter' }],
    [`${base}?error=a&error=b`, { malformed: 'repeatedParameter' }],
    [`${base}?code=a&error=b&state=s`, { state: 's', malformed: 'codeAndError' }],
    [`${base}?code=${'a'.repeat(16_384)}`, { malformed: 'tooLong' }],
    [`${base}?code=a&x=${'a'.repeat(16_375)}`, { malformed: 'tooLong' }],
    [`${base}?state=s&code=${'a'.repeat(4_097)}`, { state: 's', malformed: 'tooLong' }],
    [`${base}?state=s&code=${'a'.repeat(4_096)}`, { state: 's', code: 'a'.repeat(4_096) }],
    [`${base}?x=${'a'.repeat(16_374)}&code=a`, { code: 'a' }],
    [`${base}#code=a&state=s`, { malformed: 'noCode' }],
    ['/callback?code=a', { malformed: 'notAUrl' }],
    ['', { malformed: 'notAUrl' }],
  ]
  test.each(callbacks.map(([url, expected]) => [url.slice(0, 80), url, expected] as const))(
    'parses %s',
    verifies(83, (_, url, expected) => {
      expect(parseCallback(url)).toStrictEqual(expected)
    }),
  )

  test('parses a URL object without changing it', () => {
    const url = new URL(`${base}?code=c`)
    expect(parseCallback(url)).toEqual({ code: 'c' })
    expect(url.href).toBe(`${base}?code=c`)
  })
})

test.each([
  ['temporarily_unavailable', 'SERVER_UNAVAILABLE'],
  ['server_error', 'SERVER_UNAVAILABLE'],
  ['access_denied', 'AUTHORIZATION_DENIED'],
  ['other', 'AUTHORIZATION_DENIED'],
])('the failure of a response with the error %s is %s', (error, code) => {
  expect(failureOfResponse(error)).toEqual({ code, details: { error } })
})

test('the parameters that make an authorization request what it is are reserved', () => {
  expect([...RESERVED_PARAMETERS]).toEqual([
    'response_type',
    'response_mode',
    'client_id',
    'redirect_uri',
    'scope',
    'state',
    'resource',
    'code_challenge',
    'code_challenge_method',
    'request',
    'request_uri',
  ])
})

describe('issuerVerdict', () => {
  const issuer = 'https://as'
  test.each([
    [true, issuer, true],
    [true, undefined, false],
    [true, 'https://evil', false],
    [undefined, issuer, true],
    [undefined, 'https://evil', false],
    [undefined, undefined, true],
    [undefined, 'https://as/', false],
    [undefined, 'https://AS', false],
    [undefined, 'https://as:443', false],
    [undefined, '', false],
  ] as const)(
    'with issRequired %j and iss %j returns %s',
    verifies([80, 81], (issRequired, iss, expected) => {
      expect(issuerVerdict({ issuer, issRequired }, iss)).toBe(expected)
    }),
  )
})
