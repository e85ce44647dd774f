import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'
import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { systemClock } from '../../../src/clock.ts'
import { bodyOf, makeTransport, rejection, startServer } from './support.ts'
import { verifies } from '../../support/verifies.ts'

/** A server that speaks by hand. */
async function startRawServer(
  onData: (socket: Socket, request: string) => void,
): Promise<{ origin: string; host: string; requests: string[] }> {
  const requests: string[] = []
  const sockets: Socket[] = []
  const server = createServer((socket) => {
    sockets.push(socket)
    socket.on('error', () => undefined)
    socket.on('data', (data) => {
      requests.push(String(data))
      onData(socket, String(data))
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  const address = server.address()
  const host = `127.0.0.1:${typeof address === 'object' ? address?.port : ''}`
  return { origin: `http://${host}`, host, requests }
}

describe('exchange', () => {
  test('sends what it was given and answers with the whole text', async () => {
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

  test('reads with GET, keeps the connection, and adds no header of its own', async () => {
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

  test('never puts a POST on a kept connection', async () => {
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
  ])('understands a body in %s', async (coding, compress) => {
    const server = await startServer((_request, response) => {
      response.writeHead(200, { 'content-encoding': coding }).end(compress('{"a":"ä"}'))
    })
    for (const method of ['GET', 'POST'] as const) {
      expect((await makeTransport().exchange({ url: server.origin, method })).text).toBe('{"a":"ä"}')
    }
  })

  test('answers with an empty text where there is no body', async () => {
    const server = await startServer((_request, response) => response.writeHead(204).end())
    const transport = makeTransport()
    for (const method of ['GET', 'POST'] as const) {
      const { status, text } = await transport.exchange({ url: server.origin, method })
      expect({ status, text }).toEqual({ status: 204, text: '' })
    }
  })

  test(
    'follows no redirect',
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

  test('refuses a status that HTTP does not know', async () => {
    const server = await startServer((_request, response) => response.writeHead(999).end('no'))
    expect(await rejection(makeTransport().exchange({ url: server.origin, method: 'GET' }))).toEqual({
      code: 'RESPONSE_INVALID',
      outcome: 'unknown',
      details: { url: `${server.origin}/`, host: `127.0.0.1:${server.port}`, status: 999 },
    })
  })
})

describe('the byte limit', () => {
  test.each([
    [undefined, 20, 'of the network'],
    [10, 10, 'of the request'],
    [1000, 20, 'of the network, even if the request asks for more'],
  ])('maxBytes %s: %s bytes, that %s', async (maxBytes, limit, _whose) => {
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

  test('counts after decompression and reads a bomb no further', async () => {
    const bomb = gzipSync(Buffer.alloc(50 * 1024 * 1024))
    const server = await startServer((_request, response) => {
      response.writeHead(200, { 'content-encoding': 'gzip' }).end(bomb)
    })
    const before = process.memoryUsage().arrayBuffers
    const { code } = await rejection(makeTransport().exchange({ url: server.origin, method: 'GET' }))
    expect(code).toBe('RESPONSE_TOO_LARGE')
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(20 * 1024 * 1024)
  })

  test('holds for a body without end and without length', async () => {
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

  test('holds for headers', async () => {
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

describe('the deadline', () => {
  test.each(['GET', 'POST'] as const)('ends the wait for headers (%s), and nothing is repeated', async (method) => {
    const server = await startServer(() => undefined)
    expect(await rejection(makeTransport({ timeoutMs: 100 }).exchange({ url: server.origin, method }))).toEqual({
      code: 'HTTP_TIMEOUT',
      outcome: 'unknown',
      details: { url: `${server.origin}/`, host: `127.0.0.1:${server.port}` },
    })
    expect(server.requests).toHaveLength(1)
  })

  test.each(['GET', 'POST'] as const)('ends a body that comes drop by drop (%s)', async (method) => {
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

  test('ends the resolution of a name, and then nothing has left', async () => {
    const transport = makeTransport({ timeoutMs: 50 }, { resolve: () => new Promise(() => undefined) })
    expect(await rejection(transport.exchange({ url: 'https://slow.example/token?x=1', method: 'POST' }))).toEqual({
      code: 'HTTP_TIMEOUT',
      outcome: 'notSent',
      details: { url: 'https://slow.example/token', host: 'slow.example' },
    })
  })

  test('ends a TLS handshake that nobody answers, and then nothing has left', async () => {
    const server = await startRawServer(() => undefined)
    const transport = makeTransport({ timeoutMs: 100 })
    expect(await rejection(transport.exchange({ url: `https://${server.host}/`, method: 'POST' }))).toMatchObject({
      code: 'HTTP_TIMEOUT',
      outcome: 'notSent',
    })
  })

  test('lets the caller end it before and after the request has left', async () => {
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

describe('the fence', () => {
  test('keeps a request from leaving after its instant, even over a connection that is there already', async () => {
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

  test('is looked at after the name is resolved and the connection is made', async () => {
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

describe('failures of the connection', () => {
  test('refused: not sent', async () => {
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

  test('a name that nobody knows: not sent', async () => {
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

  test('a server that speaks no TLS: not sent', async () => {
    const server = await startServer((_request, response) => response.end())
    const url = `https://127.0.0.1:${server.port}/`
    expect(await rejection(makeTransport().exchange({ url, method: 'POST' }))).toMatchObject({
      code: 'HTTP_NETWORK',
      outcome: 'notSent',
    })
  })

  test('reset after the request was read: unknown, and a POST arrives exactly once', async () => {
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
    ['with a length', 'content-length: 100'],
    ['in chunks', 'transfer-encoding: chunked'],
  ])('a body that is cut off, %s: unknown', async (_how, header) => {
    const server = await startRawServer((socket) => socket.end(`HTTP/1.1 200 OK\r\n${header}\r\n\r\n5\r\nhello\r\n`))
    expect(await rejection(makeTransport().exchange({ url: server.origin, method: 'POST' }))).toMatchObject({
      code: 'HTTP_NETWORK',
      outcome: 'unknown',
      details: { reason: 'connectionLost' },
    })
    expect(server.requests).toHaveLength(1)
  })

  test('something that is not HTTP: unknown', async () => {
    const server = await startRawServer((socket) => socket.end('SSH-2.0-OpenSSH_9.9\r\n'))
    expect(await rejection(makeTransport().exchange({ url: server.origin, method: 'POST' }))).toMatchObject({
      code: 'HTTP_NETWORK',
      outcome: 'unknown',
    })
  })
})

describe('a header that cannot be sent', () => {
  test.each(['GET', 'POST'] as const)('ends a %s before it leaves, and is not shown', async (method) => {
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

describe('repeating a GET', () => {
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

  test('happens no second time', async () => {
    const server = await startServer((request) => request.socket.destroy())
    const failed = rejection(makeTransport().exchange({ url: server.origin, method: 'GET', headers: doubtful }))
    expect(await failed).toMatchObject({ code: 'HTTP_NETWORK', outcome: 'unknown' })
    expect(server.requests).toHaveLength(2)
  })

  test('stays under the same deadline', async () => {
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
  test('waits for a POST that is on its way, and refuses what comes after', async () => {
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

  test('ends a GET that is on its way', async () => {
    const server = await startServer(() => undefined)
    const transport = makeTransport()
    const failed = rejection(transport.exchange({ url: server.origin, method: 'GET' }))
    await vi.waitFor(() => expect(server.requests).toHaveLength(1))
    await transport.close()
    expect((await failed).code).toBe('CLOSED')
    expect(server.requests).toHaveLength(1)
  })
})
