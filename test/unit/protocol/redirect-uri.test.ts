import { expect, test } from 'vitest'
import { isAtRedirectUri, redirectUriAt } from '../../../src/protocol/redirect-uri.ts'

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

test('a callback of an attempt whose redirect URI names no issuer, or is not recorded, may come anywhere', () => {
  for (const redirectUri of ['https://app.example/callback', undefined])
    expect(isAtRedirectUri('https://app.example/elsewhere', redirectUri, ISSUER)).toBe(true)
})
