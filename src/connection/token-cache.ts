import type { ChangeWatcher } from '../durable/change-watcher.ts'
import type { DpopKey } from '../schemas/credentials.ts'

/** A token as callers get it. Secret. */
export interface AccessToken {
  /** Secret. */
  value: string
  /** `Bearer`, or `DPoP`: then it is good for `connection.fetch` alone, which proves with each request that it is ours. */
  type: string
  /** As granted; `undefined` if the server did not say and nothing was asked for. */
  scope: string | undefined
  /** Record time, epoch milliseconds; `undefined` if the server did not say. */
  expiresAt: number | undefined
}

/** A token with what proves that it is ours. Secret, and never handed to callers. */
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

/** Names a read that began before its answer was known, so that a change in between spoils it. */
export interface Ticket {
  key: string
  isSpoilt: boolean
}

const MAX_ENTRIES = 10_000

/** Copies of tokens in this process, trusted while notices of changes can be relied on, and never for long. */
export class TokenCache {
  readonly #entries = new Map<string, Entry>()
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
    if (!isEnough) return undefined
    // The most recently used is the last to go.
    this.#entries.delete(key)
    this.#entries.set(key, entry)
    return entry.token
  }

  /** To be called before a record is read that may be copied. */
  async begin(key: string): Promise<Ticket> {
    const isReliable = await this.#changes.ready()
    const ticket = { key, isSpoilt: !isReliable }
    const reads = this.#reads.get(key) ?? new Set()
    this.#reads.set(key, reads.add(ticket))
    return ticket
  }

  /** Ends a read, with what is to be kept of it, if anything. */
  end(ticket: Ticket, kept?: { token: IssuedToken; ttlMs: number; marginMs: number; trustMs: number }): void {
    const { key } = ticket
    const reads = this.#reads.get(key)
    reads?.delete(ticket)
    if (reads?.size === 0) this.#reads.delete(key)
    if (kept === undefined || ticket.isSpoilt) return
    const now = this.#monotonic()
    const { token, ttlMs, marginMs, trustMs } = kept
    this.#entries.delete(key)
    this.#entries.set(key, { token, marginMs, freshUntil: now + ttlMs - marginMs, trustedUntil: now + trustMs })
    const [oldest] = this.#entries.keys()
    if (this.#entries.size > MAX_ENTRIES && oldest !== undefined) this.#entries.delete(oldest)
  }

  /** Drops a copy and spoils the reads under way; all of them if it is not known which key changed. */
  forget(key: string | undefined): void {
    const reads = key === undefined ? [...this.#reads.values()] : [this.#reads.get(key) ?? []]
    for (const tickets of reads) for (const ticket of tickets) ticket.isSpoilt = true
    if (key === undefined) this.#entries.clear()
    else this.#entries.delete(key)
  }
}
