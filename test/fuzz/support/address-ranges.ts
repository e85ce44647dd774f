/** A range of addresses, as numbers. */
export interface AddressRange {
  readonly first: bigint
  readonly last: bigint
}

/** An address as a number; an IPv6 address in the form in which `URL` serializes it. */
export function numberOf(address: string): bigint {
  if (!address.includes(':')) return address.split('.').reduce((value, byte) => value * 256n + BigInt(byte), 0n)
  const [head = '', tail = ''] = address.split('::')
  const groups = (text: string): string[] => (text === '' ? [] : text.split(':'))
  const missing = 8 - groups(head).length - groups(tail).length
  const all = [...groups(head), ...Array<string>(address.includes('::') ? missing : 0).fill('0'), ...groups(tail)]
  return all.reduce((value, group) => value * 65_536n + BigInt(`0x${group}`), 0n)
}

export const isWithin = ({ first, last }: AddressRange, value: bigint): boolean => value >= first && value <= last

function rangeOf(bits: bigint, network: string): AddressRange {
  const [address = '', prefix = ''] = network.split('/')
  const size = 1n << (bits - BigInt(prefix))
  return { first: numberOf(address), last: numberOf(address) + size - 1n }
}

/** The special-purpose ranges of the IANA registries, besides an address of Azure that is special there only. */
export const ADDRESS_RANGES = {
  ipv4: [
    ['0.0.0.0/8', '10.0.0.0/8', '100.64.0.0/10', '127.0.0.0/8', '168.63.129.16/32', '169.254.0.0/16'],
    ['172.16.0.0/12', '192.0.0.0/24', '192.0.2.0/24', '192.31.196.0/24', '192.52.193.0/24', '192.88.99.0/24'],
    ['192.168.0.0/16', '192.175.48.0/24', '198.18.0.0/15', '198.51.100.0/24', '203.0.113.0/24', '224.0.0.0/3'],
  ]
    .flat()
    .map((network) => rangeOf(32n, network)),
  ipv6: ['2001::/23', '2001:db8::/32', '2002::/16', '2620:4f:8000::/48', '3ffe::/16', '3fff::/20'].map((network) =>
    rangeOf(128n, network),
  ),
}
