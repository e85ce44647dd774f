import { once } from 'node:events'
import { describe, expect, test } from 'vitest'
import { createAskServer } from '../../../../src/actors/discovery/ask-server.ts'
import { MetadataCache } from '../../../../src/actors/discovery/metadata.ts'
import { SimulatedClock } from '../../../../src/testing/simulated-clock.ts'
import { makeTransport, startServer } from '../../http/support.ts'
import { makeDependencies, rejectionOf, type Route, startPeer } from '../support.ts'

const PATH = '/mcp?qualifier=DEFAULT'
const SERVED = { kind: 'mcp', isServed: true }
const MCP_ERROR = { jsonrpc: '2.0', id: null, error: { code: -32_600, message: 'no session' } }

/** A peer with one endpoint, and the question to it. */
async function startEndpoint(route: Route) {
  const peer = await startPeer({ [PATH]: route })
  const clock = new SimulatedClock()
  const ask = createAskServer(makeDependencies({ clock }), new MetadataCache(clock))
  return { peer, clock, ask: (anew = false) => ask(peer.origin + PATH, { anew }) }
}

const challenged = (status: number, challenge: string) => ({ status, headers: { 'www-authenticate': challenge } })

describe('askServer', () => {
  test.each<[string, Route, object]>([
    ['challenge for a bare 401', { status: 401 }, { kind: 'challenge', challenge: {} }],
    ['challenge for a 401 of another scheme', challenged(401, 'Basic realm="x"'), { kind: 'challenge', challenge: {} }],
    [
      'challenge for a 401 with its metadata URL and scope',
      challenged(401, 'Bearer resource_metadata="https://h/meta", scope="files:read"'),
      { kind: 'challenge', challenge: { resourceMetadataUrl: 'https://h/meta', scope: 'files:read' } },
    ],
    [
      'challenge for a 403 with insufficient_scope',
      challenged(403, 'Bearer error="insufficient_scope", scope="files:read"'),
      { kind: 'challenge', challenge: { error: 'insufficient_scope', scope: 'files:read' } },
    ],
    ['other for any other 403', challenged(403, 'Bearer error="invalid_token"'), { kind: 'other' }],
    ['mcp for a 200 in JSON', { body: { jsonrpc: '2.0', id: 1, result: {} } }, SERVED],
    [
      'mcp for a 200 in JSON with a charset',
      { headers: { 'content-type': 'Application/JSON; charset=utf-8' }, body: {} },
      SERVED,
    ],
    ['other for a 200 in HTML', { headers: { 'content-type': 'text/html' }, body: '<html>' }, { kind: 'other' }],
    [
      'other for a 200 in another JSON type',
      { headers: { 'content-type': 'application/jsonfeed' }, body: '{}' },
      { kind: 'other' },
    ],
    ['other for a 404', { status: 404, body: 'nothing here' }, { kind: 'other' }],
    ['other for a 405', { status: 405, headers: { allow: 'GET' }, body: '' }, { kind: 'other' }],
    ['mcp for a 400 with a JSON-RPC message', { status: 400, body: MCP_ERROR }, { kind: 'mcp' }],
    ['mcp for a 404 with a batch of JSON-RPC messages', { status: 404, body: [MCP_ERROR] }, { kind: 'mcp' }],
    ['mcp for a 500 with a JSON-RPC message', { status: 500, body: MCP_ERROR }, { kind: 'mcp' }],
    ['other for a 400 with another JSON body', { status: 400, body: { error: 'invalid_request' } }, { kind: 'other' }],
    ['other for a 400 with an empty batch', { status: 400, body: [] }, { kind: 'other' }],
    ['other for a redirect', { status: 302, headers: { location: '/elsewhere' } }, { kind: 'other' }],
    ['other for a 404 that is too large', { status: 404, body: 'x'.repeat(70_000) }, { kind: 'other' }],
    ['other for headers that are too large', { headers: { 'x-long': 'x'.repeat(20_000) } }, { kind: 'other' }],
  ])('answers %s', async (_, route, expected) => {
    const { peer, ask } = await startEndpoint(route)
    expect(await ask()).toEqual(expected)
    expect(peer.seen).toHaveLength(1)
  })

  test.each([
    [202, 'mcp'],
    [204, 'mcp'],
    [200, 'other'],
  ] as const)('answers for a %s without a content type with %s', async (status, kind) => {
    const { origin } = await startServer((_request, response) => response.writeHead(status).end())
    const ask = createAskServer(makeDependencies(), new MetadataCache(new SimulatedClock()))
    expect(await ask(origin, { anew: false })).toEqual({ kind })
  })

  test('answers mcp for an event stream without end, and closes it', async () => {
    const closed = Promise.withResolvers<void>()
    const { origin } = await startServer((_request, response) => {
      response.on('close', () => closed.resolve())
      response.writeHead(200, { 'content-type': 'text/event-stream' }).write(': open\n\n')
    })
    const ask = createAskServer(makeDependencies(), new MetadataCache(new SimulatedClock()))
    expect(await ask(origin, { anew: false })).toEqual(SERVED)
    await closed.promise
  })

  test.each<[string, Record<string, string>, object]>([
    ['other for a 400', {}, { kind: 'other' }],
    [
      'challenge for a 403 that requires scope',
      { 'www-authenticate': 'Bearer error="insufficient_scope", scope="a"' },
      { kind: 'challenge', challenge: { error: 'insufficient_scope', scope: 'a' } },
    ],
  ])('answers %s whose body has no end, and caches the answer', async (name, headers, expected) => {
    const status = name.includes('403') ? 403 : 400
    const { origin, requests } = await startServer((_request, response) =>
      response.writeHead(status, headers).write('{'),
    )
    const transport = makeTransport({ timeoutMs: 1_000 })
    const ask = createAskServer(makeDependencies({ transport }), new MetadataCache(new SimulatedClock()))
    expect([await ask(origin, { anew: false }), await ask(origin, { anew: false })]).toEqual([expected, expected])
    expect(requests).toHaveLength(1)
  })

  test('answers challenge for a 401 whose body has no end', async () => {
    const { origin } = await startServer((_request, response) => response.writeHead(401).write('{'))
    const ask = createAskServer(makeDependencies(), new MetadataCache(new SimulatedClock()))
    expect(await ask(origin, { anew: false })).toEqual({ kind: 'challenge', challenge: {} })
  })

  test('sends one ping without a token, a cookie or a session', async () => {
    const { peer, ask } = await startEndpoint({ status: 401 })
    await ask()
    const [{ headers, ...rest } = { headers: {} }] = peer.seen
    expect(rest).toEqual({ method: 'POST', path: PATH, body: '{"jsonrpc":"2.0","id":1,"method":"ping"}' })
    expect({ ...headers, 'user-agent': undefined, host: undefined }).toEqual({
      accept: 'application/json, text/event-stream',
      'content-type': 'application/json',
      'content-length': '40',
      connection: 'close',
      'user-agent': undefined,
      host: undefined,
    })
  })
})

