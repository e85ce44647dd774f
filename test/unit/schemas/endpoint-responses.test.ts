import { describe, expect, test } from 'vitest'

import { decodeAnswer, isJsonRpc, TokenResponseSchema, wireErrorOf } from '../../../src/schemas/endpoint-responses.ts'
import { check } from '../../../src/schemas/wire.ts'

const least = { access_token: 't', token_type: 'Bearer' }
const nothing = {
  scope: undefined,
  isScopePartial: undefined,
  expiresInMs: undefined,
  refreshToken: undefined,
  refreshTokenExpiresInMs: undefined,
  subject: undefined,
}

function parse(fields: object) {
  return check(TokenResponseSchema, { ...least, ...fields })
}

describe('a token response', () => {
  test('is parsed with all its members', () => {
    const fields = {
      token_type: 'bEaReR',
      expires_in: 3600,
      scope: ' a b ',
      refresh_token: 'r',
      refresh_token_expires_in: 7200,
      id_token: 'e30.e30.',
      sub: 'ümit',
      unknown: 1,
    }
    expect(parse(fields)).toEqual({
      output: {
        accessToken: 't',
        tokenType: 'Bearer',
        scope: 'a b',
        isScopePartial: undefined,
        expiresInMs: 3_600_000,
        refreshToken: 'r',
        refreshTokenExpiresInMs: 7_200_000,
        idToken: 'e30.e30.',
        subject: 'ümit',
      },
    })
  })

  test.each([false, '', null])('has no optional member that is %j', (unsaid) => {
    const optional = {
      expires_in: unsaid,
      scope: unsaid,
      refresh_token: unsaid,
      refresh_token_expires_in: unsaid,
      refresh_expires_in: unsaid,
      id_token: unsaid,
    }
    expect(parse(optional)).toEqual({ output: { accessToken: 't', tokenType: 'Bearer', ...nothing } })
  })

  test('is accepted with an access token and a refresh token of 32 KiB each', () => {
    const [accessToken, refreshToken] = ['a'.repeat(32_768), 'r'.repeat(32_768)]
    expect(parse({ access_token: accessToken, refresh_token: refreshToken })).toEqual({
      output: { accessToken, tokenType: 'Bearer', ...nothing, refreshToken },
    })
  })

  test.each(['access_token', 'refresh_token'])('is rejected with an overlong %s', (field) => {
    expect(parse({ [field]: 'a'.repeat(32_769) })).toEqual({ field })
  })

  test('is accepted with only access_token and token_type', () => {
    const expected = { output: { accessToken: 't', tokenType: 'Bearer', ...nothing } }
    const empty = {
      expires_in: null,
      scope: '',
      refresh_token: '',
      refresh_token_expires_in: null,
      refresh_expires_in: null,
      id_token: null,
    }
    expect([parse({}), parse(empty)]).toEqual([expected, expected])
  })

  test.each([
    [3600, 3_600_000],
    ['3600', 3_600_000],
    [1.5, 1500],
    ['3600.0', 3_600_000],
    ['3600abc', undefined],
    ['never', undefined],
    [true, undefined],
    [Number.NaN, undefined],
    [0, 0],
    ['0', 0],
    [-5, 0],
    ['-5', 0],
    [Number.POSITIVE_INFINITY, 315_360_000_000],
    [1e300, 315_360_000_000],
  ])('with expires_in %o expires in %o ms', (expires_in, expiresInMs) => {
    expect(parse({ expires_in })).toEqual({
      output: { accessToken: 't', tokenType: 'Bearer', ...nothing, expiresInMs },
    })
  })

  test('is parsed with the lifetime of the refresh token under either member name', () => {
    const lives = [{ refresh_expires_in: '60' }, { refresh_expires_in: 60, refresh_token_expires_in: 90 }].map(parse)
    expect(lives).toMatchObject([
      { output: { refreshTokenExpiresInMs: 60_000 } },
      { output: { refreshTokenExpiresInMs: 90_000 } },
    ])
  })

  test.each([
    ['a list of strings (mcp-context-forge#4594)', ['a', 'b'], 'a b'],
    ['a list of one', ['a b'], 'a b'],
    ['an empty list', [], undefined],
    ['commas and no blank', 'a,b,a', 'a b'],
    ['commas and blanks', 'a, b', 'a b'],
    ['several blanks', ' a  b ', 'a b'],
    ['as much as can be stored', `a ${'b'.repeat(4_094)}`, `a ${'b'.repeat(4_094)}`],
    ['more than can be stored', `a b ${'c'.repeat(4_093)} d`, 'a b'],
  ])('with a scope of %s has the scopes that can be stored, separated by one blank', (_name, scope, expected) => {
    expect(parse({ scope })).toMatchObject({ output: { scope: expected } })
  })

  test.each<[string, unknown, string | undefined]>([
    ['a number', 7, undefined],
    ['a list with a number', ['a', 7], undefined],
    ['an object', { a: 1 }, undefined],
    ['a text with a lone surrogate', 'a \uD800', undefined],
    ['one scope that is too long to store', ['a'.repeat(4_097)], undefined],
    ['more than can be stored', `a b ${'c'.repeat(4_093)}`, 'a b'],
  ])('with a scope of %s has a partial scope', (_name, scope, expected) => {
    expect(parse({ scope })).toEqual({
      output: { accessToken: 't', tokenType: 'Bearer', ...nothing, scope: expected, isScopePartial: true },
    })
  })

  test.each([7, '', 'a'.repeat(256), null])('with the sub %j has an undefined subject', (sub) => {
    expect(parse({ sub })).toMatchObject({ output: { subject: undefined } })
  })

  test.each([
    { refresh_token: 7 },
    { refresh_token_expires_in: '2027-01-01T00:00:00Z' },
    { refresh_expires_in: 'unlimited' },
    { id_token: {} },
  ])('is accepted without an optional member that is unreadable: %j', (fields) => {
    expect(parse(fields)).toEqual({ output: { accessToken: 't', tokenType: 'Bearer', ...nothing } })
  })

  test.each([
    ['access_token', { access_token: undefined }],
    ['access_token', { access_token: '' }],
    ['access_token', { access_token: 7 }],
    ['access_token', { access_token: 'a b' }],
    ['access_token', { access_token: 'a\r\nx: y' }],
    ['token_type', { token_type: undefined }],
    ['token_type', { token_type: 'mac' }],
    ['token_type', { token_type: 'N_A' }],
    ['token_type', { token_type: 'DPoP ' }],
  ])('with an invalid %s is rejected: %j', (field, fields) => {
    expect(parse(fields)).toEqual({ field })
  })
})

