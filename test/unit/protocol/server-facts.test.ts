import { describe, expect, test } from 'vitest'
import { issuerVerdict } from '../../../src/protocol/authorization-endpoint.ts'
import { BUILT_IN_FACTS } from '../../../src/protocol/built-in-facts.ts'
import type { FactsRow } from '../../../src/protocol/facts-row.ts'
import { resourceToSend } from '../../../src/protocol/resource-parameter.ts'
import { selectScope } from '../../../src/protocol/scopes.ts'
import { createServerFacts, isIssuerOf, withFacts } from '../../../src/protocol/server-facts.ts'
import { tokenResponseFields } from '../../../src/protocol/token-endpoint.ts'

const namesFor = (issuers: string[], issuer: string): readonly string[] =>
  createServerFacts([{ server: 'Host', issuers }])(issuer).names

describe('a row of server facts', () => {
  test.each([
    ['https://as.example', 'https://as.example'],
    ['https://as.example', 'https://as.example/'],
    ['https://as.example/', 'https://as.example'],
    ['https://as.example/a/b', 'https://as.example/a/b/'],
    ['https://*.as.example', 'https://eu.as.example'],
    ['https://as.example/*/v2.0', 'https://as.example/tenant/v2.0'],
    ['https://*.example/*', 'https://as.example/tenant'],
  ])('with the issuer %s applies to %s', (pattern, issuer) => {
    expect(namesFor([pattern], issuer)).toEqual(['Host'])
  })

  test.each([
    ['https://as.example', 'http://as.example'],
    ['https://as.example', 'https://as.example//'],
    ['https://as.example', 'https://AS.example'],
    ['https://as.example', 'https://as.example/a'],
    ['https://as.example', 'https://as.example:8443'],
    ['https://*.as.example', 'https://as.example'],
    ['https://*.as.example', 'https://a.b.as.example'],
    ['https://*.as.example', 'https://.as.example'],
    ['https://as.example/*', 'https://as.example'],
    ['https://as.example/*', 'https://as.example/'],
    ['https://as.example/*', 'https://as.example/a/b'],
    ['https://as.example/*/v2.0', 'https://as.example/a/v2x0'],
    ['https://as.*/a', 'https://as/a'],
    ['https://*.amazonaws.com/*', 'https://evil.example/.amazonaws.com/x'],
    ['https://as.example', 'https:/evil.example/as.example'],
    ['https://as.example/*', 'https:/evil.example/as.example/x'],
    ['https://as.example//a', 'https://as.example./a'],
    ['https://*', 'https://'],
    ['https://*', 'urn:as'],
  ])('with the issuer %s does not apply to %s', (pattern, issuer) => {
    expect(namesFor([pattern], issuer)).toEqual([])
  })

  test('is the first of the host that matches, merged effect by effect over the first built-in one', () => {
    const facts = createServerFacts([
      { server: 'Other', issuers: ['https://other.example'], revocation: 'unsupported' },
      {
        server: 'Ours',
        issuers: ['https://other.example', 'https://accounts.google.com/'],
        authorization: { offline: undefined, parameters: { hd: 'acme.example' } },
        refresh: { scope: 'repeat' },
      },
      { server: 'Never', issuers: ['https://accounts.google.com'], revocation: 'bearer' },
    ])
    expect(facts('https://accounts.google.com')).toEqual({
      names: ['Ours', 'Google'],
      discovery: {},
      authorization: {
        offline: { access_type: 'offline', prompt: 'consent' },
        offlineScope: 'never',
        parameters: { hd: 'acme.example' },
      },
      refresh: { scope: 'repeat' },
      registration: {},
      tokens: {},
    })
  })

  test('of the host takes precedence in each effect', () => {
    const row: Omit<FactsRow, 'server' | 'issuers'> = {
      discovery: {
        alsoAnnounces: ['urn:as'],
        metadata: { issuer: 'https://accounts.google.com', tokenEndpoint: 'https://as.example/token' },
        pkce: 'unlisted',
      },
      authorization: { offline: {}, offlineScope: 'offline', promptConsent: 'never', parameters: { a: '1' } },
      resource: 'omit',
      refresh: { scope: 'repeat' },
      clientAuthentication: 'client_secret_post',
      registration: { scope: 'none' },
      tokens: { under: 'data', bearerTypes: ['user'], scopeSeparator: ';', defaultType: 'Bearer' },
      revocation: 'bearer',
      iss: 'notRequired',
    }
    const facts = createServerFacts([{ server: 'Ours', issuers: ['https://accounts.google.com'], ...row }])
    expect(facts('https://accounts.google.com')).toEqual({ names: ['Ours', 'Google'], ...row })
  })
})

