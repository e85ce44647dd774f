import { describe, expect, test } from 'vitest'
import { createAuthOrchestrator } from '../../../src/index.ts'
import { parseServerFacts } from '../../../src/options/server-facts-options.ts'
import { CLIENT } from '../connection/world.ts'

const issuer = 'https://as.example'
const minimal = { server: 'S', issuers: [issuer] }
const metadata = { issuer, token_endpoint: `${issuer}/token` }

/** The error of the constructor for one row, which is the third. */
function problemOf(row: object): unknown {
  try {
    void createAuthOrchestrator({ client: CLIENT, authorizationServers: [minimal, minimal, row as never] }).close()
  } catch (error) {
    if (error instanceof TypeError) return error.message
    throw error
  }
  return undefined
}

describe('authorizationServers', () => {
  test('a row with every effect is accepted', () => {
    const row = {
      ...minimal,
      discovery: { alsoAnnounces: ['urn:as'], metadata, pkce: 'unlisted' },
      authorization: {
        offline: { access_type: 'offline' },
        offlineScope: 'offline',
        promptConsent: 'never',
        parameters: { audience: 'a' },
      },
      resource: 'omitOnRefresh',
      refresh: { scope: 'repeat' },
      clientAuthentication: 'client_secret_post',
      registration: { scope: 'server' },
      tokens: { under: 'data', bearerTypes: ['user'], scopeSeparator: ',', defaultType: 'Bearer' },
      revocation: 'unsupported',
      iss: 'notRequired',
    }
    expect(problemOf(row)).toBe(undefined)
  })

  test.each([
    'https://as.example',
    'https://as.example/',
    'https://*.as.example/*/v2.0',
    'http://localhost:9000/realms/*',
  ])('the issuer %s is accepted', (accepted) => {
    expect(problemOf({ server: 'S', issuers: [accepted] })).toBe(undefined)
  })

  test.each([
    'as.example',
    'ftp://as.example',
    'https://as-*.example',
    'https://as.example/v*',
    'https://**.example',
    'https://as.example?x',
    'https://as.example#x',
    'https://user@as.example',
    'https://as.example/a b',
    'https://as.example\\x',
    '*',
    'https:as.example',
    'https:/as.example',
    'https:///as.example',
    'https:/x/as.example',
  ])('the issuer %s is rejected', (rejected) => {
    expect(problemOf({ server: 'S', issuers: [rejected] })).toBe(
      'authorizationServers[2].issuers[0] must be an issuer, in which * stands for a whole label or segment',
    )
  })

  test.each<[string, object]>([
    ['server must be a non-empty string of well-formed Unicode', { server: '' }],
    ['server must not exceed 64 characters', { server: 'x'.repeat(65) }],
    ['server must not contain control characters', { server: 'a\nb' }],
    ['server must not contain control characters', { server: 'a\u202Eb' }],
    ['server must not contain control characters', { server: 'a\u2028b' }],
    ['issuers must not be empty', { issuers: [] }],
    ['issuers must not have more than 64 members', { issuers: Array.from({ length: 65 }, () => issuer) }],
    ['quirks is not a known option', { quirks: {} }],
    ['discovery.pkce must be of type "unlisted"', { discovery: { pkce: 'maybe' } }],
    ['discovery.issuer is not a known option', { discovery: { issuer } }],
    ['discovery.alsoAnnounces must not be empty', { discovery: { alsoAnnounces: [] } }],
    ['discovery.metadata must be of type Object', { discovery: { metadata: 'https://as.example' } }],
    ['authorization.offlineScope must be one scope', { authorization: { offlineScope: 'a b' } }],
    [
      'authorization.offline must not contain a parameter that authchart sets',
      { authorization: { offline: { state: 'x' } } },
    ],
    [
      'authorization.parameters must not contain a parameter that authchart sets',
      { authorization: { parameters: { client_secret: 'x' } } },
    ],
    [
      'authorization.parameters must not exceed 4096 bytes',
      { authorization: { parameters: { claims: 'x'.repeat(4_096) } } },
    ],
    ['resource must be of type ("omit" | "omitUnlessScoped" | "omitOnRefresh")', { resource: 'never' }],
    ['refresh.scope must be of type "repeat"', { refresh: { scope: 'always' } }],
    [
      'clientAuthentication must be of type ("client_secret_post" | "client_secret_basic")',
      { clientAuthentication: 'none' },
    ],
    ['registration.scope must be of type ("server" | "resource" | "none")', { registration: { scope: 'all' } }],
    ['tokens.bearerTypes[0] must be a non-empty string of well-formed Unicode', { tokens: { bearerTypes: [7] } }],
    ['tokens.scopeSeparator must not exceed 8 characters', { tokens: { scopeSeparator: 'x'.repeat(9) } }],
    ['revocation must be of type ("unsupported" | "bearer")', { revocation: 'none' }],
    ['iss must be of type "notRequired"', { iss: 'never' }],
  ])('a wrong row is a TypeError that names the member: %s', (message, change) => {
    expect(problemOf({ ...minimal, ...change })).toBe(`authorizationServers[2].${message}`)
  })

  test.each<[string, object]>([
    ['discovery.alsoAnnounces', { discovery: { alsoAnnounces: ['urn:as'] } }],
    ['discovery.metadata', { discovery: { metadata } }],
    ['iss', { iss: 'notRequired' }],
  ])('a row with * may not hold %s', (name, change) => {
    expect(problemOf({ server: 'S', issuers: [issuer, 'https://*.example'], ...change })).toBe(
      `authorizationServers[2].${name} must not be in a row whose issuers contain *`,
    )
  })

  test.each([
    ['token_endpoint is missing or invalid', { issuer }],
    ['authorization_endpoint is missing or invalid', { ...metadata, authorization_endpoint: 'as.example' }],
    [
      'issuer must be the issuer of the row, or one of discovery.alsoAnnounces',
      { ...metadata, issuer: 'https://other.example' },
    ],
  ])('invalid metadata are a TypeError that names the field: %s', (message, invalid) => {
    expect(problemOf({ ...minimal, discovery: { metadata: invalid } })).toBe(
      `authorizationServers[2].discovery.metadata.${message}`,
    )
  })

  test('metadata may have an announced issuer, which belongs to every issuer of the row', () => {
    const row = { server: 'S', issuers: [issuer, 'https://b.example'] }
    const announced = { ...metadata, issuer: 'urn:as' }
    expect(problemOf({ ...row, discovery: { metadata } })).toMatch(
      /^authorizationServers\[2\]\.discovery\.metadata\.issuer/,
    )
    expect(parseServerFacts([{ ...row, discovery: { metadata: announced, alsoAnnounces: ['urn:as'] } }])).toMatchObject(
      [{ ...row, discovery: { metadata: { issuer: 'urn:as', tokenEndpoint: `${issuer}/token` } } }],
    )
  })

  test('more than 1,000 rows are a TypeError', () => {
    const rows = Array.from({ length: 1_001 }, () => minimal)
    expect(() => createAuthOrchestrator({ client: CLIENT, authorizationServers: rows })).toThrow(
      'authorizationServers must not have more than 1000 rows',
    )
  })
})
