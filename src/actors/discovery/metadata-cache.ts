import type { Clock } from '../../clock.ts'
import { DEFAULT_METADATA_FRESH_MS, MAX_CACHED_DOCUMENTS, MAX_METADATA_FRESH_MS } from '../limits.ts'

/** A document and how long it may be used without asking again; 0: only now. */
export interface Loaded<Value> {
  value: Value
  freshForMs: number
}

/**
 * Documents by URL, in this process: bounded, the least recently used goes first. Simultaneous readers of one URL share
 * one request.
 */
export class MetadataCache<Value> {
  private readonly kept = new Map<string, { value: Value; freshUntil: number }>()
  private readonly loading = new Map<string, Promise<Value>>()
  private readonly clock: Pick<Clock, 'monotonic'>
  private readonly maxEntries: number

  constructor(clock: Pick<Clock, 'monotonic'>, maxEntries: number = MAX_CACHED_DOCUMENTS) {
    this.clock = clock
    this.maxEntries = maxEntries
  }

  /**
   * The document under this URL.
   *
   * @param options.refresh Whether a kept one is no good, because a challenge sent us here.
   */
  read(url: string, load: () => Promise<Loaded<Value>>, options: { refresh?: boolean } = {}): Promise<Value> {
    const known = this.kept.get(url)
    if (known !== undefined && options.refresh !== true && this.clock.monotonic() < known.freshUntil) {
      this.kept.delete(url)
      this.kept.set(url, known)
      return Promise.resolve(known.value)
    }
    const running = this.loading.get(url) ?? this.start(url, load)
    this.loading.set(url, running)
    return running
  }

  /** Forgets a document that turned out not to be usable. */
  drop(url: string): void {
    this.kept.delete(url)
  }

  private async start(url: string, load: () => Promise<Loaded<Value>>): Promise<Value> {
    try {
      const { value, freshForMs } = await load()
      this.keep(url, value, freshForMs)
      return value
    } finally {
      this.loading.delete(url)
    }
  }

  private keep(url: string, value: Value, freshForMs: number): void {
    this.kept.delete(url)
    if (freshForMs <= 0) return
    this.kept.set(url, { value, freshUntil: this.clock.monotonic() + freshForMs })
    for (const oldest of this.kept.keys()) {
      if (this.kept.size <= this.maxEntries) break
      this.kept.delete(oldest)
    }
  }
}

/**
 * How long an answer may be used again, in milliseconds.
 *
 * @see [RFC 9111 §5.2.2](https://www.rfc-editor.org/rfc/rfc9111.html#section-5.2.2)
 */
export function freshnessOf(headers: Headers): number {
  const control = headers.get('cache-control') ?? ''
  if (/\bno-(?:store|cache)\b/i.test(control)) return 0
  const maxAge = /\bmax-age="?(\d{1,10})/i.exec(control)?.[1]
  const lifeMs = maxAge === undefined ? untilExpiryMs(headers) : Number(maxAge) * 1000
  // Age: how long it has lain in the caches on its way.
  const ageMs = Number(/^\d{1,10}$/.exec(headers.get('age')?.trim() ?? '')?.[0] ?? 0) * 1000
  return lifeMs === undefined ? DEFAULT_METADATA_FRESH_MS : Math.max(0, Math.min(lifeMs - ageMs, MAX_METADATA_FRESH_MS))
}

/** By the server's own clock. What is not a date has expired (RFC 9111 §5.3). */
function untilExpiryMs(headers: Headers): number | undefined {
  const expires = headers.get('expires')
  if (expires === null) return undefined
  const leftMs = Date.parse(expires) - Date.parse(headers.get('date') ?? '')
  return Number.isNaN(leftMs) ? 0 : leftMs
}
