/** As `URL` writes a host name. The last form is 127.0.0.0/8 mapped into IPv6 (RFC 4291 §2.5.5.2). */
const LOOPBACK = /^(?:localhost\.?|127(?:\.\d+){3}|\[::1\]|\[::ffff:7f[\da-f]{2}:[\da-f]{1,4}\])$/

/**
 * Whether a host is this machine: `localhost`, 127.0.0.0/8 or ::1. Names below `localhost` are not: a resolver may send
 * them anywhere.
 *
 * @param host A host name or an address without a port; an IPv6 address with or without brackets.
 * @see [RFC 8252 §7.3, §8.3](https://www.rfc-editor.org/rfc/rfc8252.html#section-7.3)
 */
export function isLoopbackHost(host: string): boolean {
  const text = `http://${host.includes(':') && !host.startsWith('[') ? `[${host}]` : host}`
  if (!URL.canParse(text)) return false
  const { href, hostname } = new URL(text)
  return href === `http://${hostname}/` && LOOPBACK.test(hostname)
}
