import { describe, expect, test } from 'vitest'
import {
  type BearerChallenge,
  bearerChallenge,
  formatChallenge,
  parseChallenges,
  requiresScope,
} from '../../../src/protocol/www-authenticate.ts'
import { verifies } from '../../support/verifies.ts'

/** The challenges as plain data. */
function plain(header: string) {
  return parseChallenges(header).map(({ parameters, ...rest }) => ({
    ...rest,
    parameters: Object.fromEntries(parameters),
  }))
}

describe('parseChallenges', () => {
  test.each<[string, string, ReturnType<typeof plain>]>([
    ['an empty header', '', []],
    ['a header of separators only', ' ,\t, ', []],
    ['a scheme without parameters', 'Bearer', [{ scheme: 'bearer', parameters: {} }]],
    ['one parameter', 'Bearer realm=x', [{ scheme: 'bearer', parameters: { realm: 'x' } }]],
    [
      'several challenges in any case, with empty list elements',
      ', BEARER Realm="a" ,, scope="r w", DPoP algs="ES256",, Basic realm=b,',
      [
        { scheme: 'bearer', parameters: { realm: 'a', scope: 'r w' } },
        { scheme: 'dpop', parameters: { algs: 'ES256' } },
        { scheme: 'basic', parameters: { realm: 'b' } },
      ],
    ],
    [
      'commas, escapes and other names inside quotes',
      String.raw`Bearer error_description="say \"scope=evil\", a\\b", foo_scope="no", scope="yes"`,
      [
        {
          scheme: 'bearer',
          parameters: { error_description: String.raw`say "scope=evil", a\b`, foo_scope: 'no', scope: 'yes' },
        },
      ],
    ],
    [
      'blanks around the equals sign',
      'Bearer scope \t= "a",error=  b',
      [{ scheme: 'bearer', parameters: { scope: 'a', error: 'b' } }],
    ],
    [
      'token68 credentials alongside parameters',
      'Negotiate YWJj+/==, Bearer a=b, NTLM',
      [
        { scheme: 'negotiate', token68: 'YWJj+/==', parameters: {} },
        { scheme: 'bearer', parameters: { a: 'b' } },
        { scheme: 'ntlm', parameters: {} },
      ],
    ],
    [
      'a URL without quotes',
      'Bearer resource_metadata=https://h/.well-known/x?y=z',
      [{ scheme: 'bearer', parameters: { resource_metadata: 'https://h/.well-known/x?y=z' } }],
    ],
    ['the first of two values of one parameter', 'Bearer a=1, A=2', [{ scheme: 'bearer', parameters: { a: '1' } }]],
    ['a parameter without a value', 'Bearer x=y, a=, b=c', [{ scheme: 'bearer', parameters: { x: 'y', b: 'c' } }]],
    [
      'a quoted string without an end',
      'Bearer a="b, c',
      [
        { scheme: 'bearer', parameters: {} },
        { scheme: 'c', parameters: {} },
      ],
    ],
    [
      'a parameter named __proto__',
      'Bearer __proto__=x',
      [{ scheme: 'bearer', parameters: Object.fromEntries([['__proto__', 'x']]) }],
    ],
    [
      'a parameter after a quoted string without an end',
      'Bearer a="b, c=d',
      [{ scheme: 'bearer', parameters: { c: 'd' } }],
    ],
    ['a value without a name', 'Bearer =x', [{ scheme: 'bearer', parameters: {} }]],
    ['token68 credentials at the end', 'Negotiate YWJj=', [{ scheme: 'negotiate', token68: 'YWJj=', parameters: {} }]],
    ['garbage before a challenge', '"", Bearer a=b', [{ scheme: 'bearer', parameters: { a: 'b' } }]],
    [
      'schemes without a comma between them',
      'Basic Bearer a=b',
      [
        { scheme: 'basic', parameters: {} },
        { scheme: 'bearer', parameters: { a: 'b' } },
      ],
    ],
  ])(
    'parses %s',
    verifies(10, (_, header, expected) => {
      expect(plain(header)).toStrictEqual(expected)
    }),
  )

  test('returns no challenge for a header of more than 64 KB', () => {
    const header = 'Bearer realm=x'
    expect(parseChallenges(header.padEnd(65_536))).toHaveLength(1)
    expect(parseChallenges(header.padEnd(65_537))).toEqual([])
  })

  test('stops after 64 challenges and after 256 parameters', () => {
    expect(parseChallenges('a b=c, '.repeat(100))).toHaveLength(64)
    const many = `Bearer ${Array.from({ length: 5000 }, (_, index) => `p${index}=1`).join(',')}`
    expect(plain(many)[0]?.parameters).toHaveProperty('p255')
    expect(parseChallenges(many).map(({ parameters }) => parameters.size)).toEqual([256])
  })
})

