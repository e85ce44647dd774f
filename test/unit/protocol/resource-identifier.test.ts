import { describe, expect, test } from 'vitest'
import { canonicalServer, resourceMatches, resourceOf } from '../../../src/protocol/discovery.ts'
import { verifies } from '../../support/verifies.ts'

describe('canonicalServer', () => {
  test.each([
    ['HTTPS://Mcp.Example.COM:443/MCP', 'https://mcp.example.com/MCP'],
    ['http://h:80', 'http://h/'],
    ['http://h', 'http://h/'],
    ['http://h/', 'http://h/'],
    ['https://h/mcp', 'https://h/mcp'],
    ['https://h/mcp/', 'https://h/mcp/'],
    ['https://h/a/%7Eb/../c?Q=%20&x', 'https://h/a/%7Eb/../c?Q=%20&x'],
    ['https://h?x=1', 'https://h/?x=1'],
    ['https://h:8443/mcp', 'https://h:8443/mcp'],
    ['http://[::1]:3000/mcp', 'http://[::1]:3000/mcp'],
    ['https://bücher.example/mcp', 'https://xn--bcher-kva.example/mcp'],
    ['http://0x7f.1/mcp', 'http://127.0.0.1/mcp'],
    ['https://h/@user', 'https://h/@user'],
  ])(
    'normalizes %s to %s',
    verifies(65, (server, expected) => {
      expect(canonicalServer(server)).toBe(expected)
      expect(canonicalServer(expected)).toBe(expected)
    }),
  )

  test.each([
    ['', 'connection().server must be an absolute http(s) URL'],
    ['/mcp', 'connection().server must be an absolute http(s) URL'],
    ['ftp://h/mcp', 'connection().server must be an absolute http(s) URL'],
    ['xhttps://h/mcp', 'connection().server must be an absolute http(s) URL'],
    ['javascript:alert(1)', 'connection().server must be an absolute http(s) URL'],
    ['https:///mcp', 'connection().server must be an absolute http(s) URL'],
    ['https:h/mcp', 'connection().server must be an absolute http(s) URL'],
    [' https://h/mcp', 'connection().server must be an absolute http(s) URL'],
    ['https://h/a b', 'connection().server must be an absolute http(s) URL'],
    ['https://h/\nmcp', 'connection().server must be an absolute http(s) URL'],
    ['https://good\\@evil/mcp', 'connection().server must be an absolute http(s) URL'],
    ['https://h:99999/mcp', 'connection().server must be an absolute http(s) URL'],
    ['https://user:secret@h/mcp', 'connection().server must not contain credentials'],
    ['https://@h/mcp', 'connection().server must not contain credentials'],
    ['https://h/mcp#x', 'connection().server must not contain a fragment'],
    ['https://h/mcp#', 'connection().server must not contain a fragment'],
  ])('rejects %j: %s', (server, message) => {
    expect(() => canonicalServer(server)).toThrow(
      expect.objectContaining({ name: 'TypeError', message, code: 'ERR_INVALID_ARG_VALUE' }),
    )
  })
})

describe('resourceMatches', () => {
  const lenient = [
    ['https://h/mcp', 'https://h/mcp', true],
    ['https://h', 'https://h/mcp', true],
    ['https://h/', 'https://h/mcp', true],
    ['https://h', 'https://h/', true],
    ['https://H:443/mcp', 'https://h/mcp', true],
    ['https://h/a', 'https://h/a/b', true],
    ['https://h/a/', 'https://h/a', true],
    ['https://h/mcp', 'https://h/mcp?x=1', true],
    ['https://h/mcp?x=1', 'https://h/mcp?x=1', true],
    ['https://h/mcp?x=1', 'https://h/mcp?x=2', false],
    ['https://h/mcp?x=1', 'https://h/mcp', false],
    ['https://h/api', 'https://h/api123', false],
    ['https://h/a/b', 'https://h/a', false],
    ['https://h/MCP', 'https://h/mcp', false],
    ['http://h/mcp', 'https://h/mcp', false],
    ['https://h:8443/mcp', 'https://h/mcp', false],
    ['https://h.evil/mcp', 'https://h/mcp', false],
    ['https://user@h/mcp', 'https://h/mcp', false],
    ['https://h/mcp#x', 'https://h/mcp', false],
    ['urn:mcp', 'https://h/mcp', false],
    ['mcp', 'https://h/mcp', false],
  ] as const
  test.each(lenient)('for the metadata resource %s and the server %s returns %s', (resource, server, expected) => {
    expect(resourceMatches(resource, server, { strict: false })).toBe(expected)
  })

  test.each([
    ['https://h/mcp', 'https://h/mcp', true],
    ['https://h', 'https://h/', true],
    ['https://h/', 'https://h/', true],
    ['https://h', 'https://h/mcp', false],
    ['https://h/mcp/', 'https://h/mcp', false],
    ['https://h/mcp', 'https://h/mcp/', false],
    ['https://H/mcp', 'https://h/mcp', false],
  ])('in strict mode, for the metadata resource %s and the server %s, returns %s', (resource, server, expected) => {
    expect(resourceMatches(resource, server, { strict: true })).toBe(expected)
  })
})

test(
  'resourceOf returns the URL of the server, without the slash of an empty path',
  verifies(65, () => {
    expect(['https://h/', 'https://h/mcp', 'https://h/mcp/', 'https://h/?x'].map(resourceOf)).toEqual([
      'https://h',
      'https://h/mcp',
      'https://h/mcp/',
      'https://h/?x',
    ])
  }),
)
