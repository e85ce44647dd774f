import { describe, expect, test } from 'vitest'
import { systemClock } from '../../../src/clock.ts'
import { createAllowList, parseAllowEntry } from '../../../src/http/allow-list.ts'
import { mayUseHttp, parseNetworkOptions } from '../../../src/http/network-options.ts'
import { createTransport } from '../../../src/http/transport.ts'

function misuse(network: unknown): { message: string; code: unknown; name: string } {
  try {
    createTransport({ network: network as never, clock: systemClock })
  } catch (error) {
    if (error instanceof TypeError && 'code' in error)
      return { message: error.message, code: error.code, name: error.name }
    throw error
  }
  throw new Error('it was taken')
}

describe('network.allow', () => {
  const matches = (entry: string) => {
    const parsed = parseAllowEntry(entry)
    if (parsed === undefined) throw new Error(`${entry} is not understood`)
    return createAllowList([parsed])
  }

  test.each<[entry: string, address: string, port: number, expected: boolean]>([
    ['127.0.0.1', '127.0.0.1', 80, true],
    ['127.0.0.1', '127.0.0.1', 8443, true],
    ['127.0.0.1', '127.0.0.2', 80, false],
    ['127.0.0.1', '::1', 80, false],
    ['127.0.0.1:3000', '127.0.0.1', 3000, true],
    ['127.0.0.1:3000', '127.0.0.1', 3001, false],
    ['10.0.0.0/8', '10.255.1.2', 443, true],
    ['10.0.0.0/8', '11.0.0.0', 443, false],
    ['10.0.0.0/8:443', '10.1.1.1', 443, true],
    ['10.0.0.0/8:443', '10.1.1.1', 444, false],
    ['0.0.0.0/0', '169.254.169.254', 80, true],
    ['::1', '::1', 80, true],
    ['::1', '127.0.0.1', 80, false],
    ['[::1]', '::1', 80, true],
    ['[::1]:8080', '::1', 8080, true],
    ['[::1]:8080', '::1', 80, false],
    ['fd00::/8', 'fd12::1', 80, true],
    ['fd00::/8', 'fe80::1', 80, false],
    ['[fd00::/8]:443', 'fd12::1', 443, true],
    ['[fd00::/8]:443', 'fd12::1', 80, false],
    ['64:ff9b::/96', '64:ff9b::808:808', 443, true],
    ['localhost', '127.0.0.1', 80, false],
  ])('with %s and the address %s on port %s returns %s', (entry, address, port, expected) => {
    expect(matches(entry).hasAddress(address, port)).toBe(expected)
  })

  test.each<[entry: string, name: string, port: number, expected: boolean]>([
    ['localhost', 'localhost', 80, true],
    ['LOCALHOST.', 'localhost', 80, true],
    ['localhost', 'a.localhost', 80, false],
    ['as.internal:8443', 'as.internal', 8443, true],
    ['as.internal:8443', 'as.internal', 443, false],
    ['my_service', 'my_service', 80, true],
    ['bücher.example', 'xn--bcher-kva.example', 443, true],
    ['3com.example', '3com.example', 443, true],
    ['127.0.0.1', '127.0.0.1', 80, false],
  ])('with %s and the host name %s on port %s returns %s', (entry, name, port, expected) => {
    expect(matches(entry).hasName(name, port)).toBe(expected)
  })

  test.each([
    '',
    ' ',
    '*',
    '*.internal',
    '.internal',
    'a..b',
    '-a',
    'http://localhost',
    'localhost/',
    'localhost:',
    'localhost:0',
    'localhost:65536',
    'localhost:http',
    'user@localhost',
    '127.1',
    '0x7f.1',
    '2130706433',
    '10.0.0.0/33',
    '10.0.0.0/',
    '10.0.0/8',
    '::1/129',
    '[::1',
    '[localhost]',
    '[127.0.0.1/64]',
    'fe80::1%eth0',
    '[fe80::1%eth0]:80',
    'a'.repeat(254),
  ])('rejects %j with its index in the list', (entry) => {
    expect(misuse({ allow: ['127.0.0.1', 'localhost', entry] })).toEqual({
      name: 'TypeError',
      code: 'ERR_INVALID_ARG_VALUE',
      message:
        'network.allow[2] must be an address, a network in CIDR notation or a host name, each with an optional port',
    })
  })

  test('reports whether it has networks, which require a name to be resolved', () => {
    expect([matches('localhost').hasNetworks, matches('::1').hasNetworks]).toEqual([false, true])
  })
})

