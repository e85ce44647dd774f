import { once } from 'node:events'
import { gzipSync } from 'node:zlib'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { nextActionFor } from '../../../src/errors/failure.ts'
import { bodyOf, makeTransport, rejection, startServer } from './support.ts'

describe('transport.fetch', () => {
  test('returns a Response of the platform', async () => {
    const server = await startServer(async (request, response) => {
      response.writeHead(201, 'Made', { 'content-type': 'application/json', 'set-cookie': ['a=1', 'b=2'] })
      response.end(
        JSON.stringify({
          method: request.method,
          url: request.url,
          headers: request.headers,
          body: await bodyOf(request),
        }),
      )
    })
    const request = new Request(`${server.origin}/mcp?x=1`, {
      method: 'POST',
      body: '{"jsonrpc":"2.0"}',
      headers: { authorization: 'Bearer t' },
    })
    const response = await makeTransport().fetch(request)
    expect(response).toBeInstanceOf(Response)
    expect([response.status, response.statusText, response.headers.getSetCookie()]).toEqual([
      201,
      'Made',
      ['a=1', 'b=2'],
    ])
    expect(await response.json()).toEqual({
      method: 'POST',
      url: '/mcp?x=1',
      headers: {
        host: `127.0.0.1:${server.port}`,
        connection: 'keep-alive',
        accept: '*/*',
        'user-agent': 'authchart',
        authorization: 'Bearer t',
        'content-type': 'text/plain;charset=UTF-8',
        'content-length': '17',
      },
      body: '{"jsonrpc":"2.0"}',
    })
  })

  test('returns as soon as the headers arrive and streams the body without timeout or limit', async () => {
    const server = await startServer((_request, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' }).write('data: 1\n\n')
    })
    const transport = makeTransport({ timeoutMs: 60, maxResponseBytes: 10 })
    const started = performance.now()
    const response = await transport.fetch(new Request(server.origin))
    const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader()
    expect(await reader?.read()).toEqual({ done: false, value: 'data: 1\n\n' })
    const [request] = server.requests
    const outgoing = request?.socket
    await vi.waitFor(() => expect(performance.now() - started).toBeGreaterThan(120))
    outgoing?.write('9\r\ndata: 2\n\n\r\n0\r\n\r\n')
    expect(await reader?.read()).toEqual({ done: false, value: 'data: 2\n\n' })
    expect(await reader?.read()).toEqual({ done: true, value: undefined })
  })

  test('waits for headers longer than the timeout of an exchange', async () => {
    const server = await startServer((_request, response) => {
      setTimeout(() => response.end('late'), 120)
    })
    const response = await makeTransport({ timeoutMs: 40 }).fetch(new Request(server.origin))
    expect(await response.text()).toBe('late')
  })

  test('counts the wait for headers from each part of a streamed body that is sent', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    onTestFinished(() => void vi.useRealTimers())
    const received: string[] = []
    const server = await startServer((request) => request.on('data', (part: Buffer) => received.push(String(part))))
    const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>()
    const writer = writable.getWriter()
    const upload = { method: 'POST', body: readable, duplex: 'half' } as RequestInit
    const sent = makeTransport({ headersTimeoutMs: 60_000 }).fetch(new Request(server.origin, upload))
    const failed = rejection(sent)
    for (const part of ['a', 'b', 'c']) {
      await writer.write(Buffer.from(part))
      await vi.waitFor(() => expect(received).toContain(part))
      vi.advanceTimersByTime(40_000)
    }
    const late = vi.waitFor(() => {
      vi.advanceTimersByTime(10_000)
      return expect(server.requests[0]?.socket.destroyed).toBe(true)
    })
    expect(await failed).toMatchObject({ code: 'HTTP_TIMEOUT', outcome: 'unknown' })
    await late
    expect(received).toEqual(['a', 'b', 'c'])
  })

  test('leaves a response alone whose request body is still being sent', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    onTestFinished(() => void vi.useRealTimers())
    const server = await startServer((request, response) => {
      response.writeHead(200).flushHeaders()
      request.on('data', (part: Buffer) => response.write(part))
      request.on('end', () => response.end())
    })
    const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>()
    const writer = writable.getWriter()
    const upload = { method: 'POST', body: readable, duplex: 'half' } as RequestInit
    const sent = makeTransport({ headersTimeoutMs: 60_000 }).fetch(new Request(server.origin, upload))
    await writer.write(Buffer.from('a'))
    const reader = (await sent).body?.pipeThrough(new TextDecoderStream()).getReader()
    expect(await reader?.read()).toEqual({ done: false, value: 'a' })
    for (const part of ['b', 'c']) {
      await writer.write(Buffer.from(part))
      expect(await reader?.read()).toEqual({ done: false, value: part })
      vi.advanceTimersByTime(70_000)
      await new Promise((resolve) => setImmediate(resolve))
      vi.advanceTimersByTime(70_000)
    }
    await writer.close()
    expect(await reader?.read()).toEqual({ done: true, value: undefined })
  })

  test('leaves no listener at a signal that outlives the response', async () => {
    const server = await startServer((request, response) => {
      if (request.url === '/lost') request.socket.destroy()
      else response.writeHead(request.url === '/empty' ? 204 : 200).end()
    })
    const { signal } = new AbortController()
    const transport = makeTransport()
    const add = vi.spyOn(signal, 'addEventListener')
    const remove = vi.spyOn(signal, 'removeEventListener')
    await (await transport.fetch(new Request(server.origin), signal)).text()
    await transport.fetch(new Request(`${server.origin}/empty`), signal)
    await rejection(transport.fetch(new Request(`${server.origin}/lost`), signal))
    expect(add).toHaveBeenCalledTimes(3)
    await vi.waitFor(() => {
      const removed = new Set(remove.mock.calls.map(([, listener]) => listener))
      expect(add.mock.calls.filter(([, listener]) => !removed.has(listener))).toEqual([])
    })
  })

  test('streams a compressed event stream as it arrives', async () => {
    const server = await startServer((_request, response) => {
      response.writeHead(200, { 'content-encoding': 'gzip' }).write(gzipSync('data: 1\n\n').subarray(0, -8))
    })
    const response = await makeTransport().fetch(new Request(server.origin))
    const reader = response.body?.getReader()
    expect(new TextDecoder().decode((await reader?.read())?.value)).toBe('data: 1\n\n')
    await reader?.cancel()
    await vi.waitFor(() => expect(server.requests[0]?.socket.destroyed).toBe(true))
  })

  test('sends a streamed body while it is being produced', async () => {
    const server = await startServer((request, response) => {
      response.writeHead(200, { 'x-encoding': request.headers['transfer-encoding'] ?? 'none' })
      request.on('data', (chunk: Buffer) => response.write(`got ${String(chunk)};`))
      request.on('end', () => response.end())
    })
    let controller: ReadableStreamDefaultController<Uint8Array> | undefined
    const body = new ReadableStream<Uint8Array>({
      start(given) {
        controller = given
        given.enqueue(Buffer.from('a'))
      },
    })
    const response = await makeTransport().fetch(
      new Request(server.origin, { method: 'POST', body, duplex: 'half' } as RequestInit),
    )
    expect(response.headers.get('x-encoding')).toBe('chunked')
    const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader()
    expect((await reader?.read())?.value).toBe('got a;')
    controller?.enqueue(Buffer.from('b'))
    expect((await reader?.read())?.value).toBe('got b;')
    controller?.enqueue(Buffer.from('c'))
    controller?.close()
    expect((await reader?.read())?.value).toBe('got c;')
    expect((await reader?.read())?.done).toBe(true)
  })

  test('buffers only part of a large body', async () => {
    const server = await startServer(async (request, response) => {
      let size = 0
      for await (const chunk of request) size += (chunk as Buffer).length
      response.end(`${size} ${request.headers['transfer-encoding']}`)
    })
    let left = 64
    const body = new ReadableStream<Uint8Array>({
      pull(controller) {
        left -= 1
        if (left < 0) controller.close()
        else controller.enqueue(new Uint8Array(65_536))
      },
    })
    const response = await makeTransport().fetch(
      new Request(server.origin, { method: 'POST', body, duplex: 'half' } as RequestInit),
    )
    expect(await response.text()).toBe(`${64 * 65_536} chunked`)
  })

  test('cancels a body that cannot be sent', async () => {
    const closed = await startServer(() => undefined)
    closed.server.close()
    const cancel = vi.fn()
    const body = new ReadableStream<Uint8Array>({ cancel })
    const request = new Request(closed.origin, { method: 'POST', body, duplex: 'half' } as RequestInit)
    expect(await rejection(makeTransport().fetch(request))).toMatchObject({ code: 'HTTP_NETWORK', outcome: 'notSent' })
    await vi.waitFor(() => expect(cancel).toHaveBeenCalledTimes(1))
  })

  test.each([
    ['before it is sent', 0, 'notSent'],
    ['in transit', 1, 'unknown'],
  ])('fails when its body fails %s', async (_when, chunks, outcome) => {
    const server = await startServer((request) => {
      request.on('error', () => undefined)
      request.resume()
    })
    let made = 0
    const body = new ReadableStream<Uint8Array>({
      async pull(controller) {
        if (made === chunks) {
          // Later than what is gathered, so that the request has left.
          if (chunks > 0) await vi.waitFor(() => expect(server.requests).toHaveLength(1))
          controller.error(new Error('secret'))
        } else {
          made += 1
          controller.enqueue(Buffer.from('x'))
        }
      },
    })
    const request = new Request(server.origin, { method: 'POST', body, duplex: 'half' } as RequestInit)
    expect(await rejection(makeTransport().fetch(request))).toMatchObject({ code: 'HTTP_NETWORK', outcome })
  })

  test('returns redirects unchanged', async () => {
    const server = await startServer((_request, response) =>
      response.writeHead(302, { location: 'http://10.0.0.1/' }).end(),
    )
    const response = await makeTransport().fetch(new Request(server.origin))
    expect([response.status, response.headers.get('location')]).toEqual([302, 'http://10.0.0.1/'])
    expect(server.requests).toHaveLength(1)
  })

  test.each([
    ['GET', 204],
    ['GET', 304],
    ['HEAD', 200],
  ])('returns a null body for %s with status %s', async (method, status) => {
    const server = await startServer((_request, response) => response.writeHead(status).end())
    const response = await makeTransport().fetch(new Request(server.origin, { method }))
    expect([response.status, response.body]).toEqual([status, null])
  })

  test('reuses connections', async () => {
    const server = await startServer((_request, response) => response.end('x'))
    const transport = makeTransport()
    await (await transport.fetch(new Request(server.origin, { method: 'POST', body: 'a' }))).text()
    await new Promise(setImmediate)
    await (await transport.fetch(new Request(server.origin, { method: 'POST', body: 'b' }))).text()
    expect(server.connections()).toBe(1)
  })

  test('is aborted by its signal before it is sent, before the headers and during the body', async () => {
    const server = await startServer((request, response) => {
      if (request.url === '/body') response.write('x')
    })
    const transport = makeTransport()
    expect(await rejection(transport.fetch(new Request(server.origin, { signal: AbortSignal.abort() })))).toMatchObject(
      { code: 'ABORTED', outcome: 'notSent' },
    )
    expect(server.connections()).toBe(0)

    const gathering = new AbortController()
    const body = new ReadableStream({
      async pull() {
        gathering.abort()
      },
    })
    const early = new Request(server.origin, {
      method: 'POST',
      body,
      signal: gathering.signal,
      duplex: 'half',
    } as RequestInit)
    expect(await rejection(transport.fetch(early))).toMatchObject({ code: 'ABORTED', outcome: 'notSent' })
    expect(server.connections()).toBe(0)

    const headers = new AbortController()
    const failed = rejection(transport.fetch(new Request(server.origin, { signal: headers.signal })))
    await vi.waitFor(() => expect(server.requests).toHaveLength(1))
    headers.abort()
    expect(await failed).toMatchObject({ code: 'ABORTED', outcome: 'unknown' })

    const reading = new AbortController()
    const response = await transport.fetch(new Request(`${server.origin}/body`, { signal: reading.signal }))
    const socket = server.requests[1]?.socket
    const text = response.text()
    reading.abort()
    await expect(text).rejects.toThrow()
    if (socket?.destroyed === false) await once(socket, 'close')
  })

  test.each([
    ['GET', 'headers', 'retry'],
    ['PUT', 'headers', 'retry'],
    ['POST', 'outcomeUnknown', 'none'],
    ['PATCH', 'outcomeUnknown', 'none'],
  ])('ends a %s without headers with the reason %s and the next action %s', async (method, reason, nextAction) => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    onTestFinished(() => void vi.useRealTimers())
    const server = await startServer(() => undefined)
    const sent = rejection(makeTransport({ headersTimeoutMs: 60_000 }).fetch(new Request(server.origin, { method })))
    await vi.waitFor(() => expect(server.requests).toHaveLength(1))
    await vi.waitFor(() => {
      vi.advanceTimersByTime(60_000)
      expect(server.requests[0]?.socket.destroyed).toBe(true)
    })
    const failed = await sent
    expect(failed).toMatchObject({ code: 'HTTP_TIMEOUT', outcome: 'unknown', details: { reason } })
    expect(nextActionFor({ code: 'HTTP_TIMEOUT', details: { reason } })).toBe(nextAction)
  })

  test.each([
    ['GET', 'connectionLost', 'retry'],
    ['POST', 'outcomeUnknown', 'none'],
  ])(
    'ends a %s whose connection is lost with the reason %s and the next action %s',
    async (method, reason, nextAction) => {
      const server = await startServer((request) => request.socket.destroy())
      const failed = await rejection(makeTransport().fetch(new Request(server.origin, { method })))
      expect(failed).toMatchObject({ code: 'HTTP_NETWORK', outcome: 'unknown', details: { reason } })
      expect(nextActionFor({ code: 'HTTP_NETWORK', details: { reason } })).toBe(nextAction)
    },
  )

  test('fails when the connection is not made within the timeout', async () => {
    const transport = makeTransport({ timeoutMs: 40 }, { resolve: () => new Promise(() => undefined) })
    expect(await rejection(transport.fetch(new Request('https://slow.example/')))).toEqual({
      code: 'HTTP_TIMEOUT',
      outcome: 'notSent',
      details: { url: 'https://slow.example/', host: 'slow.example', reason: 'nameNotResolved' },
    })
  })

  test('applies the address guard and error mapping of an exchange', async () => {
    const server = await startServer((request) => request.socket.destroy())
    const transport = makeTransport({ allow: [`127.0.0.1:${server.port}`] })
    expect(await rejection(transport.fetch(new Request('https://10.0.0.1/a?secret=1')))).toEqual({
      code: 'ADDRESS_FORBIDDEN',
      outcome: 'notSent',
      details: { url: 'https://10.0.0.1/a', host: '10.0.0.1', allow: '10.0.0.1:443', reason: 'connectionServer' },
    })
    expect(await rejection(transport.fetch(new Request(server.origin, { method: 'POST', body: 'x' })))).toMatchObject({
      code: 'HTTP_NETWORK',
      outcome: 'unknown',
    })
    expect(server.requests).toHaveLength(1)
    await transport.close()
    expect(await rejection(transport.fetch(new Request(server.origin)))).toMatchObject({
      code: 'CLOSED',
      outcome: 'notSent',
    })
  })

  test('applies backpressure to a server that sends faster than the body is read', async () => {
    let sent = 0
    const server = await startServer((_request, response) => {
      const more = (): void => {
        while (sent < 64 * 1024 * 1024 && response.write(Buffer.alloc(65_536))) sent += 65_536
        response.once('drain', more)
      }
      more()
    })
    const response = await makeTransport().fetch(new Request(server.origin))
    // Nobody reads: wait until the server has been still for a while.
    let before = -1
    await vi.waitFor(
      () => {
        const still = sent === before
        before = sent
        expect(still).toBe(true)
      },
      { interval: 100 },
    )
    expect(sent).toBeLessThan(32 * 1024 * 1024)
    await response.body?.cancel()
  })
})
