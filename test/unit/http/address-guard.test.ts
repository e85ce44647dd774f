import type { LookupAddress } from 'node:dns'
import { describe, expect, test, vi } from 'vitest'
import type { PortError } from '../../../src/errors/port-error.ts'
import { type AddressGuard, createAddressGuard, destinationOf } from '../../../src/http/address-guard.ts'
import { createAllowList, parseAllowEntry } from '../../../src/http/allow-list.ts'
import { makeTransport, rejection, startServer } from './support.ts'
import { verifies } from '../../support/verifies.ts'

const v4 = (address: string): LookupAddress => ({ address, family: 4 })
const v6 = (address: string): LookupAddress => ({ address, family: 6 })
const PUBLIC = v4('93.184.216.34')

describe('the transport', () => {
  test.each([
    'ftp://as.example/x',
    'file:///etc/passwd',
    'data:text/plain,x',
    'javascript:alert(1)',
    'ws://as.example/',
    'xhttps://as.example/',
  ])('rejects the scheme of %s', async (url) => {
    const { code, outcome, details } = await rejection(makeTransport().exchange({ url, method: 'GET' }))
    expect({ code, outcome, details }).toMatchObject({
      code: 'INSECURE_ENDPOINT',
      outcome: 'notSent',
      details: { reason: 'scheme' },
    })
  })

  test(
    'rejects http for a host name that is not allow-listed without resolving it',
    verifies([2, 3], async () => {
      const resolve = vi.fn(async () => [PUBLIC])
      const transport = makeTransport({ allow: ['other.example'] }, { resolve })
      expect(await rejection(transport.exchange({ url: 'http://as.example/token?code=1', method: 'POST' }))).toEqual({
        code: 'INSECURE_ENDPOINT',
        outcome: 'notSent',
        details: { url: 'http://as.example/token', host: 'as.example', allow: 'as.example:80' },
      })
      expect(resolve).not.toHaveBeenCalled()
    }),
  )

  test('rejects http for a host name when one of its addresses is not allow-listed', async () => {
    const transport = makeTransport({}, { resolve: async () => [v4('127.0.0.1'), PUBLIC] })
    expect((await rejection(transport.exchange({ url: 'http://as.example/', method: 'POST' }))).code).toBe(
      'INSECURE_ENDPOINT',
    )
  })
})

describe('a URL', () => {
  test.each(['https://user:secret@as.example/a', 'https://user@as.example/a', 'http://:secret@127.0.0.1/a'])(
    'with credentials (%s) is rejected, and the error omits them',
    async (url) => {
      const { code, outcome, details } = await rejection(makeTransport().exchange({ url, method: 'GET' }))
      expect({ code, outcome }).toEqual({ code: 'ADDRESS_FORBIDDEN', outcome: 'notSent' })
      expect(details).toEqual({
        url: `${new URL(url).origin}/a`,
        host: new URL(url).host,
        reason: 'credentials',
      })
    },
  )

  test('that is not absolute is rejected as malformed', async () => {
    expect(await rejection(makeTransport().exchange({ url: '/token', method: 'POST' }))).toEqual({
      code: 'ADDRESS_FORBIDDEN',
      outcome: 'notSent',
      details: { reason: 'malformedUrl' },
    })
  })
})

