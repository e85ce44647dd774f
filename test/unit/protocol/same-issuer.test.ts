import { expect, test } from 'vitest'
import { sameIssuer, shownIssuer } from '../../../src/protocol/same-issuer.ts'

test.each([
  ['https://as.example', 'https://as.example', true],
  ['https://as.example', 'https://as.example/', true],
  ['https://as.example/', 'https://as.example', true],
  ['https://as.example/t', 'https://as.example/t/', true],
  ['https://as.example', 'https://as.example//', false],
  ['https://as.example//', 'https://as.example', false],
  ['https://as.example/t', 'https://as.example', false],
  ['', 'https://as.example', false],
])('sameIssuer of %j and %j is %s', (one, other, expected) => {
  expect(sameIssuer(one, other)).toBe(expected)
})

test('shownIssuer cuts what may be a secret of an issuer, and nothing else', () => {
  const key = 'k'.repeat(20)
  const issuers = ['https://as.example/t', `https://as.example/${key}?key=${key}`]
  expect(issuers.map(shownIssuer)).toEqual(['https://as.example/t', 'https://as.example/kkkk…'])
})
