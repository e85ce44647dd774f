import { gzipSync, brotliCompressSync } from 'node:zlib'
import { describe, expect, test, vi } from 'vitest'
import { endOf } from '../../support/end-of.ts'
import { collectGarbage, makeTransport, rejection, startRawServer, writeEndlessly } from './support.ts'

const PART = `10000\r\n${'x'.repeat(65_536)}\r\n`
const HEAD = 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n'

/** What a response may have beside its body, without an end. */
const ENDLESS: readonly [what: string, start: string, part: string][] = [
  ['a status line', 'HTTP/1.1 200 ', 'x'.repeat(65_536)],
  ['interim responses', '', 'HTTP/1.1 103 Early Hints\r\n\r\n'.repeat(1000)],
  ['headers', 'HTTP/1.1 200 OK\r\n', 'a:\r\n'.repeat(10_000)],
  ['a header', 'HTTP/1.1 200 OK\r\na: ', 'x'.repeat(65_536)],
  ['a chunk extension', `${HEAD}1;`, 'x'.repeat(65_536)],
  ['chunk extensions', HEAD, `1;${'x'.repeat(65_536)}\r\nx\r\n`],
  ['trailers', `${HEAD}1\r\nx\r\n0\r\n`, 'a:\r\n'.repeat(10_000)],
]

describe.each(ENDLESS)('a server that sends %s without end', (what, start, part) => {
  test.each(['GET', 'POST'] as const)('fails a %s with RESPONSE_TOO_LARGE and is disconnected', async (method) => {
    const server = await startRawServer((socket) => writeEndlessly(socket, start, part))
    const transport = makeTransport({ timeoutMs: 30_000 })
    expect(await rejection(transport.exchange({ url: server.origin, method }))).toEqual({
      code: 'RESPONSE_TOO_LARGE',
      outcome: 'unknown',
      details: { url: `${server.origin}/`, host: server.host },
    })
    await vi.waitFor(() => expect(server.open()).toBe(0))
    expect(server.sockets).toHaveLength(1)
  })

  test('is disconnected by transport.fetch, also if nobody reads the body', async () => {
    const server = await startRawServer((socket) => writeEndlessly(socket, start, part))
    const read = async (): Promise<unknown> => {
      const response = await makeTransport().fetch(new Request(server.origin))
      await vi.waitFor(() => expect(server.open()).toBe(0))
      return await response.text()
    }
    const failure = await rejection(read())
    expect(failure, what).toMatchObject({ code: 'RESPONSE_TOO_LARGE', outcome: 'unknown' })
    await vi.waitFor(() => expect(server.open()).toBe(0))
  })
})

test('transport.fetch passes on a body that arrives byte by byte, and one with chunk extensions', async () => {
  const body = Array.from({ length: 20_000 }, () => '1\r\nx\r\n').join('')
  const extended = Array.from({ length: 100 }, () => `400;signature=${'s'.repeat(85)}\r\n${'x'.repeat(1024)}\r\n`).join(
    '',
  )
  const server = await startRawServer((socket) => socket.write(`${HEAD}${body}${extended}0\r\n\r\n`))
  const response = await makeTransport().fetch(new Request(server.origin))
  expect((await response.text()).length).toBe(20_000 + 102_400)
})

test('a response may have interim responses and 12 KiB of headers', async () => {
  const interim = `HTTP/1.1 103 Early Hints\r\nlink: ${'l'.repeat(500)}\r\n\r\n`.repeat(4)
  const headers = Array.from({ length: 12 }, (_, n) => `x-${n}: ${'y'.repeat(1000)}\r\n`).join('')
  const server = await startRawServer((socket) =>
    socket.write(`${interim}HTTP/1.1 200 OK\r\n${headers}content-length: 2\r\n\r\nok`),
  )
  const transport = makeTransport()
  expect((await transport.exchange({ url: server.origin, method: 'GET' })).text).toBe('ok')
  expect((await transport.exchange({ url: server.origin, method: 'GET' })).text).toBe('ok')
})

