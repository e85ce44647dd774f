const MAX_UNTRUSTED_LENGTH = 200
const MAX_SEGMENT_LENGTH = 20

/** Path segments that standards prescribe, and that are longer. */
const WELL_KNOWN: ReadonlySet<string> = new Set([
  'oauth-authorization-server',
  'oauth-protected-resource',
  'openid-configuration',
])

/** Control characters, format characters, such as those that change the direction of a text, and separators of lines. */
const INVISIBLE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu

/** Escapes the characters of another party's text that would change how the text around it is displayed. */
export function escapeInvisible(text: string): string {
  return text.replace(INVISIBLE, (character) => {
    const code = Number(character.codePointAt(0)).toString(16)
    return code.length > 4 ? `\\u{${code}}` : `\\u${code.padStart(4, '0')}`
  })
}

/** A value as JSON, in which JSON itself escapes only some control characters. */
export function quote(value: unknown): string {
  return escapeInvisible(JSON.stringify([value]).slice(1, -1))
}

/** A string of another party, escaped and truncated to a length that is safe to store and to print. */
export function truncate(text: string): string {
  const escaped = escapeInvisible(text)
  return escaped.length > MAX_UNTRUSTED_LENGTH ? `${escaped.slice(0, MAX_UNTRUSTED_LENGTH)}…` : escaped
}

const cut = (text: string): string => `${text.slice(0, 4)}…`

/** A scheme may stand before another URL: `blob:https://…`. */
const URL_PARTS = /^((?:[a-z][a-z\d+.-]*:)+\/\/)(?:[^/?#]*@)?([^/?#]*)([^?#]*)/i

/** What another party sent in place of a URL: everything before a query. */
const WITHOUT_QUERY = /^[^?#]*/

/**
 * A URL in a form that may be shown, otherwise verbatim: origin and path, without its query, which may contain a
 * secret. Long path segments are cut as well, since some MCP servers have their keys there. Any other text counts as a
 * path.
 */
export function redactUrl(url: string): string {
  const [, scheme = '', host = '', path = String(WITHOUT_QUERY.exec(url))] = URL_PARTS.exec(url) ?? []
  const segments = path.split(/([/\\\s])/).map((segment) => (isShown(segment) ? segment : cut(segment)))
  return truncate(scheme + host + segments.join(''))
}

/** A name of the form that standards and servers use, which may be long. Hardly a token: it has no digit. */
const REGISTERED_NAME = /^[a-z][a-z:._-]{0,63}$/i

/** Names that another party lists, such as methods and scopes, without what resembles a secret. */
export function redactNames(names: readonly string[]): string {
  return truncate(names.map((name) => (REGISTERED_NAME.test(name) ? name : redactUrl(name))).join(' '))
}

function isShown(segment: string): boolean {
  return segment.length < MAX_SEGMENT_LENGTH || WELL_KNOWN.has(segment)
}

/** The parameters of a challenge that `authorize()` reads; what resembles a token elsewhere. */
const CHALLENGE_PART =
  /((?<![\w-])(?:(?:scope|resource_metadata|acr_values)\s*=\s*(?:"[^"\\]*(?:\\.[^"\\]*)*"|[^\s,"]+)|error\s*=\s*"?[a-z_]{1,64}(?![^\s,"])))|[\w~+/.-]{20,}=*/gis

/** A `WWW-Authenticate` value without what resembles a token: some servers repeat the rejected one in a description. */
export function redactChallenge(challenge: string): string {
  return challenge.replace(CHALLENGE_PART, (part, parameter?: string) => parameter ?? cut(part))
}
