import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib'
import { describe, expect, test, vi } from 'vitest'
import { systemClock } from '../../../src/clock.ts'
import { bodyOf, makeTransport, rejection, startRawServer, startServer } from './support.ts'
import { verifies } from '../../support/verifies.ts'

describe('exchange', () => {
  test('sends the request as specified and returns the whole text', async () => {
    const server = await startServer(async (request, response) => {
      response.writeHead(400, { 'content-type': 'application/json', 'set-cookie': ['a=1', 'b=2'] })
      response.end(
        JSON.stringify({
          method: request.method,
          url: request.url,
          headers: request.headers,
          body: await bodyOf(request),
        }),
      )
    })
    const answer = await makeTransport().exchange({
      url: `${server.origin}/token?tenant=é#fragment`,
      method: 'POST',
      headers: { 'Content-Type': 'application/x-www-form-urlencoded', accept: 'application/json' },
      body: 'grant_type=refresh_token&x=ü',
    })
    expect(answer.status).toBe(400)
    expect(answer.headers).toBeInstanceOf(Headers)
    expect(answer.headers.get('content-type')).toBe('application/json')
    expect(answer.headers.getSetCookie()).toEqual(['a=1', 'b=2'])
    expect(JSON.parse(answer.text)).toEqual({
      method: 'POST',
      url: '/token?tenant=%C3%A9',
      headers: {
        host: `127.0.0.1:${server.port}`,
        connection: 'close',
        'content-type': 'application/x-www-form-urlencoded',
        accept: 'application/json',
        'content-length': '29',
      },
      body: 'grant_type=refresh_token&x=ü',
    })
  })

  test('reads with GET on a kept-alive connection without adding headers', async () => {
    const server = await startServer((request, response) => response.end(JSON.stringify(request.headers)))
    const transport = makeTransport()
    const first = await transport.exchange({ url: server.origin, method: 'GET', headers: { 'User-Agent': 'test' } })
    const second = await transport.exchange({ url: server.origin, method: 'GET' })
    expect(JSON.parse(first.text)).toEqual({
      host: `127.0.0.1:${server.port}`,
      connection: 'keep-alive',
      'user-agent': 'test',
    })
    expect(JSON.parse(second.text)).toEqual({ host: `127.0.0.1:${server.port}`, connection: 'keep-alive' })
    expect(server.connections()).toBe(1)
  })

  test('sends every POST on a new connection', async () => {
    const server = await startServer((_request, response) => response.end())
    const transport = makeTransport()
    await transport.exchange({ url: server.origin, method: 'GET' })
    await transport.exchange({ url: server.origin, method: 'POST', body: 'a' })
    await transport.exchange({ url: server.origin, method: 'POST', body: 'b' })
    expect(server.connections()).toBe(3)
  })

  test.each([
    ['gzip', gzipSync],
    ['x-gzip', gzipSync],
    ['Deflate', deflateSync],
    ['br', brotliCompressSync],
    ['identity', (text: string) => Buffer.from(text)],
    ['unheard-of', (text: string) => Buffer.from(text)],
  ])('decodes a body with content-encoding %s', async (coding, compress) => {
    const server = await startServer((_request, response) => {
      response.writeHead(200, { 'content-encoding': coding }).end(compress('{"a":"ä"}'))
    })
    for (const method of ['GET', 'POST'] as const) {
      expect((await makeTransport().exchange({ url: server.origin, method })).text).toBe('{"a":"ä"}')
    }
  })

  test('returns an empty text for a response without a body', async () => {
    const server = await startServer((_request, response) => response.writeHead(204).end())
    const transport = makeTransport()
    for (const method of ['GET', 'POST'] as const) {
      const { status, text } = await transport.exchange({ url: server.origin, method })
      expect({ status, text }).toEqual({ status: 204, text: '' })
    }
  })

  test(
    'rejects a redirect without following it',
    verifies(142, async () => {
      const server = await startServer((_request, response) =>
        response.writeHead(307, { location: '/elsewhere' }).end('moved'),
      )
      for (const method of ['GET', 'POST'] as const) {
        expect(await rejection(makeTransport().exchange({ url: `${server.origin}/a?secret=1`, method }))).toEqual({
          code: 'TOO_MANY_REDIRECTS',
          outcome: 'unknown',
          details: { url: `${server.origin}/a`, host: `127.0.0.1:${server.port}`, status: 307 },
        })
      }
      expect(server.requests.map(({ url }) => url)).toEqual(['/a?secret=1', '/a?secret=1'])
    }),
  )

  test('rejects an invalid HTTP status', async () => {
    const server = await startServer((_request, response) => response.writeHead(999).end('no'))
    expect(await rejection(makeTransport().exchange({ url: server.origin, method: 'GET' }))).toEqual({
      code: 'RESPONSE_INVALID',
      outcome: 'unknown',
      details: { url: `${server.origin}/`, host: `127.0.0.1:${server.port}`, status: 999 },
    })
  })
})

