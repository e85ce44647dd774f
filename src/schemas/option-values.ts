import * as v from 'valibot'
import { MAX_TIMER_MS } from '../clock.ts'
import { CALLBACK_PARAMETERS, MAX_EPOCH_MS, MAX_SCOPE_LENGTH, MAX_URL_LENGTH, MIN_EPOCH_MS } from './limits.ts'

export const isText = (value: unknown): value is string =>
  typeof value === 'string' && value !== '' && value.isWellFormed()
/** A non-empty string of well-formed Unicode: in a store all lone surrogates would become the same key. */
export const Text = v.custom<string>(isText, 'must be a non-empty string of well-formed Unicode')
export const atMost = (max: number) => v.maxLength<string, number, string>(max, `must not exceed ${max} characters`)
export const withoutControls = v.check((text: string) => !/\p{Cc}/u.test(text), 'must not contain control characters')
/**
 * A text of the host that is stored in a record and sent: as long as one of a server may be, without control
 * characters.
 */
export const stored = (max: number) => v.pipe(Text, atMost(max), withoutControls)
/** A text that is shown, without characters that hide or reorder others. */
export const shown = (max: number) =>
  v.pipe(
    Text,
    atMost(max),
    v.check(
      (text) => !/[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]/u.test(text),
      'must not contain control or bidirectional characters',
    ),
  )
/** The id of a sealing key, which is in each record. */
export const KeyId = shown(256)
/** A client ID or an issuer, which need not be a URL. */
export const Identifier = stored(MAX_URL_LENGTH)
/** Space-separated scopes (RFC 6749 §3.3). */
export const Scope = v.pipe(
  v.string(),
  v.regex(/^[\x21\x23-\x5B\x5D-\x7E]+( [\x21\x23-\x5B\x5D-\x7E]+)*$/, 'must be scopes separated by single spaces'),
  atMost(MAX_SCOPE_LENGTH),
)
/** An instant in epoch milliseconds. OAuth servers send seconds. */
export const EpochMs = v.pipe(
  v.number(),
  v.check(
    (value) => value >= MIN_EPOCH_MS && value <= MAX_EPOCH_MS,
    'must be an instant in milliseconds since 1970: one in seconds has to be multiplied by 1000, and 0 for never has to be left out',
  ),
)
/** An integer of at least `least`, and of at most `most` where a larger one would have no meaning. */
const integer = (least: number, most: number = Number.MAX_SAFE_INTEGER) =>
  v.pipe(
    v.number(),
    v.check((value) => Number.isInteger(value) && value >= least, `must be an integer of at least ${least}`),
    v.maxValue<number, number, string>(most, `must be at most ${most}`),
  )
/** Milliseconds, at least one. A longer duration than that of any timer would elapse at once. */
export const DurationMs = integer(1, MAX_TIMER_MS)
/** Milliseconds, or none. */
export const DelayMs = integer(0, MAX_TIMER_MS)
export const Count = integer(0)
/** A number of at least one. */
export const Positive = integer(1)
export const callable = <T>() => v.custom<T>((value) => typeof value === 'function', 'must be a function')
/** Whether a text is an absolute http(s) URL: others, such as `blob:`, may have an origin as well. */
export const isWebUrl = (text: string): boolean => URL.canParse(text) && /^https?:$/.test(new URL(text).protocol)
/** Whether a text is an http(s) URL of this origin. */
export const isOfOrigin = (text: string, origin: string): boolean => isWebUrl(text) && new URL(text).origin === origin
/** Whether a URL contains a user name or a password. */
export const hasCredentials = (text: string): boolean =>
  URL.canParse(text) && new URL(text).username + new URL(text).password !== ''
export const WebUrl = v.pipe(v.string(), v.check(isWebUrl, 'must be an absolute http(s) URL'))
const withoutWildcard = v.check(
  (text: string) => !text.includes('*'),
  'must not contain *, which stands for itself only',
)
/** A URL that is compared as it is. */
export const ExactUrl = v.pipe(WebUrl, withoutWildcard)
/** An origin as `URL.origin` serializes it: no other form could equal the origin of a URL. */
export const Origin = v.pipe(
  v.string(),
  v.check(
    (text) => isWebUrl(text) && new URL(text).origin === text,
    "must be an origin such as 'https://app.example', without a path or a final slash",
  ),
  withoutWildcard,
)

