import { once } from 'node:events'
import { createServer, type IncomingMessage, request as ask, type RequestListener } from 'node:http'
import { type ClientHttp2Session, connect as connectHttp2, createServer as createHttp2Server } from 'node:http2'
import { type AddressInfo, connect } from 'node:net'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { toNodeHandler } from '../../../src/adapters/node.ts'
import { AuthorizationError } from '../../../src/index.ts'
import { processWarnings } from '../../support/process-warnings.ts'
import { CLIENT, orchestrate, redirectOf, startWorld } from '../connection/world.ts'

/** The origin of a server, which ends with the test. */
async function listen(listener: RequestListener): Promise<string> {
  const server = createServer(listener).listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

const serve = (...args: Parameters<typeof toNodeHandler>): Promise<string> => listen(toNodeHandler(...args))

/** A session of HTTP/2 with a server that has this listener. */
async function sessionWith(listener: ReturnType<typeof toNodeHandler>): Promise<ClientHttp2Session> {
  const server = createHttp2Server()
  server.on('request', (incoming, outgoing) => listener(incoming as never, outgoing as never))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const session = connectHttp2(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
  onTestFinished(() => {
    session.destroy()
    server.close()
  })
  return session
}

describe('toNodeHandler', () => {
  test('toNodeHandler serves the callback of a browser over HTTP', async () => {
    const world = await startWorld()
    const orchestrator = orchestrate()
    const redirect = redirectOf(await orchestrator.connection({ tenant: 't1', server: world.server }).authorize())
    const [cookie = ''] = (orchestrator.redirectResponse(redirect).headers.get('set-cookie') ?? '').split(';', 1)
    const origin = await serve(orchestrator.handleCallback)
    const { pathname, search } = new URL(world.callback(redirect))
    const response = await fetch(origin + pathname + search, { headers: { cookie } })
    expect(response.status).toBe(200)
    expect(await response.text()).toContain('<title>You are signed in</title>')
    expect(response.headers.get('x-content-type-options')).toBe('nosniff')
  })

  test('toNodeHandler passes on method, URL, headers and body', async () => {
    const origin = await serve(async (request) =>
      Response.json(
        { method: request.method, url: request.url, header: request.headers.get('x-a'), body: await request.text() },
        { status: 201 },
      ),
    )
    const response = await fetch(`${origin}/a?b=c`, { method: 'POST', body: 'hello', headers: { 'x-a': '1' } })
    expect([response.status, await response.json()]).toEqual([
      201,
      { method: 'POST', url: `${origin}/a?b=c`, header: '1', body: 'hello' },
    ])
  })

  test('toNodeHandler sends each Set-Cookie header separately', async () => {
    const origin = await serve(async () => {
      const headers = new Headers()
      headers.append('set-cookie', 'a=1; Path=/')
      headers.append('set-cookie', 'b=2; Path=/')
      return new Response(null, { status: 204, headers })
    })
    expect((await fetch(origin)).headers.getSetCookie()).toEqual(['a=1; Path=/', 'b=2; Path=/'])
  })

  test('toNodeHandler prefers originalUrl and tolerates malformed URLs', async () => {
    const urls: string[] = []
    const handler = toNodeHandler(async (request) => {
      urls.push(request.url)
      return new Response('x')
    })
    const server = createServer((incoming, outgoing) => {
      handler(Object.assign(incoming, { originalUrl: `/mounted${incoming.url}` }), outgoing)
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    onTestFinished(() => {
      server.closeAllConnections()
      server.close()
    })
    const { port } = server.address() as AddressInfo
    await (await fetch(`http://127.0.0.1:${port}/a`)).text()
    expect(urls).toEqual([`http://127.0.0.1:${port}/mounted/a`])

    const origin = await serve(async (request) => new Response(new URL(request.url).pathname))
    const strange = (path: string): Promise<string> =>
      new Promise((resolve, reject) => {
        const { hostname, port: at } = new URL(origin)
        ask({ hostname, port: at, path, agent: false }, (incoming) => {
          let body = ''
          incoming.on('data', (chunk) => (body += chunk))
          incoming.on('end', () => resolve(body))
        })
          .on('error', reject)
          .end()
      })
    expect(await strange('//')).toBe('//')
    expect(await strange('http://[')).toBe('/')
  })

  test('toNodeHandler serves HTTP/2 and HTTP/1.0 requests without a Host header', async () => {
    const urls: string[] = []
    const handler = toNodeHandler(async (request) => {
      urls.push(request.url)
      return new Response(request.headers.get('x-a'), { headers: { 'x-b': '2' } })
    })
    const session = await sessionWith(handler)
    const stream = session.request({ ':path': '/a?b=c', 'x-a': '1' })
    const [headers] = (await once(stream, 'response')) as [Record<string, unknown>]
    expect([headers[':status'], headers['x-b'], Buffer.concat(await stream.toArray()).toString()]).toEqual([
      200,
      '2',
      '1',
    ])

    const { port } = new URL(await serve(async (request) => new Response(request.url)))
    const socket = connect(Number(port), '127.0.0.1')
    socket.end('GET /d HTTP/1.0\r\n\r\n')
    expect(Buffer.concat(await socket.toArray()).toString()).toMatch(/^HTTP\/1\.1 200 OK[^]*http:\/\/localhost\/d$/)
    expect(urls).toEqual(['http://localhost/a?b=c'])
  })

  test('toNodeHandler answers a method that no Request can have with a 405, without the handler', async () => {
    const handler = vi.fn(async () => new Response('x'))
    const onError = vi.fn()
    const listener = toNodeHandler(handler, { onError })
    const origin = await listen(listener)
    const asked = ask(origin, { method: 'TRACE' }).end()
    const [response] = (await once(asked, 'response')) as [IncomingMessage]
    expect([response.statusCode, response.headers.allow, await response.toArray()]).toEqual([405, 'GET', []])

    const session = await sessionWith(listener)
    for (const method of ['TRACE', 'TRACK', 'track']) {
      const [headers] = (await once(session.request({ ':method': method }).end(), 'response')) as [object]
      expect(headers).toMatchObject({ ':status': 405, allow: 'GET' })
    }
    expect([handler.mock.calls, onError.mock.calls]).toEqual([[], []])
  })

  test('toNodeHandler tolerates any Host header and ignores X-Forwarded-Host', async () => {
    const origin = await serve(async (request) => new Response(request.url))
    const { port } = new URL(origin)
    const asked = async (...lines: string[]): Promise<string> => {
      const socket = connect(Number(port), '127.0.0.1')
      socket.end(`${lines.join('\r\n')}\r\nConnection: close\r\n\r\n`)
      return (
        Buffer.concat(await socket.toArray())
          .toString()
          .split('\r\n\r\n')[1] ?? ''
      )
    }
    expect(await asked('GET /a?b=c HTTP/1.1', 'Host: not a host')).toBe('http://localhost/a?b=c')
    expect(await asked('GET /a?b=c HTTP/1.1', 'Host: user:pass@app.example')).toBe('http://app.example/a?b=c')
    expect(await asked('GET //evil.example/a?b=c HTTP/1.1', 'Host: app')).toBe('http://app//evil.example/a?b=c')
    expect(await asked('GET http://u:p@evil.example/a?b=c HTTP/1.1', 'Host: app')).toBe('http://app/a?b=c')
    expect(await asked('OPTIONS * HTTP/1.1', 'Host: app')).toBe('http://app/')
    expect(await asked('GET /a HTTP/1.1', 'Host: app', 'X-Forwarded-Host: evil', 'X-Forwarded-Proto: https')).toBe(
      'http://app/a',
    )
  })

  test('toNodeHandler passes the Node request to the handler, retains earlier headers and passes errors to next', async () => {
    const errors: unknown[] = []
    const handler = toNodeHandler(async (_request, { session }: IncomingMessage & { session: string }) => {
      if (session !== 'alice') throw new Error(session)
      return new Response(session, { headers: { 'set-cookie': 'b=2', 'x-a': 'new' } })
    })
    const server = createServer((incoming, outgoing) => {
      outgoing.setHeader('set-cookie', 'a=1')
      outgoing.setHeader('x-a', 'old')
      const next = (error: unknown): void => {
        errors.push(error)
        outgoing.writeHead(418).end()
      }
      handler(Object.assign(incoming, { session: incoming.url?.slice(1) ?? '' }), outgoing, next)
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    onTestFinished(() => {
      server.closeAllConnections()
      server.close()
    })
    const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    const response = await fetch(`${origin}/alice`)
    expect([await response.text(), response.headers.getSetCookie(), response.headers.get('x-a')]).toEqual([
      'alice',
      ['a=1', 'b=2'],
      'new',
    ])
    expect((await fetch(`${origin}/bob`)).status).toBe(418)
    expect(errors).toEqual([new Error('bob')])
  })
})

describe('an error of a handler', () => {
  /** What a browser gets, and what `onError` receives. */
  async function failing(handler: (request: Request) => Promise<Response>): Promise<[number, string, unknown[]]> {
    const errors: unknown[] = []
    const origin = await serve(handler, { onError: (error) => errors.push(error) })
    const response = await fetch(origin)
    return [response.status, await response.text(), errors]
  }

  test('is answered by a 500 without details, and onError receives it', async () => {
    const error = new Error('secret')
    expect(await failing(() => Promise.reject(error))).toEqual([500, 'Internal Server Error', [error]])
  })

  test('that is thrown while the response is written is answered and received as well', async () => {
    const error = new Error('secret')
    const broken = new ReadableStream({ pull: () => Promise.reject(error) })
    expect(await failing(async () => new Response(broken))).toEqual([500, 'Internal Server Error', [error]])
    expect(await failing(async () => Response.error())).toEqual([
      500,
      'Internal Server Error',
      [expect.objectContaining({ name: 'RangeError', code: 'ERR_HTTP_INVALID_STATUS_CODE' })],
    ])
    expect(await failing(async () => undefined as never)).toEqual([
      500,
      'Internal Server Error',
      [expect.objectContaining({ name: 'TypeError' })],
    ])
  })

  test.each([false, true])(
    'after the framework has begun the response itself (ended: %j) leaves that response as it is, and onError receives the error',
    async (isEnded) => {
      const errors: unknown[] = []
      const { promise: done, resolve } = Promise.withResolvers<void>()
      const onError = (error: unknown): void => {
        errors.push(error)
        resolve()
      }
      const handler = toNodeHandler(async () => new Response('late'), { onError })
      const origin = await listen((incoming, outgoing) => {
        outgoing.writeHead(504).write('too ')
        if (isEnded) outgoing.end('late')
        handler(incoming, outgoing)
        if (!isEnded) void done.then(() => outgoing.end('late'))
      })
      const response = await fetch(origin)
      expect([response.status, await response.text()]).toEqual([504, 'too late'])
      await done
      expect(errors).toEqual([expect.objectContaining({ code: 'ERR_HTTP_HEADERS_SENT' })])
    },
  )

  /** What `toNodeHandler` logs for what a handler throws, split into lines. */
  async function loggedOf(thrown: unknown): Promise<string[]> {
    const logged = vi.spyOn(console, 'error').mockImplementation(() => {})
    onTestFinished(() => logged.mockRestore())
    // oxlint-disable-next-line typescript/prefer-promise-reject-errors -- hosts may throw anything
    expect((await fetch(await serve(() => Promise.reject(thrown)))).status).toBe(500)
    const lines = logged.mock.calls.map((values) => values.join(' ').split('\n'))
    expect(lines).toHaveLength(1)
    return lines.flat()
  }

  test('is logged without onError: an AuthorizationError with its message, invisible characters escaped', async () => {
    const expected = 'a\n\u202E\u2028b'
    const [head, ...frames] = await loggedOf(new AuthorizationError({ code: 'CLOSED', details: { expected } }))
    expect(head).toBe(
      String.raw`toNodeHandler: a request failed: AuthorizationError CLOSED: the orchestrator is closed (expected "a\n\u202e\u2028b")`,
    )
    expect(frames[0]).toMatch(/^ {4}at .*node\.test\.ts:\d+:\d+\)?$/)
  })

  test.each<[string, unknown, string]>([
    ['a query', new Error('cannot read https://h/cb?code=SECRET&state=x now'), 'Error'],
    ['a query without a URL', new TypeError('code=SECRET&state=x'), 'TypeError'],
    ['a fragment', new Error('https://h/cb#access_token=SECRET'), 'Error'],
    ['an encoded URL', new Error('https%3A%2F%2Fh%2Fcb%3Fcode%3DSECRET'), 'Error'],
    ['several lines', new Error('first\n    at https://h/cb?code=SECRET\n    at SECRET\u001B[31m'), 'Error'],
    ['a name', Object.assign(new Error('x'), { name: 'code=SECRET' }), 'Error'],
    ['a code', Object.assign(new Error('x'), { code: 'SECRET' }), 'Error'],
    ['a code of Node', Object.assign(new Error('SECRET'), { code: 'ECONNREFUSED' }), 'Error ECONNREFUSED'],
    ['a code of undici', Object.assign(new Error('SECRET'), { code: 'UND_ERR_SOCKET' }), 'Error UND_ERR_SOCKET'],
    ['a cause', new Error('x', { cause: new Error('SECRET') }), 'Error'],
    ['no message', new RangeError(), 'RangeError'],
  ])('is logged without onError by what cannot be a secret: %s', async (_, error, expected) => {
    const [head, ...frames] = await loggedOf(error)
    expect(head).toBe(`toNodeHandler: a request failed: ${expected}`)
    expect(frames[0]).toMatch(/^ {4}at .*node\.test\.ts:\d+:\d+\)?$/)
    expect(frames.join()).not.toContain('SECRET')
  })

  test.each<[unknown, string]>([
    [Object.assign(new Error('old'), { message: 'new', stack: 'Error: SECRET\n    at SECRET' }), 'Error'],
    [Object.assign(new Error('x'), { stack: 'Error: x\n    at /cb?code=SECRET:1:1' }), 'Error'],
    ['code=SECRET', 'a thrown string'],
    [null, 'a thrown object'],
    [{ toString: () => 'SECRET' }, 'a thrown object'],
  ])(
    'is logged without onError and without frames if there are none, or none that are plain: %#',
    async (thrown, head) => {
      expect(await loggedOf(thrown)).toEqual([`toNodeHandler: a request failed: ${head}`])
    },
  )

  test('that next() throws on reaches onError, and an onError that throws is a process warning', async () => {
    const errors: unknown[] = []
    const [first, second] = [new Error('of the handler'), new Error('of next')]
    const { promise: done, resolve } = Promise.withResolvers<void>()
    const onError = (error: unknown): void => {
      errors.push(error)
      resolve()
      throw new Error('of onError')
    }
    const handler = toNodeHandler(() => Promise.reject(first), { onError })
    const warnings = await processWarnings(async () => {
      handler({ headers: {} } as never, {} as never, () => {
        throw second
      })
      await done
    })
    expect(errors).toEqual([second])
    expect(warnings).toEqual([
      { name: 'AuthchartWarning', code: 'AUTHCHART_CALLBACK_FAILED', message: 'onError() failed: of onError' },
    ])
  })

  test('a wrong onError and an unknown option make toNodeHandler throw a TypeError that names it', () => {
    const handler = async (): Promise<Response> => new Response()
    expect(() => toNodeHandler(handler, { onError: 'x' } as never)).toThrow(
      expect.objectContaining({ name: 'TypeError', message: 'toNodeHandler().onError must be of type Function' }),
    )
    expect(() => toNodeHandler(handler, { log: 1 } as never)).toThrow(
      expect.objectContaining({ name: 'TypeError', message: 'toNodeHandler().log is not a known option' }),
    )
  })
})

describe('a handler that is mounted without toNodeHandler', () => {
  test.each(['handleCallback', 'handleClientMetadata'] as const)(
    '%s() rejects with a TypeError that says how to mount it, and works when that is done',
    async (name) => {
      const orchestrator = orchestrate({ client: { ...CLIENT, metadataUrl: 'https://app.example/client.json' } })
      const handler: (request: never) => Promise<Response> = orchestrator[name]
      const message = `${name}() needs a Request of the Fetch API: with node:http, Express or Fastify, mount toNodeHandler(orchestrator.${name}), of 'authchart/node'`
      const fastify = { raw: {}, headers: { host: 'app.example' }, url: '/', method: 'GET' }
      for (const request of [fastify, { ...fastify, get() {} }, undefined])
        await expect(handler(request as never)).rejects.toThrow(
          expect.objectContaining({ name: 'TypeError', message, code: 'ERR_INVALID_ARG_TYPE' }),
        )
      const { promise: rejected, resolve } = Promise.withResolvers<unknown>()
      const wrong = await listen((incoming, outgoing) => {
        handler(incoming as never).catch((error: unknown) => outgoing.end(() => resolve(error)))
      })
      await fetch(wrong)
      expect(await rejected).toMatchObject({ name: 'TypeError', message })
      const right = await serve(orchestrator[name])
      expect((await fetch(`${right}/?error=access_denied`)).status).toBe(name === 'handleCallback' ? 404 : 200)
    },
  )
})
