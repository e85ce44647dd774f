/** Addresses that nothing may reach: loopback, private, link-local, metadata services, multicast, reserved. */
const TARGETS = [
  '127.0.0.1',
  '127.255.255.254',
  '0.0.0.0',
  '10.0.0.1',
  '172.16.0.1',
  '192.168.1.1',
  '169.254.169.254',
  '100.100.100.200',
  '192.0.0.192',
  '168.63.129.16',
  '198.18.0.1',
  '224.0.0.1',
  '255.255.255.255',
]
const PUBLIC = '93.184.216.34'

/** One host of a URL that leads to a forbidden address. */
export interface Spelling {
  readonly host: string
  /** What the name resolves to, by turns; `undefined`: the host is an address. */
  readonly resolvesTo?: readonly (readonly string[])[] | undefined
  /** A name that every resolver knows as one of the local machine or network. */
  readonly isLocalName?: boolean | undefined
}

const octets = (address: string): number[] => address.split('.').map(Number)
const dword = (address: string): number => octets(address).reduce((sum, octet) => sum * 256 + octet, 0)
const hex = (value: number, width = 0): string => value.toString(16).padStart(width, '0')
/** The two groups of an IPv6 address that hold an IPv4 address. */
const groups = (address: string): string => {
  const [a = 0, b = 0, c = 0, d = 0] = octets(address)
  return `${hex(a * 256 + b)}:${hex(c * 256 + d)}`
}
const inverted = (address: string): string =>
  octets(address)
    .map((octet) => 255 - octet)
    .join('.')
const shifted = (text: string, from: string, to: string): string =>
  text.replaceAll(/\d/g, (digit) =>
    String.fromCodePoint((to.codePointAt(0) ?? 0) + digit.charCodeAt(0) - from.charCodeAt(0)),
  )

/** Every way to write an IPv4 address as the host of a URL. */
const FORMS: Record<string, (address: string) => string> = {
  dotted: (address) => address,
  'with a final dot': (address) => `${address}.`,
  'one decimal number': (address) => String(dword(address)),
  'one hexadecimal number': (address) => `0x${hex(dword(address))}`,
  'upper-case hexadecimal': (address) => `0X${hex(dword(address), 8).toUpperCase()}`,
  'one octal number': (address) => `0${dword(address).toString(8)}`,
  'hexadecimal octets': (address) =>
    octets(address)
      .map((octet) => `0x${hex(octet)}`)
      .join('.'),
  'padded hexadecimal octets': (address) =>
    octets(address)
      .map((octet) => `0x${hex(octet, 6)}`)
      .join('.'),
  'octal octets': (address) =>
    octets(address)
      .map((octet) => `0${octet.toString(8)}`)
      .join('.'),
  'padded octal octets': (address) =>
    octets(address)
      .map((octet) => `0000${octet.toString(8)}`)
      .join('.'),
  'two parts': (address) => `${octets(address)[0]}.${dword(address) % 2 ** 24}`,
  'three parts': (address) => `${octets(address).slice(0, 2).join('.')}.${dword(address) % 2 ** 16}`,
  'two hexadecimal parts': (address) => `0x${hex(octets(address)[0] ?? 0)}.0x${hex(dword(address) % 2 ** 24)}`,
  'mixed bases': (address) => {
    const [a = 0, b = 0, c = 0, d = 0] = octets(address)
    return `0x${hex(a)}.0${b.toString(8)}.${c}.0x${hex(d)}`
  },
  'full-width digits': (address) => shifted(address, '0', '０'),
  'mathematical digits': (address) => shifted(address, '0', '𝟎'),
  'ideographic full stops': (address) => address.replaceAll('.', '。'),
  'half-width full stops': (address) => address.replaceAll('.', '｡'),
  'percent-encoded digits': (address) => address.replaceAll(/\d/g, (digit) => `%3${digit}`),
  'percent-encoded dots': (address) => address.replaceAll('.', '%2E'),
  'IPv4-mapped': (address) => `[::ffff:${address}]`,
  'IPv4-mapped in groups': (address) => `[::FFFF:${groups(address).toUpperCase()}]`,
  'IPv4-mapped and expanded': (address) => `[0000:0:0:0:0:ffff:${groups(address)}]`,
  'IPv4-compatible': (address) => `[::${address}]`,
  'IPv4-translated': (address) => `[::ffff:0:${address}]`,
  NAT64: (address) => `[64:ff9b::${address}]`,
  'local NAT64': (address) => `[64:ff9b:1::${address}]`,
  '6to4': (address) => `[2002:${groups(address)}::1]`,
  Teredo: (address) => `[2001:0:${groups(PUBLIC)}:0:ffff:${groups(inverted(address))}]`,
  ISATAP: (address) => `[fe80::5efe:${address}]`,
}

const NAMES: Record<string, (address: string) => readonly (readonly string[])[]> = {
  plain: (address) => [[address]],
  mapped: (address) => [[`::ffff:${address}`]],
  nat64: (address) => [[`64:ff9b::${address}`]],
  first: (address) => [[address, PUBLIC]],
  last: (address) => [[PUBLIC, address]],
  rebound: (address) => [[PUBLIC], [address]],
}

const OTHERS = [
  '[::]',
  '[::1]',
  '[0:0:0:0:0:0:0:1]',
  '[0000:0000:0000:0000:0000:0000:0000:0001]',
  '[100::1]',
  '[1fff:ffff::1]',
  '[2001:2::1]',
  '[2001:20::1]',
  '[2001:db8::1]',
  '[2620:4f:8000::1]',
  '[3ffe::1]',
  '[3fff::1]',
  '[4000::1]',
  '[5f00::1]',
  '[fc00::1]',
  '[fd00:ec2::254]',
  '[fe80::1]',
  '[fe80::1%25eth0]',
  '[fec0::1]',
  '[ff02::1]',
]

const LOCAL_NAMES = ['localhost', 'LOCALHOST', 'localhost.', 'a.localhost', 'ｌocalhost', 'loc%61lhost']
const INTERNAL_NAMES = [
  'localhost.localdomain',
  'localhost6.localdomain6',
  'ip6-localhost',
  'metadata.goog',
  'metadata.google.internal',
  'kubernetes.default.svc',
]

/** Every spelling of a host that leads to a forbidden address. */
export const SPELLINGS: readonly Spelling[] = TARGETS.flatMap((address, index): Spelling[] => [
  ...Object.values(FORMS).map((form) => ({ host: form(address) })),
  ...Object.entries(NAMES).map(([name, resolvesTo]) => ({
    host: `${index % 2 === 0 ? name : name.toUpperCase()}-${index}.attacker.example${index % 3 === 0 ? '.' : ''}`,
    resolvesTo: resolvesTo(address),
  })),
])
  .concat(OTHERS.map((host) => ({ host })))
  .concat(LOCAL_NAMES.map((host) => ({ host, resolvesTo: [['127.0.0.1', '::1']], isLocalName: true })))
  .concat(INTERNAL_NAMES.map((host) => ({ host, resolvesTo: [['169.254.169.254']] })))
