import { describe, expect, test } from 'vitest'
import type { ConnectionDependencies, DiscoveryPolicy } from '../../../../src/actors/dependencies.ts'
import { createDiscoverResource } from '../../../../src/actors/discovery/discover-resource.ts'
import { MetadataCache } from '../../../../src/actors/discovery/metadata.ts'
import { verifies } from '../../../support/verifies.ts'
import { identityOf, makeDependencies, rejectionOf, startPeer, steppingClock } from '../support.ts'

const ROOT = '/.well-known/oauth-protected-resource'
const INSERTED = `${ROOT}/mcp`

function discovery(overrides: Partial<ConnectionDependencies> = {}) {
  const deps = makeDependencies(overrides)
  const discover = createDiscoverResource(deps, new MetadataCache(deps.clock))
  return (
    origin: string,
    input: { path?: string; resourceMetadataUrl?: string; issuer?: string; challenged?: boolean } = {},
  ) => {
    const { path = '/mcp', resourceMetadataUrl, issuer } = input
    const challenged = input.challenged ?? resourceMetadataUrl !== undefined
    return discover({ at: 5000, identity: identityOf(origin + path), resourceMetadataUrl, issuer, challenged })
  }
}

function policy(rules: DiscoveryPolicy) {
  return { policy: () => rules }
}

describe('discoverResource', () => {
  test(
    'requests the well-known URL with the path inserted first',
    verifies([11, 14], async () => {
      const peer = await startPeer()
      peer.routes[INSERTED] = {
        body: { resource: `${peer.origin}/mcp`, authorization_servers: ['https://as/'], scopes_supported: ['a'] },
      }
      const output = await discovery({ clock: steppingClock() })(peer.origin)
      expect(output).toEqual({
        at: expect.any(Number) as number,
        resource: { resource: `${peer.origin}/mcp`, issuer: 'https://as/', scopesSupported: ['a'] },
      })
      expect(output.at).toBeGreaterThan(5000)
      expect(output.at % 1000).toBe(0)
      expect(peer.seen).toMatchObject([
        {
          method: 'GET',
          path: INSERTED,
          headers: {
            accept: 'application/json',
            'mcp-protocol-version': '2026-07-28',
            'user-agent': expect.stringMatching(/^authchart\/\d/) as string,
          },
        },
      ])
    }),
  )

  test(
    'requests the root well-known URL second and accepts metadata for the whole origin',
    verifies(11, async () => {
      const peer = await startPeer()
      peer.routes[ROOT] = { body: { resource: peer.origin, authorization_servers: ['https://as'] } }
      const { resource } = await discovery()(peer.origin)
      expect(resource).toEqual({ resource: peer.origin, issuer: 'https://as' })
      expect(peer.paths()).toEqual([INSERTED, ROOT])
    }),
  )

  test('requests only the URL that a challenge names', async () => {
    const peer = await startPeer()
    peer.routes['/meta?x=1'] = { body: { resource: `${peer.origin}/mcp`, authorization_servers: ['https://as'] } }
    const { resource } = await discovery()(peer.origin, { resourceMetadataUrl: `${peer.origin}/meta?x=1` })
    expect(resource.issuer).toBe('https://as')
    expect(peer.paths()).toEqual(['/meta?x=1'])
  })

  test('rejects when the URL that a challenge names returns 404', async () => {
    const peer = await startPeer()
    const run = discovery()(peer.origin, { resourceMetadataUrl: `${peer.origin}/meta?secret=1` })
    expect(await rejectionOf(run)).toEqual({
      code: 'RESOURCE_METADATA_UNAVAILABLE',
      outcome: 'rejected',
      details: { url: `${peer.origin}/meta`, status: 404 },
    })
    expect(peer.paths()).toEqual(['/meta?secret=1'])
  })

  test.each(['javascript:alert(1)', '/meta', 'https://user:pass@h/'])(
    'rejects a challenge that names %s before any request',
    async (resourceMetadataUrl) => {
      const peer = await startPeer()
      expect(await rejectionOf(discovery()(peer.origin, { resourceMetadataUrl }))).toEqual({
        code: 'RESPONSE_INVALID',
        outcome: 'notSent',
        details: { document: 'challenge', field: 'resource_metadata' },
      })
      expect(peer.seen).toEqual([])
    },
  )
})

