import { describe, expect, test } from 'vitest'
import {
  chooseMethod,
  chooseSigningAlg,
  isSupportedMethod,
  preferredSecretMethod,
} from '../../../src/protocol/token-endpoint.ts'

describe('chooseMethod', () => {
  test.each([
    // what was registered, where the server lists it or nothing
    [undefined, 'client_secret_post', true, 'client_secret_post'],
    [['client_secret_basic', 'client_secret_post'], 'client_secret_post', true, 'client_secret_post'],
    [['client_secret_post'], 'client_secret_basic', true, 'client_secret_post'],
    [['client_secret_basic'], 'none', true, 'none'],
    // a secret, by the list
    [undefined, undefined, true, 'client_secret_basic'],
    [['client_secret_post', 'client_secret_basic'], undefined, true, 'client_secret_basic'],
    [['none', 'client_secret_post'], undefined, true, 'client_secret_post'],
    [['none'], undefined, true, 'none'],
    [['none'], 'client_secret_basic', true, 'none'],
    // no secret
    [undefined, undefined, false, 'none'],
    [['client_secret_basic'], undefined, false, 'none'],
    [undefined, 'client_secret_basic', false, 'none'],
    // nothing in common
    [['private_key_jwt'], undefined, true, undefined],
    [undefined, 'private_key_jwt', true, undefined],
    [undefined, 'tls_client_auth', false, undefined],
  ])(
    'with supported methods %j, registered method %j and secret %j returns %j',
    (supported, registered, hasSecret, expected) => {
      expect(chooseMethod({ supported, registered, hasSecret })).toBe(expected)
    },
  )

  test.each([
    // the key, where the server lists it or nothing
    [undefined, undefined, false, 'private_key_jwt'],
    [['client_secret_basic', 'private_key_jwt'], undefined, true, 'private_key_jwt'],
    [['private_key_jwt'], 'private_key_jwt', false, 'private_key_jwt'],
    // a secret beside it
    [['client_secret_post'], undefined, true, 'client_secret_post'],
    [['client_secret_basic'], 'private_key_jwt', true, 'client_secret_basic'],
    [undefined, 'client_secret_post', true, 'client_secret_post'],
    // another method was agreed on
    [['private_key_jwt'], 'none', false, 'none'],
    // nothing but the key, and the server does not know it
    [['none', 'client_secret_basic'], undefined, false, undefined],
    [['none'], 'private_key_jwt', false, undefined],
  ])(
    'for a client with a key, supported methods %j, registered method %j and secret %j returns %j',
    (supported, registered, hasSecret, expected) => {
      expect(chooseMethod({ supported, registered, hasSecret, hasKey: true })).toBe(expected)
    },
  )
})

test.each([
  [['RS256', 'PS256'], undefined, 'RS256'],
  [['RS256', 'PS256'], ['ES256', 'PS256'], 'PS256'],
  [['ES256'], ['RS256'], undefined],
])(
  'chooseSigningAlg for a key with the algorithms %j and a server that supports %j returns %j',
  (able, supported, expected) => {
    expect(chooseSigningAlg(able, supported)).toBe(expected)
  },
)

test.each([
  [undefined, 'client_secret_basic'],
  [['none', 'client_secret_post', 'client_secret_basic'], 'client_secret_basic'],
  [['none', 'client_secret_post'], 'client_secret_post'],
  [['none'], 'none'],
  [['private_key_jwt'], undefined],
])('preferredSecretMethod with supported methods %j returns %j', (supported, expected) => {
  expect(preferredSecretMethod(supported)).toBe(expected)
})

test('isSupportedMethod returns true only for an implemented authentication method', () => {
  expect(['client_secret_basic', 'none', 'private_key_jwt', 'client_secret_jwt', ''].map(isSupportedMethod)).toEqual([
    true,
    true,
    true,
    false,
    false,
  ])
})