describe('askServer rejects', () => {
  test.each<[string, Route, object]>([
    [
      'a 500 with SERVER_UNAVAILABLE',
      { status: 500, body: 'x' },
      { code: 'SERVER_UNAVAILABLE', details: { status: 500 } },
    ],
    [
      'a 503 with SERVER_UNAVAILABLE and its Retry-After',
      { status: 503, headers: { 'retry-after': '7' } },
      { code: 'SERVER_UNAVAILABLE', details: { status: 503, retryAfterMs: 7000 } },
    ],
    ['a 408 with SERVER_UNAVAILABLE', { status: 408 }, { code: 'SERVER_UNAVAILABLE', details: { status: 408 } }],
    ['a 425 with SERVER_UNAVAILABLE', { status: 425 }, { code: 'SERVER_UNAVAILABLE', details: { status: 425 } }],
    [
      'a 429 with RATE_LIMITED and its Retry-After',
      { status: 429, headers: { 'retry-after': '9' } },
      { code: 'RATE_LIMITED', details: { status: 429, retryAfterMs: 9000 } },
    ],
  ])('%s, and asks again next time', async (_, route, { ...expected }) => {
    const { peer, ask } = await startEndpoint(route)
    const { details, ...rejected } = await rejectionOf(ask())
    expect({ ...rejected, details: { ...details, url: undefined } }).toEqual({
      outcome: 'rejected',
      ...expected,
      details: { ...Reflect.get(expected, 'details'), url: undefined },
    })
    expect(details?.url).toBe(`${peer.origin}/mcp`)
    peer.routes[PATH] = { status: 401 }
    expect(await ask()).toEqual({ kind: 'challenge', challenge: {} })
  })

  test('a lost connection with HTTP_NETWORK after one request', async () => {
    const { peer, ask } = await startEndpoint({ hangUp: true })
    expect(await rejectionOf(ask())).toMatchObject({ code: 'HTTP_NETWORK', outcome: 'unknown' })
    expect(peer.seen).toHaveLength(1)
  })

  test('a server that does not respond in time with HTTP_TIMEOUT', async () => {
    const { origin } = await startServer(() => undefined)
    const transport = makeTransport({ timeoutMs: 100 })
    const ask = createAskServer(makeDependencies({ transport }), new MetadataCache(new SimulatedClock()))
    expect(await rejectionOf(ask(origin, { anew: false }))).toMatchObject({ code: 'HTTP_TIMEOUT', outcome: 'unknown' })
  })

  test('a 500 and a 429 whose body has no end, or is too large, with what their heads say', async () => {
    const answers: [number, string][] = [
      [500, '{'],
      [429, '{'],
      [500, 'x'.repeat(70_000)],
    ]
    const { origin } = await startServer((_request, response) => {
      const [status = 200, text = ''] = answers.shift() ?? []
      response.writeHead(status, { 'retry-after': '7' }).write(text)
    })
    const transport = makeTransport({ timeoutMs: 1_000 })
    const ask = createAskServer(makeDependencies({ transport }), new MetadataCache(new SimulatedClock()))
    const details = (status: number) => ({ url: origin, status, retryAfterMs: 7000 })
    expect([
      await rejectionOf(ask(origin, { anew: false })),
      await rejectionOf(ask(origin, { anew: false })),
      await rejectionOf(ask(origin, { anew: false })),
    ]).toEqual([
      { code: 'SERVER_UNAVAILABLE', outcome: 'rejected', details: details(500) },
      { code: 'RATE_LIMITED', outcome: 'rejected', details: details(429) },
      { code: 'SERVER_UNAVAILABLE', outcome: 'rejected', details: details(500) },
    ])
  })

  test('a forbidden address with ADDRESS_FORBIDDEN', async () => {
    const ask = createAskServer(makeDependencies(), new MetadataCache(new SimulatedClock()))
    const rejected = await rejectionOf(ask('https://169.254.169.254/mcp', { anew: false }))
    expect(rejected).toMatchObject({ code: 'ADDRESS_FORBIDDEN', outcome: 'notSent' })
  })
})