describe('the 2025-03-26 fallback', () => {
  test('applies when every well-known URL returns 4xx', async () => {
    const peer = await startPeer({ [INSERTED]: { status: 401 }, [ROOT]: { status: 403 } })
    expect((await discovery()(peer.origin)).resource).toEqual({ issuer: peer.origin, legacy: true })
    expect(peer.paths()).toEqual([INSERTED, ROOT])
  })

  test('uses the issuer that the host configured', async () => {
    const peer = await startPeer()
    const discover = discovery()
    const [other, own, root] = await Promise.all([
      discover(peer.origin, { issuer: 'https://as' }),
      discover(peer.origin, { issuer: peer.origin }),
      discover(peer.origin, { issuer: 'https://as', path: '/' }),
    ])
    expect([other.resource, own.resource, root.resource]).toEqual([
      { issuer: 'https://as', resource: `${peer.origin}/mcp` },
      { issuer: peer.origin, legacy: true },
      { issuer: 'https://as', resource: peer.origin },
    ])
  })

  test.each([{ authorization_servers: [] }, {}])(
    'applies to metadata without authorization servers: %j',
    async (rest) => {
      const peer = await startPeer()
      peer.routes[INSERTED] = { body: { resource: `${peer.origin}/mcp`, scopes_supported: ['a'], ...rest } }
      expect((await discovery()(peer.origin)).resource).toEqual({
        resource: `${peer.origin}/mcp`,
        issuer: peer.origin,
        scopesSupported: ['a'],
        legacy: true,
      })
    },
  )

  test.each([
    ['a server error', { status: 502, body: 'x' }, 'RESOURCE_METADATA_UNAVAILABLE', { status: 502 }],
    [
      'status 503',
      { status: 503, headers: { 'retry-after': '7' }, body: 'x' },
      'RESOURCE_METADATA_UNAVAILABLE',
      { status: 503, retryAfterMs: 7000 },
    ],
    [
      'a rate limit',
      { status: 429, headers: { 'retry-after': '9999' }, body: 'x' },
      'RATE_LIMITED',
      { status: 429, retryAfterMs: 300_000 },
    ],
    ['a lost connection', { hangUp: true }, 'HTTP_NETWORK', {}],
    ['a redirect', { status: 302, headers: { location: '/x' } }, 'TOO_MANY_REDIRECTS', {}],
    ['a document over the byte limit', { body: `"${'x'.repeat(300_000)}"` }, 'RESPONSE_TOO_LARGE', {}],
    [
      'an HTML page',
      { body: '<html>hello</html>' },
      'RESPONSE_NOT_JSON',
      { status: 200, document: 'protected resource metadata' },
    ],
    [
      'an invalid document',
      { body: { authorization_servers: ['https://as'] } },
      'RESPONSE_INVALID',
      { status: 200, document: 'protected resource metadata', field: 'resource' },
    ],
  ] as const)('does not apply after %s', async (_, answer, code, details) => {
    const peer = await startPeer({ [INSERTED]: answer })
    const rejected = await rejectionOf(discovery()(peer.origin))
    expect(rejected).toMatchObject({ code, details: { url: peer.origin + INSERTED, ...details } })
    expect(peer.paths()).not.toContain(ROOT)
  })

  test('does not apply after a forbidden address', async () => {
    expect(await rejectionOf(discovery()('http://127.0.0.2:9'))).toMatchObject({ outcome: 'notSent' })
  })
})

describe('protected resource metadata', () => {
  test.each(['https://elsewhere.example/mcp', '/mcp/other', '/mc'])(
    'for the resource %s is rejected and not cached',
    verifies(15, async (resource) => {
      const peer = await startPeer()
      const received = resource.startsWith('/') ? peer.origin + resource : resource
      peer.routes[INSERTED] = { body: { resource: received, authorization_servers: ['https://as'] } }
      const discover = discovery()
      expect(await rejectionOf(discover(peer.origin))).toEqual({
        code: 'RESOURCE_MISMATCH',
        outcome: 'rejected',
        details: { url: peer.origin + INSERTED, expected: `${peer.origin}/mcp`, received },
      })
      // The rejected document is not cached.
      peer.routes[INSERTED] = { body: { resource: `${peer.origin}/mcp`, authorization_servers: ['https://as'] } }
      expect((await discover(peer.origin)).resource.issuer).toBe('https://as')
    }),
  )

  test(
    'for the origin is rejected with strictResource',
    verifies(15, async () => {
      const peer = await startPeer()
      peer.routes[INSERTED] = { body: { resource: peer.origin, authorization_servers: ['https://as'] } }
      const rejected = await rejectionOf(discovery(policy({ strictResource: true }))(peer.origin))
      expect(rejected.code).toBe('RESOURCE_MISMATCH')
    }),
  )
})