describe('the entry of network.allow in a rejection', () => {
  const guardWith = (...entries: string[]) => {
    const parsed = entries.map(parseAllowEntry).filter((entry) => entry !== undefined)
    return createAddressGuard({ allow: createAllowList(parsed), resolve: async () => [v4('127.0.0.1')] })
  }
  /** The details of the rejection by a direct connection and by a proxy. */
  async function detailsOf(guard: AddressGuard, text: string): Promise<unknown[]> {
    const url = new URL(text)
    const checks = [
      async () => {
        guard.check(url)
        for (const { address } of await guard.resolve(destinationOf(url))) guard.vet(destinationOf(url), address)
      },
      async () => guard.checkUnresolved(url),
    ]
    return await Promise.all(
      checks.map((check) =>
        check().then(
          () => 'allowed',
          (error: unknown) => (error as PortError).failure.details,
        ),
      ),
    )
  }

  test.each([
    ['http://localhost:8080/mcp', 'localhost:8080'],
    ['https://localhost/', 'localhost:443'],
    ['http://AS.Example./', 'as.example:80'],
    ['http://bücher.example/', 'xn--bcher-kva.example:80'],
    ['http://10.0.0.1/', '10.0.0.1:80'],
    ['https://10.0.0.1:8443/', '10.0.0.1:8443'],
    ['http://[::1]:1/', '[::1]:1'],
    ['https://[::ffff:127.0.0.1]/', '[::ffff:7f00:1]:443'],
  ])('allows the request to %s: %s', async (url, entry) => {
    expect(await detailsOf(guardWith(), url)).toEqual([{ allow: entry }, { allow: entry }])
    expect(await detailsOf(guardWith(entry), url)).toEqual(['allowed', 'allowed'])
  })

  test('allows the request to a name at a private address, which a proxy resolves itself', async () => {
    const url = 'https://as.example/'
    expect(await detailsOf(guardWith(), url)).toEqual([{ allow: 'as.example:443' }, 'allowed'])
    expect(await detailsOf(guardWith('as.example:443'), url)).toEqual(['allowed', 'allowed'])
  })

  test.each([
    ['ftp://as.example/', { reason: 'scheme' }],
    ['https://user@10.0.0.1/', { reason: 'credentials' }],
    ['http://a..example/', undefined],
    ['http://localhost:0/', undefined],
  ])('is absent for %s, which no entry allows', async (url, details) => {
    expect(await detailsOf(guardWith(), url)).toEqual([details, details])
  })
})