describe('a redirect with maxRedirects', () => {
  const get = (url: string, maxRedirects = 3) => ({ url, method: 'GET', maxRedirects }) as const

  /** A server that answers each path with a redirect to its entry, and `fine` elsewhere. */
  async function startRedirects(locations: Record<string, string>, status = 302) {
    return startServer((request, response) => {
      const location = locations[request.url ?? '']
      if (location === undefined) response.end('fine')
      else response.writeHead(status, { location }).end('moved')
    })
  }

  test.each([301, 302, 303, 307, 308])('is followed for the status %s, with the same headers', async (status) => {
    const server = await startRedirects({ '/a': '/b?x=1' }, status)
    const request = { ...get(`${server.origin}/a`), headers: { accept: 'application/json' } }
    expect((await makeTransport().exchange(request)).text).toBe('fine')
    expect(server.requests.map(({ url, headers }) => [url, headers.accept])).toEqual([
      ['/a', 'application/json'],
      ['/b?x=1', 'application/json'],
    ])
  })

  test('is followed three times and not a fourth time', async () => {
    const server = await startRedirects({ '/1': '/2', '/2': '/3', '/3': '/4', '/4': '/5' })
    expect((await makeTransport().exchange(get(`${server.origin}/2`))).text).toBe('fine')
    server.requests.length = 0
    expect(await rejection(makeTransport().exchange(get(`${server.origin}/1`)))).toEqual({
      code: 'TOO_MANY_REDIRECTS',
      outcome: 'unknown',
      details: { url: `${server.origin}/4`, host: `127.0.0.1:${server.port}`, status: 302 },
    })
    expect(server.requests.map(({ url }) => url)).toEqual(['/1', '/2', '/3', '/4'])
  })

  test('to itself ends after four requests', async () => {
    const server = await startRedirects({ '/a': '/a' })
    expect(await rejection(makeTransport().exchange(get(`${server.origin}/a`)))).toMatchObject({
      code: 'TOO_MANY_REDIRECTS',
    })
    expect(server.requests).toHaveLength(4)
  })

  test.each([
    ['no location', undefined],
    ['an invalid location', 'http://['],
    ['plain http at an address that is not listed', 'http://8.8.8.8/secret?x=1'],
    ['plain http at a name that is not listed', 'http://internal.example/'],
    ['another scheme', 'file:///etc/passwd'],
  ])('to %s is not followed', async (_, location) => {
    const server = await startServer((_request, response) =>
      response.writeHead(302, location === undefined ? {} : { location }).end('moved'),
    )
    expect(await rejection(makeTransport().exchange(get(`${server.origin}/a?secret=1`)))).toEqual({
      code: 'TOO_MANY_REDIRECTS',
      outcome: 'unknown',
      details: { url: `${server.origin}/a`, host: `127.0.0.1:${server.port}`, status: 302 },
    })
    expect(server.requests).toHaveLength(1)
  })

  test.each([
    ['a forbidden address', 'https://169.254.169.254/latest/meta-data', 'ADDRESS_FORBIDDEN'],
    ['a private address', 'https://10.0.0.1/', 'ADDRESS_FORBIDDEN'],
    ['a URL with credentials', 'https://user:pass@as.example/', 'ADDRESS_FORBIDDEN'],
  ])('to %s is checked and not sent', async (_, location, code) => {
    const server = await startRedirects({ '/a': location })
    const rejected = await rejection(makeTransport().exchange(get(`${server.origin}/a`)))
    expect(rejected).toMatchObject({ code, outcome: 'notSent', details: { host: new URL(location).host } })
  })

  test('to a name is checked by the addresses of the name', async () => {
    const server = await startRedirects({ '/a': 'https://as.example/metadata' })
    const transport = makeTransport({}, { resolve: async () => [{ address: '169.254.169.254', family: 4 }] })
    expect(await rejection(transport.exchange(get(`${server.origin}/a`)))).toMatchObject({
      code: 'ADDRESS_FORBIDDEN',
      details: { url: 'https://as.example/metadata', host: 'as.example' },
    })
  })

  test('between hosts that network.allow lists is followed over plain http', async () => {
    const other = await startServer((_request, response) => response.end('fine'))
    const server = await startRedirects({ '/a': `${other.origin}/b` })
    expect((await makeTransport().exchange(get(`${server.origin}/a`))).text).toBe('fine')
    expect(other.requests.map(({ url }) => url)).toEqual(['/b'])
  })

  test('of a POST is never followed', async () => {
    const server = await startRedirects({ '/a': '/b' }, 307)
    const request = { ...get(`${server.origin}/a`), method: 'POST', body: 'secret' } as const
    expect(await rejection(makeTransport().exchange(request))).toMatchObject({
      code: 'TOO_MANY_REDIRECTS',
      details: { url: `${server.origin}/a`, status: 307 },
    })
    expect(server.requests.map(({ url }) => url)).toEqual(['/a'])
  })

  test('is bound by one timeout over all requests', async () => {
    const server = await startServer((request, response) => {
      const answer = () => (request.url === '/b' ? response.end() : response.writeHead(302, { location: '/b' }).end())
      setTimeout(answer, 200)
    })
    const failed = rejection(makeTransport({ timeoutMs: 300 }).exchange(get(`${server.origin}/a`)))
    expect(await failed).toMatchObject({ code: 'HTTP_TIMEOUT', details: { url: `${server.origin}/b` } })
  })

  test('is not followed after the signal has aborted', async () => {
    const controller = new AbortController()
    const server = await startServer((_request, response) => {
      controller.abort()
      response.writeHead(302, { location: '/b' }).end()
    })
    const request = { ...get(`${server.origin}/a`), signal: controller.signal }
    expect(await rejection(makeTransport().exchange(request))).toMatchObject({ code: 'ABORTED' })
    expect(server.requests).toHaveLength(1)
  })
})

