import { requiredTtlMs } from '../../machines/connection/selectors.ts'
import type { Clock } from '../clock.ts'
import type { ChangeWatcher } from '../durable/change-watcher.ts'
import { CLOCK_JITTER_MS } from '../durable/limits.ts'
import { LruMap } from '../lru-map.ts'
import type { DpopKey } from '../schemas/credentials.ts'
import type { Grant } from '../schemas/grants.ts'
import { MAX_CACHED_TOKENS } from './limits.ts'

/** An access token for callers. Secret. */
export interface AccessToken {
  /** Secret. */
  value: string
  /** `Bearer` or `DPoP`. A DPoP token only works through `connection.fetch`, which adds a proof to each request. */
  type: string
  /** As granted; `undefined` if the response names no scope and none was requested. */
  scope: string | undefined
  /** Epoch milliseconds by the clock of this process; `undefined` if the response names no lifetime. */
  expiresAt: number | undefined
}

/** An access token with its DPoP key. Secret; the key is never returned to callers. */
export interface IssuedToken extends AccessToken {
  dpopKey?: DpopKey | undefined
  /** What the policy has to allow at each use, besides the scope. */
  issuer?: string | undefined
  grant: Grant
  /** The server rejected it, and a success clears that: when the rejection was recorded. */
  rejection?: number | undefined
}

interface Entry {
  token: IssuedToken
  /** Monotonic instant until which the remaining lifetime exceeds the default margin. */
  freshUntil: number
  /** Lifetime that remains at `freshUntil`, in milliseconds. */
  marginMs: number
  /** The whole lifetime, in milliseconds; `undefined` if unknown. */
  lifetimeMs: number | undefined
  /** Monotonic instant until which the entry is trusted. */
  trustedUntil: number
  /** The wall clock minus the monotonic one: it changes when the wall clock is set. */
  wallOffsetMs: number
}

/** A read in progress, which a change in the meantime makes stale. */
export interface Ticket {
  key: string
  isStale: boolean
}

/** The tokens that this process has cached, trusted while the change subscription is healthy, for a bounded time. */
export class TokenCache {
  readonly #entries = new LruMap<string, Entry>(MAX_CACHED_TOKENS)
  readonly #reads = new Map<string, Set<Ticket>>()
  readonly #clock: Pick<Clock, 'now' | 'monotonic'>
  readonly #changes: ChangeWatcher

  constructor(changes: ChangeWatcher, clock: Pick<Clock, 'now' | 'monotonic'>) {
    this.#changes = changes
    this.#clock = clock
    changes.listen((key) => this.forget(key))
  }

  /** The cached token, if its remaining lifetime is sufficient. */
  get(key: string, minTtlMs: number | undefined): IssuedToken | undefined {
    const entry = this.#entries.get(key)
    if (entry === undefined) return undefined
    const now = this.#clock.monotonic()
    if (now >= entry.trustedUntil) {
      this.#entries.delete(key)
      return undefined
    }
    const leftMs = entry.freshUntil - now
    const { marginMs, lifetimeMs } = entry
    const isEnough = minTtlMs === undefined ? leftMs > 0 : leftMs + marginMs > requiredTtlMs(lifetimeMs, minTtlMs)
    if (!isEnough) return undefined
    const { token, wallOffsetMs } = entry
    // The two clocks are not read at the same instant, so that a busy process measures some milliseconds.
    const setMs = Math.trunc(this.#clock.now() - now - wallOffsetMs)
    const { expiresAt } = token
    if (expiresAt === undefined || Math.abs(setMs) <= CLOCK_JITTER_MS) return token
    return { ...token, expiresAt: expiresAt + setMs }
  }

  /** Must be called before loading a record whose token may be cached. */
  async begin(key: string): Promise<Ticket> {
    const isReliable = await this.#changes.ready()
    const ticket = { key, isStale: !isReliable }
    const reads = this.#reads.get(key) ?? new Set()
    this.#reads.set(key, reads.add(ticket))
    return ticket
  }

  /** Ends a read, and caches its token, if any, unless the read is stale. */
  end(
    ticket: Ticket,
    cached?: Pick<Entry, 'token' | 'marginMs' | 'lifetimeMs'> & { ttlMs: number; trustMs: number },
  ): void {
    const { key } = ticket
    const reads = this.#reads.get(key)
    reads?.delete(ticket)
    if (reads?.size === 0) this.#reads.delete(key)
    if (cached === undefined || ticket.isStale) return
    const now = this.#clock.monotonic()
    const { token, ttlMs, marginMs, lifetimeMs, trustMs } = cached
    const [freshUntil, trustedUntil] = [now + ttlMs - marginMs, now + trustMs]
    this.#entries.set(key, {
      token,
      marginMs,
      lifetimeMs,
      freshUntil,
      trustedUntil,
      wallOffsetMs: this.#clock.now() - now,
    })
  }

  /** Removes an entry and makes its reads in progress stale; all of them if `undefined`: any key may have changed. */
  forget(key: string | undefined): void {
    const reads = key === undefined ? [...this.#reads.values()] : [this.#reads.get(key) ?? []]
    for (const tickets of reads) for (const ticket of tickets) ticket.isStale = true
    if (key === undefined) this.#entries.clear()
    else this.#entries.delete(key)
  }
}
