import { isIP } from 'node:net'
import * as v from 'valibot'
import { MAX_TIMER_MS } from '../clock.ts'
import { isLoopbackHost } from '../schemas/option-values.ts'
import { parseOptions } from '../schemas/parse-options.ts'
import { destinationOf } from './address-guard.ts'
import { type AllowEntry, type AllowList, createAllowList, parseAllowEntry } from './allow-list.ts'
import { DEFAULT_HEADERS_TIMEOUT_MS, DEFAULT_TIMEOUT_MS, MAX_RESPONSE_BYTES } from './limits.ts'

function isProxyUrl(text: string): boolean {
  if (!URL.canParse(text)) return false
  const { protocol, pathname, search, hash, username, password } = new URL(text)
  return /^https?:$/.test(protocol) && pathname === '/' && search + hash === '' && isDecodable(username + password)
}

/** Credentials go to the proxy without their percent-encoding. */
function isDecodable(text: string): boolean {
  try {
    decodeURIComponent(text)
    return true
  } catch {
    return false
  }
}

function positiveInteger(max: number) {
  const problem = `must be an integer from 1 to ${max}`
  return v.optional(v.pipe(v.number(), v.integer(problem), v.minValue(1, problem), v.maxValue(max, problem)))
}

/** The `network` option. Its messages never contain a value, which may be a proxy's password. */
const NetworkOptionsSchema = v.pipe(
  v.strictObject({
    allow: v.optional(
      v.array(
        v.pipe(
          v.string(),
          v.check(
            (text) => parseAllowEntry(text) !== undefined,
            'must be an address, a network in CIDR notation or a host name, each with an optional port',
          ),
        ),
      ),
    ),
    proxy: v.optional(
      v.pipe(
        v.string(),
        v.check(
          isProxyUrl,
          'must be the http or https URL of a proxy, without a path, a query or a fragment, and with any credentials percent-encoded',
        ),
      ),
    ),
    timeoutMs: positiveInteger(MAX_TIMER_MS),
    headersTimeoutMs: positiveInteger(MAX_TIMER_MS),
    maxResponseBytes: positiveInteger(Number.MAX_SAFE_INTEGER),
    fetch: v.optional(v.custom<typeof fetch>((value) => typeof value === 'function', 'must be a function')),
  }),
  v.forward(
    v.partialCheck(
      [['proxy'], ['fetch']],
      ({ proxy, fetch }) => proxy === undefined || fetch === undefined,
      'cannot be combined with network.fetch',
    ),
    ['proxy'],
  ),
)

/** How authchart reaches the network. */
export interface NetworkOptions {
  /**
   * Private addresses and plain http endpoints that are allowed: `127.0.0.1`, `10.0.0.0/8`, `[::1]:8080`,
   * `as.internal:8443`. An address or a network matches the resolved address, a name only itself; each with an optional
   * port. A failure that an entry would fix names it in `details.allow`. @defaultValue none
   */
  allow?: string[] | undefined
  /**
   * URL of an egress proxy, optionally with credentials. The proxy resolves names, so the proxy must reject names of
   * private addresses; names that are not public, such as `metadata.google.internal` or one without a dot, are sent to
   * it only if `allow` lists them. For plain http the proxy's own refusals, such as a 403 or 502, cannot be
   * distinguished from those of the server, and count as its. @defaultValue none
   */
  proxy?: string | undefined
  /**
   * Upper bound for one exchange over headers and body, in milliseconds. Integer from 1 to 2,147,483,647. @defaultValue
   * 10_000
   */
  timeoutMs?: number | undefined
  /**
   * Upper bound for the wait of `connection.fetch` for the headers of a response, in milliseconds; the body may take
   * any time. Raise it for servers that send the headers of an event stream only with its first event, or those of a
   * tool call only with its result, after longer than that. Counted from each part of a streamed request body that the
   * server takes. Integer from 1 to 2,147,483,647. @defaultValue 60_000
   */
  headersTimeoutMs?: number | undefined
  /**
   * Upper bound for one body after decompression, in bytes; of `connection.fetch` only for a brotli body that its
   * request does not accept. Integer from 1 to 9,007,199,254,740,991. @defaultValue 1_048_576
   */
  maxResponseBytes?: number | undefined
  /**
   * Replaces the built-in client. Addresses are checked before each request, but this function decides which address it
   * connects to. If it fails other than by a network error with a `code`, or a `TimeoutError` or `AbortError`
   * (`HTTP_TIMEOUT`), the failure is `HTTP_NETWORK`, reason `fetchFailed`, and a process warning with the code
   * `AUTHCHART_CALLBACK_FAILED` has its message, once.
   *
   * @defaultValue none
   */
  fetch?: typeof fetch | undefined
}

/** The parsed `network` option with its defaults. */
export interface NetworkRules {
  readonly allow: AllowList
  readonly proxy: string | undefined
  readonly timeoutMs: number
  readonly headersTimeoutMs: number
  readonly maxResponseBytes: number
  readonly fetch: typeof fetch | undefined
}

/**
 * Parses the `network` option.
 *
 * @throws `TypeError` that names the invalid part, for example `network.allow[2]`.
 */
export function parseNetworkOptions(options: NetworkOptions): NetworkRules {
  const {
    allow = [],
    proxy,
    timeoutMs,
    headersTimeoutMs,
    maxResponseBytes,
    fetch,
  } = parseOptions(NetworkOptionsSchema, options, 'network')
  return {
    allow: createAllowList(allow.map(parseAllowEntry).filter((entry): entry is AllowEntry => entry !== undefined)),
    proxy,
    timeoutMs: timeoutMs ?? DEFAULT_TIMEOUT_MS,
    headersTimeoutMs: headersTimeoutMs ?? DEFAULT_HEADERS_TIMEOUT_MS,
    maxResponseBytes: maxResponseBytes ?? MAX_RESPONSE_BYTES,
    fetch,
  }
}

/** Whether a plain http URL is allowed: a loopback host, or a destination that `network.allow` lists. */
export function mayUseHttp(allow: AllowList, url: URL): boolean {
  const { host, port } = destinationOf(url)
  return isLoopbackHost(host) || allow.hasName(host, port) || (isIP(host) !== 0 && allow.hasAddress(host, port))
}
