import { TestClock } from '../../connection/test-clock.ts'
import { describe, expect, test } from 'vitest'
import type { ConnectionDependencies, DiscoveryPolicy } from '../../../../src/actors/dependencies.ts'
import type { ServerAnswer } from '../../../../src/actors/discovery/ask-server.ts'
import { createDiscoverResource } from '../../../../src/actors/discovery/discover-resource.ts'
import { MetadataCache } from '../../../../src/actors/discovery/metadata.ts'
import { verifies } from '../../../support/verifies.ts'
import { portError } from '../../../../src/errors/port-error.ts'
import { makeTransport, startServer } from '../../http/support.ts'
import {
  type Answer,
  identityOf,
  makeDependencies,
  rejectionOf,
  type Route,
  startPeer,
  steppingClock,
} from '../support.ts'

const ROOT = '/.well-known/oauth-protected-resource'
const INSERTED = `${ROOT}/mcp`

const CHALLENGE: ServerAnswer = { kind: 'challenge', challenge: {} }
const MCP: ServerAnswer = { kind: 'mcp' }

function discovery(
  overrides: Partial<ConnectionDependencies> = {},
  answer: ServerAnswer = CHALLENGE,
  questions: unknown[] = [],
) {
  const deps = makeDependencies(overrides)
  const askServer = async (...question: unknown[]): Promise<ServerAnswer> => {
    questions.push(question)
    return answer
  }
  const discover = createDiscoverResource({ ...deps, askServer }, new MetadataCache(deps.clock))
  return (
    origin: string,
    input: {
      path?: string
      resourceMetadataUrl?: string
      issuer?: string
      preferredIssuer?: string | undefined
      challenged?: boolean
      asksServer?: 'anew' | 'cached'
    } = {},
  ) => {
    const { path = '/mcp', resourceMetadataUrl, issuer, preferredIssuer, asksServer } = input
    const challenged = input.challenged ?? resourceMetadataUrl !== undefined
    return discover({
      at: 5000,
      identity: identityOf(origin + path),
      resourceMetadataUrl,
      issuer,
      preferredIssuer,
      challenged,
      asksServer,
    })
  }
}

function documentOf(origin: string, resource = `${origin}/mcp`): Answer {
  return { body: { resource, authorization_servers: ['https://as'] } }
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

  test('requests the URL that a challenge names relative to the server', async () => {
    const peer = await startPeer()
    peer.routes['/meta'] = documentOf(peer.origin)
    expect((await discovery()(peer.origin, { resourceMetadataUrl: '/meta' })).resource.issuer).toBe('https://as')
    expect(peer.paths()).toEqual(['/meta'])
  })
})

