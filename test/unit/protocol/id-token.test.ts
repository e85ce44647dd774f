import { UnsecuredJWT } from 'jose'
import { describe, expect, test } from 'vitest'
import { subjectOfIdToken } from '../../../src/protocol/id-token.ts'

const NOW = 1_800_000_000_000
const SECONDS = NOW / 1_000
const right = { iss: 'https://as.example', sub: 'ümit', aud: 'c-1', exp: SECONDS }
const terms = { issuer: 'https://as.example', clientId: 'c-1', nonce: undefined, now: NOW }
const subjectOf = (claims: object, change: Partial<typeof terms> = {}): string | undefined =>
  subjectOfIdToken(new UnsecuredJWT({ ...right, ...claims }).encode(), { ...terms, ...change })

describe('the subject of an ID token', () => {
  test.each<[string, object, object?]>([
    ['with exactly these claims', {}],
    ['whose issuer differs by its final slash', { iss: 'https://as.example/' }],
    ['for several clients', { aud: ['other', 'c-1'] }],
    ['that expired less than five minutes ago', { exp: SECONDS - 299 }],
    ['with a nonce that was not sent', { nonce: 'n' }],
    ['with the nonce that was sent', { nonce: 'n' }, { nonce: 'n' }],
    [
      'of a tenant of the announced issuer',
      { iss: 'https://as.example/t-1/v2.0', tid: 't-1' },
      { issuer: 'https://as.example/{tenantid}/v2.0' },
    ],
  ])('%s is its `sub`', (_what, claims, change) => {
    expect(subjectOf(claims, change)).toBe('ümit')
  })

  test.each<[string, object, object?]>([
    ['of another issuer', { iss: 'https://other.example' }],
    ['without an issuer', { iss: undefined }],
    ['for another client', { aud: 'c-2' }],
    ['for other clients', { aud: ['c-2'] }],
    ['without an audience', { aud: undefined }],
    ['that expired five minutes ago', { exp: SECONDS - 300 }],
    ['without an expiry', { exp: undefined }],
    ['without the nonce that was sent', {}, { nonce: 'n' }],
    ['with another nonce than was sent', { nonce: 'm' }, { nonce: 'n' }],
    ['of no tenant', { iss: 'https://as.example/t-1' }, { issuer: 'https://as.example/{tenantid}' }],
    ['whose subject is a number', { sub: 7 }],
    ['whose subject is empty', { sub: '' }],
    ['whose subject is too long', { sub: 'a'.repeat(256) }],
  ])('%s is undefined', (_what, claims, change) => {
    expect(subjectOf(claims, change)).toBeUndefined()
  })

  test.each(['', 'x', 'a.b.c', 'e30.bnVsbA.'])('of the malformed %j is undefined', (idToken) => {
    expect(subjectOfIdToken(idToken, terms)).toBeUndefined()
  })
})
