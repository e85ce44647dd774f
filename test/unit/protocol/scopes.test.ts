import { describe, expect, test } from 'vitest'
import {
  challengedScope,
  coversScope,
  isTooMuchScope,
  permittedScope,
  scopeBeyond,
  type ScopeSources,
  selectScope,
  shownScope,
  unionScopes,
} from '../../../src/protocol/scopes.ts'
import { verifies } from '../../support/verifies.ts'

function select(sources: Partial<ScopeSources>): string | undefined {
  return selectScope({
    requested: undefined,
    challenge: undefined,
    client: undefined,
    resource: undefined,
    fallback: undefined,
    server: undefined,
    grant: 'authorization_code',
    ...sources,
  })
}

describe('selectScope', () => {
  const all = { requested: 'a', challenge: 'b', client: 'c', resource: ['d', 'e'], fallback: 'f' }
  test.each<[string, Partial<ScopeSources>, string | undefined]>([
    ["the caller's scope joined with the scope of the challenge", all, 'a b'],
    ['the scope of the challenge', { ...all, requested: undefined }, 'b'],
    [
      'the scopes of the resource for an interactive grant',
      { ...all, requested: undefined, challenge: undefined },
      'd e',
    ],
    [
      'the scope of the client for a non-interactive grant',
      { ...all, requested: undefined, challenge: undefined, grant: 'client_credentials' },
      'c',
    ],
    [
      'the scopes of the resource for a non-interactive grant when the client has no scope',
      { resource: ['d'], fallback: 'f', grant: 'client_credentials' },
      'd',
    ],
    ["the host's default scope", { fallback: 'f' }, 'f'],
    ['undefined without any source', {}, undefined],
    [
      'undefined when all sources are blank',
      { requested: ' ', challenge: '\t', resource: ['', ' '], fallback: '' },
      undefined,
    ],
    ['each scope once, in order', { requested: 'a  b a', challenge: 'b c' }, 'a b c'],
    [
      'offline_access in addition when the server lists it',
      { requested: 'a', server: ['offline_access', 'x'] },
      'a offline_access',
    ],
    [
      'offline_access once when it was also requested',
      { requested: 'offline_access a', server: ['offline_access'] },
      'offline_access a',
    ],
    [
      "the caller's scope without offline_access when the server does not list it",
      { requested: 'a', server: ['x'] },
      'a',
    ],
    [
      'undefined instead of offline_access alone, which would narrow the default',
      { server: ['offline_access'] },
      undefined,
    ],
    [
      "the caller's scope without offline_access for a non-interactive grant",
      { requested: 'a', server: ['offline_access'], grant: 'client_credentials' },
      'a',
    ],
    [
      'the scopes of the resource with offline_access when the server publishes no list (Atlassian v2)',
      { resource: ['a', 'offline_access'] },
      'a offline_access',
    ],
    [
      'the scopes of the resource without offline_access when the server publishes a list without it',
      { resource: ['a', 'offline_access'], server: ['a'] },
      'a',
    ],
    [
      'the scopes of the resource without offline_access for a non-interactive grant',
      { resource: ['a', 'offline_access'], grant: 'client_credentials' },
      'a',
    ],
    [
      'the whole list of a resource of 2,000 characters (PagerDuty)',
      { resource: Array.from({ length: 90 }, (_, n) => `incidents.permission.${n}`) },
      Array.from({ length: 90 }, (_, n) => `incidents.permission.${n}`).join(' '),
    ],
    [
      'offline_access from the resource when the server lists it too',
      { resource: ['offline_access', 'a'], server: ['offline_access'] },
      'offline_access a',
    ],
    ['offline_access when the caller requests it', { requested: 'offline_access' }, 'offline_access'],
  ])(
    'returns %s',
    verifies([22, 60, 61, 62], (_, sources, expected) => {
      expect(select(sources)).toBe(expected)
    }),
  )
})

test('unionScopes returns each scope of both lists once', () => {
  expect([
    unionScopes('a b', 'b c'),
    unionScopes(undefined, ' a '),
    unionScopes('a', undefined),
    unionScopes('', undefined),
  ]).toEqual(['a b c', 'a', 'a', undefined])
})

test.each([
  ['a b', 'b a', true],
  ['a b', 'a', true],
  ['a', 'a b', false],
  ['A', 'a', false],
  [undefined, 'a', false],
  ['a', undefined, true],
  [undefined, ' ', true],
])('coversScope with the granted scope %j and the wanted scope %j returns %s', (granted, wanted, expected) => {
  expect(coversScope(granted, wanted)).toBe(expected)
})

test.each([
  ['b a', 'a b'],
  [' a  a ', 'a'],
  [undefined, undefined],
  ['', undefined],
  ['"a a" a\\b', undefined],
  [`${'x'.repeat(257)} ok`, 'ok'],
  ['y'.repeat(256), 'y'.repeat(256)],
])('challengedScope sorts the valid scopes of %j', (scope, expected) => {
  expect(challengedScope(scope)).toBe(expected)
})

test('selectScope drops the invalid scopes of a challenge and of a resource, not those of the caller', () => {
  expect(select({ requested: 'a"', challenge: 'b "c' })).toBe('a" b')
  expect(select({ resource: ['d', '"e'] })).toBe('d')
})

test.each([
  ['a b', undefined, 'a b'],
  ['a b c', ['c', 'a'], 'a c'],
  ['a b', ['c'], undefined],
  ['a', [], undefined],
  [undefined, undefined, undefined],
  [undefined, ['a'], undefined],
])('permittedScope of %j with the allowed scopes %j returns %j', (scope, allowed, expected) => {
  expect(permittedScope(scope, allowed)).toBe(expected)
})

test.each([
  ['a b c', ['c', 'a'], 'b'],
  ['c  b c', [], 'c b'],
  ['a b', ['b', 'a'], undefined],
  [undefined, ['a'], undefined],
])('scopeBeyond of %j and the allowed scopes %j returns %j', (scope, allowed, expected) => {
  expect(scopeBeyond(scope, allowed)).toBe(expected)
})

test('shownScope shows each scope once, and cuts what may be a secret', () => {
  const longName = 'permissions:read.all-of-them'
  expect(shownScope(`a  ${longName} a ${'0'.repeat(20)}`)).toBe(`a ${longName} 0000…`)
})

test('isTooMuchScope is true beyond 4,096 characters', () => {
  const scopes = [undefined, '', 'x'.repeat(4_096), 'x'.repeat(4_097)]
  expect(scopes.map(isTooMuchScope)).toEqual([false, false, false, true])
})
