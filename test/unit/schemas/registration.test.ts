import { getDotPath, safeParse } from 'valibot'
import { expect, test } from 'vitest'
import { RegistrationResponseSchema } from '../../../src/schemas/registration.ts'
import { check } from '../../../src/schemas/wire.ts'

const nothing = { clientSecret: undefined, secretExpiresAtSeconds: undefined, tokenEndpointAuthMethod: undefined }
const endOf9999 = { clientSecret: 's', secretExpiresAtSeconds: 253_402_300_799 }

test.each([
  [{ client_id: 'c', software_id: 7, redirect_uris: null }, nothing],
  [
    { client_id: 'c', redirect_uris: ['https://a/'], grant_types: ['authorization_code'] },
    { ...nothing, redirectUris: ['https://a/'], grantTypes: ['authorization_code'] },
  ],
  [
    {
      client_id: 'c',
      client_secret: 's',
      client_secret_expires_at: 1_800_000_000,
      token_endpoint_auth_method: 'client_secret_post',
    },
    {
      clientSecret: 's',
      secretExpiresAtSeconds: 1_800_000_000,
      tokenEndpointAuthMethod: 'client_secret_post',
    },
  ],
  [
    { client_id: 'c', client_secret: 's', client_secret_expires_at: '60' },
    { ...nothing, clientSecret: 's', secretExpiresAtSeconds: 60 },
  ],
  [
    { client_id: 'c', client_secret: 's', client_secret_expires_at: 0 },
    { ...nothing, clientSecret: 's' },
  ],
  [
    { client_id: 'c', client_secret: 's', client_secret_expires_at: 1e308 },
    { ...nothing, ...endOf9999 },
  ],
  [
    { client_id: 'c', client_secret: 's', client_secret_expires_at: 253_402_300_800 },
    { ...nothing, ...endOf9999 },
  ],
  [
    { client_id: 'c', client_secret: 's', client_secret_expires_at: '999999999999999' },
    { ...nothing, ...endOf9999 },
  ],
  [{ client_id: 'c', client_secret: '', client_secret_expires_at: null, token_endpoint_auth_method: null }, nothing],
])('a registration response %j is parsed', (answer, expected) => {
  expect(check(RegistrationResponseSchema, answer)).toEqual({ output: { clientId: 'c', ...expected } })
})

test.each([
  ['client_id', {}],
  ['client_id', { client_id: '' }],
  ['client_id', { client_id: 7 }],
  ['client_id', { client_id: 'a'.repeat(2049) }],
  ['client_id', { client_id: 'c\ud800' }],
  ['client_secret', { client_id: 'c', client_secret: 7 }],
  ['client_secret', { client_id: 'c', client_secret: '\udfff' }],
  ['client_secret', { client_id: 'c', client_secret: 'a'.repeat(4097) }],
  ['client_secret', { client_id: 'a'.repeat(2048), client_secret: 'a'.repeat(2045) }],
  ['client_secret_expires_at', { client_id: 'c', client_secret_expires_at: 'never' }],
  ['client_secret_expires_at', { client_id: 'c', client_secret_expires_at: -1 }],
  ['client_secret_expires_at', { client_id: 'c', client_secret_expires_at: Number.POSITIVE_INFINITY }],
  ['token_endpoint_auth_method', { client_id: 'c', token_endpoint_auth_method: ['none'] }],
  [undefined, 'c'],
])('a registration response is rejected with the invalid field %s', (field, answer) => {
  expect(check(RegistrationResponseSchema, answer)).toEqual({ field })
})

test('a registration response with several invalid members names each of them, and no bound of what is not parsed', () => {
  const { issues } = safeParse(RegistrationResponseSchema, { client_id: 5, client_secret: 6 })
  expect(issues?.map((issue) => getDotPath(issue))).toEqual(['client_id', 'client_secret'])
})