describe('a built-in row', () => {
  test('never holds metadata, iss, or an announced issuer of another host, and none beside *', () => {
    const hostOf = (text: string): string => new URL(text.replaceAll(/[{}*]/g, 'x')).host
    for (const { server, issuers, discovery, iss } of BUILT_IN_FACTS) {
      expect([server, iss, discovery?.metadata]).toEqual([server, undefined, undefined])
      for (const announced of discovery?.alsoAnnounces ?? []) {
        expect(issuers.map(hostOf)).toEqual(issuers.map(() => hostOf(announced)))
        expect(issuers.join(' ')).not.toContain('*')
      }
    }
  })

  test.each([
    ['https://login.microsoftonline.com/8b3e/v2.0', ['Microsoft Entra ID']],
    ['https://login.microsoftonline.us/organizations/v2.0', ['Microsoft Entra ID']],
    ['https://login.partner.microsoftonline.cn/8b3e/v2.0', ['Microsoft Entra ID']],
    ['https://login.microsoftonline.com/8b3e', []],
    ['https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_x', ['Amazon Cognito']],
    ['https://accounts.google.com/', ['Google']],
    ['https://www.dropbox.com', ['Dropbox']],
    ['https://github.com/login/oauth', ['GitHub']],
    ['https://github.com', []],
    ['https://mcp.slack.com', ['Slack']],
    ['https://test.salesforce.com', ['Salesforce sandbox']],
    ['https://login.salesforce.com', []],
  ])('for %s is %j', (issuer, names) => {
    expect(createServerFacts([])(issuer).names).toEqual(names)
  })
})

describe('the metadata of a server', () => {
  const named = 'https://as.example/t'
  const metadata = { issuer: named, tokenEndpoint: 'https://as.example/token', issRequired: true as const }
  const changed = (row: Partial<FactsRow>, document: object = {}) =>
    withFacts(
      { ...metadata, ...document },
      named,
      createServerFacts([{ server: 'S', issuers: [named], ...row }])(named),
    )

  test('are unchanged without facts', () => {
    expect(withFacts(metadata, named, createServerFacts([])(named))).toEqual(metadata)
  })

  test('are unchanged, and have no other issuer, where nothing is known of discovery', () => {
    expect(withFacts(metadata, named, { names: [] })).toEqual(metadata)
    expect(isIssuerOf(metadata, { names: [] }, named)).toBe(true)
    for (const facts of [{ names: [] }, { names: [], discovery: {} }])
      expect(isIssuerOf(metadata, facts, 'https://other.example')).toBe(false)
  })

  test('retain the final slash of their own issuer', () => {
    const own = { ...metadata, issuer: `${named}/` }
    expect(withFacts(own, named, createServerFacts([])(named))).toEqual(own)
  })

  test('carry what the chart needs', () => {
    expect(changed({ resource: 'omit', authorization: { offlineScope: 'never' } }).facts).toEqual({
      names: ['S'],
      resource: 'omit',
      offlineScope: 'never',
    })
  })

  test('are used under the issuer that the resource named, and retain the announced one', () => {
    const facts = createServerFacts([{ server: 'S', issuers: [named], discovery: { alsoAnnounces: ['urn:as'] } }])(
      named,
    )
    expect(withFacts({ ...metadata, issuer: 'urn:as' }, named, facts)).toMatchObject({
      issuer: named,
      announcedIssuer: 'urn:as',
    })
    expect([named, 'urn:as', `${named}/x`].map((issuer) => isIssuerOf({ issuer: named }, facts, issuer))).toEqual([
      true,
      true,
      false,
    ])
  })

  test.each<[string, Partial<FactsRow>, object, object]>([
    [
      'list S256 where it works unlisted',
      { discovery: { pkce: 'unlisted' } },
      {},
      { codeChallengeMethodsSupported: ['S256'] },
    ],
    [
      'list S256 once',
      { discovery: { pkce: 'unlisted' } },
      { codeChallengeMethodsSupported: ['plain', 'S256'] },
      { codeChallengeMethodsSupported: ['plain', 'S256'] },
    ],
    [
      'list only the secret method that works',
      { clientAuthentication: 'client_secret_post' },
      { tokenEndpointAuthMethodsSupported: ['client_secret_basic', 'private_key_jwt'] },
      { tokenEndpointAuthMethodsSupported: ['client_secret_post', 'private_key_jwt'] },
    ],
    [
      'list the secret method beside the others where they have no list',
      { clientAuthentication: 'client_secret_basic' },
      {},
      { tokenEndpointAuthMethodsSupported: ['client_secret_basic', 'private_key_jwt', 'none'] },
    ],
    ['do not require an iss that is not sent', { iss: 'notRequired' }, {}, { issRequired: undefined }],
  ])('%s', (_name, row, document, expected) => {
    expect(changed(row, document)).toEqual({ ...metadata, ...document, facts: { names: ['S'] }, ...expected })
  })
})

