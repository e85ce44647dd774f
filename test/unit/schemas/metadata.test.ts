import { describe, expect, test } from 'vitest'
import { AuthorizationServerMetadataSchema, ProtectedResourceMetadataSchema } from '../../../src/schemas/metadata.ts'
import { check } from '../../../src/schemas/wire.ts'

describe('protected resource metadata', () => {
  const resource = 'https://h/mcp'

  test.each([
    [
      'with its authorization_servers unchanged',
      { resource, authorization_servers: ['https://as', 'https://as/'], scopes_supported: ['a', 'b'], x: { y: 1 } },
      { resource, issuers: ['https://as', 'https://as/'], scopesSupported: ['a', 'b'] },
    ],
    [
      'with authorization_server_url as a string',
      { resource, authorization_server_url: 'https://as' },
      { resource, issuers: ['https://as'] },
    ],
    [
      'with authorization_server_url as an array',
      { resource, authorization_server_url: ['https://as', 'https://b'] },
      { resource, issuers: ['https://as', 'https://b'] },
    ],
    [
      'with authorization_servers and authorization_server_url merged without duplicates',
      { resource, authorization_servers: ['https://as'], authorization_server_url: ['https://b', 'https://as'] },
      { resource, issuers: ['https://as', 'https://b'] },
    ],
    ['with an empty list of authorization servers', { resource, authorization_servers: [] }, { resource, issuers: [] }],
    [
      'without the authorization servers that are no issuers, if another one is',
      {
        resource,
        authorization_servers: [7, 'javascript:alert(1)', 'https://as', 'https://b?x=1', ''],
        authorization_server_url: [null, 'https://c'],
      },
      { resource, issuers: ['https://as', 'https://c'] },
    ],
    [
      'with an empty authorization_server_url read as absent',
      { resource, authorization_servers: ['https://as'], authorization_server_url: '' },
      { resource, issuers: ['https://as'] },
    ],
    [
      'with null and empty lists read as absent',
      { resource, authorization_servers: null, authorization_server_url: null, scopes_supported: [] },
      { resource, issuers: [] },
    ],
    [
      'with a resource that is a list of one, of GitLab self-managed (coder/xum#3734)',
      { resource: [resource] },
      { resource, issuers: [] },
    ],
    [
      'with several scopes in one text, separated by blanks or by commas',
      { resource, scopes_supported: ['a b', 'b,c', ' d, e ', 'f'] },
      { resource, issuers: [], scopesSupported: ['a', 'b', 'c', 'd', 'e', 'f'] },
    ],
    [
      'with one text of scopes separated by blanks instead of a list',
      { resource, scopes_supported: 'a b  c' },
      { resource, issuers: [], scopesSupported: ['a', 'b', 'c'] },
    ],
    [
      'with one text of scopes separated by commas instead of a list',
      { resource, scopes_supported: 'a,b,c' },
      { resource, issuers: [], scopesSupported: ['a', 'b', 'c'] },
    ],
    ['with an empty text of scopes read as absent', { resource, scopes_supported: '' }, { resource, issuers: [] }],
    [
      'with a list of scopes of 4,096 characters',
      { resource, scopes_supported: Array.from({ length: 819 }, (_, n) => `s${n + 101}`.padEnd(4, '-')).concat('x') },
      {
        resource,
        issuers: [],
        scopesSupported: Array.from({ length: 819 }, (_, n) => `s${n + 101}`.padEnd(4, '-')).concat('x'),
      },
    ],
    ['with null scopes read as absent', { resource, scopes_supported: null }, { resource, issuers: [] }],
    [
      'with its DPoP requirements',
      { resource, dpop_signing_alg_values_supported: ['ES256'], dpop_bound_access_tokens_required: true },
      { resource, issuers: [], dpopSigningAlgValuesSupported: ['ES256'], dpopBoundAccessTokensRequired: true },
    ],
    [
      'without DPoP requirements when they are empty or false',
      { resource, dpop_signing_alg_values_supported: [], dpop_bound_access_tokens_required: false },
      { resource, issuers: [] },
    ],
  ])('is parsed %s', (_, document, expected) => {
    expect(check(ProtectedResourceMetadataSchema, document)).toEqual({
      output: { scopesSupported: undefined, ...expected },
    })
  })

  test.each([
    ['resource', {}],
    ['resource', { resource: '' }],
    ['resource', { resource: [] }],
    ['resource', { resource: ['https://h/mcp', 'https://h/other'] }],
    ['resource', { resource: `https://h/${'a'.repeat(2048)}` }],
    ['resource', []],
    ['authorization_servers', { resource, authorization_servers: 'https://as' }],
    ['authorization_servers.0', { resource, authorization_servers: ['javascript:alert(1)', 'as'] }],
    ['authorization_servers.0', { resource, authorization_servers: [7] }],
    ['authorization_servers', { resource, authorization_servers: Array(65).fill('https://as') }],
    ['authorization_server_url', { resource, authorization_server_url: 'as' }],
    ['authorization_server_url', { resource, authorization_server_url: [7] }],
    ['authorization_server_url', { resource, authorization_server_url: Array(65).fill('https://as') }],
    ['scopes_supported', { resource, scopes_supported: 7 }],
    ['scopes_supported', { resource, scopes_supported: 'a'.repeat(4_097) }],
    ['scopes_supported.0', { resource, scopes_supported: [null] }],
    ['scopes_supported', { resource, scopes_supported: Array.from({ length: 1_001 }, (_, n) => n.toString(36)) }],
    ['scopes_supported', { resource, scopes_supported: Array.from({ length: 820 }, (_, n) => `s${n + 1000}`) }],
    ['dpop_signing_alg_values_supported', { resource, dpop_signing_alg_values_supported: 'ES256' }],
    ['dpop_bound_access_tokens_required', { resource, dpop_bound_access_tokens_required: 'true' }],
    [undefined, 'https://h/mcp'],
    [undefined, null],
  ])('is rejected with the invalid field %s', (field, document) => {
    expect(check(ProtectedResourceMetadataSchema, document)).toEqual({ field })
  })
})

