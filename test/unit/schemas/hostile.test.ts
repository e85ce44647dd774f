import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { decodeAnswer, TokenResponseSchema } from '../../../src/schemas/endpoint-responses.ts'
import { AuthorizationServerMetadataSchema, ProtectedResourceMetadataSchema } from '../../../src/schemas/metadata.ts'
import { RegistrationResponseSchema } from '../../../src/schemas/registration.ts'
import { check, parseJson } from '../../../src/schemas/wire.ts'

const documents = {
  'protected resource metadata': [ProtectedResourceMetadataSchema, { resource: 'https://h' }],
  'authorization server metadata': [
    AuthorizationServerMetadataSchema,
    { issuer: 'https://as', token_endpoint: 'https://as/token' },
  ],
  'registration response': [RegistrationResponseSchema, { client_id: 'c' }],
  'token response': [TokenResponseSchema, { access_token: 't', token_type: 'Bearer' }],
} as const

describe.each(Object.entries(documents))('%s', (_, [schema, least]) => {
  test('is accepted, or rejected with the name of the invalid member, whatever JSON value arrives', () => {
    const names = Object.keys(least)
    const members = fc.dictionary(
      fc.constantFrom(...names, 'scopes_supported', 'expires_in', '__proto__', 'x'),
      fc.jsonValue(),
    )
    fc.assert(
      fc.property(fc.oneof(fc.jsonValue(), members), fc.boolean(), (value, completed) => {
        const input: unknown = completed ? Object.assign({}, least, value) : value
        const result = check(schema, input)
        expect(Object.keys(result)).toEqual(['output' in result ? 'output' : 'field'])
      }),
    )
  })

  test('is parsed the same with a __proto__ member, with a deeply nested member and with duplicate members', () => {
    const text = JSON.stringify(least)
    const poisoned = parseJson(text.replace('{', '{"__proto__":{"scope":"evil","scopes_supported":["evil"]},'))
    const deep = parseJson(text.replace('{', `{"x":${'['.repeat(60_000)}${']'.repeat(60_000)},`))
    const twice = parseJson(text.replace('{', `{${text.slice(1, -1)},`))
    const expected = check(schema, least)
    expect([poisoned, deep, twice].map((input) => check(schema, input))).toEqual([expected, expected, expected])
    expect('output' in expected).toBe(true)
  })
})

test('decodeAnswer returns fields or undefined for any text', () => {
  // fc.webQueryParameters() takes seconds to build.
  const form = fc
    .dictionary(fc.oneof(fc.constantFrom('access_token', 'error'), fc.string()), fc.string())
    .map((fields) => new URLSearchParams(fields).toString())
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.json(), form), (text) => {
      expect(['undefined', 'object']).toContain(typeof decodeAnswer(text))
    }),
  )
})
