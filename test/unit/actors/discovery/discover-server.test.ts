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

describe('where the metadata is looked for', () => {
  test(
    'of an issuer without a path: RFC 8414 first',
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
    'then OpenID Connect',
    verifies([30, 32], async () => {
      const peer = await startPeer()
      peer.routes[OPENID] = documentOf(peer.origin)
      expect((await discovery()({ issuer: peer.origin })).metadata.issuer).toBe(peer.origin)
      expect(peer.paths()).toEqual([RFC, OPENID])
    }),
  )

  test('says how tokens are bound, as the policy wants it and all that check a proof can', async () => {
    const peer = await startPeer()
    peer.routes[RFC] = documentOf(peer.origin, { dpop_signing_alg_values_supported: ['RS256', 'ES384'] })
    const withPolicy = (dpop: 'never' | 'whenOffered' | 'required') => discovery({ policy: () => ({ dpop }) })
    const resource = { issuer: peer.origin }
    const dpopSigningAlgValuesSupported = ['RS256', 'ES384']
    const known = { issuer: peer.origin, tokenEndpoint: `${peer.origin}/token`, dpopSigningAlgValuesSupported }
    expect((await withPolicy('never')(resource)).metadata).toEqual(known)
    expect((await withPolicy('whenOffered')(resource)).metadata).toEqual({ ...known, dpop: { alg: 'ES384' } })
    const required = { alg: 'ES384', required: true }
    expect((await withPolicy('required')(resource)).metadata).toEqual({ ...known, dpop: required })
    const picky = { ...resource, dpopSigningAlgValuesSupported: ['ES256'] }
    expect((await withPolicy('whenOffered')(picky)).metadata).toEqual(known)
    expect(await rejectionOf(withPolicy('required')(picky))).toEqual({
      code: 'POLICY_REFUSED',
      outcome: 'notSent',
      details: { reason: 'dpop', expected: 'ES256 ES384 ES512 EdDSA Ed25519', offered: 'RS256 ES384 ES256' },
    })
  })

  test(
    'of an issuer with a path: in both inserted forms, then appended, never at the root',
    verifies(31, async () => {
      const peer = await startPeer()
      const issuer = `${peer.origin}/t1`
      peer.routes[RFC] = documentOf(issuer)
      peer.routes[`/t1${OPENID}`] = documentOf(issuer)
      expect((await discovery()({ issuer })).metadata.issuer).toBe(issuer)
      expect(peer.paths()).toEqual([`${RFC}/t1`, `${OPENID}/t1`, `/t1${OPENID}`])
    }),
  )
})

describe('a place that is of no use leads to the next', () => {
  test.each<[string, (origin: string) => Answer]>([
    ['not found', () => ({ status: 404 })],
    ['a rate limit', () => ({ status: 429 })],
    ['a server error', () => ({ status: 502, body: 'x' })],
    ['unavailability', () => ({ status: 503 })],
    ['a hang-up', () => ({ hangUp: true })],
    ['a redirect', () => ({ status: 301, headers: { location: '/' } })],
    ['a page', () => ({ body: '<html>' })],
    ['a wrong document', (issuer) => ({ body: { issuer, token_endpoint: 'javascript:x' } })],
    ['another issuer', () => documentOf('https://evil')],
    ['too many bytes', () => ({ body: `"${'x'.repeat(300_000)}"` })],
  ])('%s', async (_, answer) => {
    const peer = await startPeer()
    peer.routes[RFC] = answer(peer.origin)
    peer.routes[OPENID] = documentOf(peer.origin)
    expect((await discovery()({ issuer: peer.origin })).metadata.issuer).toBe(peer.origin)
  })
})

