import { describe, expect, test } from 'vitest'
import { asksForNonce, type DpopPolicy, dpopTerms } from '../../../src/protocol/dpop.ts'
import { verifies } from '../../support/verifies.ts'

const listing = (...names: string[]) => ({ dpopSigningAlgValuesSupported: names })
const silent = {}
const required = { dpopBoundAccessTokensRequired: true } as const

describe('dpopTerms', () => {
  test.each<[DpopPolicy, object, object, ReturnType<typeof dpopTerms>]>([
    ['never', listing('ES256'), required, undefined],
    ['whenOffered', silent, silent, undefined],
    ['whenOffered', listing('RS256', 'ES256'), silent, { alg: 'ES256' }],
    ['whenOffered', silent, listing('ES384', 'ES512'), { alg: 'ES384' }],
    ['whenOffered', silent, required, { alg: 'ES256' }],
    ['whenOffered', listing('ES256', 'EdDSA'), listing('EdDSA'), { alg: 'EdDSA' }],
    ['whenOffered', listing('ES256'), listing('Ed25519'), undefined],
    ['whenOffered', listing('RS256'), required, undefined],
    ['required', silent, silent, { alg: 'ES256', required: true }],
    ['required', listing('Ed25519'), silent, { alg: 'Ed25519', required: true }],
    ['required', listing('PS256'), silent, 'noAlgorithm'],
  ])(
    'with the policy %s, server metadata %j and resource metadata %j returns %j',
    verifies(191, (policy, server, resource, expected) => {
      expect(dpopTerms(policy, server, resource)).toEqual(expected)
    }),
  )
})

test.each(['ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519'])(
  'dpopTerms chooses %s where the server supports no other algorithm of ours',
  (alg) => {
    expect(dpopTerms('whenOffered', listing('RS256', alg), silent)).toEqual({ alg })
  },
)

describe('asksForNonce', () => {
  const challenge = 'Bearer error="invalid_token", DPoP algs="ES256", error="use_dpop_nonce"'

  test.each<[boolean, number, Record<string, string>]>([
    [true, 401, { 'www-authenticate': challenge, 'dpop-nonce': 'n' }],
    [false, 401, { 'www-authenticate': challenge }],
    [false, 401, { 'dpop-nonce': 'n' }],
    [false, 401, { 'www-authenticate': 'DPoP error="invalid_token"', 'dpop-nonce': 'n' }],
    [false, 401, { 'www-authenticate': 'Bearer error="use_dpop_nonce"', 'dpop-nonce': 'n' }],
    [false, 403, { 'www-authenticate': challenge, 'dpop-nonce': 'n' }],
  ])(
    'returns %s for a %i with the headers %j',
    verifies(192, (expected, status, headers) => {
      expect(asksForNonce({ status, headers: new Headers(headers) })).toBe(expected)
    }),
  )
})
