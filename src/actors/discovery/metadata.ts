import type { GenericSchema, InferOutput } from 'valibot'
import type { Clock } from '../../clock.ts'
import type { FailureCode } from '../../errors/failure.ts'
import { type PortError, portError } from '../../errors/port-error.ts'
import { redactUrl } from '../../errors/redact.ts'
import { MAX_METADATA_BYTES } from '../../http/limits.ts'
import { LruMap } from '../../lru-map.ts'
import { isRetryLaterStatus } from '../../protocol/token-endpoint.ts'
import { check, parseJson } from '../../schemas/wire.ts'
import type { ConnectionDependencies } from '../dependencies.ts'
import { isSuccess, retryAfterMs } from '../endpoint-request.ts'
import {
  ABSENT_METADATA_FRESH_MS,
  BYTES_PER_STRING,
  DEFAULT_METADATA_FRESH_MS,
  MAX_CACHED_BYTES,
  MAX_CACHED_DOCUMENTS,
  MAX_METADATA_FRESH_MS,
  MAX_METADATA_REDIRECTS,
  MCP_PROTOCOL_VERSION,
  USER_AGENT,
} from '../limits.ts'

/** The result for one metadata URL: the document, or the 4xx status that says that it does not exist. */
export type MetadataLookup<Metadata> = { metadata: Metadata } | { absent: number }

/** Failures of a response that is not the expected document. */
const UNREADABLE: ReadonlySet<FailureCode> = new Set([
  'RESPONSE_NOT_JSON',
  'RESPONSE_INVALID',
  'RESPONSE_TOO_LARGE',
  'TOO_MANY_REDIRECTS',
])
/** Failures of a URL that must not be requested. */
const FORBIDDEN: ReadonlySet<FailureCode> = new Set(['ADDRESS_FORBIDDEN', 'INSECURE_ENDPOINT'])

/** Whether a URL responded with something else than what was asked for. */
export function isUnreadable({ failure }: PortError): boolean {
  return UNREADABLE.has(failure.code)
}

/** Whether a metadata URL leads to no document for sure, so that the next one is requested. */
export function isUnusable(error: PortError): boolean {
  return isUnreadable(error) || FORBIDDEN.has(error.failure.code)
}

/**
 * Requests one metadata document.
 *
 * @param expected The schema of the document, its name in failures, and the failure code for a 5xx.
 * @throws `PortError` `TOO_MANY_REDIRECTS` (also for a redirect that leads to a 4xx), `RESPONSE_NOT_JSON`,
 *   `RESPONSE_INVALID` with the names of the document and the field, `RATE_LIMITED`, `expected.unavailable`, or what
 *   the transport rejects with.
 */
export async function loadMetadata<Schema extends GenericSchema>(
  { transport, clock }: Pick<ConnectionDependencies, 'transport' | 'clock'>,
  url: string,
  expected: { schema: Schema; document: string; unavailable: FailureCode },
): Promise<Loaded<MetadataLookup<InferOutput<Schema>>>> {
  const response = await transport.exchange({
    url,
    method: 'GET',
    headers: {
      accept: 'application/json',
      'mcp-protocol-version': MCP_PROTOCOL_VERSION,
      'user-agent': USER_AGENT,
    },
    maxBytes: MAX_METADATA_BYTES,
    maxRedirects: MAX_METADATA_REDIRECTS,
  })
  const { status, headers } = response
  const where = { url: redactUrl(url), status }
  if (!isSuccess(response)) {
    if (status < 500 && !isRetryLaterStatus(status)) {
      // The URL itself did not say that there is no document.
      if (response.redirected) throw portError('TOO_MANY_REDIRECTS', 'rejected', { ...where, reason: 'notFound' })
      return { value: { absent: status }, freshForMs: status === 404 ? ABSENT_METADATA_FRESH_MS : 0 }
    }
    const details = { ...where, retryAfterMs: retryAfterMs(headers, clock.now()) }
    throw portError(status === 429 ? 'RATE_LIMITED' : expected.unavailable, 'rejected', details)
  }
  const details = { ...where, document: expected.document }
  const json = parseJson(response.text)
  if (json === undefined) throw portError('RESPONSE_NOT_JSON', 'rejected', details)
  const checked = check(expected.schema, json)
  if ('field' in checked) throw portError('RESPONSE_INVALID', 'rejected', { ...details, field: checked.field })
  return { value: { metadata: checked.output }, freshForMs: freshnessOf(headers) }
}