describe('the issuer', () => {
  async function choose(rules: DiscoveryPolicy, issuer?: string) {
    const peer = await startPeer()
    const authorization_servers = ['https://a', 'https://b', 'https://c']
    peer.routes[INSERTED] = { body: { resource: `${peer.origin}/mcp`, authorization_servers } }
    return discovery(policy(rules))(peer.origin, issuer === undefined ? {} : { issuer })
  }

  test.each<[string, DiscoveryPolicy, string | undefined, string]>([
    ['the first of the metadata', {}, undefined, 'https://a'],
    [
      'the first of the metadata that is allowed',
      { allowedIssuers: ['https://c', 'https://b'] },
      undefined,
      'https://b',
    ],
    ['the one that the caller requires', {}, 'https://c', 'https://c'],
    ['the one that chooseIssuer returns', { chooseIssuer: (issuers) => issuers[2] ?? '' }, undefined, 'https://c'],
    [
      'the one that chooseIssuer returns among the allowed ones',
      { allowedIssuers: ['https://b', 'https://c'], chooseIssuer: async ([, second]) => second ?? '' },
      undefined,
      'https://c',
    ],
  ])('chosen by discovery is %s', async (_, rules, issuer, expected) => {
    expect((await choose(rules, issuer)).resource.issuer).toBe(expected)
  })

  const offered = 'https://a https://b https://c'
  test.each<[string, DiscoveryPolicy, string | undefined, object]>([
    [
      'when the metadata does not list the required one',
      {},
      'https://a/',
      { reason: 'issuerNotOffered', expected: 'https://a/', offered },
    ],
    [
      'when no listed one is allowed',
      { allowedIssuers: ['https://a/'] },
      undefined,
      { reason: 'issuerNotAllowed', offered },
    ],
    [
      'when the caller requires one that is not allowed',
      { allowedIssuers: ['https://a'] },
      'https://b',
      { reason: 'issuerNotAllowed', offered },
    ],
    [
      'when chooseIssuer returns one that is not listed',
      { chooseIssuer: () => 'https://d' },
      undefined,
      { reason: 'issuerNotOffered', offered },
    ],
  ])('is rejected %s', async (_, rules, issuer, details) => {
    expect(await rejectionOf(choose(rules, issuer))).toEqual({ code: 'POLICY_REFUSED', outcome: 'notSent', details })
  })

  test('of a server without metadata is rejected when its origin is not allowed', async () => {
    const peer = await startPeer()
    const rejected = await rejectionOf(discovery(policy({ allowedIssuers: ['https://a'] }))(peer.origin))
    expect(rejected).toMatchObject({ code: 'POLICY_REFUSED', details: { reason: 'issuerNotAllowed' } })
  })
})

describe('the resource metadata cache', () => {
  test(
    'serves a document until a challenge names its URL',
    verifies(18, async () => {
      const peer = await startPeer()
      const answer = (issuer: string) => ({ body: { resource: `${peer.origin}/mcp`, authorization_servers: [issuer] } })
      const discover = discovery()
      peer.routes[INSERTED] = answer('https://old')
      await discover(peer.origin)
      peer.routes[INSERTED] = answer('https://new')
      expect((await discover(peer.origin)).resource.issuer).toBe('https://old')
      const resourceMetadataUrl = peer.origin + INSERTED
      expect((await discover(peer.origin, { resourceMetadataUrl })).resource.issuer).toBe('https://new')
      expect((await discover(peer.origin)).resource.issuer).toBe('https://new')
      expect(peer.paths()).toEqual([INSERTED, INSERTED])
    }),
  )

  test('does not store failures or absence', async () => {
    const peer = await startPeer({ [INSERTED]: { status: 500 } })
    const discover = discovery()
    await rejectionOf(discover(peer.origin))
    peer.routes[INSERTED] = { status: 404 }
    expect((await discover(peer.origin)).resource).toEqual({ issuer: peer.origin, legacy: true })
    peer.routes[INSERTED] = { body: { resource: peer.origin, authorization_servers: ['https://as'] } }
    expect((await discover(peer.origin)).resource.issuer).toBe('https://as')
  })
})
