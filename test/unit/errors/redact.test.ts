import { describe, expect, test } from 'vitest'
import { AuthorizationError } from '../../../src/errors/authorization-error.ts'
import { describeFailure, failure } from '../../../src/errors/failure.ts'
import { escapeInvisible, redactChallenge, redactNames, redactUrl, truncate } from '../../../src/errors/redact.ts'
import { bearerChallenge } from '../../../src/protocol/www-authenticate.ts'

const SECRET = 'eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ1In0.c2lnbmF0dXJl'

describe('redactUrl', () => {
  test.each([
    ['https://h/mcp', 'https://h/mcp'],
    ['https://AS', 'https://AS'],
    ['https://as/', 'https://as/'],
    ['https://user:password@h:8443/mcp?key=secret#secret', 'https://h:8443/mcp'],
    ['https://h/s/0123456789abcdef0123/mcp', 'https://h/s/0123…/mcp'],
    ['https://h/s/0123456789abcdef012/mcp', 'https://h/s/0123456789abcdef012/mcp'],
    ['https://h/.well-known/oauth-protected-resource/mcp', 'https://h/.well-known/oauth-protected-resource/mcp'],
    ['https://h/.well-known/oauth-authorization-server', 'https://h/.well-known/oauth-authorization-server'],
    ['https://h/t/.well-known/openid-configuration', 'https://h/t/.well-known/openid-configuration'],
    ['https://h/%E2%80%AEabc/x', 'https://h/%E2%80%AEabc/x'],
    ['not a URL \u202e', 'not a URL \\u202e'],
    ['a tag \u{e0001}', 'a tag \\u{e0001}'],
    [SECRET, 'eyJh…'],
    ['', ''],
    ['https:/h/?key=secret', 'https:/h/'],
    ['https:\\\\user:password-of-the-user@h\\mcp?key=secret#secret', 'https:\\\\user…\\mcp'],
    ['urn:x?=secret', 'urn:x'],
    ['blob:https://user:password@h/a?key=secret', 'blob:https://h/a'],
    ['redis://user:password@h:6379/0', 'redis://h:6379/0'],
    ['api://client/scope', 'api://client/scope'],
  ])('of %j returns %j', (url, expected) => {
    expect(redactUrl(url)).toBe(expected)
  })

  test('truncates a URL with many short segments to 200 characters', () => {
    expect(redactUrl(`https://h/${'abc/'.repeat(100)}`)).toHaveLength(201)
  })
})

test('a list of names is shown without what resembles a secret', () => {
  const long = ['self_signed_tls_client_auth', 'urn:ietf:params:oauth:grant-type:jwt-bearer', 'Directory.ReadWrite.All']
  const urls = ['https://www.googleapis.com/auth/drive.readonly', 'https://h/mcp?key=secret']
  expect(redactNames(['S256', ...long, SECRET, ...urls, '\u202e'])).toBe(
    `S256 ${long.join(' ')} eyJh… https://www.googleapis.com/auth/drive.readonly https://h/mcp \\u202e`,
  )
  expect(redactNames(Array.from({ length: 100 }, () => 'S256'))).toHaveLength(201)
})

describe('a text of another party', () => {
  test('is shown without a character that changes the text around it', () => {
    const invisible = ['\0', '\n', '\u007f', '\u0085', '\u009b', '\u061c', '\u200e', '\u200f', '\u2028', '\u2029']
    const bidirectional = ['\u202a', '\u202b', '\u202c', '\u202d', '\u202e', '\u2066', '\u2067', '\u2068', '\u2069']
    for (const character of [...invisible, ...bidirectional, '\ufeff']) {
      const escaped = `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`
      expect([escapeInvisible(`a${character}b`), truncate(character)]).toEqual([`a${escaped}b`, escaped])
      const message = describeFailure(failure('RESOURCE_MISMATCH', { received: character, allow: `${character}:443` }))
      expect(message).not.toContain(character)
    }
    expect(escapeInvisible('Zürich – 東京 "x" \\')).toBe('Zürich – 東京 "x" \\')
  })
})

describe('the challenge of an error', () => {
  test.each([
    [
      `Bearer error="invalid_token", error_description="${SECRET} has expired"`,
      'Bearer error="invalid_token", error_description="eyJh… has expired"',
    ],
    [`Negotiate ${'A'.repeat(40)}==, Bearer realm=x`, 'Negotiate AAAA…, Bearer realm=x'],
    [`Bearer x-scope="${SECRET}"`, 'Bearer x-scope="eyJh…"'],
    [`Bearer error="${SECRET}"`, 'Bearer error="eyJh…"'],
    [`Bearer error=${SECRET}`, 'Bearer error=eyJh…'],
  ])('%s is shown as %s', (header, expected) => {
    expect(redactChallenge(header)).toBe(expected)
    const error = new AuthorizationError(failure('AUTHORIZATION_REQUIRED'), { challenge: header })
    expect([error.challenge, Object.keys(error).includes('challenge')]).toEqual([expected, false])
    expect(JSON.stringify(error)).not.toContain('Bearer')
  })

  test.each([
    'Bearer error="insufficient_user_authentication", acr_values="https://refeds.org/profile/mfa", max_age="60"',
    'Bearer scope="https://www.googleapis.com/auth/drive.readonly a \\"b", resource_metadata="https://h/.well-known/oauth-protected-resource/mcp?k=0123456789abcdef0123"',
    'DPoP algs="ES256", error=use_dpop_nonce, Bearer resource_metadata=https://h/.well-known/oauth-protected-resource',
  ])('%s keeps what authorize() reads', (header) => {
    expect(bearerChallenge(redactChallenge(header))).toEqual(bearerChallenge(header))
  })
})
