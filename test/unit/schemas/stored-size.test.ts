import { describe, expect, test } from 'vitest'
import { parseCallback } from '../../../src/protocol/authorization-endpoint.ts'
import { AuthorizationServerMetadataSchema } from '../../../src/schemas/metadata.ts'
import { check } from '../../../src/schemas/wire.ts'

const document = { issuer: 'https://as.example', token_endpoint: 'https://as.example/token' }
const url = (length: number): string => 'https://as.example/'.padEnd(length, 'x')
const fieldOf = (members: object): unknown => {
  const checked = check(AuthorizationServerMetadataSchema, { ...document, ...members })
  return 'field' in checked ? checked.field : 'accepted'
}

describe('what a record retains of authorization server metadata', () => {
  test('its URLs are rejected by the first one with which they exceed 3 KiB together', () => {
    expect(fieldOf({ authorization_endpoint: url(2_000), revocation_endpoint: url(900) })).toBe('accepted')
    expect(fieldOf({ authorization_endpoint: url(2_000), revocation_endpoint: url(1_100) })).toBe('revocation_endpoint')
    expect(
      fieldOf({
        authorization_endpoint: url(1_600),
        registration_endpoint: url(1_500),
        pushed_authorization_request_endpoint: url(100),
      }),
    ).toBe('registration_endpoint')
  })

  test('its lists of names are rejected by the first one with which they exceed 3 KiB together', () => {
    const names = (count: number): string[] => Array.from({ length: count }, (_, index) => `name-${1_000 + index}`)
    expect(fieldOf({ grant_types_supported: names(100), response_types_supported: names(100) })).toBe('accepted')
    expect(fieldOf({ grant_types_supported: names(200), dpop_signing_alg_values_supported: names(100) })).toBe(
      'dpop_signing_alg_values_supported',
    )
    // Each of them counts as it is written: a control character takes six bytes.
    expect(fieldOf({ grant_types_supported: Array.from({ length: 3 }, () => '\0'.repeat(200)) })).toBe(
      'grant_types_supported',
    )
  })
})

test('a callback with a code of more than 4,096 characters is malformed', () => {
  const callback = (code: string) => parseCallback(`https://app.example/callback?state=s&code=${code}`)
  expect(callback('c'.repeat(4_096)).malformed).toBeUndefined()
  expect(callback('c'.repeat(4_097))).toEqual({ state: 's', malformed: 'tooLong' })
})
