import { describe, expect, test } from 'vitest'
import { coversScope, type ScopeSources, selectScope, unionScopes } from '../../../src/protocol/scopes.ts'
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
    ['what the caller asks for, joined with the challenge', all, 'a b'],
    ['the challenge', { ...all, requested: undefined }, 'b'],
    ['the resource, for a user', { ...all, requested: undefined, challenge: undefined }, 'd e'],
    [
      'the client, without a user',
      { ...all, requested: undefined, challenge: undefined, grant: 'client_credentials' },
      'c',
    ],
    [
      'the resource, where the client says nothing',
      { resource: ['d'], fallback: 'f', grant: 'client_credentials' },
      'd',
    ],
    ['what the host asks for by default', { fallback: 'f' }, 'f'],
    ['none', {}, undefined],
    ['none of blanks', { requested: ' ', challenge: '\t', resource: ['', ' '], fallback: '' }, undefined],
    ['each once, in order', { requested: 'a  b a', challenge: 'b c' }, 'a b c'],
    [
      'offline_access where the server lists it',
      { requested: 'a', server: ['offline_access', 'x'] },
      'a offline_access',
    ],
    ['it once', { requested: 'offline_access a', server: ['offline_access'] }, 'offline_access a'],
    ['no offline_access where the server does not list it', { requested: 'a', server: ['x'] }, 'a'],
    ['no offline_access alone, which would narrow the default', { server: ['offline_access'] }, undefined],
    [
      'no offline_access without a user',
      { requested: 'a', server: ['offline_access'], grant: 'client_credentials' },
      'a',
    ],
    ['no offline_access by the word of the resource', { resource: ['a', 'offline_access'] }, 'a'],
    [
      'offline_access of the resource where the server agrees',
      { resource: ['offline_access', 'a'], server: ['offline_access'] },
      'offline_access a',
    ],
    ['offline_access where the caller insists', { requested: 'offline_access' }, 'offline_access'],
  ])(
    'takes %s',
    verifies([22, 60, 61, 62], (_, sources, expected) => {
      expect(select(sources)).toBe(expected)
    }),
  )
})

test('unionScopes joins', () => {
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
])('coversScope(%j, %j): %s', (granted, wanted, expected) => {
  expect(coversScope(granted, wanted)).toBe(expected)
})
