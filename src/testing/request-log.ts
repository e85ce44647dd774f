import { createHash } from 'node:crypto'
import * as v from 'valibot'
import { maybe } from '../schemas/credentials.ts'
import { parseOptions } from '../schemas/parse-options.ts'

/** One request that a test server handled. It contains no secret. */
export interface RequestLogEntry {
  /** When the request was handled, in epoch milliseconds by the server's clock. */
  readonly at: number
  /** The endpoint that received the request. */
  readonly endpoint: TestEndpoint
  /** The `grant_type` of a token request. */
  readonly grantType?: string | undefined
  /**
   * The decision: the error code of the standard (`invalid_grant`), or `ok`. A fault injected after the decision does
   * not change it.
   */
  readonly outcome: string
  /** The fault injected into this request, if any: `before 503`, `after reset`. */
  readonly fault?: string | undefined
  /** Fingerprint of the code, refresh token or access token in the request. */
  readonly presented?: string | undefined
}

/** The endpoints of the test servers, as named in a request log. */
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

/** All of them. */
export const ENDPOINTS = [
  'resourceMetadata',
  'serverMetadata',
  'registration',
  'authorization',
  'token',
  'revocation',
  'introspection',
  'mcp',
  'unknown',
] as const satisfies readonly TestEndpoint[]

const FilterSchema = v.strictObject({
  at: maybe(v.number()),
  endpoint: maybe(v.picklist(ENDPOINTS)),
  grantType: maybe(v.string()),
  outcome: maybe(v.string()),
  fault: maybe(v.string()),
  presented: maybe(v.string()),
})

/** How often one code or refresh token was sent to the token endpoint. */
export interface CredentialUse {
  /** Number of requests that contained it. */
  presented: number
  /** Number of those requests that succeeded. */
  accepted: number
  /** Whether this server issued it. A credential must never be sent to a server that did not issue it. */
  isOwn: boolean
}

/** The first 12 hex digits of the SHA-256 of a secret: identifies the secret without disclosing it. */
export function fingerprint(secret: string): string {
  return createHash('sha256').update(secret).digest('hex').slice(0, 12)
}

/** The requests that a test server received. Contains fingerprints, never secrets. */
export class RequestLog {
  readonly #entries: RequestLogEntry[] = []
  readonly #issued = new Set<string>()

  /** All requests since the server was created, or since the last `clear()`, in order. */
  get entries(): readonly RequestLogEntry[] {
    return this.#entries
  }

  /**
   * The number of requests whose members equal all members of `filter`.
   *
   * @throws `TypeError` that names the invalid member.
   */
  count(filter: Partial<RequestLogEntry> = {}): number {
    parseOptions(FilterSchema, filter, 'requestLog.count()')
    const members = Object.entries(filter)
    return this.#entries.filter((entry) => members.every(([name, value]) => Reflect.get(entry, name) === value)).length
  }

  /** The number of requests of each kind: `token refresh_token ok`, `registration ok`, `mcp invalid_token`. */
  counts(): Record<string, number> {
    const counts: Record<string, number> = {}
    for (const { endpoint, grantType, outcome } of this.#entries) {
      const kind = [endpoint, grantType, outcome].filter((part) => part !== undefined).join(' ')
      counts[kind] = (counts[kind] ?? 0) + 1
    }
    return counts
  }

  /** How each code and refresh token was used at the token endpoint, by fingerprint. */
  credentialUses(): ReadonlyMap<string, Readonly<CredentialUse>> {
    const uses = new Map<string, CredentialUse>()
    for (const { endpoint, presented, outcome } of this.#entries) {
      if (endpoint !== 'token' || presented === undefined) continue
      const use = uses.get(presented) ?? { presented: 0, accepted: 0, isOwn: this.#issued.has(presented) }
      use.presented += 1
      if (outcome === 'ok') use.accepted += 1
      uses.set(presented, use)
    }
    return uses
  }

  /** Removes all entries. Which credentials the server issued is still recorded. */
  clear(): void {
    this.#entries.length = 0
  }

  /** @internal */
  add(entry: RequestLogEntry): void {
    this.#entries.push(entry)
  }

  /** @internal */
  recordIssued(secret: string): string {
    this.#issued.add(fingerprint(secret))
    return secret
  }
}
