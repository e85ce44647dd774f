import type { LookupAddress } from 'node:dns'
import { isIP, isIPv6 } from 'node:net'
import { type PortError, portError } from '../errors/port-error.ts'
import { type AllowList, allowEntryFor, canonicalName } from './allow-list.ts'
import { isPublicAddress, isPublicName } from './public-address.ts'

/** Resolves a name to all its addresses. Rejects with an error whose `code` is Node's (`ENOTFOUND` and so on). */
export type Resolve = (name: string) => Promise<readonly LookupAddress[]>

/** The destination of a request: the part of a URL that the guard checks. */
export interface Destination {
  readonly secure: boolean
  /** A canonical name, or an address without brackets. */
  readonly host: string
  readonly port: number
}

/** The destination of a URL, or of a connector's options in undici. */
export function destinationOf(url: {
  readonly protocol: string
  readonly hostname: string
  readonly port: string
}): Destination {
  const secure = url.protocol === 'https:'
  const bare = url.hostname.replace(/^\[|\]$/g, '')
  return {
    secure,
    host: isIPv6(bare) ? bare : canonicalName(bare),
    port: url.port === '' ? (secure ? 443 : 80) : Number(url.port),
  }
}

/** Decides which destinations are allowed. Every method throws a `PortError` with outcome `notSent`. */
export interface AddressGuard {
  /**
   * Checks a URL without name resolution: the scheme, credentials, and the address if the host is one.
   *
   * @throws `PortError` `INSECURE_ENDPOINT` for another scheme than https or http, and for http that is not listed;
   *   `ADDRESS_FORBIDDEN` for credentials and for forbidden addresses. `details.allow` is the entry of `network.allow`
   *   that would allow the destination, if one can.
   */
  check(url: URL): void
  /**
   * Checks a URL whose name a proxy resolves: also rejects names that are not public, and http, unless the name is
   * listed.
   */
  checkUnresolved(url: URL): void
  /**
   * Checks a URL that a browser is sent to, without name resolution, as {@link AddressGuard.checkUnresolved}: also
   * rejects the host's own origins, unless they are listed.
   */
  checkBrowserUrl(url: URL, own: readonly string[]): void
  /** Resolves the destination once. One forbidden address rejects the whole name. */
  resolve(destination: Destination): Promise<readonly LookupAddress[]>
  /** Checks the remote address of an established connection. */
  vet(destination: Destination, address: string): void
}

/** The rejection of a destination that an entry of `network.allow` would allow. */
function unlisted(
  code: 'INSECURE_ENDPOINT' | 'ADDRESS_FORBIDDEN',
  { host, port }: Destination,
  reason?: 'ownOrigin',
): PortError {
  return portError(code, 'notSent', { allow: allowEntryFor(host, port), reason })
}

/** The addresses of `localhost` (RFC 6761 §6.3). */
const LOOPBACK = ['127.0.0.1', '::1']

/** Creates the guard for an allow list. */
export function createAddressGuard({ allow, resolve }: { allow: AllowList; resolve: Resolve }): AddressGuard {
  function vetAll(destination: Destination, addresses: readonly string[]): void {
    if (allow.hasName(destination.host, destination.port)) return
    const others = addresses.filter((address) => !allow.hasAddress(address, destination.port))
    if (!destination.secure && others.length > 0) throw unlisted('INSECURE_ENDPOINT', destination)
    if (!others.every(isPublicAddress)) throw unlisted('ADDRESS_FORBIDDEN', destination)
  }

  function check(url: URL): void {
    const destination = destinationOf(url)
    if (!/^https?:$/.test(url.protocol)) throw portError('INSECURE_ENDPOINT', 'notSent', { reason: 'scheme' })
    if (url.username !== '' || url.password !== '') {
      throw portError('ADDRESS_FORBIDDEN', 'notSent', { reason: 'credentials' })
    }
    if (isIP(destination.host) !== 0) {
      vetAll(destination, [destination.host])
    } else if (!destination.secure && !allow.hasNetworks && !allow.hasName(destination.host, destination.port)) {
      throw unlisted('INSECURE_ENDPOINT', destination)
    }
  }

  function checkName(url: URL, isForbidden: (name: string) => boolean): void {
    check(url)
    const destination = destinationOf(url)
    const { secure, host, port } = destination
    if (isIP(host) !== 0 || allow.hasName(host, port)) return
    if (!secure) throw unlisted('INSECURE_ENDPOINT', destination)
    if (isForbidden(host)) throw unlisted('ADDRESS_FORBIDDEN', destination)
  }

  // Where networks are listed, the browser may be in one of them.
  const isForbiddenInBrowser = (name: string): boolean =>
    allow.hasNetworks ? /(?:^|\.)localhost$/.test(name) : !isPublicName(name)

  return {
    check,
    checkUnresolved: (url) => checkName(url, (name) => !isPublicName(name)),
    checkBrowserUrl(url, own) {
      const { host, port } = destinationOf(url)
      if (allow.hasName(host, port)) return check(url)
      const addresses = host === 'localhost' ? LOOPBACK : [host]
      if (addresses.some((address) => isIP(address) !== 0 && allow.hasAddress(address, port))) return check(url)
      checkName(url, isForbiddenInBrowser)
      if (own.includes(url.origin)) throw unlisted('ADDRESS_FORBIDDEN', destinationOf(url), 'ownOrigin')
    },
    async resolve(destination) {
      const family = isIP(destination.host)
      const addresses = family === 0 ? await resolve(destination.host) : [{ address: destination.host, family }]
      if (addresses.length === 0) throw portError('HTTP_NETWORK', 'notSent', { reason: 'nameNotResolved' })
      vetAll(
        destination,
        addresses.map(({ address }) => address),
      )
      return addresses
    },
    vet(destination, address) {
      vetAll(destination, [address])
    },
  }
}
