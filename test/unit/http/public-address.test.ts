import { describe, expect, test } from 'vitest'
import { isPublicAddress, isPublicName } from '../../../src/http/public-address.ts'
import { makeTransport, rejection } from './support.ts'
import { verifies } from '../../support/verifies.ts'

describe('isPublicAddress', () => {
  test.each([
    '1.1.1.1',
    '8.8.8.8',
    '9.255.255.255',
    '11.0.0.0',
    '93.184.216.34',
    '100.63.255.255',
    '100.128.0.0',
    '126.255.255.255',
    '128.0.0.0',
    '168.63.129.15',
    '168.63.129.17',
    '169.253.255.255',
    '169.255.0.0',
    '172.15.255.255',
    '172.32.0.0',
    '192.0.1.0',
    '192.0.3.0',
    '192.167.255.255',
    '192.169.0.0',
    '198.17.255.255',
    '198.20.0.0',
    '223.255.255.255',
    '2001:4860:4860::8888',
    '2606:4700:4700::1111',
    '2a00:1450:4001:81b::200e',
    '2003::1',
    '3ffd::1',
  ])('returns true for %s', (address) => {
    expect(isPublicAddress(address)).toBe(true)
  })

  test.each([
    '0.0.0.0',
    '0.255.255.255',
    '10.0.0.0',
    '10.255.255.255',
    '100.64.0.0',
    '100.100.100.200',
    '100.127.255.255',
    '127.0.0.1',
    '127.255.255.255',
    '168.63.129.16',
    '169.254.0.0',
    '169.254.169.254',
    '172.16.0.0',
    '172.31.255.255',
    '192.0.0.0',
    '192.0.0.192',
    '192.0.2.1',
    '192.31.196.1',
    '192.52.193.1',
    '192.88.99.1',
    '192.168.0.0',
    '192.168.255.255',
    '192.175.48.1',
    '198.18.0.0',
    '198.19.255.255',
    '198.51.100.1',
    '203.0.113.1',
    '224.0.0.0',
    '239.255.255.255',
    '240.0.0.0',
    '255.255.255.255',
    '::',
    '::1',
    '::127.0.0.1',
    '::ffff:127.0.0.1',
    '::ffff:8.8.8.8',
    '::ffff:0:127.0.0.1',
    '64:ff9b::7f00:1',
    '64:ff9b:1::7f00:1',
    '100::1',
    '100:0:0:1::1',
    '1fff:ffff::1',
    '2001::1',
    '2001:2::1',
    '2001:10::1',
    '2001:20::1',
    '2001:1ff:ffff::1',
    '2001:db8::1',
    '2002:7f00:1::',
    '2620:4f:8000::1',
    '3ffe::1',
    '3fff::1',
    '3fff:fff:ffff::1',
    '4000::1',
    '5f00::1',
    'fc00::1',
    'fd00:ec2::254',
    'fe80::1',
    'fe80::1%eth0',
    'fec0::1',
    'ff02::1',
    '',
    'localhost',
    '127.1',
    '1.1.1.1 ',
  ])(
    'returns false for %s',
    verifies(142, (address) => {
      expect(isPublicAddress(address)).toBe(false)
    }),
  )
})

test.each([
  [
    'a name of the public internet',
    true,
    ['as.example.com', 'a.b', 'localhost.example', 'intranet.example.com', 'xlan.example'],
  ],
  ['a name whose end is like a private one', true, ['as.mylocal', 'as.unhome.arpa', 'as.arpa', 'as.homearpa']],
  ['a name that contains that of a metadata service', true, ['as.metadata.goog', 'metadata.goog.example', 'as.goog']],
  ['a name without a dot', false, ['as', 'localhost', '']],
  ['a name with an empty label', false, ['as..com', '.as.com', 'as.com.', '.', '.local']],
  [
    'a name of a private network',
    false,
    [
      'as.localhost',
      'as.localdomain',
      'as.localdomain6',
      'printer.local',
      'metadata.google.internal',
      'metadata.goog',
      'as.intranet',
      'as.private',
      'as.corp',
      'as.home',
      'as.lan',
      'as.default.svc',
      'as.home.arpa',
      'home.arpa',
    ],
  ],
])('isPublicName of %s is %s', (_what, expected, names) => {
  expect(names.filter((name) => isPublicName(name) !== expected)).toEqual([])
})

/** What attackers write for addresses that they must not reach; a URL makes an address of most of them. */
const ODD_FORMS = [
  '127.0.0.1',
  '127.1',
  '127.0.1',
  '127.000.000.001',
  '0177.0.0.1',
  '0177.0.0.01',
  '0x7f.0.0.1',
  '0x7f.1',
  '0x7f000001',
  '0X7F000001',
  '2130706433',
  '017700000001',
  '127.0.0.1.',
  '127。0。0。1',
  '１２７.0.0.1',
  '①②⑦.⓪.⓪.①',
  '%31%32%37.0.0.1',
  '127%2E0%2E0%2E1',
  '0',
  '0.0.0.0',
  '0x0',
  '00',
  '169.254.169.254',
  '0xa9fea9fe',
  '2852039166',
  '0251.0376.0251.0376',
  '169.254.43518',
  '169.16689662',
  '10.0.0.1',
  '0xa.1',
  '012.1',
  '167772161',
  '172.16.0.1',
  '0xac100001',
  '192.168.1.1',
  '3232235777',
  '0300.0250.1.1',
  '100.64.0.1',
  '192.0.0.192',
  '198.18.0.1',
  '168.63.129.16',
  '224.0.0.1',
  '255.255.255.255',
  '4294967295',
  '[::]',
  '[::1]',
  '[0:0:0:0:0:0:0:1]',
  '[0000:0000:0000:0000:0000:0000:0000:0001]',
  '[::127.0.0.1]',
  '[::7f00:1]',
  '[::ffff:127.0.0.1]',
  '[::FFFF:7F00:1]',
  '[0:0:0:0:0:ffff:127.0.0.1]',
  '[::ffff:0:127.0.0.1]',
  '[::ffff:169.254.169.254]',
  '[::ffff:a9fe:a9fe]',
  '[64:ff9b::127.0.0.1]',
  '[64:ff9b:1::10.0.0.1]',
  '[2002:7f00:1::]',
  '[2002:a9fe:a9fe::]',
  '[2001:0:7f00:1::]',
  '[2001:db8::1]',
  '[fc00::1]',
  '[fd00:ec2::254]',
  '[fe80::1]',
  '[fec0::1]',
  '[ff02::1]',
  '[3fff::1]',
]

describe('a transport without an allow-list', () => {
  const transport = () =>
    makeTransport({ allow: [] }, { resolve: async (name) => Promise.reject(new Error(`asked for the name ${name}`)) })

  test.each(ODD_FORMS)('rejects https://%s/ without resolving a name or connecting', async (host) => {
    const url = `https://${host}/token`
    const { href, hostname } = new URL(url)
    expect(await rejection(transport().exchange({ url, method: 'POST' }))).toEqual({
      code: 'ADDRESS_FORBIDDEN',
      outcome: 'notSent',
      details: { url: href, host: hostname, allow: `${hostname}:443` },
    })
    expect((await rejection(transport().fetch(new Request(url)))).code).toBe('ADDRESS_FORBIDDEN')
  })

  test.each(ODD_FORMS)('rejects http://%s/ as insecure', async (host) => {
    const { code, outcome } = await rejection(transport().exchange({ url: `http://${host}/`, method: 'GET' }))
    expect({ code, outcome }).toEqual({ code: 'INSECURE_ENDPOINT', outcome: 'notSent' })
  })
})
