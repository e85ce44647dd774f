import { expect, test } from 'vitest'
import { ISSUER_PLACEHOLDER, isAtRedirectUri, redirectUriAt } from '../../../src/protocol/redirect-uri.ts'

const ISSUER = 'https://as.example'
const TEMPLATE = 'https://app.example/oauth/{issuer}/callback?x=1'

test('the redirect URI at an issuer has 22 characters of its hash, whatever its final slash', () => {
  const [one, other] = [redirectUriAt(TEMPLATE, ISSUER), redirectUriAt(TEMPLATE, 'https://other.example')]
  expect(one).toMatch(/^https:\/\/app\.example\/oauth\/[\w-]{22}\/callback\?x=1$/)
  expect([redirectUriAt(TEMPLATE, `${ISSUER}/`), other === one]).toEqual([one, false])
  expect(redirectUriAt('https://app.example/callback', ISSUER)).toBe('https://app.example/callback')
})

test('a callback is at the redirect URI of its issuer if its path has the same segment, under any other path', () => {
  const at = redirectUriAt(TEMPLATE, ISSUER)
  const segment = at.split('/')[4] ?? ''
  const verdicts = [at, `https://inner.example/${segment}`, `https://app.example/${segment}x`, `https://a/?${segment}`]
  expect(verdicts.map((url) => isAtRedirectUri(url, at, ISSUER))).toEqual([true, true, false, false])
  expect(isAtRedirectUri(new URL(at), at, ISSUER)).toBe(true)
})

test('a callback is not at the redirect URI of its issuer if its path has another segment that could be an issuer', () => {
  const at = redirectUriAt(TEMPLATE, ISSUER)
  const other = redirectUriAt(TEMPLATE, 'https://other.example').split('/')[4] ?? ''
  const twoOf = (pair: string): string => pair + 'a'.repeat(20)
  const isAt = (part: string): boolean => isAtRedirectUri(at.replace('?', `/${part}?`), at, ISSUER)
  const issuers = [other, twoOf('-_'), twoOf('Z9'), ...['%2d', '%5F', '%61', '%39'].map((each) => twoOf(`${each}b`))]
  expect(issuers.filter(isAt)).toEqual([])
  const names = ['a.', 'a~', 'a+', '%2a', 'b%g1', 'b%1g'].map(twoOf)
  expect([other.slice(1), `${other}a`, '', 'callback', ...names].filter((part) => !isAt(part))).toEqual([])
})

test('a callback of an attempt whose redirect URI names no issuer, or is not recorded, may come anywhere', () => {
  for (const redirectUri of ['https://app.example/callback', undefined])
    for (const path of ['elsewhere', redirectUriAt(ISSUER_PLACEHOLDER, 'https://other.example')])
      expect(isAtRedirectUri(`https://app.example/${path}`, redirectUri, ISSUER)).toBe(true)
})
