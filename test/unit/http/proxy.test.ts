import { request as forward } from 'node:http'
import { createServer, type IncomingMessage, type Server } from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import { type AddressInfo, connect, createServer as createTcpServer, type Socket } from 'node:net'
import { once } from 'node:events'
import { getCACertificates, setDefaultCACertificates } from 'node:tls'
import { afterEach, describe, expect, onTestFinished, test, vi } from 'vitest'
import { systemClock } from '../../../src/clock.ts'
import { cert, key } from './certificate.ts'
import { bodyOf, makeTransport, rejection, startRawServer, startServer } from './support.ts'

const known = getCACertificates('default')
afterEach(() => setDefaultCACertificates(known))

/** A proxy that knows one machine under every name: this one. */
async function startProxy(
  options: { refuseWith?: number; hangUp?: boolean; silent?: boolean; secure?: boolean; onTunnel?: () => void } = {},
) {
  const { refuseWith, hangUp, silent, secure } = options
  const asked: { method: string; target: string; authorization: string | undefined }[] = []
  const sockets: Socket[] = []
  const note = (request: IncomingMessage): void => {
    const { method = '', url: target = '', headers } = request
    asked.push({ method, target, authorization: headers['proxy-authorization'] })
  }
  const server: Server = secure === true ? createSecureServer({ cert, key }) : createServer()
  server.on('request', (request: IncomingMessage, response) => {
    note(request)
    if (refuseWith !== undefined) {
      response.writeHead(refuseWith).end('rejected')
      return
    }
    const { port, pathname, search } = new URL(request.url ?? '')
    const { method, headers } = request
    request.pipe(
      forward({ host: '127.0.0.1', port, path: pathname + search, method, headers }, (answer) => {
        response.writeHead(answer.statusCode ?? 0, answer.headers)
        answer.pipe(response)
      }),
    )
  })
  server.on('connect', (request: IncomingMessage, socket: Socket) => {
    note(request)
    sockets.push(socket)
    socket.on('error', () => undefined)
    if (silent === true) return
    if (hangUp === true) {
      socket.destroy()
      return
    }
    if (refuseWith !== undefined) {
      socket.end(`HTTP/1.1 ${refuseWith} Refused\r\ncontent-length: 0\r\n\r\n`)
      return
    }
    const [, port = ''] = (request.url ?? '').split(':')
    const upstream = connect(Number(port), '127.0.0.1', () => {
      options.onTunnel?.()
      socket.write('HTTP/1.1 200 Connection Established\r\n\r\n')
      upstream.pipe(socket).pipe(upstream)
    })
    sockets.push(upstream)
    upstream.on('error', () => socket.destroy())
  })
  server.on('connection', (socket: Socket) => sockets.push(socket))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  return {
    asked,
    url: (credentials = '') =>
      secure === true ? `https://${credentials}localhost:${port}` : `http://${credentials}127.0.0.1:${port}`,
  }
}

/** Nobody but the proxy resolves names. */
const resolve = async (name: string): Promise<never> => Promise.reject(new Error(`asked for ${name}`))