describe('transport.fetch', () => {
  test.each([
    ['GET', 'HTTP/1.1 205 Reset Content'],
    ['GET', 'HTTP/1.1 204 No Content'],
    ['GET', 'HTTP/1.1 304 Not Modified'],
    ['HEAD', 'HTTP/1.1 200 OK'],
  ])('disconnects a server that sends a body without end to %s with "%s"', async (method, line) => {
    const server = await startRawServer((socket) =>
      writeEndlessly(socket, `${line}\r\ntransfer-encoding: chunked\r\n\r\n`, PART),
    )
    const response = await makeTransport().fetch(new Request(server.origin, { method }))
    expect(response.body).toBe(null)
    await vi.waitFor(() => expect(server.open()).toBe(0))
  })

  test.each([
    ['a reason phrase beyond Latin-1', '200 \u20ac', { status: 200, field: 'reason phrase' }],
    ['a reason phrase with control characters', '200 \u0001\u007f', { status: 200, field: 'reason phrase' }],
    ['a status that is none', '700 X', { status: 700 }],
  ])('rejects %s with RESPONSE_INVALID and closes the connection', async (_what, line, details) => {
    const server = await startRawServer((socket) =>
      socket.write(`HTTP/1.1 ${line}\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n`),
    )
    expect(await rejection(makeTransport().fetch(new Request(server.origin, { method: 'POST' })))).toEqual({
      code: 'RESPONSE_INVALID',
      outcome: 'unknown',
      details: { url: `${server.origin}/`, host: server.host, ...details },
    })
    await vi.waitFor(() => expect(server.open()).toBe(0))
  })

  test.each<[string, Parameters<typeof startRawServer>[0]]>([
    ['sends without end', (socket) => writeEndlessly(socket, HEAD, PART)],
    ['sends nothing more', (socket) => socket.write(`${HEAD}1\r\na\r\n`)],
  ])('closes the connection of a response that was collected as garbage and %s', async (_what, respond) => {
    const server = await startRawServer(respond)
    const transport = makeTransport()
    const { signal } = new AbortController()
    expect((await transport.fetch(new Request(server.origin), signal)).status).toBe(200)
    await vi.waitFor(
      async () => {
        await collectGarbage()
        expect(server.open()).toBe(0)
      },
      { timeout: 20_000 },
    )
  })

  test('keeps the connection of a response whose body alone is still in use', async () => {
    const server = await startRawServer((socket) => socket.write(`${HEAD}1\r\na\r\n`))
    const { body } = await makeTransport().fetch(new Request(server.origin))
    await collectGarbage()
    server.sockets[0]?.write('1\r\nb\r\n0\r\n\r\n')
    expect(await new Response(body).text()).toBe('ab')
  })

  test.each([
    ['', Buffer.from('whole')],
    ['content-encoding: gzip\r\n', gzipSync('whole')],
    ['content-encoding: br\r\n', brotliCompressSync('whole')],
  ])('ends a body that was read ahead when its signal aborts (%j)', async (header, bytes) => {
    const server = await startRawServer((socket) => {
      socket.write(`HTTP/1.1 200 OK\r\n${header}content-length: ${bytes.byteLength}\r\n\r\n`)
      socket.write(bytes)
    })
    const controller = new AbortController()
    const response = await makeTransport().fetch(new Request(server.origin), controller.signal)
    const reason = new Error('no longer wanted')
    controller.abort(reason)
    await expect(response.text()).rejects.toBe(reason)
  })
})

test('network.headersTimeoutMs ends the wait for headers, however often interim responses arrive, and no body', async () => {
  const server = await startRawServer((socket, request) => {
    if (request.startsWith('GET /silent')) return
    if (request.startsWith('GET /hints')) {
      const hints = setInterval(() => socket.write('HTTP/1.1 103 Early Hints\r\n\r\n'), 10)
      socket.on('close', () => clearInterval(hints))
    } else socket.write(`${HEAD}1\r\na\r\n`)
  })
  const transport = makeTransport({ headersTimeoutMs: 1000 })
  const streamed = await transport.fetch(new Request(`${server.origin}/stream`))
  for (const path of ['/silent', '/hints']) {
    expect(await endOf(rejection(transport.fetch(new Request(`${server.origin}${path}`))))).toEqual({
      code: 'HTTP_TIMEOUT',
      outcome: 'unknown',
      details: { reason: 'headers', url: `${server.origin}${path}`, host: server.host },
    })
  }
  await vi.waitFor(() => expect(server.open()).toBe(1))
  server.sockets[0]?.write('1\r\nb\r\n0\r\n\r\n')
  expect(await streamed.text()).toBe('ab')
})
