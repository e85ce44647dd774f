import { BlockList, isIP } from 'node:net'

function blockList(
  type: 'ipv4' | 'ipv6',
  networks: readonly (readonly [network: string, prefix: number])[],
): BlockList {
  const list = new BlockList()
  for (const [network, prefix] of networks) list.addSubnet(network, prefix, type)
  return list
}

/**
 * Special-purpose IPv4 addresses.
 *
 * @see [IANA registry](https://www.iana.org/assignments/iana-ipv4-special-registry)
 */
const SPECIAL_IPV4 = blockList('ipv4', [
  ['0.0.0.0', 8], // this network
  ['10.0.0.0', 8], // private
  ['100.64.0.0', 10], // shared by carriers; metadata services of some clouds
  ['127.0.0.0', 8], // loopback
  ['168.63.129.16', 32], // Azure's virtual host, in a public range
  ['169.254.0.0', 16], // link-local, metadata services
  ['172.16.0.0', 12], // private
  ['192.0.0.0', 24], // protocol assignments, metadata services
  ['192.0.2.0', 24], // documentation
  ['192.31.196.0', 24], // AS112
  ['192.52.193.0', 24], // multicast tunnels
  ['192.88.99.0', 24], // 6to4 relays
  ['192.168.0.0', 16], // private
  ['192.175.48.0', 24], // AS112
  ['198.18.0.0', 15], // benchmarks
  ['198.51.100.0', 24], // documentation
  ['203.0.113.0', 24], // documentation
  ['224.0.0.0', 4], // multicast
  ['240.0.0.0', 4], // reserved, broadcast
])

/** The only range of global unicast IPv6 addresses; most ranges that map or embed IPv4 are outside. */
const GLOBAL_IPV6 = blockList('ipv6', [['2000::', 3]])

/**
 * Special-purpose addresses within that range.
 *
 * @see [IANA registry](https://www.iana.org/assignments/iana-ipv6-special-registry)
 */
const SPECIAL_IPV6 = blockList('ipv6', [
  ['2001::', 23], // protocol assignments: Teredo, benchmarks, ORCHID and others
  ['2001:db8::', 32], // documentation
  ['2002::', 16], // 6to4, embeds IPv4
  ['2620:4f:8000::', 48], // AS112
  ['3ffe::', 16], // the former 6bone
  ['3fff::', 20], // documentation
])

/**
 * Whether this is the address of a host on the public internet: neither private, local or reserved, nor an IPv6 address
 * that embeds such an address.
 */
export function isPublicAddress(address: string): boolean {
  switch (isIP(address)) {
    case 4:
      return !SPECIAL_IPV4.check(address, 'ipv4')
    case 6:
      return GLOBAL_IPV6.check(address, 'ipv6') && !SPECIAL_IPV6.check(address, 'ipv6')
    default:
      return false
  }
}

/**
 * Names that are reserved for private networks, or that private networks use: they lead to this machine, to its
 * neighbours, or to the metadata service of a cloud, of which one has a public name as well.
 *
 * @see [RFC 6761 §6.3](https://www.rfc-editor.org/rfc/rfc6761.html#section-6.3), [RFC 6762 appendix G](https://www.rfc-editor.org/rfc/rfc6762.html#appendix-G), [RFC 8375](https://www.rfc-editor.org/rfc/rfc8375.html)
 */
const PRIVATE_NAME =
  /(?:^|\.)(?:localhost|localdomain6?|local|internal|intranet|private|corp|home|lan|svc|home\.arpa)$|^metadata\.goog$/

/**
 * Whether a canonical name may be that of a host on the public internet. A name without a dot is completed by whoever
 * resolves it, and one with an empty label is read in different ways.
 */
export function isPublicName(name: string): boolean {
  return name.includes('.') && !name.split('.').includes('') && !PRIVATE_NAME.test(name)
}
