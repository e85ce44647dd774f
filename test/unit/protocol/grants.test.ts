import { expect, test } from 'vitest'
import { grantOffered } from '../../../src/protocol/token-endpoint.ts'

const jwt = 'urn:ietf:params:oauth:grant-type:jwt-bearer'

test.each([
  [undefined, 'authorization_code', true],
  [undefined, 'client_credentials', false],
  [[], 'authorization_code', false],
  [['Authorization_Code'], 'authorization_code', true],
  [['client_credentials'], 'authorization_code', false],
  [['refresh_token', 'CLIENT_CREDENTIALS'], 'client_credentials', true],
  [[jwt], 'jwt_bearer', true],
  [[jwt.toUpperCase()], 'identity_assertion', true],
  [['jwt_bearer'], 'jwt_bearer', false],
] as const)(
  'grantOffered with grant_types_supported %j and the grant %s returns %s',
  (grantTypesSupported, grant, expected) => {
    expect(grantOffered({ grantTypesSupported }, grant)).toBe(expected)
  },
)