/** A document and how long it may be cached, in milliseconds; 0: not at all. */
interface Loaded<Value> {
  value: Value
  freshForMs: number
}

/** A bounded cache of documents by URL, in this process. Concurrent reads of one URL share one request. */
export class MetadataCache<Value> {
  private readonly cached: LruMap<string, { value: Value; freshUntil: number; bytes: number }>
  private readonly loading = new Map<string, Promise<Value>>()
  private readonly clock: Pick<Clock, 'monotonic'>

  constructor(
    clock: Pick<Clock, 'monotonic'>,
    { maxEntries = MAX_CACHED_DOCUMENTS, maxBytes = MAX_CACHED_BYTES / 3 } = {},
  ) {
    this.clock = clock
    this.cached = new LruMap(maxEntries, { maxWeight: maxBytes, weightOf: ({ bytes }) => bytes })
  }

  /**
   * The document under this URL.
   *
   * @param options.refresh Bypasses the cache: after a challenge, a cached document may be outdated; or for which
   *   values.
   */
  read(
    url: string,
    load: () => Promise<Loaded<Value>>,
    { refresh = false }: { refresh?: boolean | ((cached: Value) => boolean) } = {},
  ): Promise<Value> {
    const cached = this.cached.get(url)
    if (cached !== undefined && this.clock.monotonic() < cached.freshUntil) {
      const isOutdated = typeof refresh === 'function' ? refresh(cached.value) : refresh
      if (!isOutdated) return Promise.resolve(cached.value)
    }
    const running = this.loading.get(url) ?? this.start(url, load)
    this.loading.set(url, running)
    return running
  }

  /** Removes a document that turned out to be unusable. */
  drop(url: string): void {
    this.cached.delete(url)
  }

  private async start(url: string, load: () => Promise<Loaded<Value>>): Promise<Value> {
    try {
      const { value, freshForMs } = await load()
      if (freshForMs <= 0) this.cached.delete(url)
      else this.cached.set(url, { value, freshUntil: this.clock.monotonic() + freshForMs, bytes: bytesOf(url, value) })
      return value
    } finally {
      this.loading.delete(url)
    }
  }
}

/** What a cached document takes at most, about, in bytes: two for each character, and the objects of its strings. */
function bytesOf(url: string, value: unknown): number {
  const json = JSON.stringify([url, value])
  return 2 * json.length + BYTES_PER_STRING * (json.split('"').length / 2)
}

/**
 * How long a response may be cached, in milliseconds.
 *
 * @see [RFC 9111 §5.2.2](https://www.rfc-editor.org/rfc/rfc9111.html#section-5.2.2)
 */
export function freshnessOf(headers: Headers): number {
  const control = headers.get('cache-control') ?? ''
  if (/\bno-(?:store|cache)\b/i.test(control)) return 0
  const maxAge = /\bmax-age="?(\d{1,10})/i.exec(control)?.[1]
  const lifeMs = maxAge === undefined ? untilExpiryMs(headers) : Number(maxAge) * 1000
  // `Age`: how long the response was already in caches.
  const ageMs = Number(/^\d{1,10}$/.exec(headers.get('age')?.trim() ?? '')?.[0] ?? 0) * 1000
  return lifeMs === undefined ? DEFAULT_METADATA_FRESH_MS : Math.max(0, Math.min(lifeMs - ageMs, MAX_METADATA_FRESH_MS))
}

/** Computed on the server's own clock. An invalid date counts as expired (RFC 9111 §5.3). */
function untilExpiryMs(headers: Headers): number | undefined {
  const expires = headers.get('expires')
  if (expires === null) return undefined
  const leftMs = Date.parse(expires) - Date.parse(headers.get('date') ?? '')
  return Number.isNaN(leftMs) ? 0 : leftMs
}
