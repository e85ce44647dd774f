import { Readable } from 'node:stream'
import { describe, expect, test, vi } from 'vitest'
import { processWarnings } from '../../support/process-warnings.ts'
import { bodyOf, makeTransport, rejection, startServer } from './support.ts'

const NO_RESPONSE =
  'it returned no Response: that has an integer as status, Headers, and null or a ReadableStream as body'
const PUBLIC = async () => [{ address: '93.184.216.34', family: 4 }]

describe("the host's own fetch", () => {
  test('is called once per request with redirect: manual', async () => {
    const server = await startServer(async (request, response) => {
      response.end(`${request.method} ${String(request.headers.a)} ${await bodyOf(request)}`)
    })
    const own = vi.fn(fetch)
    const transport = makeTransport({ fetch: own })
    const post = await transport.exchange({ url: server.origin, method: 'POST', headers: { a: '1' }, body: 'x' })
    const get = await transport.exchange({ url: server.origin, method: 'GET', headers: { a: '2' } })
    const live = new ReadableStream<Uint8Array>({
      async pull(controller) {
        await new Promise(setImmediate)
        controller.enqueue(Buffer.from('streamed'))
        controller.close()
      },
    })
    const streamed = await transport.fetch(
      new Request(server.origin, { method: 'POST', body: live, headers: { a: '3' }, duplex: 'half' } as RequestInit),
    )
    expect([post.text, get.text, await streamed.text()]).toEqual(['POST 1 x', 'GET 2 ', 'POST 3 streamed'])
    expect(own.mock.calls.map(([url, init]) => [url, init?.method, init?.redirect])).toEqual([
      [`${server.origin}/`, 'POST', 'manual'],
      [`${server.origin}/`, 'GET', 'manual'],
      [`${server.origin}/`, 'POST', 'manual'],
    ])
  })

  test('may return a response without a body', async () => {
    const transport = makeTransport({ fetch: async () => new Response(null, { status: 204 }) }, { resolve: PUBLIC })
    const answer = await transport.exchange({ url: 'https://mcp.example/', method: 'POST' })
    expect([answer.status, answer.text]).toEqual([204, ''])
    expect((await transport.fetch(new Request('https://mcp.example/'))).body).toBe(null)
  })

  test('is not called when the address guard rejects the URL', async () => {
    const own = vi.fn(fetch)
    const resolve = vi.fn(async () => [{ address: '10.0.0.1', family: 4 }])
    const transport = makeTransport({ allow: [], fetch: own }, { resolve })
    const codes = await Promise.all(
      ['http://mcp.example/', 'https://127.0.0.1/', 'https://mcp.example/'].map(
        async (url) => (await rejection(transport.exchange({ url, method: 'POST' }))).code,
      ),
    )
    expect(codes).toEqual(['INSECURE_ENDPOINT', 'ADDRESS_FORBIDDEN', 'ADDRESS_FORBIDDEN'])
    expect(resolve.mock.calls).toEqual([['mcp.example']])
    expect(own).not.toHaveBeenCalled()
  })

  test('is bound by the send deadline, the timeout and the byte limit', async () => {
    const late = makeTransport({ fetch }, { resolve: PUBLIC })
    expect(
      await rejection(late.exchange({ url: 'https://mcp.example/', method: 'POST', sendBefore: 0 })),
    ).toMatchObject({
      outcome: 'notSent',
      details: { reason: 'leaseTooShort' },
    })

    const never = makeTransport({ timeoutMs: 50, fetch: () => new Promise(() => undefined) }, { resolve: PUBLIC })
    expect(await rejection(never.exchange({ url: 'https://mcp.example/', method: 'POST' }))).toMatchObject({
      code: 'HTTP_TIMEOUT',
      outcome: 'unknown',
    })

    const cancel = vi.fn()
    const drip = async () => new Response(new ReadableStream({ cancel }))
    const dripping = makeTransport({ timeoutMs: 50, fetch: drip }, { resolve: PUBLIC })
    expect(await rejection(dripping.exchange({ url: 'https://mcp.example/', method: 'POST' }))).toMatchObject({
      code: 'HTTP_TIMEOUT',
      outcome: 'unknown',
    })
    expect(cancel).toHaveBeenCalledTimes(1)

    const large = makeTransport({ maxResponseBytes: 2, fetch: async () => new Response('abc') }, { resolve: PUBLIC })
    expect((await rejection(large.exchange({ url: 'https://mcp.example/', method: 'POST' }))).code).toBe(
      'RESPONSE_TOO_LARGE',
    )
    await large.close()
    expect((await rejection(large.exchange({ url: 'https://mcp.example/', method: 'POST' }))).code).toBe('CLOSED')
  })

  test('fails an exchange with TOO_MANY_REDIRECTS on a redirect and with RESPONSE_INVALID on an error response', async () => {
    const redirected = makeTransport({ fetch: async () => Response.redirect('https://10.0.0.1/') }, { resolve: PUBLIC })
    expect((await rejection(redirected.exchange({ url: 'https://mcp.example/', method: 'GET' }))).code).toBe(
      'TOO_MANY_REDIRECTS',
    )
    expect((await redirected.fetch(new Request('https://mcp.example/'))).status).toBe(302)
    const opaque = makeTransport({ fetch: async () => Response.error() }, { resolve: PUBLIC })
    expect((await rejection(opaque.exchange({ url: 'https://mcp.example/', method: 'GET' }))).code).toBe(
      'RESPONSE_INVALID',
    )
    expect((await rejection(opaque.fetch(new Request('https://mcp.example/')))).code).toBe('RESPONSE_INVALID')
  })

  test.each([
    ['ENOTFOUND', 'HTTP_NETWORK', 'notSent', 'nameNotResolved'],
    ['EAI_AGAIN', 'HTTP_NETWORK', 'notSent', 'nameNotResolved'],
    ['ECONNREFUSED', 'HTTP_NETWORK', 'notSent', 'connectionRefused'],
    ['UND_ERR_CONNECT_TIMEOUT', 'HTTP_TIMEOUT', 'notSent', 'connect'],
    ['ECONNRESET', 'HTTP_NETWORK', 'unknown', 'connectionLost'],
    [undefined, 'HTTP_NETWORK', 'unknown', 'fetchFailed'],
  ])('failing with %s is reported as %s, %s', async (cause, code, outcome, reason) => {
    const failing = async () =>
      Promise.reject(new TypeError('fetch failed', { cause: Object.assign(new Error('secret'), { code: cause }) }))
    const transport = makeTransport({ fetch: failing }, { resolve: PUBLIC })
    const url = 'https://mcp.example/token'
    const failed = transport.exchange({ url, method: 'POST' })
    const warnings = await processWarnings(async () => {
      expect(await rejection(failed)).toEqual({ code, outcome, details: { url, host: 'mcp.example', reason } })
    })
    await expect(failed).rejects.not.toThrow(/secret/)
    expect(warnings).toHaveLength(reason === 'fetchFailed' ? 1 : 0)
  })

  test.each<[string, () => unknown, string]>([
    [
      'throws',
      () => {
        throw new RangeError('a fault of the host')
      },
      'a fault of the host',
    ],
    ['rejects', () => Promise.reject(new RangeError('a fault of the host')), 'a fault of the host'],
    [
      'returns a Response whose members throw',
      () => ({
        get status() {
          throw new RangeError('a fault of the host')
        },
      }),
      'a fault of the host',
    ],
    ['returns nothing', () => undefined, NO_RESPONSE],
    ['returns another object', () => ({ status: 200 }), NO_RESPONSE],
    ...[null, true, Number.NaN, '200', 200n, 200.5, -1, 1e308].map<[string, () => unknown, string]>((status) => [
      `returns the status ${String(status)} (${typeof status})`,
      () => ({ status, headers: new Headers(), body: null }),
      NO_RESPONSE,
    ]),
    ['returns headers of another type', () => ({ status: 200, headers: {}, body: null }), NO_RESPONSE],
    ['returns no headers', () => ({ status: 200, headers: null, body: null }), NO_RESPONSE],
    ['returns a body of text', () => ({ status: 200, headers: new Headers(), body: '{}' }), NO_RESPONSE],
    ['returns a Node stream', () => ({ status: 200, headers: new Headers(), body: Readable.from([]) }), NO_RESPONSE],
  ])('that %s is named by the failure, and its error is one process warning', async (_how, fail, message) => {
    const transport = makeTransport({ fetch: fail as typeof fetch }, { resolve: PUBLIC })
    const url = 'https://mcp.example/token'
    const failures: unknown[] = []
    const warnings = await processWarnings(async () => {
      for (const method of ['POST', 'GET'] as const) failures.push(await rejection(transport.exchange({ url, method })))
      failures.push(await rejection(transport.fetch(new Request(url))))
    })
    const failure = {
      code: 'HTTP_NETWORK',
      outcome: 'unknown',
      details: { url, host: 'mcp.example', reason: 'fetchFailed' },
    }
    expect(failures).toEqual([failure, failure, failure])
    expect(warnings).toEqual([
      {
        name: 'AuthchartWarning',
        code: 'AUTHCHART_CALLBACK_FAILED',
        message: `network.fetch() failed: ${message}`,
      },
    ])
  })

  test('that returns a body which is being read is named by the failure', async () => {
    const locked = async () => {
      const response = new Response('{}')
      response.body?.getReader()
      return response
    }
    const transport = makeTransport({ fetch: locked }, { resolve: PUBLIC })
    const warnings = await processWarnings(async () => {
      expect(await rejection(transport.exchange({ url: 'https://mcp.example/', method: 'POST' }))).toMatchObject({
        code: 'HTTP_NETWORK',
        details: { reason: 'fetchFailed' },
      })
    })
    expect(warnings).toMatchObject([{ code: 'AUTHCHART_CALLBACK_FAILED' }])
  })

  test('that rejects because its request was aborted causes no warning', async () => {
    const waiting = async (_url: unknown, { signal }: RequestInit = {}) =>
      await new Promise<never>((_resolve, reject) =>
        signal?.addEventListener('abort', () => reject(new Error('aborted'))),
      )
    const transport = makeTransport({ fetch: waiting, timeoutMs: 40 }, { resolve: PUBLIC })
    const warnings = await processWarnings(async () => {
      expect(await rejection(transport.exchange({ url: 'https://mcp.example/', method: 'POST' }))).toMatchObject({
        code: 'HTTP_TIMEOUT',
      })
    })
    expect(warnings).toEqual([])
  })

  test.each<[string, () => Error]>([
    ['TimeoutError', () => new DOMException('late', 'TimeoutError')],
    ['AbortError', () => new DOMException('stopped', 'AbortError')],
    ['TimeoutError of another class', () => Object.assign(new Error('late'), { name: 'TimeoutError' })],
    ['AbortError with a code', () => Object.assign(new Error('x'), { name: 'AbortError', code: 'ABORT_ERR' })],
  ])(
    'that ends its request by a signal of its own, with a %s, is HTTP_TIMEOUT without a warning',
    async (_name, of) => {
      const failing = async () => Promise.reject(of())
      const transport = makeTransport({ fetch: failing }, { resolve: PUBLIC })
      const url = 'https://mcp.example/token'
      const warnings = await processWarnings(async () => {
        expect(await rejection(transport.exchange({ url, method: 'POST' }))).toEqual({
          code: 'HTTP_TIMEOUT',
          outcome: 'unknown',
          details: { url, host: 'mcp.example', reason: 'fetchTimedOut' },
        })
      })
      expect(warnings).toEqual([])
    },
  )

  test('may reject with a value that is not an Error', async () => {
    // oxlint-disable-next-line prefer-promise-reject-errors -- a host may do so
    const transport = makeTransport({ fetch: async () => Promise.reject('no') }, { resolve: PUBLIC })
    const warnings = await processWarnings(async () => {
      expect(await rejection(transport.exchange({ url: 'https://mcp.example/', method: 'POST' }))).toMatchObject({
        code: 'HTTP_NETWORK',
        outcome: 'unknown',
      })
    })
    expect(warnings).toMatchObject([{ message: 'network.fetch() failed: no' }])
  })
})