describe('a response whose head is enough', () => {
  test('is returned without its body, which is closed', async () => {
    const closed = Promise.withResolvers<void>()
    const server = await startServer((_request, response) => {
      response.on('close', () => closed.resolve())
      response.writeHead(200, { 'x-own': '1' }).write('without end')
    })
    const isHeadEnough = (head: { status: number }) => head.status === 200
    const { status, headers, text } = await makeTransport().exchange({
      url: server.origin,
      method: 'POST',
      isHeadEnough,
    })
    expect([status, headers.get('x-own'), text]).toEqual([200, '1', ''])
    await closed.promise
  })

  test('is read like any other if the predicate says no', async () => {
    const server = await startServer((_request, response) => response.writeHead(404).end('whole'))
    const isHeadEnough = (head: { status: number }) => head.status === 200
    const { status, text } = await makeTransport().exchange({ url: server.origin, method: 'GET', isHeadEnough })
    expect([status, text]).toEqual([404, 'whole'])
  })
})

describe('the byte limit', () => {
  test.each([
    [undefined, 20, 'of the network'],
    [10, 10, 'of the request'],
    [1000, 20, 'of the network, even if the request asks for more'],
  ])('for a request with maxBytes %s is %s bytes, the limit %s', async (maxBytes, limit, _scope) => {
    let size = 0
    const server = await startServer((_request, response) => response.end('x'.repeat(size)))
    const transport = makeTransport({ maxResponseBytes: 20 })
    for (const method of ['GET', 'POST'] as const) {
      size = limit
      expect((await transport.exchange({ url: server.origin, method, maxBytes })).text).toHaveLength(limit)
      size = limit + 1
      expect(await rejection(transport.exchange({ url: server.origin, method, maxBytes }))).toEqual({
        code: 'RESPONSE_TOO_LARGE',
        outcome: 'unknown',
        details: { url: `${server.origin}/`, host: `127.0.0.1:${server.port}` },
      })
    }
  })

  test('applies after decompression and stops reading a decompression bomb', async () => {
    const bomb = gzipSync(Buffer.alloc(50 * 1024 * 1024))
    const server = await startServer((_request, response) => {
      response.writeHead(200, { 'content-encoding': 'gzip' }).end(bomb)
    })
    const before = process.memoryUsage().arrayBuffers
    const { code } = await rejection(makeTransport().exchange({ url: server.origin, method: 'GET' }))
    expect(code).toBe('RESPONSE_TOO_LARGE')
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(20 * 1024 * 1024)
  })

  test('applies to an endless body without content-length', async () => {
    const server = await startServer((_request, response) => {
      const more = (): void => {
        while (!response.destroyed && response.write('x'.repeat(10_000)));
        response.once('drain', more)
      }
      more()
    })
    const { code, outcome } = await rejection(makeTransport().exchange({ url: server.origin, method: 'POST' }))
    expect({ code, outcome }).toEqual({ code: 'RESPONSE_TOO_LARGE', outcome: 'unknown' })
  })

  test('applies to headers', async () => {
    const server = await startRawServer((socket) => {
      socket.write(
        `HTTP/1.1 200 OK\r\n${Array.from({ length: 40 }, (_, n) => `x-${n}: ${'y'.repeat(1000)}\r\n`).join('')}`,
      )
    })
    expect(await rejection(makeTransport().exchange({ url: server.origin, method: 'POST' }))).toEqual({
      code: 'RESPONSE_TOO_LARGE',
      outcome: 'unknown',
      details: { url: `${server.origin}/`, host: server.host },
    })
  })
})

