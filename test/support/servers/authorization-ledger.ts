/** The endpoints of the authorization server, as the ledger names them. */
export const ENDPOINTS = {
  '/.well-known/oauth-authorization-server': 'oauthMetadata',
  '/.well-known/openid-configuration': 'openidMetadata',
  '/jwks': 'jwks',
  '/register': 'registration',
  '/authorize': 'authorization',
  '/token': 'token',
  '/revoke': 'revocation',
  '/introspect': 'introspection',
} as const

export type Endpoint = (typeof ENDPOINTS)[keyof typeof ENDPOINTS] | 'other'

/** One request to the token endpoint, without any secret. */
export interface TokenRequest {
  /** Epoch milliseconds of its arrival. */
  at: number
  grantType: string | undefined
  clientId: string | undefined
  /** Fingerprint of the refresh token or code that was presented. */
  presented: string | undefined
  /** What the server decided, even if a fault kept the answer back or replaced it. */
  status: number | undefined
  /** The fault that the answer met. */
  fault: string | undefined
  /** The thumbprint of the key that was proven to be held (RFC 9449). */
  jkt?: string
}

/** What an authorization server was asked, counted in its own process. */
export interface AuthorizationLedger {
  pid: number
  counts: Record<Endpoint, number>
  tokenRequests: TokenRequest[]
}

const none = (): Record<Endpoint, number> => ({
  oauthMetadata: 0,
  openidMetadata: 0,
  jwks: 0,
  registration: 0,
  authorization: 0,
  token: 0,
  revocation: 0,
  introspection: 0,
  other: 0,
})

/** Counts requests as they arrive. */
export class LedgerBook {
  #counts = none()
  #tokenRequests: TokenRequest[] = []

  count(endpoint: Endpoint): void {
    this.#counts[endpoint] += 1
  }

  tokenRequest(): TokenRequest {
    const request: TokenRequest = {
      at: Date.now(),
      grantType: undefined,
      clientId: undefined,
      presented: undefined,
      status: undefined,
      fault: undefined,
    }
    this.#tokenRequests.push(request)
    return request
  }

  read(): AuthorizationLedger {
    return { pid: process.pid, counts: { ...this.#counts }, tokenRequests: structuredClone(this.#tokenRequests) }
  }

  reset(): void {
    this.#counts = none()
    this.#tokenRequests = []
  }
}