describe('a host name', () => {
  test('of this machine is rejected unless the name or its address is allow-listed', async () => {
    const server = await startServer((_request, response) => response.end('here'))
    const url = `http://localhost:${server.port}/`
    const resolve = async () => [v4('127.0.0.1')]
    expect((await rejection(makeTransport({ allow: [] }, { resolve }).exchange({ url, method: 'GET' }))).code).toBe(
      'INSECURE_ENDPOINT',
    )
    const secure = `https://localhost:${server.port}/`
    expect(
      (await rejection(makeTransport({ allow: [] }, { resolve }).exchange({ url: secure, method: 'GET' }))).code,
    ).toBe('ADDRESS_FORBIDDEN')
    const allowed = [
      'localhost',
      `localhost:${server.port}`,
      '127.0.0.1',
      `127.0.0.1:${server.port}`,
      '127.0.0.0/8',
      `127.0.0.0/30:${server.port}`,
    ]
    for (const allow of allowed) {
      expect((await makeTransport({ allow: [allow] }, { resolve }).exchange({ url, method: 'GET' })).text, allow).toBe(
        'here',
      )
    }
    for (const allow of ['localhost:1', '127.0.0.1:1', 'local', '10.0.0.0/8']) {
      expect(
        (await rejection(makeTransport({ allow: [allow] }, { resolve }).exchange({ url, method: 'GET' }))).code,
        allow,
      ).toBe('INSECURE_ENDPOINT')
    }
  })

  test("is resolved by the operating system without the host's own resolver", async () => {
    const server = await startServer((_request, response) => response.end('here'))
    const transport = makeTransport({ allow: ['localhost'] })
    expect((await transport.exchange({ url: `http://localhost:${server.port}/`, method: 'GET' })).text).toBe('here')
  })

  test.each([
    [[v4('10.0.0.1')]],
    [[PUBLIC, v4('169.254.169.254')]],
    [[v6('2606:4700::1'), v6('::1')]],
    [[v4('127.0.0.1'), v6('::1')]],
    [[v6('fe80::1%eth0')]],
  ])('is rejected as a whole when %j contains a forbidden address', async (addresses) => {
    const resolve = vi.fn(async () => addresses)
    expect(
      await rejection(makeTransport({}, { resolve }).exchange({ url: 'https://as.example/token', method: 'POST' })),
    ).toEqual({
      code: 'ADDRESS_FORBIDDEN',
      outcome: 'notSent',
      details: { url: 'https://as.example/token', host: 'as.example', allow: 'as.example:443' },
    })
    expect(resolve).toHaveBeenCalledTimes(1)
  })

  test('without any address fails with outcome notSent', async () => {
    const transport = makeTransport({}, { resolve: async () => [] })
    expect(await rejection(transport.exchange({ url: 'https://as.example/', method: 'POST' }))).toEqual({
      code: 'HTTP_NETWORK',
      outcome: 'notSent',
      details: { url: 'https://as.example/', host: 'as.example', reason: 'nameNotResolved' },
    })
  })

  test('is resolved once, and the connection goes to the address resolved then', async () => {
    const server = await startServer((request, response) => response.end(request.headers.host))
    const answers = [[v4('127.0.0.1')], [v4('10.0.0.1')]]
    const resolve = vi.fn(async () => answers.shift() ?? [])
    const transport = makeTransport({}, { resolve })
    const url = `http://Rebinding.example.:${server.port}/`
    expect((await transport.exchange({ url, method: 'POST' })).text).toBe(`rebinding.example.:${server.port}`)
    expect(resolve.mock.calls).toEqual([['rebinding.example']])
    expect((await rejection(transport.exchange({ url, method: 'POST' }))).code).toBe('INSECURE_ENDPOINT')
  })

  test('is tried at each of its addresses', async () => {
    const server = await startServer((_request, response) => response.end('here'))
    const resolve = async () => [v6('::1'), v4('127.0.0.1')]
    const transport = makeTransport({ allow: ['127.0.0.1', '::1'] }, { resolve })
    expect((await transport.exchange({ url: `http://as.example:${server.port}/`, method: 'POST' })).text).toBe('here')
  })

  test('whose connection reaches another address is rejected before anything is sent', async () => {
    const server = await startServer((_request, response) => response.end('here'))
    let looks = 0
    const treacherous: LookupAddress = {
      family: 4,
      get address() {
        looks += 1
        return looks === 1 ? '127.0.0.2' : '127.0.0.1'
      },
    }
    const transport = makeTransport({ allow: ['127.0.0.2'] }, { resolve: async () => [treacherous] })
    const failed = rejection(transport.exchange({ url: `http://as.example:${server.port}/`, method: 'POST' }))
    expect(await failed).toMatchObject({ code: 'INSECURE_ENDPOINT', outcome: 'notSent' })
    expect(server.connections()).toBe(1)
    expect(server.requests).toEqual([])
  })
})

describe('an IP address', () => {
  test('may be reached over plain http when it is allow-listed, public or not', async () => {
    const server = await startServer((_request, response) => response.end('here'))
    const transport = makeTransport({ allow: [`127.0.0.1:${server.port}`] })
    expect((await transport.exchange({ url: `http://0x7f.1:${server.port}/`, method: 'GET' })).text).toBe('here')
    expect((await rejection(transport.exchange({ url: 'http://127.0.0.1:1/', method: 'GET' }))).code).toBe(
      'INSECURE_ENDPOINT',
    )
    expect((await rejection(transport.exchange({ url: 'https://127.0.0.1:1/', method: 'GET' }))).code).toBe(
      'ADDRESS_FORBIDDEN',
    )
  })

  test('of version 6 is matched with and without brackets', async () => {
    const transport = makeTransport({ allow: ['[::1]:1'] })
    expect((await rejection(transport.exchange({ url: 'http://[::1]:1/', method: 'POST' }))).code).toBe('HTTP_NETWORK')
    expect((await rejection(transport.exchange({ url: 'http://[::1]:2/', method: 'POST' }))).code).toBe(
      'INSECURE_ENDPOINT',
    )
  })
})
