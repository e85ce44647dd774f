import { redactUrl } from '../errors/redact.ts'

/**
 * Whether two issuers are equal, ignoring one trailing slash, which many servers add or omit.
 *
 * @see [RFC 8414 §3.3](https://www.rfc-editor.org/rfc/rfc8414.html#section-3.3)
 */
export function sameIssuer(one: string, other: string): boolean {
  return one === other || `${one}/` === other || one === `${other}/`
}

/** An issuer in a form that may be shown. */
export function shownIssuer(issuer: string): string {
  return redactUrl(issuer)
}