describe('if no place is of use', () => {
  async function fail(first: Answer, second: Answer) {
    const peer = await startPeer({ [RFC]: first, [OPENID]: second })
    const rejected = await rejectionOf(discovery()({ issuer: peer.origin }))
    const details = rejected.details && { ...rejected.details, url: rejected.details.url?.replace(peer.origin, '') }
    return { ...rejected, details }
  }

  test('a failure that may pass counts most', async () => {
    expect(await fail(documentOf('https://evil'), { status: 503, headers: { 'retry-after': '3' } })).toEqual({
      code: 'SERVER_METADATA_UNAVAILABLE',
      outcome: 'rejected',
      details: { url: OPENID, status: 503, retryAfterMs: 3000 },
    })
    expect(await fail({ status: 429 }, { body: 'x' })).toMatchObject({ code: 'RATE_LIMITED', details: { url: RFC } })
    expect(await fail({ status: 404 }, { hangUp: true })).toMatchObject({ code: 'HTTP_NETWORK' })
  })

  test('then another issuer', async () => {
    const { code, details } = await fail({ body: 'x' }, documentOf('https://evil'))
    expect([code, details?.received]).toEqual(['SERVER_ISSUER_MISMATCH', 'https://evil'])
  })

  test('then what is wrong with the first document', async () => {
    expect(await fail({ body: { issuer: 7 } }, { body: 'x' })).toEqual({
      code: 'RESPONSE_INVALID',
      outcome: 'rejected',
      details: { url: RFC, status: 200, document: 'authorization server metadata', field: 'issuer' },
    })
    expect(await fail({ body: 'x' }, { status: 404 })).toMatchObject({ code: 'RESPONSE_NOT_JSON' })
  })

  test('then that there is none', async () => {
    expect(await fail({ status: 404 }, { status: 403 })).toEqual({
      code: 'SERVER_METADATA_UNAVAILABLE',
      outcome: 'rejected',
      details: { url: OPENID, status: 403 },
    })
  })

  test('an address that must not be asked ends it at once', async () => {
    expect(await rejectionOf(discovery()({ issuer: 'https://169.254.169.254' }))).toMatchObject({
      code: 'ADDRESS_FORBIDDEN',
      outcome: 'notSent',
    })
  })
})

test.each(['/', '//', '/x', ':443'])(
  'the echo of an issuer is compared as it came: not with %s behind it',
  async (behind) => {
    const peer = await startPeer()
    peer.routes[RFC] = documentOf(peer.origin + behind)
    expect(await rejectionOf(discovery()({ issuer: peer.origin }))).toMatchObject({ outcome: 'rejected' })
  },
)

describe('a server of 2025-03-26', () => {
  test('describes itself at its origin, perhaps with a slash more', async () => {
    const peer = await startPeer()
    const discover = discovery()
    peer.routes[RFC] = documentOf(`${peer.origin}/`, { token_endpoint: `${peer.origin}/oauth/token` })
    const { metadata } = await discover({ issuer: peer.origin, legacy: true })
    expect(metadata).toEqual({ issuer: `${peer.origin}/`, tokenEndpoint: `${peer.origin}/oauth/token` })
  })

  test('or not at all: then it has the default endpoints', async () => {
    const peer = await startPeer()
    const { metadata } = await discovery()({ issuer: peer.origin, legacy: true })
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
    ['a hang-up', { hangUp: true }, 'HTTP_NETWORK'],
    ['a redirect', { status: 302, headers: { location: '/x' } }, 'TOO_MANY_REDIRECTS'],
    ['a page', { body: '<html>' }, 'RESPONSE_NOT_JSON'],
    ['another issuer', documentOf('https://evil'), 'SERVER_ISSUER_MISMATCH'],
  ])('but not after %s', async (_, answer, code) => {
    const peer = await startPeer({ [RFC]: answer })
    expect(await rejectionOf(discovery()({ issuer: peer.origin, legacy: true }))).toMatchObject({ code })
  })
})

test('what is not a failure of a port is passed on', async () => {
  const transport = {
    exchange: () => Promise.reject(new RangeError('ours')),
    fetch: () => Promise.reject(new Error('unused')),
    close: () => Promise.resolve(),
  }
  await expect(discovery({ transport })({ issuer: 'https://as' })).rejects.toThrow(new RangeError('ours'))
})

test(
  'a document is read once while it is fresh',
  verifies(20, async () => {
    const peer = await startPeer()
    peer.routes[RFC] = documentOf(peer.origin)
    const discover = discovery()
    await Promise.all([discover({ issuer: peer.origin }), discover({ issuer: peer.origin })])
    await discover({ issuer: peer.origin })
    expect(peer.paths()).toEqual([RFC])
  }),
)