describe('the timeout', () => {
  test.each(['GET', 'POST'] as const)('ends the wait for headers (%s) without a retry', async (method) => {
    const server = await startServer(() => undefined)
    expect(await rejection(makeTransport({ timeoutMs: 500 }).exchange({ url: server.origin, method }))).toEqual({
      code: 'HTTP_TIMEOUT',
      outcome: 'unknown',
      details: { url: `${server.origin}/`, host: `127.0.0.1:${server.port}` },
    })
    expect(server.requests).toHaveLength(1)
  })

  test.each(['GET', 'POST'] as const)('ends a body that arrives byte by byte (%s)', async (method) => {
    let closed = 0
    const server = await startServer((_request, response) => {
      const drip = setInterval(() => response.write('x'), 10)
      response.on('close', () => {
        closed += 1
        clearInterval(drip)
      })
    })
    const { code, outcome } = await rejection(
      makeTransport({ timeoutMs: 150 }).exchange({ url: server.origin, method }),
    )
    expect({ code, outcome }).toEqual({ code: 'HTTP_TIMEOUT', outcome: 'unknown' })
    await vi.waitFor(() => expect(closed).toBe(1))
  })

  test('ends a compressed body that stops half-way', async () => {
    const server = await startServer((_request, response) => {
      response.writeHead(200, { 'content-encoding': 'gzip' }).write(gzipSync('x'.repeat(1000)).subarray(0, 20))
    })
    const { code } = await rejection(makeTransport({ timeoutMs: 100 }).exchange({ url: server.origin, method: 'POST' }))
    expect(code).toBe('HTTP_TIMEOUT')
  })

  test('ends the resolution of a name with outcome notSent', async () => {
    const transport = makeTransport({ timeoutMs: 50 }, { resolve: () => new Promise(() => undefined) })
    expect(await rejection(transport.exchange({ url: 'https://slow.example/token?x=1', method: 'POST' }))).toEqual({
      code: 'HTTP_TIMEOUT',
      outcome: 'notSent',
      details: { url: 'https://slow.example/token', host: 'slow.example' },
    })
  })

  test('ends a TLS handshake without a response with outcome notSent', async () => {
    const server = await startRawServer(() => undefined)
    const transport = makeTransport({ timeoutMs: 100 })
    expect(await rejection(transport.exchange({ url: `https://${server.host}/`, method: 'POST' }))).toMatchObject({
      code: 'HTTP_TIMEOUT',
      outcome: 'notSent',
    })
  })

  test("and the caller's signal end a request before and after it is sent", async () => {
    const server = await startServer(() => undefined)
    const transport = makeTransport()
    expect(
      await rejection(transport.exchange({ url: server.origin, method: 'POST', signal: AbortSignal.abort() })),
    ).toEqual({
      code: 'ABORTED',
      outcome: 'notSent',
      details: { url: `${server.origin}/`, host: `127.0.0.1:${server.port}` },
    })
    expect(server.connections()).toBe(0)

    for (const method of ['GET', 'POST'] as const) {
      const controller = new AbortController()
      const failed = rejection(transport.exchange({ url: server.origin, method, signal: controller.signal }))
      await vi.waitFor(() => expect(server.requests.at(-1)?.method).toBe(method))
      controller.abort(new Error('secret'))
      expect(await failed).toMatchObject({ code: 'ABORTED', outcome: 'unknown' })
    }
    expect(server.requests).toHaveLength(2)
  })
})

