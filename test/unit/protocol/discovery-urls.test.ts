import { describe, expect, test } from 'vitest'
import {
  absoluteUrl,
  legacyEndpoints,
  legacyIssuer,
  legacyMetadataUrl,
  resourceMetadataUrls,
  serverMetadataUrls,
} from '../../../src/protocol/discovery.ts'
import { sameIssuer } from '../../../src/protocol/same-issuer.ts'
import { verifies } from '../../support/verifies.ts'

describe('resourceMetadataUrls', () => {
  const root = 'https://h/.well-known/oauth-protected-resource'
  test.each([
    ['https://h', [root]],
    ['https://h/', [root]],
    ['https://h/mcp', [`${root}/mcp`, root]],
    ['https://h/mcp/', [`${root}/mcp/`, root]],
    ['https://h/mcp?x=1', [`${root}/mcp?x=1`, root]],
    ['https://h/?x=1', [`${root}?x=1`, root]],
    [
      'http://h:8080/a/b',
      ['http://h:8080/.well-known/oauth-protected-resource/a/b', 'http://h:8080/.well-known/oauth-protected-resource'],
    ],
  ])(
    'returns the well-known URLs of the server %s, most specific first',
    verifies(14, (server, expected) => {
      expect(resourceMetadataUrls(server)).toEqual(expected)
    }),
  )
})

describe('serverMetadataUrls', () => {
  test.each([
    [
      'https://as',
      ['https://as/.well-known/oauth-authorization-server', 'https://as/.well-known/openid-configuration'],
    ],
    [
      'https://as/',
      ['https://as/.well-known/oauth-authorization-server', 'https://as/.well-known/openid-configuration'],
    ],
    [
      'https://as/t1',
      [
        'https://as/.well-known/oauth-authorization-server/t1',
        'https://as/.well-known/openid-configuration/t1',
        'https://as/t1/.well-known/openid-configuration',
        'https://as/t1/.well-known/oauth-authorization-server',
      ],
    ],
    [
      'https://as:8443/a/b/',
      [
        'https://as:8443/.well-known/oauth-authorization-server/a/b',
        'https://as:8443/.well-known/openid-configuration/a/b',
        'https://as:8443/a/b/.well-known/openid-configuration',
        'https://as:8443/a/b/.well-known/oauth-authorization-server',
      ],
    ],
  ])(
    'returns the well-known URLs of the issuer %s in order of priority',
    verifies([31, 32, 34], (issuer, expected) => {
      expect(serverMetadataUrls(issuer)).toEqual(expected)
    }),
  )
})

test('an MCP server of revision 2025-03-26 has its origin as issuer, with the default endpoints', () => {
  const issuer = legacyIssuer('https://h:8443/mcp/x?y=z')
  expect(issuer).toBe('https://h:8443')
  expect(legacyMetadataUrl(issuer)).toBe('https://h:8443/.well-known/oauth-authorization-server')
  expect(legacyEndpoints(issuer)).toEqual({
    authorizationEndpoint: 'https://h:8443/authorize',
    tokenEndpoint: 'https://h:8443/token',
    registrationEndpoint: 'https://h:8443/register',
  })
})

test.each([
  [undefined, undefined],
  ['https://other/meta', 'https://other/meta'],
  ['/meta?x=1', 'https://h/meta?x=1'],
  ['meta', 'https://h/a/meta'],
  ['javascript:alert(1)', 'javascript:alert(1)'],
  ['http://[', 'http://['],
])('absoluteUrl resolves %j against the URL of the server to %j', (url, expected) => {
  expect(absoluteUrl(url, 'https://h/a/mcp')).toBe(expected)
})

test.each([
  ['https://as', 'https://as', true],
  ['https://as', 'https://as/', true],
  ['https://as/t1/', 'https://as/t1', true],
  ['https://as', 'https://as//', false],
  ['https://as', 'https://as/t1', false],
  ['https://as', 'https://AS', false],
])('sameIssuer of %s and %s is %s', (one, other, expected) => {
  expect([sameIssuer(one, other), sameIssuer(other, one)]).toEqual([expected, expected])
})