test.each([
  ['is the own issuer', { issuer: 'https://a' }, 'https://a', true],
  ['is the announced issuer', { issuer: 'https://a', announcedIssuer: 'urn:b' }, 'urn:b', true],
  ['is the issuer that the resource named', { issuer: 'https://a', announcedIssuer: 'urn:b' }, 'https://a', false],
  ['is absent', { issuer: 'https://a', announcedIssuer: 'urn:b' }, undefined, true],
  ['is absent though required', { issuer: 'https://a', issRequired: true as const }, undefined, false],
])('a callback whose iss %s is judged accordingly', (_name, server, iss, expected) => {
  expect(issuerVerdict(server, iss)).toBe(expected)
})

test.each([
  [undefined, 'api://mcp', 'x', 'api://mcp'],
  ['omitOnRefresh', 'api://mcp', 'x', 'api://mcp'],
  ['omit', 'api://mcp', 'api://mcp/tools', undefined],
  ['omitUnlessScoped', 'api://mcp', 'openid api://mcp/tools', 'api://mcp'],
  ['omitUnlessScoped', 'https://h/mcp', 'api://mcp/tools', undefined],
  ['omitUnlessScoped', 'https://h/mcp', undefined, undefined],
  ['omitUnlessScoped', undefined, 'a', undefined],
] as const)('resource with the facts %s, for %s beside the scope %j, is %s', (mode, resource, scope, expected) => {
  expect(resourceToSend(mode, resource, { scope })).toBe(expected)
})

test.each([
  [undefined, 'api://mcp'],
  ['omitUnlessScoped', 'api://mcp'],
  ['omitOnRefresh', undefined],
  ['omit', undefined],
] as const)('resource of a refresh with the facts %s is %s', (mode, expected) => {
  expect(resourceToSend(mode, 'api://mcp', 'refresh')).toBe(expected)
})

describe('offline_access', () => {
  const sources = {
    requested: undefined,
    challenge: undefined,
    client: undefined,
    resource: ['read', 'offline_access'],
    fallback: undefined,
    server: ['read', 'offline_access'],
    grant: 'authorization_code' as const,
  }
  test.each([
    ['is requested without facts', {}, 'read offline_access'],
    ['is replaced by the scope of the facts', { offlineScope: 'refresh_token' }, 'read refresh_token'],
    ['is replaced where the server publishes no list', { offlineScope: 'offline', server: undefined }, 'read offline'],
    ['is removed where the facts say never', { offlineScope: 'never' }, 'read'],
    ['of a challenge is removed', { offlineScope: 'never', challenge: 'write offline_access' }, 'write'],
    [
      'of the host’s default is removed',
      { offlineScope: 'never', resource: ['offline_access'], fallback: 'a offline_access' },
      'a',
    ],
    [
      'that the caller requests is retained',
      { offlineScope: 'never', requested: 'a offline_access' },
      'a offline_access',
    ],
    [
      'has no replacement in a non-interactive grant',
      { offlineScope: 'offline', grant: 'client_credentials' as const },
      'read',
    ],
    ['has no replacement beside an empty scope', { offlineScope: 'offline', resource: [] }, undefined],
  ])('%s', (_name, change, expected) => {
    expect(selectScope({ ...sources, ...change })).toBe(expected)
  })
})

describe('the fields of a token response', () => {
  const top = { ok: true, access_token: 't', token_type: 'user', scope: 'a,b' }
  const slack = { under: 'authed_user', bearerTypes: ['user', 'bot'], scopeSeparator: ',' }
  test.each([
    ['are unchanged without facts', undefined, top, top],
    ['have the type Bearer and scopes with spaces', slack, top, { ...top, token_type: 'Bearer', scope: 'a b' }],
    ['retain another type', slack, { ...top, token_type: 'mac' }, { ...top, token_type: 'mac', scope: 'a b' }],
    ['may lack a scope', slack, { access_token: 't', token_type: 'bot' }, { access_token: 't', token_type: 'Bearer' }],
    [
      'are those of the nested member where the response has no token',
      slack,
      { ok: true, scope: 'x', authed_user: top },
      {
        ...top,
        token_type: 'Bearer',
        scope: 'a b',
      },
    ],
    [
      'are those of the response where both have a token',
      slack,
      { ...top, authed_user: { access_token: 'u' } },
      {
        ...top,
        authed_user: { access_token: 'u' },
        token_type: 'Bearer',
        scope: 'a b',
      },
    ],
    ['are those of the response where the member is no object', slack, { authed_user: 'x' }, { authed_user: 'x' }],
    ['are those of the response where the member is null', slack, { authed_user: null }, { authed_user: null }],
    [
      'have the default type',
      { defaultType: 'Bearer' as const },
      { access_token: 't' },
      { access_token: 't', token_type: 'Bearer' },
    ],
    ['retain their own type', { defaultType: 'Bearer' as const }, { token_type: 'mac' }, { token_type: 'mac' }],
  ])('%s', (_name, facts, fields, expected) => {
    expect(tokenResponseFields(fields, facts)).toEqual(expected)
  })
})