describe('a transport with a proxy', () => {
  test.each([false, true])('sends https through a CONNECT tunnel (proxy over TLS: %s)', async (secure) => {
    setDefaultCACertificates([cert])
    const proxy = await startProxy({ secure })
    const server = await startServer(
      async (request, response) => response.end(`${request.headers['proxy-authorization']} ${await bodyOf(request)}`),
      { secure: true },
    )
    const host = `secure.example.test:${server.port}`
    const transport = makeTransport({ allow: [], proxy: proxy.url('user:p%40ss@') }, { resolve })
    expect((await transport.exchange({ url: `https://${host}/a`, method: 'POST', body: 'x' })).text).toBe('undefined x')
    expect((await transport.exchange({ url: `https://${host}/b`, method: 'GET' })).text).toBe('undefined ')
    expect(await (await transport.fetch(new Request(`https://${host}/c`))).text()).toBe('undefined ')
    const authorization = `Basic ${Buffer.from('user:p@ss').toString('base64')}`
    expect(proxy.asked.slice(0, 2)).toEqual([
      { method: 'CONNECT', target: host, authorization },
      { method: 'CONNECT', target: host, authorization },
    ])
  })

  test('opens a new tunnel for each POST', async () => {
    setDefaultCACertificates([cert])
    const proxy = await startProxy()
    const server = await startServer((_request, response) => response.end('x'), { secure: true })
    const transport = makeTransport({ allow: [], proxy: proxy.url() }, { resolve })
    const url = `https://secure.example.test:${server.port}/`
    for (let round = 1; round <= 3; round += 1) {
      await transport.exchange({ url, method: 'POST', body: 'x' })
      expect(proxy.asked).toHaveLength(round)
    }
  })

  test('sends plain http to the proxy itself when the name is allow-listed', async () => {
    const proxy = await startProxy()
    const server = await startServer((request, response) => response.end(`${request.headers.host} ${request.url}`))
    const host = `mcp.internal:${server.port}`
    const transport = makeTransport({ allow: ['mcp.internal', '10.0.0.0/8'], proxy: proxy.url() }, { resolve })
    expect((await transport.exchange({ url: `http://${host}/a?b=c`, method: 'POST' })).text).toBe(`${host} /a?b=c`)
    expect(proxy.asked).toEqual([{ method: 'POST', target: `http://${host}/a?b=c`, authorization: undefined }])
    expect((await rejection(transport.exchange({ url: 'http://other.internal/', method: 'GET' }))).code).toBe(
      'INSECURE_ENDPOINT',
    )
  })

  test.each([
    'https://127.0.0.1/',
    'https://0x7f.1/',
    'https://[::1]/',
    'https://169.254.169.254/latest/meta-data',
    'https://localhost/',
    'https://LOCALHOST./',
    'https://a.localhost/',
    'https://localhost../',
    'https://localhost.localdomain/',
    'https://localhost6.localdomain6/',
    'https://metadata.goog/',
    'https://ip6-localhost/',
    'https://ip6-loopback/',
    'https://metadata/',
    'https://instance-data/',
    'https://metadata.google.internal/',
    'https://METADATA.Google.Internal./',
    'https://metadata.google.internal../',
    'https://printer.local/',
    'https://router.home.arpa/',
    'https://kubernetes.default.svc/',
    'https://wiki.corp/',
    'https://a..example.com/',
  ])('rejects %s without a request to the proxy', async (url) => {
    const proxy = await startProxy()
    const transport = makeTransport({ allow: [], proxy: proxy.url() }, { resolve })
    expect(await rejection(transport.exchange({ url, method: 'POST' }))).toMatchObject({
      code: 'ADDRESS_FORBIDDEN',
      outcome: 'notSent',
    })
    expect(proxy.asked).toEqual([])
  })

  test.each(['as.internal', 'as'])('leaves the allow-listed name %s to the proxy', async (name) => {
    setDefaultCACertificates([cert])
    const proxy = await startProxy()
    const server = await startServer((_request, response) => response.end('here'), { secure: true })
    const url = `https://${name}:${server.port}/`
    const transport = makeTransport({ allow: [name], proxy: proxy.url() }, { resolve })
    await rejection(transport.exchange({ url, method: 'GET' }))
    expect(proxy.asked.at(-1)?.target).toBe(`${name}:${server.port}`)
    expect(await rejection(makeTransport({ proxy: proxy.url() }).exchange({ url, method: 'GET' }))).toMatchObject({
      code: 'ADDRESS_FORBIDDEN',
      details: { allow: `${name}:${server.port}` },
    })
  })

  test('leaves an allow-listed address to the proxy', async () => {
    const proxy = await startProxy()
    const server = await startServer((_request, response) => response.end('here'))
    const transport = makeTransport({ allow: ['127.0.0.1'], proxy: proxy.url() }, { resolve })
    expect((await transport.exchange({ url: server.origin, method: 'GET' })).text).toBe('here')
  })

  test.each([403, 407, 502])('reports outcome notSent when the proxy rejects the tunnel with %s', async (status) => {
    const proxy = await startProxy({ refuseWith: status })
    const transport = makeTransport({ allow: [], proxy: proxy.url('user:secret@') }, { resolve })
    for (const method of ['GET', 'POST'] as const) {
      expect(await rejection(transport.exchange({ url: 'https://mcp.example/a?b', method }))).toEqual({
        code: 'HTTP_NETWORK',
        outcome: 'notSent',
        details: {
          url: 'https://mcp.example/a',
          host: 'mcp.example',
          reason: status === 407 ? 'proxyAuthentication' : 'proxyRefused',
          status,
        },
      })
    }
  })

  test('reports outcome notSent when the proxy rejects plain http with 407', async () => {
    const proxy = await startProxy({ refuseWith: 407 })
    const transport = makeTransport({ allow: ['mcp.internal'], proxy: proxy.url() }, { resolve })
    expect(await rejection(transport.exchange({ url: 'http://mcp.internal/', method: 'POST' }))).toEqual({
      code: 'HTTP_NETWORK',
      outcome: 'notSent',
      details: { url: 'http://mcp.internal/', host: 'mcp.internal', reason: 'proxyAuthentication', status: 407 },
    })
  })

  test('does not read the body of a 407 to plain http, which may have no end', async () => {
    const server = createTcpServer()
    let closed = 0
    server.on('connection', (socket) => {
      const send = (): void => {
        while (!socket.destroyed && socket.write(Buffer.alloc(65_536)));
      }
      socket.once('data', () => {
        socket.write('HTTP/1.1 407 Proxy Authentication Required\r\n\r\n')
        send()
      })
      socket.on('drain', send)
      socket.on('error', () => undefined)
      socket.once('close', () => (closed += 1))
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    onTestFinished(() => void server.close())
    const { port } = server.address() as AddressInfo
    const transport = makeTransport({ allow: ['mcp.internal'], proxy: `http://127.0.0.1:${port}` }, { resolve })
    expect(await rejection(transport.exchange({ url: 'http://mcp.internal/', method: 'GET' }))).toMatchObject({
      details: { reason: 'proxyAuthentication' },
    })
    await vi.waitFor(() => expect(closed).toBe(1))
    await transport.close()
  })

  test('reports outcome notSent when the proxy hangs up or does not listen', async () => {
    const proxy = await startProxy({ hangUp: true })
    const transport = makeTransport({ allow: [], proxy: proxy.url() }, { resolve })
    expect(await rejection(transport.exchange({ url: 'https://mcp.example/', method: 'POST' }))).toMatchObject({
      code: 'HTTP_NETWORK',
      outcome: 'notSent',
    })
    expect(proxy.asked).toHaveLength(1)
  })

  test.each(['https://mcp.example/a', 'http://mcp.internal/a'])(
    'names the proxy, without its credentials, that is down, has no address, or speaks another protocol (%s)',
    async (url) => {
      const closed = await startServer(() => undefined)
      closed.server.close()
      const plain = await startRawServer((socket) => socket.end('220 mail.example\r\n'))
      const hosts = [`127.0.0.1:${closed.port}`, 'proxy.invalid:3128', ...(url.startsWith('https') ? [plain.host] : [])]
      for (const host of hosts) {
        const proxy = `http://user:secret@${host}`
        const transport = makeTransport({ allow: ['mcp.internal'], proxy }, { resolve })
        for (const method of ['GET', 'POST'] as const)
          expect(await rejection(transport.exchange({ url, method }))).toEqual({
            code: 'HTTP_NETWORK',
            outcome: 'notSent',
            details: { url, host, reason: 'proxyUnavailable' },
          })
      }
    },
  )

  test('names the proxy that does not open a tunnel within the timeout, for each request and port', async () => {
    const proxy = await startProxy({ silent: true })
    const network = { allow: [], proxy: proxy.url(), timeoutMs: 100 }
    const transport = makeTransport(network, { resolve })
    const patient = makeTransport({ ...network, timeoutMs: 600_000 }, { resolve })
    const hasty = makeTransport({ ...network, timeoutMs: 600_000, headersTimeoutMs: 50 }, { resolve })
    const { host } = new URL(proxy.url())
    for (const url of ['https://mcp.example/', 'https://mcp.example:8443/'])
      for (const request of [
        () => transport.exchange({ url, method: 'GET' }),
        () => transport.exchange({ url, method: 'POST' }),
        () => transport.fetch(new Request(url)),
        () => hasty.fetch(new Request(url)),
      ])
        expect(await rejection(request())).toEqual({
          code: 'HTTP_NETWORK',
          outcome: 'notSent',
          details: { url, host, reason: 'proxyUnavailable' },
        })
    const caller = new AbortController()
    const aborted = rejection(patient.fetch(new Request('https://patient.example/'), caller.signal))
    await vi.waitFor(() => expect(proxy.asked.at(-1)?.target).toBe('patient.example:443'))
    caller.abort()
    expect((await aborted).code).toBe('ABORTED')
  })

  test('does not blame the proxy for a server that is silent behind its tunnel', async () => {
    const server = await startRawServer(() => undefined)
    const proxy = await startProxy()
    const transport = makeTransport({ allow: [], proxy: proxy.url(), timeoutMs: 100 }, { resolve })
    const url = `https://mcp.example:${server.host.split(':')[1]}/`
    expect(await rejection(transport.exchange({ url, method: 'GET' }))).toMatchObject({
      code: 'HTTP_TIMEOUT',
      outcome: 'notSent',
    })
  })

  test('reports outcome notSent for an untrusted certificate of the server behind the tunnel or of the proxy', async () => {
    const server = await startServer((_request, response) => response.end(), { secure: true })
    for (const secure of [false, true]) {
      const proxy = await startProxy({ secure })
      const transport = makeTransport({ allow: [], proxy: proxy.url() }, { resolve })
      const url = `https://secure.example.test:${server.port}/`
      expect(await rejection(transport.exchange({ url, method: 'POST' }))).toMatchObject({
        code: 'HTTP_NETWORK',
        outcome: 'notSent',
        details: secure ? { host: new URL(proxy.url()).host, reason: 'proxyUnavailable' } : { reason: 'certificate' },
      })
    }
    expect(server.requests).toEqual([])
  })

  test('checks the send deadline after the tunnel is open', async () => {
    setDefaultCACertificates([cert])
    const server = await startServer((_request, response) => response.end(), { secure: true })
    let monotonic = 0
    const onTunnel = (): void => {
      monotonic = 100
    }
    const proxy = await startProxy({ onTunnel })
    const clock = { ...systemClock, monotonic: () => monotonic }
    const transport = makeTransport({ allow: [], proxy: proxy.url() }, { resolve, clock })
    const url = `https://secure.example.test:${server.port}/`
    expect(await rejection(transport.exchange({ url, method: 'POST', sendBefore: 50 }))).toMatchObject({
      outcome: 'notSent',
      details: { reason: 'leaseTooShort' },
    })
    expect(proxy.asked).toHaveLength(1)
    expect(server.requests).toEqual([])
  })

  test('sends a POST once and reports outcome unknown when the server resets after reading', async () => {
    setDefaultCACertificates([cert])
    const server = await startServer(
      async (request) => {
        await bodyOf(request)
        request.socket.destroy()
      },
      { secure: true },
    )
    const proxy = await startProxy()
    const transport = makeTransport({ allow: [], proxy: proxy.url() }, { resolve })
    const url = `https://secure.example.test:${server.port}/`
    expect(await rejection(transport.exchange({ url, method: 'POST', body: 'x' }))).toMatchObject({
      code: 'HTTP_NETWORK',
      outcome: 'unknown',
    })
    expect(server.requests).toHaveLength(1)
  })
})