describe('authorization server metadata', () => {
  const least = { issuer: 'https://as', token_endpoint: 'https://as/token' }

  test('is parsed into the members that discovery uses, with the issuer unchanged', () => {
    const document = {
      issuer: 'https://AS:443/t/',
      authorization_endpoint: 'https://as/authorize?p=1',
      token_endpoint: 'https://as/token',
      registration_endpoint: 'https://as/register',
      revocation_endpoint: 'https://as/revoke',
      grant_types_supported: ['Authorization_Code'],
      token_endpoint_auth_methods_supported: ['none'],
      code_challenge_methods_supported: ['S256'],
      response_types_supported: ['code'],
      scopes_supported: ['a'],
      authorization_response_iss_parameter_supported: true,
      client_id_metadata_document_supported: true,
      dpop_signing_alg_values_supported: ['ES256'],
      jwks_uri: 7,
    }
    expect(check(AuthorizationServerMetadataSchema, document)).toEqual({
      output: {
        issuer: 'https://AS:443/t/',
        authorizationEndpoint: 'https://as/authorize?p=1',
        tokenEndpoint: 'https://as/token',
        registrationEndpoint: 'https://as/register',
        revocationEndpoint: 'https://as/revoke',
        grantTypesSupported: ['authorization_code'],
        tokenEndpointAuthMethodsSupported: ['none'],
        codeChallengeMethodsSupported: ['S256'],
        responseTypesSupported: ['code'],
        scopesSupported: ['a'],
        issRequired: true,
        clientIdMetadataDocumentSupported: true,
        dpopSigningAlgValuesSupported: ['ES256'],
      },
    })
  })

  test('is parsed with a list of scopes that is too long to store reduced to offline_access', () => {
    const scopes = Array.from({ length: 400 }, (_, n) => `meeting:read:${n}`)
    const listed = (scopes_supported: string[]) =>
      check(AuthorizationServerMetadataSchema, { ...least, scopes_supported })
    expect(listed([...scopes, 'offline_access'])).toMatchObject({ output: { scopesSupported: ['offline_access'] } })
    expect(listed(scopes)).toMatchObject({ output: { scopesSupported: [] } })
    const many = Array.from({ length: 1_000 }, (_, n) => n.toString(36))
    expect(listed([...many, 'offline_access'])).toMatchObject({ output: { scopesSupported: ['offline_access'] } })
    expect(listed(many)).toMatchObject({ output: { scopesSupported: many } })
  })

  test.each([
    ['separated by blanks', 'a b'],
    ['separated by commas', 'a,b'],
  ])('is parsed with one text of scopes %s instead of a list', (_name, scopes_supported) => {
    expect(check(AuthorizationServerMetadataSchema, { ...least, scopes_supported })).toEqual({
      output: { issuer: 'https://as', tokenEndpoint: 'https://as/token', scopesSupported: ['a', 'b'] },
    })
  })

  test.each(['', null, false])('is parsed without the optional endpoints that are %j', (unsaid) => {
    const document = {
      ...least,
      authorization_endpoint: unsaid,
      registration_endpoint: unsaid,
      revocation_endpoint: unsaid,
      pushed_authorization_request_endpoint: unsaid,
    }
    expect(check(AuthorizationServerMetadataSchema, document)).toEqual({
      output: { issuer: 'https://as', tokenEndpoint: 'https://as/token' },
    })
  })

  test('is parsed without the members that are missing, null, empty or false', () => {
    const document = {
      ...least,
      authorization_endpoint: null,
      grant_types_supported: [],
      scopes_supported: null,
      authorization_response_iss_parameter_supported: false,
      client_id_metadata_document_supported: null,
    }
    expect(check(AuthorizationServerMetadataSchema, document)).toEqual({
      output: { issuer: 'https://as', tokenEndpoint: 'https://as/token' },
    })
  })

  test.each([
    ['issuer', {}],
    ['issuer', { ...least, issuer: '' }],
    ['issuer', { ...least, issuer: 'x'.repeat(2_049) }],
    ['token_endpoint', { issuer: 'https://as' }],
    ['token_endpoint', { ...least, token_endpoint: '/token' }],
    ['token_endpoint', { ...least, token_endpoint: 'https://as/token#x' }],
    ['authorization_endpoint', { ...least, authorization_endpoint: 'javascript:alert(1)' }],
    ['registration_endpoint', { ...least, registration_endpoint: 'file:///x' }],
    ['revocation_endpoint', { ...least, revocation_endpoint: {} }],
    ['token_endpoint', { ...least, token_endpoint: '' }],
    [
      'pushed_authorization_request_endpoint',
      { ...least, require_pushed_authorization_requests: true, pushed_authorization_request_endpoint: '' },
    ],
    ['grant_types_supported', { ...least, grant_types_supported: 'authorization_code' }],
    ['code_challenge_methods_supported.0', { ...least, code_challenge_methods_supported: [256] }],
    [
      'authorization_response_iss_parameter_supported',
      { ...least, authorization_response_iss_parameter_supported: 'true' },
    ],
    [undefined, 'x'],
  ])('is rejected with the invalid field %s', (field, document) => {
    expect(check(AuthorizationServerMetadataSchema, document)).toEqual({ field })
  })
})
