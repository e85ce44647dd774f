import type { ChangeWatcher } from '../durable/change-watcher.ts'
import { LruMap } from '../lru-map.ts'
import type { DpopKey } from '../schemas/credentials.ts'
import { MAX_CACHED_TOKENS } from './limits.ts'

/** A token as callers get it. Secret. */
export interface AccessToken {
  /** Secret. */
  value: string
  /** `Bearer`, or `DPoP`: such a token works only through `connection.fetch`, which adds a proof to each request. */
  type: string
  /** As granted; `undefined` if the server did not say and nothing was asked for. */
  scope: string | undefined
  /** Record time, epoch milliseconds; `undefined` if the server did not say. */
  expiresAt: number | undefined
}

/** A token with the key that it is bound to. Secret, and never handed to callers. */
export interface IssuedToken extends AccessToken {
  dpopKey?: DpopKey | undefined
}

interface Entry {
  token: IssuedToken
  /** Monotonic instant until which the default margin of life is left. */
  freshUntil: number
  /** How much longer than that it lives. */
  marginMs: number
  /** Monotonic instant until which the copy is trusted. */
  trustedUntil: number
}

/** Identifies a read in progress, so that a change in the meantime invalidates it. */
export interface Ticket {
  key: string
  isStale: boolean
}

/** Copies of tokens in this process, trusted only while the change subscription is healthy, and never for long. */
export class TokenCache {
  readonly #entries = new LruMap<string, Entry>(MAX_CACHED_TOKENS)
  readonly #reads = new Map<string, Set<Ticket>>()
  readonly #monotonic: () => number
  readonly #changes: ChangeWatcher

  constructor(changes: ChangeWatcher, monotonic: () => number) {
    this.#changes = changes
    this.#monotonic = monotonic
    changes.listen((key) => this.forget(key))
  }

  /** The copy, if it has as much life left as is asked for. */
  get(key: string, minTtlMs: number | undefined): IssuedToken | undefined {
    const entry = this.#entries.get(key)
    if (entry === undefined) return undefined
    const now = this.#monotonic()
    if (now >= entry.trustedUntil) {
      this.#entries.delete(key)
      return undefined
    }
    const leftMs = entry.freshUntil - now
    const isEnough = minTtlMs === undefined ? leftMs > 0 : leftMs + entry.marginMs > minTtlMs
    return isEnough ? entry.token : undefined
  }

  /** To be called before a record is read that may be cached. */
  async begin(key: string): Promise<Ticket> {
    const isReliable = await this.#changes.ready()
    const ticket = { key, isStale: !isReliable }
    const reads = this.#reads.get(key) ?? new Set()
    this.#reads.set(key, reads.add(ticket))
    return ticket
  }

  /** Ends a read, with what to cache of it, if anything. */
  end(ticket: Ticket, cached?: { token: IssuedToken; ttlMs: number; marginMs: number; trustMs: number }): void {
    const { key } = ticket
    const reads = this.#reads.get(key)
    reads?.delete(ticket)
    if (reads?.size === 0) this.#reads.delete(key)
    if (cached === undefined || ticket.isStale) return
    const now = this.#monotonic()
    const { token, ttlMs, marginMs, trustMs } = cached
    this.#entries.set(key, { token, marginMs, freshUntil: now + ttlMs - marginMs, trustedUntil: now + trustMs })
  }

  /** Drops a copy and invalidates the reads in progress; all of them with `undefined`, when any key may have changed. */
  forget(key: string | undefined): void {
    const reads = key === undefined ? [...this.#reads.values()] : [this.#reads.get(key) ?? []]
    for (const tickets of reads) for (const ticket of tickets) ticket.isStale = true
    if (key === undefined) this.#entries.clear()
    else this.#entries.delete(key)
  }
}
