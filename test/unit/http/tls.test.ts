import { getCACertificates, setDefaultCACertificates } from 'node:tls'
import { afterEach, describe, expect, test } from 'vitest'
import { cert } from './certificate.ts'
import { bodyOf, makeTransport, rejection, startServer } from './support.ts'
import { verifies } from '../../support/verifies.ts'

const known = getCACertificates('default')
afterEach(() => setDefaultCACertificates(known))

const resolve = async () => [{ address: '127.0.0.1', family: 4 }]

describe('an https request', () => {
  test('connects to the pinned address with the requested host name', async () => {
    setDefaultCACertificates([cert])
    const server = await startServer(
      async (request, response) => response.end(`${request.headers.host} ${await bodyOf(request)}`),
      {
        secure: true,
      },
    )
    const host = `secure.example.test:${server.port}`
    const transport = makeTransport({}, { resolve })
    expect((await transport.exchange({ url: `https://${host}/`, method: 'POST', body: 'x' })).text).toBe(`${host} x`)
    expect((await transport.exchange({ url: `https://${host}/`, method: 'GET' })).text).toBe(`${host} `)
    expect(await (await transport.fetch(new Request(`https://${host}/`))).text()).toBe(`${host} `)
  })

  test.each(['GET', 'POST'] as const)('to a server with an untrusted certificate is not sent (%s)', async (method) => {
    const server = await startServer((_request, response) => response.end(), { secure: true })
    const host = `secure.example.test:${server.port}`
    expect(
      await rejection(makeTransport({}, { resolve }).exchange({ url: `https://${host}/x?y`, method, body: undefined })),
    ).toEqual({
      code: 'HTTP_NETWORK',
      outcome: 'notSent',
      details: { url: `https://${host}/x`, host, reason: 'certificate' },
    })
    expect(server.requests).toEqual([])
  })

  test('to a server that speaks plain http is not sent, and fails with the reason tls', async () => {
    const server = await startServer((_request, response) => response.end())
    const url = `https://127.0.0.1:${server.port}/`
    expect(await rejection(makeTransport().exchange({ url, method: 'POST' }))).toMatchObject({
      code: 'HTTP_NETWORK',
      outcome: 'notSent',
      details: { url, reason: 'tls' },
    })
    expect(server.requests).toEqual([])
  })

  test(
    'to a server with a certificate of another name is not sent',
    verifies(147, async () => {
      setDefaultCACertificates([cert])
      const server = await startServer((_request, response) => response.end(), { secure: true })
      const host = `other.example.test:${server.port}`
      expect(
        await rejection(makeTransport({}, { resolve }).exchange({ url: `https://${host}/`, method: 'POST' })),
      ).toEqual({
        code: 'HTTP_NETWORK',
        outcome: 'notSent',
        details: { url: `https://${host}/`, host, reason: 'certificate' },
      })
      expect(server.requests).toEqual([])
    }),
  )

  test('follows a redirect to https, and none to plain http, even of a listed host', async () => {
    setDefaultCACertificates([cert])
    const plain = await startServer((_request, response) => response.end('plain'))
    const server = await startServer(
      (request, response) => {
        if (request.url === '/moved') return response.end('moved')
        return response.writeHead(302, { location: request.url === '/a' ? '/moved' : `${plain.origin}/` }).end()
      },
      { secure: true },
    )
    const host = `secure.example.test:${server.port}`
    const get = (path: string) =>
      makeTransport({}, { resolve }).exchange({ url: `https://${host}${path}`, method: 'GET', maxRedirects: 3 })
    expect((await get('/a')).text).toBe('moved')
    expect(await rejection(get('/b'))).toEqual({
      code: 'TOO_MANY_REDIRECTS',
      outcome: 'unknown',
      details: { url: `https://${host}/b`, host, status: 302 },
    })
    expect(plain.requests).toEqual([])
  })
})
