import { describe, expect, test } from 'vitest'
import {
  allowEntryFor,
  type AllowEntry,
  canonicalName,
  createAllowList,
  parseAllowEntry,
} from '../../../src/http/allow-list.ts'

/** What an entry allows: a name, or whether this address is in its network. */
function shown(entry: AllowEntry | undefined, address = '10.0.0.1'): unknown {
  if (entry?.kind !== 'network') return entry
  const list = createAllowList([entry])
  return { kind: entry.kind, port: entry.port, has: list.hasAddress(address, entry.port ?? 443) }
}

const name = (text: string, port?: number): unknown => ({ kind: 'name', name: text, port })
/** 253 characters, in labels. */
const longest = `${'a'.repeat(63)}.${'b'.repeat(63)}.${'c'.repeat(63)}.${'d'.repeat(61)}`

describe('an entry of network.allow', () => {
  test.each([
    ['localhost', name('localhost')],
    ['localhost:1', name('localhost', 1)],
    ['localhost:65535', name('localhost', 65_535)],
    ['localhost:00080', name('localhost', 80)],
    ['A_b.C-d.', name('a_b.c-d')],
    ['_', name('_')],
    ['a.b.c', name('a.b.c')],
    ['x1', name('x1')],
    ['1x', name('1x')],
    ['a.1x', name('a.1x')],
    ['a.0xg', name('a.0xg')],
    ['a.x0x1', name('a.x0x1')],
    ['1.a', name('1.a')],
    [longest, name(longest)],
  ])('%s is a name', (text, expected) => {
    expect(shown(parseAllowEntry(text))).toStrictEqual(expected)
  })

  test.each([
    ['10.0.0.1', '10.0.0.1', true],
    ['10.0.0.1/32', '10.0.0.1', true],
    ['10.0.0.1/32', '10.0.0.2', false],
    ['10.0.0.0/0', '200.0.0.1', true],
    ['10.0.0.0/31', '10.0.0.1', true],
    ['10.0.0.0/31', '10.0.0.2', false],
    ['::1/128', '::1', true],
    ['::1/128', '::2', false],
    ['::1', '::2', false],
    ['fd00::/8', 'fdff::1', true],
    ['[fd00::/127]', 'fd00::1', true],
    ['[fd00::/127]', 'fd00::2', false],
  ])('%s is a network; that %s is in it is %s', (text, address, has) => {
    expect(shown(parseAllowEntry(text), address)).toStrictEqual({ kind: 'network', port: undefined, has })
  })

  test('a network may have a port', () => {
    const expected = { kind: 'network', port: 8443, has: true }
    expect(shown(parseAllowEntry('10.0.0.0/8:8443'))).toStrictEqual(expected)
    expect(shown(parseAllowEntry('[fd00::/8]:8443'), 'fd00::1')).toStrictEqual(expected)
  })

  test.each([
    '',
    'a-',
    'a-.b',
    'a.-b',
    'a..',
    'a b',
    'a\\b',
    'a%b',
    'a?b',
    'a#b',
    'a@b',
    'a/b',
    'a:80:80',
    'a:000080',
    'a:0',
    'a:65536',
    'a:8x',
    'xn--a b:80',
    '1',
    'a.1',
    'a.12',
    '0x',
    'a.0x',
    'a.0x1f',
    '10.0.0.1/33',
    '10.0.0.1/1000',
    '10.0.0.1/x',
    'x10.0.0.1/8',
    '10.0.0.1/8/8',
    'a/10.0.0.0/8',
    '[::1]x',
    'x[::1]',
    '[[::1]]',
    '[::1]:0',
    '[::1]:8x',
    '[]',
    '[10.0.0.1.]',
    '[a.b]',
    '::1/129',
    'fe80::1%1',
    '[fe80::1%1/64]',
    `a${longest}`,
  ])('%j is not an entry of network.allow', (text) => {
    expect(parseAllowEntry(text)).toBeUndefined()
  })
})

test('canonicalName removes one final dot, and nothing else but case and other scripts', () => {
  expect(['A.b.', 'a.b', 'a', 'bücher.example.'].map(canonicalName)).toEqual([
    'a.b',
    'a.b',
    'a',
    'xn--bcher-kva.example',
  ])
})

test.each([
  ['as.example', 443, 'as.example:443'],
  ['10.0.0.1', 80, '10.0.0.1:80'],
  ['::1', 8080, '[::1]:8080'],
  ['a..b', 443, undefined],
  ['as.example', 0, undefined],
])('allowEntryFor the host %s and the port %s returns %s', (host, port, expected) => {
  expect(allowEntryFor(host, port)).toBe(expected)
})

describe('a list', () => {
  const entries = ['as.example:443', 'mcp.example', '10.0.0.0/8:443', '::1'].map(parseAllowEntry)
  const list = createAllowList(entries.filter((entry) => entry !== undefined))

  test('has a name, or an address, for its port, or for every port', () => {
    const names = [
      list.hasName('as.example', 443),
      list.hasName('as.example', 80),
      list.hasName('mcp.example', 80),
      list.hasName('example', 443),
      list.hasName('10.0.0.1', 443),
    ]
    expect(names).toEqual([true, false, true, false, false])
    const addresses = [
      list.hasAddress('10.0.0.1', 443),
      list.hasAddress('10.0.0.1', 80),
      list.hasAddress('::1', 80),
      list.hasAddress('::2', 80),
      list.hasAddress('11.0.0.1', 443),
    ]
    expect(addresses).toEqual([true, false, true, false, false])
    expect(list.hasNetworks).toBe(true)
  })

  test('without networks has no address', () => {
    const names = createAllowList(entries.filter((entry) => entry?.kind === 'name'))
    expect([names.hasNetworks, names.hasAddress('10.0.0.1', 443), names.hasName('mcp.example', 1)]).toEqual([
      false,
      false,
      true,
    ])
  })
})
