import type { Clock } from '../../clock.ts'
import { LruMap } from '../../lru-map.ts'
import { DEFAULT_METADATA_FRESH_MS, MAX_CACHED_DOCUMENTS, MAX_METADATA_FRESH_MS } from '../limits.ts'

/** A document and how long it may be cached, in milliseconds; 0: not at all. */
export interface Loaded<Value> {
  value: Value
  freshForMs: number
}

/** A bounded cache of documents by URL, in this process. Concurrent reads of one URL share one request. */
export class MetadataCache<Value> {
  private readonly cached: LruMap<string, { value: Value; freshUntil: number }>
  private readonly loading = new Map<string, Promise<Value>>()
  private readonly clock: Pick<Clock, 'monotonic'>

  constructor(clock: Pick<Clock, 'monotonic'>, maxEntries: number = MAX_CACHED_DOCUMENTS) {
    this.clock = clock
    this.cached = new LruMap(maxEntries)
  }

  /**
   * The document under this URL.
   *
   * @param options.refresh Bypasses the cache: after a challenge, a cached document may be outdated.
   */
  read(url: string, load: () => Promise<Loaded<Value>>, options: { refresh?: boolean } = {}): Promise<Value> {
    const cached = this.cached.get(url)
    if (cached !== undefined && options.refresh !== true && this.clock.monotonic() < cached.freshUntil) {
      return Promise.resolve(cached.value)
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
      else this.cached.set(url, { value, freshUntil: this.clock.monotonic() + freshForMs })
      return value
    } finally {
      this.loading.delete(url)
    }
  }
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
  // `Age`: the time that the response has already spent in caches.
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
