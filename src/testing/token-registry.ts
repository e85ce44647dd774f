import type { Clock } from '../clock.ts'
import type { RequestLog } from './request-log.ts'

/** What a user, or a client on its own behalf, granted. */
export interface Granted {
  /** The client that received the grant. */
  readonly clientId: string
  /** The account that granted it. */
  readonly subject: string
  /** Space-separated. */
  readonly scope: string | undefined
  /** The resource that the tokens are for (RFC 8707). */
  readonly resource: string | undefined
}

/** An authorization code that can be exchanged. */
export interface IssuedCode extends Granted {
  readonly redirectUri: string
  readonly challenge: string
  readonly nonce: string | undefined
}

/** All tokens derived from one code, or from one client credentials request. They are revoked together. */
interface Family extends Granted {
  revoked: boolean
}

interface IssuedSecret<Grant> {
  readonly grant: Grant
  readonly family: Family
  readonly expiresAt: number
  usedAt: number | undefined
}

/** The result of looking up a presented secret. `reused`: it was redeemed before. */
export type Presented<Grant> =
  { readonly state: 'valid' | 'reused'; readonly grant: Grant } | { readonly state: 'invalid' }

/** The codes and tokens issued by a test server. Times in milliseconds of the monotonic clock. */
export class TokenRegistry {
  readonly #clock: Clock
  readonly #requestLog: RequestLog
  readonly #codes = new Map<string, IssuedSecret<IssuedCode>>()
  readonly #refreshTokens = new Map<string, IssuedSecret<Granted>>()
  readonly #accessTokens = new Map<string, IssuedSecret<Granted>>()

  constructor(clock: Clock, requestLog: RequestLog) {
    this.#clock = clock
    this.#requestLog = requestLog
  }

  issueCode(grant: IssuedCode, ttlMs: number): string {
    return this.#issue('code', this.#codes, grant, { ...grant, revoked: false }, ttlMs)
  }

  /** Issues tokens in the family of the code or refresh token `from`, or in a new family without it. */
  issueTokens(
    grant: Granted,
    { from, ttlMs, withRefreshToken }: { from?: string | undefined; ttlMs: number; withRefreshToken: boolean },
  ): { accessToken: string; refreshToken: string | undefined } {
    const family = this.#familyOf(from) ?? { ...grant, revoked: false }
    return {
      accessToken: this.#issue('access', this.#accessTokens, grant, family, ttlMs),
      refreshToken: withRefreshToken ? this.#issue('refresh', this.#refreshTokens, grant, family, Infinity) : undefined,
    }
  }

  presentCode(code: string): Presented<IssuedCode> {
    return this.#present(this.#codes, code, 0)
  }

  /** A rotated refresh token is still valid for `graceMs` after its first use. */
  presentRefreshToken(token: string, graceMs: number): Presented<Granted> {
    return this.#present(this.#refreshTokens, token, graceMs)
  }

  /** Records the first use of a code or refresh token. */
  markUsed(secret: string): void {
    const issued = this.#codes.get(secret) ?? this.#refreshTokens.get(secret)
    if (issued !== undefined) issued.usedAt ??= this.#clock.monotonic()
  }

  /** What a valid access token grants. */
  accessToken(token: string): Granted | undefined {
    const presented = this.#present(this.#accessTokens, token, 0)
    return presented.state === 'valid' ? presented.grant : undefined
  }

  /** Revokes the whole family of a code or token (RFC 7009 §2.1, RFC 9700 §4.14.2). */
  revokeFamily(secret: string): void {
    const family = this.#familyOf(secret)
    if (family !== undefined) family.revoked = true
  }

  revokeEverything(): void {
    for (const secrets of [this.#codes, this.#refreshTokens, this.#accessTokens])
      for (const { family } of secrets.values()) family.revoked = true
  }

  /** Expires all access tokens; codes and refresh tokens stay valid. */
  expireAccessTokens(): void {
    this.#accessTokens.clear()
  }

  #familyOf(secret: string | undefined): Family | undefined {
    const name = secret ?? ''
    return (this.#codes.get(name) ?? this.#refreshTokens.get(name) ?? this.#accessTokens.get(name))?.family
  }

  #issue<Grant>(
    kind: string,
    secrets: Map<string, IssuedSecret<Grant>>,
    grant: Grant,
    family: Family,
    ttlMs: number,
  ): string {
    const secret = `${kind}-${Buffer.from(this.#clock.random(24)).toString('base64url')}`
    secrets.set(secret, { grant, family, expiresAt: this.#clock.monotonic() + ttlMs, usedAt: undefined })
    return this.#requestLog.recordIssued(secret)
  }

  #present<Grant>(secrets: Map<string, IssuedSecret<Grant>>, secret: string, graceMs: number): Presented<Grant> {
    const issued = secrets.get(secret)
    const now = this.#clock.monotonic()
    if (issued === undefined || issued.family.revoked || issued.expiresAt <= now) return { state: 'invalid' }
    const isReused = issued.usedAt !== undefined && now - issued.usedAt >= graceMs
    return { state: isReused ? 'reused' : 'valid', grant: issued.grant }
  }
}
