import { describe, expect, test } from 'vitest'
import { createDiscoverServer } from '../../../../src/actors/discovery/discover-server.ts'
import { MetadataCache } from '../../../../src/actors/discovery/metadata.ts'
import type { ResourceFacts } from '../../../../src/schemas/connection-context.ts'
import { verifies } from '../../../support/verifies.ts'
import { type Answer, identityOf, makeDependencies, rejectionOf, startPeer, steppingClock } from '../support.ts'

const RFC = '/.well-known/oauth-authorization-server'
const OPENID = '/.well-known/openid-configuration'

function discovery(overrides: Parameters<typeof makeDependencies>[0] = {}) {
  const deps = makeDependencies(overrides)
  const discover = createDiscoverServer(deps, new MetadataCache(deps.clock))
  return (resource: ResourceFacts) => discover({ at: 5000, identity: identityOf('https://h/mcp'), resource })
}

function documentOf(issuer: string, more: object = {}): Answer {
  return { body: { issuer, token_endpoint: `${issuer}/token`, ...more } }
}

describe('discoverServer', () => {
  test(
    'requests the RFC 8414 URL first for an issuer without a path',
    verifies([30, 32], async () => {
      const peer = await startPeer()
      peer.routes[RFC] = documentOf(peer.origin)
      const output = await discovery({ clock: steppingClock() })({ issuer: peer.origin })
      expect(output.metadata).toEqual({ issuer: peer.origin, tokenEndpoint: `${peer.origin}/token` })
      expect(output.at).toBeGreaterThan(5000)
      expect(peer.seen).toMatchObject([{ method: 'GET', path: RFC, headers: { 'mcp-protocol-version': '2026-07-28' } }])
    }),
  )

  test(
    'requests the OpenID Connect URL second',
    verifies([30, 32], async () => {
      const peer = await startPeer()
      peer.routes[OPENID] = documentOf(peer.origin)
      expect((await discovery()({ issuer: peer.origin })).metadata?.issuer).toBe(peer.origin)
      expect(peer.paths()).toEqual([RFC, OPENID])
    }),
  )

  test('returns the DPoP terms by policy and by the algorithms that both servers support', async () => {
    const peer = await startPeer()
    peer.routes[RFC] = documentOf(peer.origin, { dpop_signing_alg_values_supported: ['RS256', 'ES384'] })
    const withPolicy = (dpop: 'never' | 'whenOffered' | 'required') => discovery({ policy: () => ({ dpop }) })
    const resource = { issuer: peer.origin }
    const dpopSigningAlgValuesSupported = ['RS256', 'ES384']
    const expected = { issuer: peer.origin, tokenEndpoint: `${peer.origin}/token`, dpopSigningAlgValuesSupported }
    expect((await withPolicy('never')(resource)).metadata).toEqual(expected)
    expect((await withPolicy('whenOffered')(resource)).metadata).toEqual({ ...expected, dpop: { alg: 'ES384' } })
    const required = { alg: 'ES384', required: true }
    expect((await withPolicy('required')(resource)).metadata).toEqual({ ...expected, dpop: required })
    const picky = { ...resource, dpopSigningAlgValuesSupported: ['ES256'] }
    expect((await withPolicy('whenOffered')(picky)).metadata).toEqual(expected)
    expect(await rejectionOf(withPolicy('required')(picky))).toEqual({
      code: 'POLICY_REFUSED',
      outcome: 'notSent',
      details: { reason: 'dpop', expected: 'ES256 ES384 ES512 EdDSA Ed25519', offered: 'RS256 ES384 ES256' },
    })
  })

  test(
    'requests both inserted URLs, then both appended ones, and never the root, for an issuer with a path',
    verifies(31, async () => {
      const peer = await startPeer()
      const issuer = `${peer.origin}/t1`
      peer.routes[RFC] = documentOf(issuer)
      peer.routes[`/t1${RFC}`] = documentOf(issuer)
      expect((await discovery()({ issuer })).metadata?.issuer).toBe(issuer)
      expect(peer.paths()).toEqual([`${RFC}/t1`, `${OPENID}/t1`, `/t1${OPENID}`, `/t1${RFC}`])
    }),
  )
})

