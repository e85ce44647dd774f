import { createHash } from 'node:crypto'

/** Stands for the authorization server in `client.redirectUri`. */
export const ISSUER_PLACEHOLDER = '{issuer}'

/** A hash of an issuer as a segment of a path: 22 characters, 128 bits and more. */
function issuerSegment(issuer: string): string {
  return createHash('sha256').update(issuer.replace(/\/$/, '')).digest('base64url').slice(0, 22)
}

/**
 * The redirect URI at one authorization server: each has its own, so that a callback shows which one it came from also
 * where that sends no `iss`.
 *
 * @see [RFC 9700 §4.4.2](https://www.rfc-editor.org/rfc/rfc9700.html#section-4.4.2)
 */
export function redirectUriAt(redirectUri: string, issuer: string): string {
  return redirectUri.replace(ISSUER_PLACEHOLDER, issuerSegment(issuer))
}

/** A segment of a path that may be that of an issuer, its characters escaped or not. */
const ISSUER_SEGMENT = /^(?:[\w-]|%[\da-f]{2}){22}$/i

/** Whether a callback came to the redirect URI of its issuer, as far as that URI names the issuer. */
export function isAtRedirectUri(callback: string | URL, redirectUri: string | undefined, issuer: string): boolean {
  if (redirectUri === undefined) return true
  const segment = issuerSegment(issuer)
  const segmentsOf = (url: string | URL): string[] => new URL(url).pathname.split('/')
  const expected = segmentsOf(redirectUri)
  if (!expected.includes(segment)) return true
  const received = segmentsOf(callback)
  // Some servers return the browser to every path below a registered one: that of another issuer, with this one's after it.
  return received.includes(segment) && received.every((part) => expected.includes(part) || !ISSUER_SEGMENT.test(part))
}