/** Matches a host name as `URL` serializes it. The last form is 127.0.0.0/8 mapped into IPv6 (RFC 4291 §2.5.5.2). */
const LOOPBACK = /^(?:localhost\.?|127(?:\.\d+){3}|\[::1\]|\[::ffff:7f[\da-f]{2}:[\da-f]{1,4}\])$/

/**
 * Whether a host is a loopback host: `localhost`, 127.0.0.0/8 or ::1. Subdomains of `localhost` are not: a resolver may
 * map them to any address.
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

/** RFC 6749 §3.1.2, OAuth 2.1 §2.3.1: absolute, without a fragment, https or loopback. */
function isRedirectUri(text: string): boolean {
  if (!isWebUrl(text) || text.includes('#')) return false
  const { protocol, hostname, username, password } = new URL(text)
  return (protocol === 'https:' || isLoopbackHost(hostname)) && username + password === ''
}

/** Whether `{issuer}` is a whole segment of the path, once, if it is there at all; no other brace is a placeholder. */
function isTemplate(text: string): boolean {
  const [before = '', after, ...others] = text.split('{issuer}')
  const isSegment = after === undefined || (/^[^?]+\/$/.test(before) && /^(?:[/?]|$)/.test(after))
  return isSegment && others.length === 0 && !/[{}]|%7[bd]/i.test(before + (after ?? ''))
}

/** Whether each parameter of a callback is that of the server: it keeps the query, and appends its own. */
const hasOwnQuery = (text: string): boolean =>
  !URL.canParse(text) || !CALLBACK_PARAMETERS.some((name) => new URL(text).searchParams.has(name))

/** A redirect URI that a client is registered with. */
export const RegisteredRedirectUri = v.pipe(
  Identifier,
  v.check(
    isRedirectUri,
    'must be an https URL, or http on localhost (no subdomain of it), 127.0.0.0/8 or [::1], without credentials or a fragment',
  ),
  v.check(hasOwnQuery, 'must not have state, code, iss or error in its query: each callback would have it twice'),
)

/** The redirect URI to which authorization servers return the browser. */
export const RedirectUri = v.pipe(
  RegisteredRedirectUri,
  v.check(
    isTemplate,
    'may contain {issuer}, the only placeholder, once, as a whole segment of its path, and no other braces',
  ),
)

/**
 * A URL that can be a client id: servers compare it character by character, so that it must have a single form.
 *
 * @see [OAuth Client ID Metadata Document §3](https://www.ietf.org/archive/id/draft-ietf-oauth-client-id-metadata-document-00.html#section-3)
 */
function isClientIdUrl(text: string): boolean {
  if (!/^https:\/\/[^/?#]+\/[^?#\s]+$/.test(text) || !URL.canParse(text)) return false
  const { username, password } = new URL(text)
  const hasDotSegment = /\/(\.|%2e){1,2}(\/|$)/i.test(text)
  return username + password === '' && !hasDotSegment
}

/** The URL of the client ID metadata document. */
export const ClientIdUrl = v.pipe(
  v.string(),
  v.check(isClientIdUrl, 'must be an https URL with a path, without dot segments, query, fragment or credentials'),
)

/** The bytes of a key: 32, and not those of a buffer that was never filled. */
export const KeyBytes = v.pipe(
  v.instance(Uint8Array),
  v.check((bytes) => bytes.length === 32, 'must be 32 bytes long'),
  v.check((bytes) => bytes.some((byte) => byte !== 0), 'must be random bytes, not zeros: crypto.randomBytes(32)'),
)

/**
 * Whether a value is a request of the Fetch API, of any implementation. Those of Node, Express, Fastify and Koa have
 * plain objects as headers.
 */
export const isFetchRequest = (value: unknown): value is Request =>
  typeof value === 'object' &&
  value !== null &&
  'headers' in value &&
  has(['get'])(value.headers) &&
  'url' in value &&
  typeof value.url === 'string'

/** Whether a value has all these methods, as an implementation by the host needs them. */
export const has =
  (methods: readonly string[]) =>
  (value: unknown): boolean =>
    typeof value === 'object' &&
    value !== null &&
    methods.every((name) => typeof Reflect.get(value, name) === 'function')