describe('a well-known URL', () => {
  test.each<[string, (origin: string) => Answer]>([
    ['status 404', () => ({ status: 404 })],
    ['a rate limit', () => ({ status: 429 })],
    ['a server error', () => ({ status: 502, body: 'x' })],
    ['status 503', () => ({ status: 503 })],
    ['no response', () => ({ hangUp: true })],
    ['a redirect loop', () => ({ status: 301, headers: { location: RFC } })],
    ['a redirect to a forbidden address', () => ({ status: 301, headers: { location: 'https://169.254.169.254/' } })],
    ['a redirect without a location', () => ({ status: 301 })],
    ['an HTML page', () => ({ body: '<html>' })],
    ['an invalid document', (issuer) => ({ body: { issuer, token_endpoint: 'javascript:x' } })],
    ['a document of another issuer', () => documentOf('https://evil')],
    ['a document over the byte limit', () => ({ body: `"${'x'.repeat(300_000)}"` })],
  ])('that returns %s is skipped for the next one', async (_, answer) => {
    const peer = await startPeer()
    peer.routes[RFC] = answer(peer.origin)
    peer.routes[OPENID] = documentOf(peer.origin)
    expect((await discovery()({ issuer: peer.origin })).metadata?.issuer).toBe(peer.origin)
  })
})

describe('discoverServer without a usable document', () => {
  async function fail(first: Answer, second: Answer) {
    const peer = await startPeer({ [RFC]: first, [OPENID]: second })
    const rejected = await rejectionOf(discovery()({ issuer: peer.origin }))
    const details = rejected.details && { ...rejected.details, url: rejected.details.url?.replace(peer.origin, '') }
    return { ...rejected, details }
  }

  test('rejects with a retryable failure first', async () => {
    expect(await fail(documentOf('https://evil'), { status: 503, headers: { 'retry-after': '3' } })).toEqual({
      code: 'SERVER_METADATA_UNAVAILABLE',
      outcome: 'rejected',
      details: { url: OPENID, status: 503, retryAfterMs: 3000 },
    })
    expect(await fail({ status: 429 }, { body: 'x' })).toMatchObject({ code: 'RATE_LIMITED', details: { url: RFC } })
    expect(await fail({ status: 404 }, { hangUp: true })).toMatchObject({ code: 'HTTP_NETWORK' })
  })

  test('rejects with SERVER_ISSUER_MISMATCH second', async () => {
    const { code, details } = await fail({ body: 'x' }, documentOf('https://evil'))
    expect([code, details?.received]).toEqual(['SERVER_ISSUER_MISMATCH', 'https://evil'])
  })

  test('rejects with the error of the first invalid document third', async () => {
    expect(await fail({ body: { issuer: 7 } }, { body: 'x' })).toEqual({
      code: 'RESPONSE_INVALID',
      outcome: 'rejected',
      details: { url: RFC, status: 200, document: 'authorization server metadata', field: 'issuer' },
    })
    expect(await fail({ body: 'x' }, { status: 404 })).toMatchObject({ code: 'RESPONSE_NOT_JSON' })
  })

  test('rejects with SERVER_METADATA_UNAVAILABLE, reason notPublished, if each of them is a 4xx', async () => {
    expect(await fail({ status: 404 }, { status: 403 })).toEqual({
      code: 'SERVER_METADATA_UNAVAILABLE',
      outcome: 'rejected',
      details: { url: OPENID, status: 403, reason: 'notPublished' },
    })
  })

  test('rejects at once for a forbidden address', async () => {
    expect(await rejectionOf(discovery()({ issuer: 'https://169.254.169.254' }))).toMatchObject({
      code: 'ADDRESS_FORBIDDEN',
      outcome: 'notSent',
    })
  })
})

describe('the issuer of a document', () => {
  test.each([
    ['', '/'],
    ['/', ''],
    ['', ''],
  ])('may differ by a final slash and keeps its own form: %j and %j', async (named, own) => {
    const peer = await startPeer()
    peer.routes[RFC] = documentOf(peer.origin + own, { token_endpoint: `${peer.origin}/token` })
    const { metadata } = await discovery()({ issuer: peer.origin + named })
    expect(metadata).toEqual({ issuer: peer.origin + own, tokenEndpoint: `${peer.origin}/token` })
  })

  test.each(['//', '/x', '/x/'])('is rejected with %s appended', async (behind) => {
    const peer = await startPeer()
    peer.routes[RFC] = documentOf(peer.origin + behind)
    expect(await rejectionOf(discovery()({ issuer: peer.origin }))).toEqual({
      code: 'SERVER_ISSUER_MISMATCH',
      outcome: 'rejected',
      details: { url: peer.origin + RFC, expected: peer.origin, received: peer.origin + behind },
    })
  })
})