describe('the send deadline', () => {
  test('keeps a request from being sent once it has passed, even on an open connection', async () => {
    const server = await startServer((_request, response) => response.end())
    let monotonic = 0
    const transport = makeTransport({}, { clock: { ...systemClock, monotonic: () => monotonic } })
    await transport.exchange({ url: server.origin, method: 'GET', sendBefore: 100 })
    monotonic = 100
    for (const method of ['GET', 'POST'] as const) {
      expect(await rejection(transport.exchange({ url: server.origin, method, sendBefore: 100 }))).toEqual({
        code: 'HTTP_TIMEOUT',
        outcome: 'notSent',
        details: { url: `${server.origin}/`, host: `127.0.0.1:${server.port}`, reason: 'leaseTooShort' },
      })
    }
    await transport.exchange({ url: server.origin, method: 'POST', sendBefore: 100.5 })
    expect(server.requests.map(({ method }) => method)).toEqual(['GET', 'POST'])
  })

  test('is checked after name resolution and connection', async () => {
    const server = await startServer((_request, response) => response.end())
    let monotonic = 0
    server.server.on('connection', () => {
      monotonic = 100
    })
    const transport = makeTransport(
      { allow: ['slow.example'] },
      {
        clock: { ...systemClock, monotonic: () => monotonic },
        resolve: async () => [{ address: '127.0.0.1', family: 4 }],
      },
    )
    const url = `http://slow.example:${server.port}/`
    // The server's own handler runs in this process, before the client hears of the connection.
    const { details, outcome } = await rejection(transport.exchange({ url, method: 'POST', sendBefore: 50 }))
    expect({ details, outcome }).toMatchObject({ details: { reason: 'leaseTooShort' }, outcome: 'notSent' })
    expect(server.connections()).toBe(1)
    expect(server.requests).toEqual([])
  })
})

describe('a connection failure', () => {
  test('by a refused connection has outcome notSent', async () => {
    const server = await startRawServer(() => undefined)
    const closed = await startServer(() => undefined)
    closed.server.close()
    expect(server.requests).toEqual([])
    expect(await rejection(makeTransport().exchange({ url: `${closed.origin}/x`, method: 'POST' }))).toEqual({
      code: 'HTTP_NETWORK',
      outcome: 'notSent',
      details: { url: `${closed.origin}/x`, host: `127.0.0.1:${closed.port}`, reason: 'connectionRefused' },
    })
  })

  test('by an unresolvable name has outcome notSent', async () => {
    const transport = makeTransport(
      {},
      { resolve: async () => Promise.reject(Object.assign(new Error(), { code: 'ENOTFOUND' })) },
    )
    expect(await rejection(transport.exchange({ url: 'https://nowhere.example/', method: 'POST' }))).toEqual({
      code: 'HTTP_NETWORK',
      outcome: 'notSent',
      details: { url: 'https://nowhere.example/', host: 'nowhere.example', reason: 'nameNotResolved' },
    })
  })

  test('by a server without TLS has outcome notSent', async () => {
    const server = await startServer((_request, response) => response.end())
    const url = `https://127.0.0.1:${server.port}/`
    expect(await rejection(makeTransport().exchange({ url, method: 'POST' }))).toMatchObject({
      code: 'HTTP_NETWORK',
      outcome: 'notSent',
    })
  })

  test('by a reset after reading has outcome unknown, and the POST arrives exactly once', async () => {
    const server = await startServer(async (request) => {
      await bodyOf(request)
      request.socket.resetAndDestroy()
    })
    expect(await rejection(makeTransport().exchange({ url: server.origin, method: 'POST', body: 'code=1' }))).toEqual({
      code: 'HTTP_NETWORK',
      outcome: 'unknown',
      details: { url: `${server.origin}/`, host: `127.0.0.1:${server.port}`, reason: 'connectionLost' },
    })
    expect(server.requests).toHaveLength(1)
    expect(server.connections()).toBe(1)
  })

  test.each([
    ['with content-length', 'content-length: 100'],
    ['in chunks', 'transfer-encoding: chunked'],
  ])('by a truncated body %s has outcome unknown', async (_how, header) => {
    const server = await startRawServer((socket) => socket.end(`HTTP/1.1 200 OK\r\n${header}\r\n\r\n5\r\nhello\r\n`))
    expect(await rejection(makeTransport().exchange({ url: server.origin, method: 'POST' }))).toMatchObject({
      code: 'HTTP_NETWORK',
      outcome: 'unknown',
      details: { reason: 'connectionLost' },
    })
    expect(server.requests).toHaveLength(1)
  })

  test('by a response that is not HTTP has outcome unknown', async () => {
    const server = await startRawServer((socket) => socket.end('SSH-2.0-OpenSSH_9.9\r\n'))
    expect(await rejection(makeTransport().exchange({ url: server.origin, method: 'POST' }))).toMatchObject({
      code: 'HTTP_NETWORK',
      outcome: 'unknown',
    })
  })
})