describe('the URL that a challenge names', () => {
  const NAMED = '/meta?secret=1'

  test.each<[string, Route]>([
    ['status 404', { status: 404 }],
    ['an HTML page', { body: '<html>' }],
    ['an invalid document', { body: { authorization_servers: ['https://other'] } }],
    ['a document over the byte limit', { body: `"${'x'.repeat(300_000)}"` }],
    ['a redirect loop', { status: 302, headers: { location: NAMED } }],
  ])('leads to the well-known URL when it returns %s', async (_, answer) => {
    const peer = await startPeer({ [NAMED]: answer })
    peer.routes[INSERTED] = documentOf(peer.origin)
    const { resource } = await discovery()(peer.origin, { resourceMetadataUrl: peer.origin + NAMED })
    expect(resource).toEqual({ resource: `${peer.origin}/mcp`, issuer: 'https://as' })
    expect(new Set(peer.paths())).toEqual(new Set([NAMED, INSERTED]))
    expect(peer.paths().at(-1)).toBe(INSERTED)
  })

  test.each([
    ['is no web URL', 'javascript:alert(1)', 'RESPONSE_INVALID'],
    ['contains credentials', 'https://user:pass@h/', 'RESPONSE_INVALID'],
    ['has a forbidden address', 'https://169.254.169.254/meta', 'ADDRESS_FORBIDDEN'],
    ['is plain http', 'http://8.8.8.8/meta', 'INSECURE_ENDPOINT'],
    ['refuses the connection', 'http://127.0.0.1:9/meta', 'HTTP_NETWORK'],
  ])('leads to the well-known URL when it %s, and is reported if that has no metadata', async (_, named, code) => {
    const peer = await startPeer()
    const discover = discovery()
    const rejected = await rejectionOf(discover(peer.origin, { resourceMetadataUrl: named }))
    expect([rejected.code, rejected.outcome]).toEqual([code, 'notSent'])
    expect(peer.paths()).toEqual([INSERTED, ROOT])
    peer.routes[INSERTED] = documentOf(peer.origin)
    expect((await discover(peer.origin, { resourceMetadataUrl: named })).resource).toEqual({
      resource: `${peer.origin}/mcp`,
      issuer: 'https://as',
    })
  })

  test.each<[string, Route, object]>([
    ['a rate limit', { status: 429 }, { code: 'RATE_LIMITED', outcome: 'rejected' }],
    ['a lost connection', { hangUp: true }, { code: 'HTTP_NETWORK', outcome: 'unknown' }],
  ])('ends discovery when it returns %s', async (_, answer, expected) => {
    const peer = await startPeer({ [NAMED]: answer })
    peer.routes[INSERTED] = documentOf(peer.origin)
    const run = discovery()(peer.origin, { resourceMetadataUrl: peer.origin + NAMED })
    expect(await rejectionOf(run)).toMatchObject({ ...expected, details: { url: `${peer.origin}/meta` } })
    expect(peer.paths()).not.toContain(INSERTED)
  })

  test('ends discovery when it does not respond in time', async () => {
    const silent = await startServer(() => undefined)
    const peer = await startPeer()
    peer.routes[INSERTED] = documentOf(peer.origin)
    const discover = discovery({ transport: makeTransport({ timeoutMs: 100 }) })
    const run = discover(peer.origin, { resourceMetadataUrl: `${silent.origin}/meta` })
    expect(await rejectionOf(run)).toMatchObject({ code: 'HTTP_TIMEOUT', outcome: 'unknown' })
    expect(peer.seen).toEqual([])
  })

  test('ends discovery when its document is that of another resource', async () => {
    const peer = await startPeer()
    peer.routes[NAMED] = { body: { resource: 'https://other.example/mcp', authorization_servers: ['https://as'] } }
    peer.routes[INSERTED] = documentOf(peer.origin)
    const run = discovery()(peer.origin, { resourceMetadataUrl: peer.origin + NAMED })
    expect((await rejectionOf(run)).code).toBe('RESOURCE_MISMATCH')
    expect(peer.paths()).toEqual([NAMED])
  })

  test('leads after a 5xx only to a document whose resource is exactly the endpoint', async () => {
    const peer = await startPeer({ [NAMED]: { status: 503, headers: { 'retry-after': '7' } } })
    peer.routes[INSERTED] = documentOf(peer.origin, peer.origin)
    const discover = () => discovery()(peer.origin, { resourceMetadataUrl: peer.origin + NAMED })
    expect(await rejectionOf(discover())).toEqual({
      code: 'RESOURCE_METADATA_UNAVAILABLE',
      outcome: 'rejected',
      details: { url: `${peer.origin}/meta`, status: 503, retryAfterMs: 7000 },
    })
    peer.routes[INSERTED] = documentOf(peer.origin)
    expect((await discover()).resource).toEqual({ resource: `${peer.origin}/mcp`, issuer: 'https://as' })
  })
})

