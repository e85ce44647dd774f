import { type Clock, randomId } from '../clock.ts'
import type { RequestLog } from './test-ledger.ts'

/** What a user, or a client in its own name, has granted. */
export interface Granted {
  /** To which client. */
  readonly clientId: string
  /** By which account. */
  readonly subject: string
  /** Space-separated. */
  readonly scope: string | undefined
  /** For which resource (RFC 8707). */
  readonly resource: string | undefined
}

/** A code that waits for its exchange. */
export interface IssuedCode extends Granted {
  readonly redirectUri: string
  readonly challenge: string
}

/** All tokens that came of one code, or of one request in a client's own name: revoked together. */
interface Family extends Granted {
  revoked: boolean
}

interface Secret<Of> {
  readonly of: Of
  readonly family: Family
  readonly expiresAt: number
  spentAt: number | undefined
}

/** What a secret that was presented turns out to be. `repeated`: it was spent before. */
export type Presented<Of> = { readonly state: 'good' | 'repeated'; readonly of: Of } | { readonly state: 'bad' }

/** The codes and tokens of a test server. Times in milliseconds, by the monotonic clock. */
export class TokenRegistry {
  readonly #clock: Clock
  readonly #ledger: RequestLog
  readonly #codes = new Map<string, Secret<IssuedCode>>()
  readonly #refreshTokens = new Map<string, Secret<Granted>>()
  readonly #accessTokens = new Map<string, Secret<Granted>>()

  constructor(clock: Clock, ledger: RequestLog) {
    this.#clock = clock
    this.#ledger = ledger
  }

  issueCode(of: IssuedCode, ttlMs: number): string {
    return this.#issue('code', this.#codes, of, { ...of, revoked: false }, ttlMs)
  }

  /** Tokens of the family that this code or refresh token begins or continues; of a new one without either. */
  issueTokens(
    of: Granted,
    { from, ttlMs, withRefreshToken }: { from?: string | undefined; ttlMs: number; withRefreshToken: boolean },
  ): { accessToken: string; refreshToken: string | undefined } {
    const family = this.#familyOf(from) ?? { ...of, revoked: false }
    return {
      accessToken: this.#issue('access', this.#accessTokens, of, family, ttlMs),
      refreshToken: withRefreshToken ? this.#issue('refresh', this.#refreshTokens, of, family, Infinity) : undefined,
    }
  }

  presentCode(code: string): Presented<IssuedCode> {
    return this.#present(this.#codes, code, 0)
  }

  /** A refresh token within its grace after its first use is as good as it was. */
  presentRefreshToken(token: string, graceMs: number): Presented<Granted> {
    return this.#present(this.#refreshTokens, token, graceMs)
  }

  /** From now on this code or refresh token has been used. */
  spend(secret: string): void {
    const held = this.#codes.get(secret) ?? this.#refreshTokens.get(secret)
    if (held !== undefined) held.spentAt ??= this.#clock.monotonic()
  }

  /** What a living access token allows. */
  accessToken(token: string): Granted | undefined {
    const presented = this.#present(this.#accessTokens, token, 0)
    return presented.state === 'good' ? presented.of : undefined
  }

  /** Revokes all tokens that came of the same as this one (RFC 7009 §2.1, RFC 9700 §4.14.2). */
  revokeFamily(secret: string): void {
    const family = this.#familyOf(secret)
    if (family !== undefined) family.revoked = true
  }

  revokeEverything(): void {
    for (const held of [this.#codes, this.#refreshTokens, this.#accessTokens])
      for (const { family } of held.values()) family.revoked = true
  }

  /** Ends the life of every access token, and of nothing else. */
  expireAccessTokens(): void {
    this.#accessTokens.clear()
  }

  #familyOf(secret: string | undefined): Family | undefined {
    const name = secret ?? ''
    return (this.#codes.get(name) ?? this.#refreshTokens.get(name) ?? this.#accessTokens.get(name))?.family
  }

  #issue<Of>(kind: string, into: Map<string, Secret<Of>>, of: Of, family: Family, ttlMs: number): string {
    const secret = `${kind}-${randomId(this.#clock, 24)}`
    into.set(secret, { of, family, expiresAt: this.#clock.monotonic() + ttlMs, spentAt: undefined })
    return this.#ledger.issued(secret)
  }

  #present<Of>(among: Map<string, Secret<Of>>, secret: string, graceMs: number): Presented<Of> {
    const held = among.get(secret)
    const now = this.#clock.monotonic()
    if (held === undefined || held.family.revoked || held.expiresAt <= now) return { state: 'bad' }
    const isRepeated = held.spentAt !== undefined && now - held.spentAt >= graceMs
    return { state: isRepeated ? 'repeated' : 'good', of: held.of }
  }
}