describe('bearerChallenge', () => {
  test.each<[string, ReturnType<typeof bearerChallenge>]>([
    ['', undefined],
    ['Basic realm="x", scope="no"', undefined],
    ['Bearer', {}],
    [
      'Bearer error="invalid_token", resource_metadata="https://h/x"',
      { error: 'invalid_token', resourceMetadataUrl: 'https://h/x' },
    ],
    ['Bearer error="Not a code: secret", scope="  a b "', { scope: 'a b' }],
    ['Bearer scope="a,b"', { scope: 'a b' }],
    ['Bearer scope=" ", resource_metadata=" "', {}],
    ['DPoP resource_metadata="https://h/d", Bearer scope=a', { scope: 'a', resourceMetadataUrl: 'https://h/d' }],
    ['DPoP resource_metadata="https://h/d", scope=a', { scope: 'a', resourceMetadataUrl: 'https://h/d' }],
    ['Negotiate resource_metadata="https://h/d", scope=no', { resourceMetadataUrl: 'https://h/d' }],
    ['DPoP algs="ES256", error="insufficient_scope", scope="a b"', { error: 'insufficient_scope', scope: 'a b' }],
    ['Bearer, DPoP error=invalid_token, algs="ES256"', { error: 'invalid_token' }],
    ['DPoP scope=no, Bearer error=insufficient_scope, scope=a', { error: 'insufficient_scope', scope: 'a' }],
    ['Bearer realm=x, Bearer error=insufficient_scope, scope=a', { error: 'insufficient_scope', scope: 'a' }],
    ['Bearer realm=x, Bearer resource_metadata="https://h/b"', { resourceMetadataUrl: 'https://h/b' }],
    [
      'DPoP resource_metadata="https://h/d", Bearer resource_metadata="https://h/b"',
      { resourceMetadataUrl: 'https://h/b' },
    ],
    ['Bearer realm=x, Bearer scope=a', { scope: 'a' }],
    [
      'Bearer realm=x, Bearer resource_metadata="https://h/b", max_age=5',
      { resourceMetadataUrl: 'https://h/b', maxAge: '5' },
    ],
    ['Bearer acr_values=" 1 2 ", max_age=" 123456789 "', { acrValues: '1 2', maxAge: '123456789' }],
    ['Bearer acr_values=é1, max_age=x5', {}],
    ['Bearer acr_values=1é, max_age=5x', {}],
    ['Bearer acr_values="", max_age=1234567890', {}],
    [`Bearer acr_values=${'a'.repeat(512)}`, { acrValues: 'a'.repeat(512) }],
    [`Bearer acr_values=${'a'.repeat(513)}`, {}],
    ['DPoP error=use_dpop_nonce, Bearer realm=x', {}],
    ['DPoP error=use_dpop_nonce, scope=no', undefined],
  ])('returns the merged Bearer and DPoP parameters of %s', (header, expected) => {
    expect(bearerChallenge(header)).toStrictEqual(expected)
  })
})

describe('a stored challenge', () => {
  const whole = {
    error: 'insufficient_scope',
    scope: 'a b',
    resourceMetadataUrl: 'https://h/meta?x=1',
    acrValues: 'strong "er"',
    maxAge: '5',
  }

  test('formatChallenge writes a field that bearerChallenge reads as the same challenge', () => {
    const field = formatChallenge(whole)
    expect(field).toBe(
      String.raw`Bearer error="insufficient_scope", scope="a b", resource_metadata="https://h/meta?x=1", acr_values="strong \"er\"", max_age="5"`,
    )
    expect(bearerChallenge(field)).toEqual(whole)
    for (const challenge of [{}, { scope: String.raw`a\b` }])
      expect(bearerChallenge(formatChallenge(challenge))).toEqual(challenge)
    expect(formatChallenge({})).toBe('Bearer')
  })

  test.each<[BearerChallenge, string | undefined, boolean]>([
    [{ error: 'insufficient_scope' }, 'read', true],
    [{ error: 'insufficient_scope', scope: 'read' }, 'read', true],
    [{ error: 'forbidden', scope: 'read write' }, 'read', true],
    [{ scope: 'read' }, undefined, true],
    [{ scope: 'read' }, 'read write', false],
    [{}, undefined, false],
  ])('a 403 with the challenge %j, where %j is granted, requires scope: %j', (challenge, granted, expected) => {
    expect(requiresScope(challenge, granted)).toBe(expected)
  })
})
