import { describe, expect, test } from 'vitest'
import { bodyOf, makeTransport, startServer } from './support.ts'

/** The error that names a header. */
function misuse(name: string): TypeError {
  const message = `fetch() cannot send the header ${name} as it is in this request: leave it out, or correct it`
  return Object.assign(new TypeError(message), { code: 'ERR_INVALID_ARG_VALUE' })
}

describe.each([
  ['undici', {}],
  ["the host's own fetch", { fetch }],
])('with %s, transport.fetch', (_client, network) => {
  test.each([
    ['expect', { expect: '100-continue' }],
    ['upgrade', { connection: 'upgrade', upgrade: 'h2c' }],
    ['connection', { connection: 'keep alive' }],
    ['keep-alive', { 'keep-alive': 'timeout=5' }],
    ['transfer-encoding', { 'transfer-encoding': 'chunked' }],
    ['content-length', { 'content-length': '999' }],
  ])('rejects a request with a wrong %s with a TypeError that names it, and sends nothing', async (name, headers) => {
    const server = await startServer((_request, response) => response.end())
    const request = new Request(server.origin, { method: 'POST', body: 'x', headers })
    const failed = makeTransport(network).fetch(request)
    await expect(failed).rejects.toThrow(misuse(name))
    expect(server.requests).toEqual([])
  })

  test('sends a request with the content-length of its body', async () => {
    const server = await startServer(async (request, response) => response.end(await bodyOf(request)))
    const request = new Request(server.origin, { method: 'POST', body: 'x', headers: { 'content-length': '1' } })
    expect(await (await makeTransport(network).fetch(request)).text()).toBe('x')
  })
})

test('transport.fetch rejects a streamed body of another size than its content-length with a TypeError', async () => {
  const server = await startServer((_request, response) => response.end())
  const body = new ReadableStream<Uint8Array>({
    async pull(controller) {
      await new Promise(setImmediate)
      controller.enqueue(Buffer.from('abc'))
      controller.close()
    },
  })
  const init = { method: 'POST', body, duplex: 'half', headers: { 'content-length': '2' } } as RequestInit
  await expect(makeTransport({}).fetch(new Request(server.origin, init))).rejects.toThrow(misuse('content-length'))
})
