import { expect, test } from 'vitest'
import {
  IdentityAssertionResponseSchema,
  ID_JAG,
  TokenResponseSchema,
} from '../../../src/schemas/endpoint-responses.ts'
import { AuthorizationServerMetadataSchema, ProtectedResourceMetadataSchema } from '../../../src/schemas/metadata.ts'
import { check } from '../../../src/schemas/wire.ts'

// JSON can escape half of a surrogate pair, which no URL, form or database can hold.
const MALFORMED = 'a\ud800'
const SERVER = { issuer: 'https://as.example', token_endpoint: 'https://as.example/token' }

test.each([
  ['scopes_supported', [MALFORMED]],
  ['scopes_supported', MALFORMED],
  ['grant_types_supported', ['code', MALFORMED]],
  ['dpop_signing_alg_values_supported', [MALFORMED]],
])('metadata are rejected whose %s are %j, which is not well-formed', (name, value) => {
  const field = typeof value === 'string' ? `${name}.0` : `${name}.${value.length - 1}`
  expect(check(AuthorizationServerMetadataSchema, { ...SERVER, [name]: value })).toEqual({ field })
})

test('protected resource metadata are rejected whose scopes are not well-formed', () => {
  const metadata = { resource: 'https://mcp.example', scopes_supported: [MALFORMED] }
  expect(check(ProtectedResourceMetadataSchema, metadata)).toEqual({ field: 'scopes_supported.0' })
})

test('the scope, the refresh token and the subject of a token response are ignored if they are not well-formed', () => {
  const response = {
    access_token: 't',
    token_type: 'Bearer',
    scope: MALFORMED,
    refresh_token: MALFORMED,
    sub: MALFORMED,
  }
  expect(check(TokenResponseSchema, response)).toEqual({
    output: {
      accessToken: 't',
      tokenType: 'Bearer',
      scope: undefined,
      isScopePartial: true,
      expiresInMs: undefined,
      refreshToken: undefined,
      refreshTokenExpiresInMs: undefined,
      subject: undefined,
    },
  })
})

test.each([
  ['not well-formed', MALFORMED],
  ['longer than a token', 'a'.repeat(32_769)],
  ['empty', ''],
])('an identity assertion is rejected that is %s', (_, assertion) => {
  const response = { access_token: assertion, issued_token_type: ID_JAG }
  expect(check(IdentityAssertionResponseSchema, response)).toEqual({ field: 'access_token' })
})
