import { describe, expect, test, vi } from 'vitest'
import { startServer } from '../http/support.ts'
import { orchestrate, rejection } from './world.ts'

/** A body of one chunk that never ends, as a caller may hand it over. */
const BODIES: readonly [string, (cancel: () => void) => BodyInit][] = [
  [
    'a ReadableStream',
    (cancel) =>
      new ReadableStream({
        start(controller) {
          controller.enqueue(Buffer.from('part'))
        },
        cancel,
      }),
  ],
  [
    'an async iterable',
    (cancel) => {
      const chunks = [{ done: false, value: Buffer.from('part') }]
      const iterator = {
        next: async () => chunks.shift() ?? (await new Promise(() => undefined)),
        return: async () => {
          cancel()
          return { done: true, value: undefined }
        },
      }
      return { [Symbol.asyncIterator]: () => iterator } as never
    },
  ],
]

/** A connection with a token that was imported, so that nothing has been sent to its server. */
async function importedTo(server: string, orchestrator = orchestrate()) {
  const connection = orchestrator.connection({ tenant: 't1', server })
  await connection.import({ tokens: { accessToken: 'imported' } })
  return { orchestrator, fetch: connection.fetch }
}

describe.each(BODIES)('connection.fetch with %s as the body', (_kind, bodyOf) => {
  /** Sends it, and returns the failure once the body was cancelled. */
  async function failureOf(
    fetch: (input: string | Request, init?: RequestInit) => Promise<Response>,
    url: string,
    options: RequestInit & { inRequest?: boolean } = {},
  ): Promise<unknown> {
    const { inRequest = false, ...rest } = options
    const cancel = vi.fn()
    const init = { method: 'POST', body: bodyOf(cancel), duplex: 'half', ...rest } as RequestInit
    const failure = await rejection(inRequest ? fetch(new Request(url, init)) : fetch(url, init))
    await vi.waitFor(() => expect(cancel).toHaveBeenCalledTimes(1))
    return failure
  }

  test.each([
    ['init', false],
    ['a Request', true],
  ])('connection.fetch cancels a body in %s when there is no token', async (_where, inRequest) => {
    const orchestrator = orchestrate({ policy: { unauthenticatedRequests: 'never' } })
    const { fetch } = orchestrator.connection({ tenant: 't1', server: 'http://127.0.0.1:9/mcp' })
    expect(await failureOf(fetch, 'http://127.0.0.1:9/mcp', { inRequest })).toMatchObject({
      failure: { code: 'AUTHORIZATION_REQUIRED' },
    })
  })

  test('connection.fetch without a token cancels the body when the server cannot be reached, or responds with a 401 before reading it', async () => {
    const { origin } = await startServer((request, response) => {
      request.on('error', () => undefined)
      response.writeHead(401).end()
    })
    for (const [server, code] of [
      ['http://127.0.0.1:9', 'HTTP_NETWORK'],
      [origin, 'AUTHORIZATION_REQUIRED'],
    ] as const) {
      const { fetch } = orchestrate().connection({ tenant: 't1', server })
      expect(await failureOf(fetch, server)).toMatchObject({ failure: { code } })
    }
  })

  test('connection.fetch cancels the body when the orchestrator is closed', async () => {
    const { fetch, orchestrator } = await importedTo('http://127.0.0.1:9/mcp')
    await orchestrator.close()
    expect(await failureOf(fetch, 'http://127.0.0.1:9/mcp')).toMatchObject({ failure: { code: 'CLOSED' } })
  })

  test('connection.fetch cancels the body when the URL has another origin', async () => {
    const { fetch } = await importedTo('http://127.0.0.1:9/mcp')
    expect(await failureOf(fetch, 'http://127.0.0.1:10/mcp')).toMatchObject({ name: 'TypeError' })
  })

  test('connection.fetch cancels the body when the signal has already aborted', async () => {
    const { fetch } = await importedTo('http://127.0.0.1:9/mcp')
    expect(await failureOf(fetch, '/mcp', { signal: AbortSignal.abort() })).toMatchObject({
      failure: { code: 'ABORTED' },
    })
  })

  test('connection.fetch cancels the body when the address is not allowed', async () => {
    const { fetch } = await importedTo('https://10.0.0.1/mcp')
    expect(await failureOf(fetch, '/mcp')).toMatchObject({ failure: { code: 'ADDRESS_FORBIDDEN' } })
  })

  test('connection.fetch cancels the body when the server closes the connection', async () => {
    const { origin } = await startServer((request) => request.socket.destroy())
    const { fetch } = await importedTo(origin)
    expect(await failureOf(fetch, '/mcp')).toMatchObject({ failure: { code: 'HTTP_NETWORK' } })
  })

  test("connection.fetch cancels the body when the server responds with a 401, or with a redirect for redirect: 'error', before reading it", async () => {
    const { origin } = await startServer((request, response) => {
      request.on('error', () => undefined)
      response.writeHead(request.url === '/old' ? 307 : 401, { location: '/mcp' }).end()
    })
    const { fetch } = await importedTo(origin)
    expect(await failureOf(fetch, '/mcp')).toMatchObject({ failure: { code: 'AUTHORIZATION_REQUIRED' } })
    const { fetch: again } = await importedTo(origin)
    expect(await failureOf(again, '/old', { redirect: 'error' })).toMatchObject({ name: 'TypeError' })
  })
})
