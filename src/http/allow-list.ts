import { BlockList, isIP, isIPv6 } from 'node:net'
import { domainToASCII } from 'node:url'

interface NameEntry {
  readonly kind: 'name'
  readonly name: string
  readonly port: number | undefined
}

interface NetworkEntry {
  readonly kind: 'network'
  readonly network: BlockList
  readonly port: number | undefined
}

/** One parsed entry of `network.allow`. */
export type AllowEntry = NameEntry | NetworkEntry

const BRACKETED = /^\[([^\][]+)\](?::(\d{1,5}))?$/
const PLAIN = /^([^:@?#%\\\s]+)(?::(\d{1,5}))?$/
const CIDR = /^([^/]+)\/(\d{1,3})$/
const NAME = /^(?=.{1,253}$)[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?)*$/

function parsePort(text: string | undefined): number | undefined | 'invalid' {
  if (text === undefined) return undefined
  const port = Number(text)
  return port >= 1 && port <= 65_535 ? port : 'invalid'
}

function parseNetwork(text: string): BlockList | undefined {
  const [, address = text, prefix] = CIDR.exec(text) ?? []
  const family = isIP(address)
  const longest = family === 6 ? 128 : 32
  const length = prefix === undefined ? longest : Number(prefix)
  if (family === 0 || address.includes('%') || length > longest) return undefined
  const network = new BlockList()
  network.addSubnet(address, length, family === 6 ? 'ipv6' : 'ipv4')
  return network
}

/** The canonical form of a host name: lower case, ASCII, without the final dot. */
export function canonicalName(name: string): string {
  return domainToASCII(name.endsWith('.') ? name.slice(0, -1) : name)
}

/**
 * Parses `127.0.0.1`, `10.0.0.0/8`, `::1`, `[::1]:8080`, `[fd00::/8]:443`, `localhost` and `as.internal:8443`.
 *
 * @returns `undefined` if the text is none of these.
 */
export function parseAllowEntry(text: string): AllowEntry | undefined {
  if (isIPv6(text.split('/', 1)[0] ?? '')) return parseAllowEntry(`[${text}]`)
  const bracketed = BRACKETED.exec(text)
  const [, host, portText] = bracketed ?? PLAIN.exec(text) ?? []
  const port = parsePort(portText)
  if (host === undefined || port === 'invalid') return undefined
  const network = parseNetwork(host)
  if (network !== undefined) return { kind: 'network', network, port }
  const name = host.includes('/') ? '' : canonicalName(host)
  // URL parsers read `127.1` and `0x7f.1` as addresses.
  const isName = bracketed === null && NAME.test(name) && isIP(name) === 0 && !/(?:^|\.)(?:\d+|0x[\da-f]*)$/.test(name)
  return isName ? { kind: 'name', name, port } : undefined
}

/** The entry that allows one destination, at whatever address; `undefined` if no entry can. */
export function allowEntryFor(host: string, port: number): string | undefined {
  const entry = `${isIPv6(host) ? `[${host}]` : host}:${port}`
  return parseAllowEntry(entry) === undefined ? undefined : entry
}

/** The destinations that `network.allow` adds to public addresses over https. */
export interface AllowList {
  /** Whether this name itself is listed, for this port. */
  hasName(name: string, port: number): boolean
  /** Whether this address is listed, alone or within a network, for this port. */
  hasAddress(address: string, port: number): boolean
  /** Whether any address or network is listed at all. */
  readonly hasNetworks: boolean
}

/** Creates the list from its parsed entries. */
export function createAllowList(entries: readonly AllowEntry[]): AllowList {
  const names = entries.filter((entry) => entry.kind === 'name')
  const networks = entries.filter((entry) => entry.kind === 'network')
  const matchesPort = (entry: AllowEntry, port: number): boolean => entry.port === undefined || entry.port === port
  return {
    hasName: (name, port) => names.some((entry) => entry.name === name && matchesPort(entry, port)),
    hasAddress: (address, port) =>
      networks.some(
        (entry) => matchesPort(entry, port) && entry.network.check(address, isIPv6(address) ? 'ipv6' : 'ipv4'),
      ),
    hasNetworks: networks.length > 0,
  }
}
