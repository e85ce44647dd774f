import * as v from 'valibot'
import { describe, expect, test } from 'vitest'
import { check, HttpUrl, Issuer, Names, parseJson, scopesOf, Text } from '../../../src/schemas/wire.ts'
import { verifies } from '../../support/verifies.ts'

describe('HttpUrl', () => {
  test.each(['https://as', 'https://as/', 'HTTPS://AS:443/a?b=c', 'http://127.0.0.1:3000/x', 'https://as/%7Eb'])(
    'accepts %s unchanged',
    (url) => {
      expect(check(HttpUrl, url)).toEqual({ output: url })
    },
  )

  test.each([
    '',
    'as.example',
    '/token',
    'javascript:alert(1)',
    'file:///etc/passwd',
    'data:text/html,x',
    'ftp://as/',
    'https://',
    'https://user@as/',
    'https://:secret@as/',
    'https://as/#x',
    'https://as/#',
    ' https://as/',
    'https://as/ x',
    'https://as/\n',
    'https://good\\evil/',
    `https://as/${'a'.repeat(2048)}`,
    42,
    null,
    ['https://as'],
  ])(
    'rejects %j',
    verifies([39, 73], (url) => {
      expect(check(HttpUrl, url)).toEqual({ field: undefined })
    }),
  )
})

test.each(['https:/evil.example/as.example', 'https:evil.example', 'https:///evil.example', 'https:////evil.example'])(
  'HttpUrl rejects %s, whose host is not where it seems to be',
  (url) => {
    expect([check(HttpUrl, url), check(Issuer, url)]).toEqual([{ field: undefined }, { field: undefined }])
  },
)

test('Issuer rejects a URL with a query', () => {
  expect([check(Issuer, 'https://as/t1'), check(Issuer, 'https://as/?t=1'), check(Issuer, 'https://as?')]).toEqual([
    { output: 'https://as/t1' },
    { field: undefined },
    { field: undefined },
  ])
})

test('Names rejects a list that is too long and parses an empty list as undefined', () => {
  const results = [['a', ''], [], Array(1001).fill('a'), ['a'.repeat(257)], ['a', 1], 'a b'].map((names) =>
    check(Names, names),
  )
  expect(results).toEqual([
    { output: ['a', ''] },
    { output: undefined },
    { field: undefined },
    { field: '0' },
    { field: '1' },
    { field: undefined },
  ])
})

describe('check', () => {
  const Schema = v.object({ a: v.object({ list: v.array(Text) }) })

  test('returns the path of the invalid member and none of the input', () => {
    const input = { a: { list: ['x', { password: 'hunter2' }] } }
    expect(check(Schema, input)).toEqual({ field: 'a.list.1' })
    expect(check(Schema, 'hunter2')).toEqual({ field: undefined })
    expect(check(Schema, {})).toEqual({ field: 'a' })
  })
})

test('parseJson returns the parsed value, or undefined for text that is not JSON', () => {
  expect(['{"a":1}', 'null', '"x"', '', '{', 'undefined', '<html>', '{"a":1}x'].map(parseJson)).toEqual([
    { a: 1 },
    null,
    'x',
    undefined,
    undefined,
    undefined,
    undefined,
    undefined,
  ])
})

test.each([
  ['a b', ['a', 'b']],
  ['a,b', ['a', 'b']],
  ['a, b,', ['a', 'b']],
  ['a,b c', ['a,b', 'c']],
  ['a,b a,b', ['a', 'b']],
  [',\t,', []],
  [', a', ['a']],
])('scopesOf(%j) returns %j, and the same for these scopes joined by blanks', (text, scopes) => {
  expect(scopesOf(text)).toEqual(scopes)
  expect(scopesOf(scopes.join(' '))).toEqual(scopes)
})