describe('an invalid header', () => {
  test.each(['GET', 'POST'] as const)('ends a %s before it is sent, and the error omits its value', async (method) => {
    const server = await startServer((_request, response) => response.end())
    const failed = rejection(makeTransport().exchange({ url: server.origin, method, headers: { a: 'secret\nb' } }))
    expect(await failed).toEqual({
      code: 'HTTP_NETWORK',
      outcome: 'notSent',
      details: { url: `${server.origin}/`, host: `127.0.0.1:${server.port}`, reason: 'connectionFailed' },
    })
    expect(server.requests).toEqual([])
  })
})

describe('a retry of a GET', () => {
  const doubtful = { 'MCP-Protocol-Version': '2025-11-25', 'User-Agent': 'authchart', accept: 'application/json' }

  test('happens once after a lost connection, without the headers that may have caused it', async () => {
    const server = await startServer((request, response) => {
      if (request.headers['mcp-protocol-version'] === undefined) response.end('fine')
      else request.socket.destroy()
    })
    const { text } = await makeTransport().exchange({ url: server.origin, method: 'GET', headers: doubtful })
    expect(text).toBe('fine')
    expect(server.requests.map(({ headers }) => [headers['user-agent'], headers.accept])).toEqual([
      ['authchart', 'application/json'],
      [undefined, 'application/json'],
    ])
  })

  test('does not happen a second time', async () => {
    const server = await startServer((request) => request.socket.destroy())
    const failed = rejection(makeTransport().exchange({ url: server.origin, method: 'GET', headers: doubtful }))
    expect(await failed).toMatchObject({ code: 'HTTP_NETWORK', outcome: 'unknown' })
    expect(server.requests).toHaveLength(2)
  })

  test('is bound by the same timeout', async () => {
    const server = await startServer((request) => {
      if (server.requests.length === 1) request.socket.destroy()
    })
    const failed = rejection(makeTransport({ timeoutMs: 100 }).exchange({ url: server.origin, method: 'GET' }))
    expect(await failed).toMatchObject({ code: 'HTTP_TIMEOUT', outcome: 'unknown' })
    expect(server.requests).toHaveLength(2)
  })

  test.each([429, 500, 503])('does not happen for status %s, whatever Retry-After says', async (status) => {
    const server = await startServer((_request, response) =>
      response.writeHead(status, { 'retry-after': '1' }).end('no'),
    )
    const answer = await makeTransport().exchange({ url: server.origin, method: 'GET' })
    expect([answer.status, answer.text, answer.headers.get('retry-after')]).toEqual([status, 'no', '1'])
    expect(server.requests).toHaveLength(1)
  })
})

describe('close', () => {
  test('waits for a POST in flight and rejects later requests', async () => {
    const server = await startServer((_request, response) => {
      setImmediate(() => response.end('spent'))
    })
    const transport = makeTransport()
    const posted = transport.exchange({ url: server.origin, method: 'POST' })
    await vi.waitFor(() => expect(server.requests).toHaveLength(1))
    await transport.close()
    expect((await posted).text).toBe('spent')
    for (const method of ['GET', 'POST'] as const) {
      expect(await rejection(transport.exchange({ url: server.origin, method }))).toEqual({
        code: 'CLOSED',
        outcome: 'notSent',
        details: { url: `${server.origin}/`, host: `127.0.0.1:${server.port}` },
      })
    }
  })

  test('aborts a GET in flight', async () => {
    const server = await startServer(() => undefined)
    const transport = makeTransport()
    const failed = rejection(transport.exchange({ url: server.origin, method: 'GET' }))
    await vi.waitFor(() => expect(server.requests).toHaveLength(1))
    await transport.close()
    expect((await failed).code).toBe('CLOSED')
    expect(server.requests).toHaveLength(1)
  })
})