describe('the answer', () => {
  test('is shared by concurrent callers', async () => {
    const { server, origin, requests } = await startServer((_request, response) => void waiting.push(response))
    const waiting: { writeHead(status: number): { end(): unknown } }[] = []
    const ask = createAskServer(makeDependencies(), new MetadataCache(new SimulatedClock()))
    const asked = Array.from({ length: 40 }, () => ask(origin, { anew: false }))
    await once(server, 'request')
    waiting[0]?.writeHead(401).end()
    expect(new Set(await Promise.all(asked))).toEqual(new Set([{ kind: 'challenge', challenge: {} }]))
    expect(requests).toHaveLength(1)
  })

  test('is cached for five minutes, unless it is asked for anew', async () => {
    const { peer, clock, ask } = await startEndpoint({ status: 401 })
    await ask()
    peer.routes[PATH] = { body: {} }
    clock.advance(299_999)
    expect(await ask()).toEqual({ kind: 'challenge', challenge: {} })
    clock.advance(1)
    expect(await ask()).toEqual(SERVED)
    peer.routes[PATH] = { status: 401 }
    expect(await ask(true)).toEqual({ kind: 'challenge', challenge: {} })
    expect(await ask()).toEqual({ kind: 'challenge', challenge: {} })
    expect(peer.seen).toHaveLength(3)
  })

  test('is that of one endpoint', async () => {
    const { peer, clock, ask } = await startEndpoint({ status: 401 })
    await ask()
    peer.routes['/open'] = { body: {} }
    const other = createAskServer(makeDependencies({ clock }), new MetadataCache(clock))
    expect(await other(`${peer.origin}/open`, { anew: false })).toEqual(SERVED)
    expect(await other(peer.origin + PATH, { anew: false })).toEqual({ kind: 'challenge', challenge: {} })
  })
})