describe('the well-known URL with the path', () => {
  test.each<[string, Route]>([
    ['an HTML page', { body: '<html>' }],
    ['an invalid document', { body: [] }],
    ['a document over the byte limit', { body: `"${'x'.repeat(300_000)}"` }],
    ['a redirect loop', { status: 302, headers: { location: INSERTED } }],
    ['a redirect to plain http elsewhere', { status: 302, headers: { location: 'http://8.8.8.8/' } }],
    ['a redirect to a forbidden address', { status: 302, headers: { location: 'https://169.254.169.254/' } }],
  ])('leads to the root when it returns %s', async (_, answer) => {
    const peer = await startPeer({ [INSERTED]: answer })
    peer.routes[ROOT] = documentOf(peer.origin, peer.origin)
    expect((await discovery()(peer.origin)).resource).toEqual({ resource: peer.origin, issuer: 'https://as' })
  })

  test('may redirect to its document', async () => {
    const peer = await startPeer({ [INSERTED]: { status: 308, headers: { location: '/moved' } } })
    peer.routes['/moved'] = documentOf(peer.origin)
    expect((await discovery()(peer.origin)).resource.issuer).toBe('https://as')
    expect(peer.paths()).toEqual([INSERTED, '/moved'])
  })

  test('leads after a 5xx only to a document whose resource is exactly the endpoint', async () => {
    const peer = await startPeer({ [INSERTED]: { status: 502, body: 'x' } })
    peer.routes[ROOT] = documentOf(peer.origin, peer.origin)
    expect(await rejectionOf(discovery()(peer.origin))).toEqual({
      code: 'RESOURCE_METADATA_UNAVAILABLE',
      outcome: 'rejected',
      details: { url: peer.origin + INSERTED, status: 502 },
    })
    peer.routes[ROOT] = documentOf(peer.origin)
    expect((await discovery()(peer.origin)).resource).toEqual({ resource: `${peer.origin}/mcp`, issuer: 'https://as' })
  })

  test.each<[string, Route, string]>([
    ['a rate limit', { status: 429, headers: { 'retry-after': '9999' } }, 'RATE_LIMITED'],
    ['a lost connection', { hangUp: true }, 'HTTP_NETWORK'],
  ])('ends discovery when it returns %s', async (_, answer, code) => {
    const peer = await startPeer({ [INSERTED]: answer })
    peer.routes[ROOT] = documentOf(peer.origin)
    const rejected = await rejectionOf(discovery()(peer.origin))
    expect(rejected).toMatchObject({ code, details: { url: peer.origin + INSERTED } })
    expect(peer.paths()).not.toContain(ROOT)
  })
})

describe('an endpoint without metadata', () => {
  const asked = (origin: string) => [`${origin}/mcp`, origin + INSERTED, origin + ROOT]

  test('that responds with a 401 may have the default endpoints when every well-known URL returns 4xx', async () => {
    const peer = await startPeer({ [INSERTED]: { status: 401 }, [ROOT]: { status: 403 } })
    const expected = {
      issuer: peer.origin,
      legacy: true,
      mayGuessEndpoints: true,
      requestedUrls: asked(peer.origin),
    }
    expect((await discovery()(peer.origin)).resource).toEqual(expected)
    expect(peer.paths()).toEqual([INSERTED, ROOT])
  })

  test('whose challenge the caller has is not asked again', async () => {
    const peer = await startPeer()
    const questions: unknown[] = []
    const { resource } = await discovery({}, MCP, questions)(peer.origin, { challenged: true })
    expect(resource.mayGuessEndpoints).toBe(true)
    expect(questions).toEqual([])
  })

  test.each<[string, ServerAnswer, Route, object]>([
    ['that responds with a 401 and with HTML at a well-known URL', CHALLENGE, { body: '<html>' }, {}],
    ['that responds by MCP', MCP, { status: 404 }, { answeredWithoutToken: true }],
    ['that responds by MCP and with HTML at a well-known URL', MCP, { body: '<html>' }, {}],
    ['that is a web page', { kind: 'other' }, { status: 404 }, {}],
  ])('%s may not have the default endpoints', async (_, answer, atRoot, facts) => {
    const peer = await startPeer({ [ROOT]: atRoot })
    expect((await discovery({}, answer)(peer.origin)).resource).toEqual({
      issuer: peer.origin,
      legacy: true,
      requestedUrls: asked(peer.origin),
      ...facts,
    })
  })

  test.each<[string, Route, string]>([
    ['a server error', { status: 502 }, 'RESOURCE_METADATA_UNAVAILABLE'],
    ['a redirect loop', { status: 302, headers: { location: INSERTED } }, 'TOO_MANY_REDIRECTS'],
    ['a document over the byte limit', { body: `"${'x'.repeat(300_000)}"` }, 'RESPONSE_TOO_LARGE'],
    ['an invalid document', { body: { authorization_servers: ['https://as'] } }, 'RESPONSE_INVALID'],
  ])('is rejected after %s', async (_, answer, code) => {
    const peer = await startPeer({ [INSERTED]: answer })
    const rejected = await rejectionOf(discovery()(peer.origin))
    expect(rejected).toMatchObject({ code, details: { url: peer.origin + INSERTED } })
    expect(peer.paths().at(-1)).toBe(ROOT)
  })

  test('is rejected after a forbidden address', async () => {
    expect(await rejectionOf(discovery()('http://127.0.0.2:9'))).toMatchObject({ outcome: 'notSent' })
  })

  test('uses the issuer that the caller requires without being asked', async () => {
    const peer = await startPeer()
    const questions: unknown[] = []
    const discover = discovery({}, CHALLENGE, questions)
    const other = await discover(peer.origin, { issuer: 'https://as' })
    const root = await discover(peer.origin, { issuer: 'https://as', path: '/' })
    expect([other.resource, root.resource, questions]).toEqual([
      { issuer: 'https://as', resource: `${peer.origin}/mcp` },
      { issuer: 'https://as', resource: peer.origin },
      [],
    ])
    expect((await discover(peer.origin, { issuer: `${peer.origin}/` })).resource).toEqual({
      issuer: peer.origin,
      legacy: true,
      mayGuessEndpoints: true,
      requestedUrls: asked(peer.origin),
    })
  })

  test.each([{ authorization_servers: [] }, {}])(
    'but with a document without authorization servers is its own authorization server: %j',
    async (rest) => {
      const peer = await startPeer()
      peer.routes[INSERTED] = { body: { resource: `${peer.origin}/mcp`, scopes_supported: ['a'], ...rest } }
      const expected = {
        resource: `${peer.origin}/mcp`,
        issuer: peer.origin,
        scopesSupported: ['a'],
        legacy: true,
        requestedUrls: [`${peer.origin}/mcp`, `${peer.origin}${INSERTED}`, `${peer.origin}${ROOT}`],
      }
      expect((await discovery()(peer.origin)).resource).toEqual(expected)
      expect((await discovery({}, MCP)(peer.origin)).resource).toEqual(expected)
      peer.routes[ROOT] = { body: { resource: peer.origin, authorization_servers: ['https://as'] } }
      expect((await discovery()(peer.origin)).resource.issuer).toBe('https://as')
    },
  )

  test('after a redirect that leads to a 404 has no default endpoints', async () => {
    const peer = await startPeer({ [INSERTED]: { status: 302, headers: { location: '/gone' } } })
    expect(await rejectionOf(discovery()(peer.origin))).toEqual({
      code: 'TOO_MANY_REDIRECTS',
      outcome: 'rejected',
      details: { url: `${peer.origin}${INSERTED}`, status: 404, reason: 'notFound' },
    })
  })
})