describe('decodeAnswer', () => {
  test.each([
    ['{"access_token":"t"}', { access_token: 't' }],
    ['{}', {}],
    ['access_token=t&scope=a%2Cb&token_type=bearer\n', { access_token: 't', scope: 'a,b', token_type: 'bearer' }],
    ['error=bad_verification_code', { error: 'bad_verification_code' }],
    ['', undefined],
    ['[]', undefined],
    ['null', undefined],
    ['"access_token=t"', undefined],
    ['ok', undefined],
    ['a=b', undefined],
    ['{"access_token":', undefined],
    ['<a href="/?error=x&access_token=y">', undefined],
    ['sorry, access_token=t', undefined],
  ])('decodes %s', (text, expected) => {
    expect(decodeAnswer(text)).toEqual(expected)
  })
})

test.each([
  [{}, undefined],
  [{ error: null }, undefined],
  [{ error: 'invalid_grant', error_description: 'secret' }, { error: 'invalid_grant' }],
  [{ error: 'Your token sk-123 is wrong' }, { error: undefined }],
  [{ error: 'a'.repeat(65) }, { error: undefined }],
  [{ error: { code: 401 } }, { error: undefined }],
  [{ error: '' }, undefined],
  [{ error: false }, undefined],
  [{ error: 0 }, undefined],
  [{ error: true }, { error: undefined }],
])('wireErrorOf extracts only a well-formed error code from %j', (fields, expected) => {
  expect(wireErrorOf(fields)).toEqual(expected)
})

test.each<[string, boolean]>([
  ['{"jsonrpc":"2.0","id":1,"result":{}}', true],
  ['{"jsonrpc":"2.0","error":{"code":-32600}}', true],
  ['[{"jsonrpc":"2.0","method":"a"},{"jsonrpc":"2.0","id":2}]', true],
  ['[]', false],
  ['[{"jsonrpc":"2.0"},{}]', false],
  ['{"jsonrpc":"1.0"}', false],
  ['{"error":"invalid_token"}', false],
  ['"jsonrpc"', false],
  ['null', false],
  ['', false],
  ['<html>', false],
])('isJsonRpc of %s is %s', (text, expected) => {
  expect(isJsonRpc(text)).toBe(expected)
})
