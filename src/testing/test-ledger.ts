import { createHash } from 'node:crypto'

/** One request that a test server answered. Nothing in it is secret. */
export interface LedgerEntry {
  /** When it was answered, epoch milliseconds by the server's clock. */
  readonly at: number
  /** Which endpoint was asked. */
  readonly endpoint: TestEndpoint
  /** Of a token request. */
  readonly grantType?: string | undefined
  /**
   * What was decided: the error code of the standard (`invalid_grant`), or `ok`. A fault after the decision does not
   * change it.
   */
  readonly outcome: string
  /** The fault that the answer met, if any. */
  readonly fault?: string | undefined
  /** Fingerprint of the code, refresh token or access token that was presented. */
  readonly presented?: string | undefined
}

/** The endpoints of the test servers, as their ledgers name them. */
export type TestEndpoint =
  | 'resourceMetadata'
  | 'serverMetadata'
  | 'registration'
  | 'authorization'
  | 'token'
  | 'revocation'
  | 'introspection'
  | 'mcp'
  | 'unknown'

/** How often a code or a refresh token was presented, and how often it was taken. */
export interface Spend {
  /** How often it was presented. */
  presented: number
  /** How often it was taken. */
  taken: number
  /** Whether this server had issued it: no other server's secret may ever be presented here. */
  isOwn: boolean
}

/** The first 12 hex digits of the SHA-256 of a secret: tells two of them apart and gives neither away. */
export function fingerprint(secret: string): string {
  return createHash('sha256').update(secret).digest('hex').slice(0, 12)
}

/** What a test server was asked. Holds fingerprints, never secrets. */
export class RequestLog {
  readonly #entries: LedgerEntry[] = []
  readonly #issued = new Set<string>()

  /** Every request since the beginning, or since the last `clear()`, in order. */
  get entries(): readonly LedgerEntry[] {
    return this.#entries
  }

  /** How many requests match every one of these members. */
  count(wanted: Partial<LedgerEntry> = {}): number {
    const members = Object.entries(wanted)
    return this.#entries.filter((entry) => members.every(([name, value]) => Reflect.get(entry, name) === value)).length
  }

  /** How many requests there were of each kind: `token refresh_token ok`, `registration ok`, `mcp invalid_token`. */
  counts(): Record<string, number> {
    const counts: Record<string, number> = {}
    for (const { endpoint, grantType, outcome } of this.#entries) {
      const kind = [endpoint, grantType, outcome].filter((part) => part !== undefined).join(' ')
      counts[kind] = (counts[kind] ?? 0) + 1
    }
    return counts
  }

  /** What became of each code and refresh token that was presented to the token endpoint, by fingerprint. */
  spends(): ReadonlyMap<string, Readonly<Spend>> {
    const spends = new Map<string, Spend>()
    for (const { endpoint, presented, outcome } of this.#entries) {
      if (endpoint !== 'token' || presented === undefined) continue
      const spend = spends.get(presented) ?? { presented: 0, taken: 0, isOwn: this.#issued.has(presented) }
      spend.presented += 1
      if (outcome === 'ok') spend.taken += 1
      spends.set(presented, spend)
    }
    return spends
  }

  /** Forgets the requests; what was issued stays known. */
  clear(): void {
    this.#entries.length = 0
  }

  /** @internal */
  note(entry: LedgerEntry): void {
    this.#entries.push(entry)
  }

  /** @internal */
  issued(secret: string): string {
    this.#issued.add(fingerprint(secret))
    return secret
  }
}