describe('the network option', () => {
  test('has defaults', () => {
    const { allow, ...others } = parseNetworkOptions({})
    expect(others).toEqual({
      proxy: undefined,
      timeoutMs: 10_000,
      headersTimeoutMs: 60_000,
      maxResponseBytes: 1_048_576,
      fetch: undefined,
    })
    expect(allow.hasNetworks).toBe(false)
  })

  test('is parsed unchanged', () => {
    const { allow, ...others } = parseNetworkOptions({
      allow: ['::1'],
      timeoutMs: 1,
      headersTimeoutMs: 3,
      maxResponseBytes: 2,
      fetch,
      proxy: undefined,
    })
    expect(others).toEqual({ proxy: undefined, timeoutMs: 1, headersTimeoutMs: 3, maxResponseBytes: 2, fetch })
    expect(allow.hasAddress('::1', 1)).toBe(true)
    expect(parseNetworkOptions({ proxy: 'http://user:secret@proxy.example:3128' }).proxy).toBe(
      'http://user:secret@proxy.example:3128',
    )
    expect(parseNetworkOptions({ proxy: 'https://proxy.example' }).proxy).toBe('https://proxy.example')
  })

  const integer = (most: number): string => `must be an integer from 1 to ${most}`
  test.each([
    [null, 'network must be of type Object', 'ERR_INVALID_ARG_TYPE'],
    [{ allowed: [] }, 'network.allowed is not a known option', 'ERR_INVALID_ARG_TYPE'],
    [{ allow: 'localhost' }, 'network.allow must be of type Array', 'ERR_INVALID_ARG_TYPE'],
    [{ allow: [1] }, 'network.allow[0] must be of type string', 'ERR_INVALID_ARG_TYPE'],
    [{ timeoutMs: '1' }, 'network.timeoutMs must be of type number', 'ERR_INVALID_ARG_TYPE'],
    [{ timeoutMs: 0 }, `network.timeoutMs ${integer(2_147_483_647)}`, 'ERR_INVALID_ARG_VALUE'],
    [{ timeoutMs: 1.5 }, `network.timeoutMs ${integer(2_147_483_647)}`, 'ERR_INVALID_ARG_VALUE'],
    [{ timeoutMs: 2 ** 31 }, `network.timeoutMs ${integer(2_147_483_647)}`, 'ERR_INVALID_ARG_VALUE'],
    [{ headersTimeoutMs: 0 }, `network.headersTimeoutMs ${integer(2_147_483_647)}`, 'ERR_INVALID_ARG_VALUE'],
    [{ headersTimeoutMs: 2 ** 31 }, `network.headersTimeoutMs ${integer(2_147_483_647)}`, 'ERR_INVALID_ARG_VALUE'],
    [{ maxResponseBytes: 0 }, `network.maxResponseBytes ${integer(Number.MAX_SAFE_INTEGER)}`, 'ERR_INVALID_ARG_VALUE'],
    [{ fetch: {} }, 'network.fetch must be a function', 'ERR_INVALID_ARG_TYPE'],
    [{ proxy: 1 }, 'network.proxy must be of type string', 'ERR_INVALID_ARG_TYPE'],
    [
      { proxy: 'proxy:3128' },
      'network.proxy must be the http or https URL of a proxy, without a path, a query or a fragment, and with any credentials percent-encoded',
      'ERR_INVALID_ARG_VALUE',
    ],
    [
      { proxy: 'secret' },
      'network.proxy must be the http or https URL of a proxy, without a path, a query or a fragment, and with any credentials percent-encoded',
      'ERR_INVALID_ARG_VALUE',
    ],
    [
      { proxy: 'http://user:100%@a' },
      'network.proxy must be the http or https URL of a proxy, without a path, a query or a fragment, and with any credentials percent-encoded',
      'ERR_INVALID_ARG_VALUE',
    ],
    [
      { proxy: 'http://a/b' },
      'network.proxy must be the http or https URL of a proxy, without a path, a query or a fragment, and with any credentials percent-encoded',
      'ERR_INVALID_ARG_VALUE',
    ],
    [
      { proxy: 'http://a/?b' },
      'network.proxy must be the http or https URL of a proxy, without a path, a query or a fragment, and with any credentials percent-encoded',
      'ERR_INVALID_ARG_VALUE',
    ],
    [{ proxy: 'http://a', fetch }, 'network.proxy cannot be combined with network.fetch', 'ERR_INVALID_ARG_VALUE'],
  ])('set to %j throws: %s', (network, message, code) => {
    expect(misuse(network)).toEqual({ name: 'TypeError', message, code })
  })
})

describe('mayUseHttp', () => {
  const { allow } = parseNetworkOptions({ allow: ['agents.internal', '10.0.0.0/8:8080'] })

  test.each([
    ['http://localhost:3000/callback', true],
    ['http://127.3.2.1/', true],
    ['http://[::1]:3000/', true],
    ['http://agents.internal/', true],
    ['http://10.1.2.3:8080/', true],
    ['http://10.1.2.3/', false],
    ['http://agents.example/', false],
    ['http://a.localhost/', false],
  ])('for %s returns %s', (url, expected) => {
    expect(mayUseHttp(allow, new URL(url))).toBe(expected)
  })
})
