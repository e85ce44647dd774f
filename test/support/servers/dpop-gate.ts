import { randomBytes } from 'node:crypto'
import { decodeJwt } from 'jose'
import { hashOfToken, readProof } from '../proofs.ts'

/** How far from now a proof may have been made. */
const MAX_AGE_SECONDS = 60
/** How many nonces are good at a time. */
const GOOD_NONCES = 16

/**
 * Checks proofs of possession in front of a resource that knows Bearer tokens only.
 *
 * @see [RFC 9449 §4.3, §7.1](https://www.rfc-editor.org/rfc/rfc9449.html#section-4.3)
 */
export class DpopGate {
  readonly #seen = new Set<string>()
  readonly #nonces: string[] = []
  readonly #needsNonce: boolean

  constructor(options: { needsNonce: boolean }) {
    this.#needsNonce = options.needsNonce
  }

  /** Lets a proven request through, with its token as a Bearer token; each answer brings a fresh nonce. */
  async pass(request: Request, next: (proven: Request) => Promise<Response>): Promise<Response> {
    const error = await this.#errorIn(request).catch(() => 'invalid_dpop_proof')
    const headers = new Headers(request.headers)
    headers.set('authorization', (headers.get('authorization') ?? '').replace(/^DPoP /, 'Bearer '))
    const response = error === undefined ? await next(new Request(request, { headers })) : refusal(error)
    const answer = new Response(response.body, response)
    const challenge = response.headers.get('www-authenticate')
    if (challenge !== null) answer.headers.set('www-authenticate', challenge.replace(/^Bearer /, 'DPoP algs="ES256", '))
    if (this.#needsNonce) answer.headers.set('dpop-nonce', this.#nextNonce())
    return answer
  }

  async #errorIn({ method, url, headers }: Request): Promise<string | undefined> {
    const token = /^DPoP (.+)$/.exec(headers.get('authorization') ?? '')?.[1]
    if (token === undefined) return 'invalid_token'
    const { claims, thumbprint } = await readProof(headers.get('dpop'))
    const { jti = '', iat = 0, nonce } = claims
    if (this.#needsNonce && !this.#nonces.includes(String(nonce))) return 'use_dpop_nonce'
    const { origin, pathname } = new URL(url)
    const isFresh = Math.abs(Date.now() / 1000 - iat) < MAX_AGE_SECONDS && !this.#seen.has(jti)
    this.#seen.add(jti)
    const isOfRequest = claims['htm'] === method && claims['htu'] === origin + pathname
    if (!isFresh || !isOfRequest || claims['ath'] !== hashOfToken(token)) return 'invalid_dpop_proof'
    const { jkt } = (decodeJwt(token)['cnf'] ?? {}) as { jkt?: string }
    return jkt === thumbprint ? undefined : 'invalid_token'
  }

  #nextNonce(): string {
    const nonce = randomBytes(16).toString('base64url')
    this.#nonces.push(nonce)
    if (this.#nonces.length > GOOD_NONCES) this.#nonces.shift()
    return nonce
  }
}

function refusal(error: string): Response {
  return Response.json({ error }, { status: 401, headers: { 'www-authenticate': `Bearer error="${error}"` } })
}