describe('the question whether the endpoint requires a token', () => {
  test('is asked first, and its challenge names the metadata URL and the scope', async () => {
    const peer = await startPeer()
    peer.routes['/meta'] = documentOf(peer.origin)
    const questions: unknown[] = []
    const challenge = { resourceMetadataUrl: `${peer.origin}/meta`, scope: 'files:read' }
    const discover = discovery({}, { kind: 'challenge', challenge }, questions)
    for (const asksServer of ['cached', 'anew'] as const) {
      const { at: _at, ...output } = await discover(peer.origin, asksServer && { asksServer })
      expect(output).toEqual({
        resource: { resource: `${peer.origin}/mcp`, issuer: 'https://as' },
        challengeScope: 'files:read',
      })
    }
    expect(questions).toEqual([
      [`${peer.origin}/mcp`, { anew: false }],
      [`${peer.origin}/mcp`, { anew: true }],
    ])
    // Its challenge is not newer than cached metadata.
    expect(peer.paths()).toEqual(['/meta'])
  })

  test('that fails is the failure, before any metadata is requested', async () => {
    const peer = await startPeer()
    const askServer = () => Promise.reject(portError('SERVER_UNAVAILABLE', 'rejected', { status: 503 }))
    const deps = makeDependencies()
    const discover = createDiscoverResource({ ...deps, askServer }, new MetadataCache(deps.clock))
    const run = discover({
      at: 5000,
      identity: identityOf(`${peer.origin}/mcp`),
      resourceMetadataUrl: undefined,
      issuer: undefined,
      challenged: false,
      asksServer: 'cached',
    })
    expect(await rejectionOf(run)).toEqual({
      code: 'SERVER_UNAVAILABLE',
      outcome: 'rejected',
      details: { status: 503 },
    })
    expect(peer.seen).toEqual([])
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
  async function choose(rules: DiscoveryPolicy, issuer?: string, preferredIssuer?: string) {
    const peer = await startPeer()
    const authorization_servers = ['https://a', 'https://b', 'https://c']
    peer.routes[INSERTED] = { body: { resource: `${peer.origin}/mcp`, authorization_servers } }
    return discovery(policy(rules))(peer.origin, { ...(issuer !== undefined && { issuer }), preferredIssuer })
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
    ['the one that the caller requires with a final slash', {}, 'https://c/', 'https://c'],
    ['the one that is allowed with a final slash', { allowedIssuers: ['https://b/'] }, undefined, 'https://b'],
    [
      'the one that chooseIssuer returns with a final slash',
      { chooseIssuer: () => 'https://c/' },
      undefined,
      'https://c',
    ],
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

  test.each<[string, DiscoveryPolicy, string | undefined, string, string]>([
    ['is chosen if it is listed', {}, undefined, 'https://b/', 'https://b'],
    ['is not chosen if it is not listed', {}, undefined, 'https://d', 'https://a'],
    ['is not chosen if it is not allowed', { allowedIssuers: ['https://c'] }, undefined, 'https://b', 'https://c'],
    ['is not chosen if the caller requires another one', {}, 'https://c', 'https://b', 'https://c'],
    [
      'is not chosen if chooseIssuer returns another one',
      { chooseIssuer: () => 'https://c' },
      undefined,
      'https://b',
      'https://c',
    ],
  ])('of the stored tokens %s', async (_, rules, issuer, preferred, expected) => {
    expect((await choose(rules, issuer, preferred)).resource.issuer).toBe(expected)
  })

  const offered = 'https://a https://b https://c'
  test.each<[string, DiscoveryPolicy, string | undefined, object]>([
    [
      'when the metadata does not list the required one',
      {},
      'https://a//',
      { reason: 'issuerNotOffered', expected: 'https://a//', offered },
    ],
    [
      'when no listed one is allowed',
      { allowedIssuers: ['https://a/t1'] },
      undefined,
      { reason: 'issuerNotAllowed', received: offered },
    ],
    [
      'when the caller requires one that is not allowed',
      { allowedIssuers: ['https://a'] },
      'https://b',
      { reason: 'issuerNotAllowed', received: 'https://b' },
    ],
    [
      'when chooseIssuer returns none',
      { chooseIssuer: () => undefined },
      undefined,
      { reason: 'issuerNotOffered', offered },
    ],
    [
      'when chooseIssuer throws',
      {
        chooseIssuer: () => {
          throw new RangeError('a fault of the host')
        },
      },
      undefined,
      { reason: 'chooseIssuerFailed', offered },
    ],
    [
      'when chooseIssuer returns no text',
      { chooseIssuer: () => null as unknown as string },
      undefined,
      { reason: 'issuerNotOffered', offered },
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

  test('of a server without metadata is rejected when its origin is not allowed, unless it requires no token', async () => {
    const peer = await startPeer()
    const rules = policy({ allowedIssuers: ['https://a'] })
    const rejected = await rejectionOf(discovery(rules)(peer.origin))
    expect(rejected).toMatchObject({ code: 'POLICY_REFUSED', details: { reason: 'issuerNotAllowed' } })
    expect((await discovery(rules, MCP)(peer.origin)).resource).toMatchObject({
      issuer: peer.origin,
      answeredWithoutToken: true,
    })
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

  test('stores no failure, and for 5 seconds that a URL responds 404', async () => {
    const peer = await startPeer({ [INSERTED]: { status: 500 } })
    const clock = new TestClock()
    const discover = discovery({ clock })
    await rejectionOf(discover(peer.origin))
    peer.routes[INSERTED] = { status: 404 }
    const issuerOf = async () => (await discover(peer.origin)).resource.issuer
    const absent = peer.origin
    expect([await issuerOf(), await issuerOf()]).toEqual([absent, absent])
    const requests = peer.paths().length
    peer.routes[INSERTED] = { body: { resource: peer.origin, authorization_servers: ['https://as'] } }
    clock.advance(4_999)
    expect(await issuerOf()).toBe(absent)
    expect(peer.paths()).toHaveLength(requests)
    clock.advance(1)
    expect(await issuerOf()).toBe('https://as')
  })

  test('does not use for a server that is asked anew that a URL responded 404 just now', async () => {
    const peer = await startPeer()
    const discover = discovery()
    expect((await discover(peer.origin)).resource.issuer).toBe(peer.origin)
    peer.routes[INSERTED] = { body: { resource: peer.origin, authorization_servers: ['https://as'] } }
    expect((await discover(peer.origin, { asksServer: 'anew' })).resource.issuer).toBe('https://as')
  })
})
