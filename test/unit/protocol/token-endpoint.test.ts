import { expect, test } from 'vitest'
import {
  audienceOf,
  isClientError,
  isRetryLaterStatus,
  nonInteractiveGrant,
  RESERVED_TOKEN_PARAMETERS,
  TOKEN_EXCHANGE,
} from '../../../src/protocol/token-endpoint.ts'

test.each([
  [undefined, undefined],
  ['authorization_code', undefined],
  ['client_credentials', 'client_credentials'],
  ['jwt_bearer', 'jwt_bearer'],
  ['identity_assertion', 'identity_assertion'],
] as const)('nonInteractiveGrant of %s is %s', (grant, expected) => {
  expect(nonInteractiveGrant(grant)).toBe(expected)
})

test('only a status that says that nothing was done, and that it may be done later, leads to a later retry', () => {
  const statuses = [undefined, 200, 400, 401, 403, 407, 408, 409, 424, 425, 426, 428, 429, 430, 500, 502, 503, 504]
  expect(statuses.filter(isRetryLaterStatus)).toEqual([408, 425, 429, 503])
})

test.each([
  ['its issuer', { issuer: 'https://as.example.com' }, 'https://as.example.com'],
  [
    'the issuer that it announces',
    { issuer: 'https://as.example.com', announcedIssuer: 'https://as.example.com/' },
    'https://as.example.com/',
  ],
  [
    'its issuer where it announces a template',
    { issuer: 'https://as.example.com/t1', announcedIssuer: 'https://as.example.com/{tenantid}' },
    'https://as.example.com/t1',
  ],
])('the audience of an assertion for a server is %s', (_what, server, expected) => {
  expect(audienceOf(server)).toBe(expected)
})

test('an error code rejects the client only if it says so, as RFC 6749, GitHub and Slack write it', () => {
  const client = [
    'invalid_client',
    'unauthorized_client',
    'invalid_redirect_uri',
    'incorrect_client_credentials',
    'invalid_client_id',
    'bad_client_secret',
  ]
  expect([undefined, '', 'invalid_grant', 'invalid_request', ...client].filter(isClientError)).toEqual(client)
})

test('the parameters that make a token request what it is are reserved', () => {
  expect([...RESERVED_TOKEN_PARAMETERS]).toEqual([
    'grant_type',
    'client_secret',
    'client_assertion',
    'client_assertion_type',
    'assertion',
    'code',
    'code_verifier',
    'refresh_token',
  ])
  // RFC 8693 §2.1.
  expect(TOKEN_EXCHANGE).toBe('urn:ietf:params:oauth:grant-type:token-exchange')
})
