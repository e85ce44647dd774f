import { describe, expect, test, vi } from 'vitest'
import type { NetworkOptions } from '../../../src/http/network-options.ts'
import { makeTransport, rejection, startServer } from './support.ts'

/** A stream that has one chunk, or none, and never ends. */
function endless(chunk?: string) {
  const cancel = vi.fn()
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      if (chunk !== undefined) controller.enqueue(Buffer.from(chunk))
    },
    cancel,
  })
  return { body, cancel }
}

const post = (url: string, body: ReadableStream, signal: AbortSignal | null = null): Request =>
  new Request(url, { method: 'POST', body, duplex: 'half', signal } as RequestInit)

const notFound = async () => Promise.reject(Object.assign(new Error('no such name'), { code: 'ENOTFOUND' }))
const unanswered = () => new Promise<never>(() => undefined)

describe.each<[string, NetworkOptions]>([
  ['undici', {}],
  ["the host's own fetch", { fetch: globalThis.fetch }],
])('a streamed request body sent with %s', (_sender, network) => {
  test.each<[string, string, Parameters<typeof makeTransport>[1]]>([
    ['a name that does not resolve', 'https://nowhere.example/', { resolve: notFound }],
    ['a name without an address', 'https://nowhere.example/', { resolve: async () => [] }],
    ['an address that is not allowed', 'https://10.0.0.1/', {}],
    [
      'a name of an address that is not allowed',
      'https://inside.example/',
      { resolve: async () => [{ address: '10.0.0.1', family: 4 }] },
    ],
    ['http where it is not allowed', 'http://mcp.example/', { resolve: notFound }],
    ['credentials in the URL', 'https://127.0.0.1/', {}],
  ])('transport.fetch cancels it for %s', async (name, url, options) => {
    for (const chunk of [undefined, 'part']) {
      const { body, cancel } = endless(chunk)
      const request = post(url, body)
      if (name.startsWith('credentials'))
        Object.defineProperty(request, 'url', { value: url.replace('//', '//user:secret@') })
      expect((await rejection(makeTransport(network, options).fetch(request))).outcome).toBe('notSent')
      await vi.waitFor(() => expect(cancel).toHaveBeenCalledTimes(1))
    }
  })

  test('transport.fetch cancels it when the transport is closed', async () => {
    const transport = makeTransport(network)
    await transport.close()
    const { body, cancel } = endless()
    expect(await rejection(transport.fetch(post('http://127.0.0.1/', body)))).toMatchObject({ code: 'CLOSED' })
    await vi.waitFor(() => expect(cancel).toHaveBeenCalledTimes(1))
  })

  test('transport.fetch cancels it when the signal is aborted before, and while the name is resolved', async () => {
    const early = endless()
    const transport = makeTransport(network, { resolve: unanswered })
    const aborted = transport.fetch(post('https://slow.example/', early.body, AbortSignal.abort()))
    expect(await rejection(aborted)).toMatchObject({ code: 'ABORTED', outcome: 'notSent' })
    await vi.waitFor(() => expect(early.cancel).toHaveBeenCalledTimes(1))

    const resolving = Promise.withResolvers<void>()
    const resolve = () => {
      resolving.resolve()
      return unanswered()
    }
    const late = endless('part')
    const controller = new AbortController()
    const sent = rejection(
      makeTransport(network, { resolve }).fetch(post('https://slow.example/', late.body, controller.signal)),
    )
    await resolving.promise
    controller.abort()
    expect(await sent).toMatchObject({ code: 'ABORTED', outcome: 'notSent' })
    await vi.waitFor(() => expect(late.cancel).toHaveBeenCalledTimes(1))
  })

  test('transport.fetch cancels it when nobody listens, and when the server hangs up in the middle', async () => {
    const server = await startServer((request) => void request.once('data', () => request.socket.destroy()))
    const sent = endless('part')
    expect((await rejection(makeTransport(network).fetch(post(server.origin, sent.body)))).code).toBe('HTTP_NETWORK')
    await vi.waitFor(() => expect(sent.cancel).toHaveBeenCalledTimes(1))

    const closed = await startServer(() => undefined)
    closed.server.close()
    const refused = endless()
    expect((await rejection(makeTransport(network).fetch(post(closed.origin, refused.body)))).outcome).toBe('notSent')
    await vi.waitFor(() => expect(refused.cancel).toHaveBeenCalledTimes(1))
  })

  test('transport.fetch cancels it when its caller cancels the response first', async () => {
    const server = await startServer((request, response) => {
      request.on('error', () => undefined)
      response.writeHead(401).write('no')
    })
    const { body, cancel } = endless('part')
    const response = await makeTransport(network).fetch(post(server.origin, body))
    await response.body?.cancel()
    await vi.waitFor(() => expect(cancel).toHaveBeenCalledTimes(1))
  })
})

test('transport.fetch reports its own failure when the body cannot be cancelled', async () => {
  const body = new ReadableStream({
    cancel() {
      throw new Error('secret')
    },
  })
  expect(await rejection(makeTransport().fetch(post('https://10.0.0.1/', body)))).toMatchObject({
    code: 'ADDRESS_FORBIDDEN',
    outcome: 'notSent',
  })
})