describe('a 2025-03-26 server', () => {
  test('may publish metadata at its origin, with a trailing slash in its issuer', async () => {
    const peer = await startPeer()
    const discover = discovery()
    peer.routes[RFC] = documentOf(`${peer.origin}/`, { token_endpoint: `${peer.origin}/oauth/token` })
    const { metadata } = await discover({ issuer: peer.origin, legacy: true })
    expect(metadata).toEqual({ issuer: `${peer.origin}/`, tokenEndpoint: `${peer.origin}/oauth/token` })
  })

  test('without metadata has the default endpoints if they may be used', async () => {
    const peer = await startPeer()
    const { metadata } = await discovery()({ issuer: peer.origin, legacy: true, mayGuessEndpoints: true })
    expect(metadata).toEqual({
      issuer: peer.origin,
      authorizationEndpoint: `${peer.origin}/authorize`,
      tokenEndpoint: `${peer.origin}/token`,
      registrationEndpoint: `${peer.origin}/register`,
      legacy: true,
    })
    expect(peer.paths()).toEqual([RFC])
  })

  test.each<[string, Answer, string]>([
    ['a server error', { status: 500 }, 'SERVER_METADATA_UNAVAILABLE'],
    ['a rate limit', { status: 429 }, 'RATE_LIMITED'],
    ['a request time-out', { status: 408 }, 'SERVER_METADATA_UNAVAILABLE'],
    ['status 425', { status: 425 }, 'SERVER_METADATA_UNAVAILABLE'],
    ['a lost connection', { hangUp: true }, 'HTTP_NETWORK'],
    ['a redirect loop', { status: 302, headers: { location: RFC } }, 'TOO_MANY_REDIRECTS'],
    ['an HTML page', { body: '<html>' }, 'AUTHORIZATION_NOT_OFFERED'],
    ['a document of another issuer', documentOf('https://evil'), 'SERVER_ISSUER_MISMATCH'],
  ])('is not assigned the default endpoints after %s', async (_, answer, code) => {
    const peer = await startPeer({ [RFC]: answer })
    const resource = { issuer: peer.origin, legacy: true, mayGuessEndpoints: true } as const
    expect(await rejectionOf(discovery()(resource))).toMatchObject({ code })
  })

  test('without metadata is rejected with the requested URLs if the default endpoints may not be used', async () => {
    const peer = await startPeer()
    const requestedUrls = [`${peer.origin}/mcp`, `${peer.origin}/.well-known/oauth-protected-resource`]
    expect(await rejectionOf(discovery()({ issuer: peer.origin, legacy: true, requestedUrls }))).toEqual({
      code: 'AUTHORIZATION_NOT_OFFERED',
      outcome: 'rejected',
      details: { urls: [...requestedUrls, peer.origin + RFC] },
    })
    expect(await rejectionOf(discovery()({ issuer: peer.origin, legacy: true }))).toMatchObject({
      details: { urls: [peer.origin + RFC] },
    })
  })

  test('without metadata is rejected with a reason if the metadata of the resource names no authorization server', async () => {
    const peer = await startPeer()
    const resource = { issuer: peer.origin, legacy: true, resource: `${peer.origin}/mcp` } as const
    expect(await rejectionOf(discovery()(resource))).toEqual({
      code: 'AUTHORIZATION_NOT_OFFERED',
      outcome: 'rejected',
      details: { urls: [peer.origin + RFC], reason: 'noAuthorizationServer' },
    })
  })

  test('that responds by MCP without a token requires no authorization unless it publishes metadata', async () => {
    const peer = await startPeer()
    const discover = discovery({ clock: steppingClock(), policy: () => ({ allowedIssuers: ['https://as'] }) })
    const resource = { issuer: peer.origin, legacy: true, answeredWithoutToken: true } as const
    const { at, ...output } = await discover(resource)
    expect(output).toEqual({ metadata: undefined })
    expect(at).toBeGreaterThan(5000)
    peer.routes[RFC] = documentOf(peer.origin)
    const another = discovery({ policy: () => ({ allowedIssuers: ['https://as'] }) })
    expect(await rejectionOf(another(resource))).toEqual({
      code: 'POLICY_REFUSED',
      outcome: 'notSent',
      details: { reason: 'issuerNotAllowed', received: peer.origin },
    })
    expect((await discovery()(resource)).metadata?.issuer).toBe(peer.origin)
    peer.routes[RFC] = { status: 503 }
    expect((await rejectionOf(discovery()(resource))).code).toBe('SERVER_METADATA_UNAVAILABLE')
  })
})

test('discoverServer rejects with an unexpected error unchanged', async () => {
  const transport = {
    exchange: () => Promise.reject(new RangeError('ours')),
    fetch: () => Promise.reject(new Error('unused')),
    close: () => Promise.resolve(),
  }
  await expect(discovery({ transport })({ issuer: 'https://as' })).rejects.toThrow(new RangeError('ours'))
})

test(
  'discoverServer requests a document once while it is fresh',
  verifies(20, async () => {
    const peer = await startPeer()
    peer.routes[RFC] = documentOf(peer.origin)
    const discover = discovery()
    await Promise.all([discover({ issuer: peer.origin }), discover({ issuer: peer.origin })])
    await discover({ issuer: peer.origin })
    expect(peer.paths()).toEqual([RFC])
  }),
)
