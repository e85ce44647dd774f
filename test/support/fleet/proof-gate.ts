import { hashOfToken, readProof } from '../proofs.ts'

/** How long a nonce is the current one; the one before it is good as well. */
const NONCE_MS = 60_000
/** More than the clocks of a fleet are wrong by. */
const MAX_AGE_SECONDS = 300

type Next = (request: Request) => Promise<Response>

/**
 * Demands proofs of possession in front of servers that know Bearer tokens only.
 *
 * @see [RFC 9449 §4.3, §5, §7.1, §8](https://www.rfc-editor.org/rfc/rfc9449.html#section-4.3)
 */
export class ProofGate {
  /** What was sent without the proof that belongs to it. */
  readonly problems: string[] = []
  readonly #seen = new Set<string>()
  /** The key of each token, by its hash. */
  readonly #keys = new Map<string, string>()

  async pass(request: Request, next: Next): Promise<Response> {
    const { pathname } = new URL(request.url)
    if (pathname === '/token') return withNonce(await this.#issue(request, next))
    const isResource = pathname === '/mcp' && request.headers.has('authorization')
    return isResource ? withNonce(await this.#use(request, next)) : await next(request)
  }

  /** A token request: what it brings is bound to the key of its proof, as the refresh token before it was. */
  async #issue(request: Request, next: Next): Promise<Response> {
    const form = new URLSearchParams(await request.clone().text())
    const key = await this.#keyOf(request, { bound: form.get('refresh_token') })
    if (key === 'use_dpop_nonce' || key === 'invalid_dpop_proof') return Response.json({ error: key }, { status: 400 })
    const response = await next(request)
    if (!response.ok) return response
    const tokens = (await response.json()) as { access_token: string; refresh_token?: string }
    for (const token of [tokens.access_token, tokens.refresh_token])
      if (token !== undefined) this.#keys.set(hashOfToken(token), key)
    return Response.json({ ...tokens, token_type: 'DPoP' })
  }

  /** A request with a token: passed on as if it were a Bearer token. */
  async #use(request: Request, next: Next): Promise<Response> {
    const token = /^DPoP (.+)$/.exec(request.headers.get('authorization') ?? '')?.[1]
    if (token === undefined) this.problems.push('a bound token was sent without a proof')
    const key = await this.#keyOf(request, { bound: token, isInProof: true })
    if (key === 'use_dpop_nonce' || key === 'invalid_dpop_proof') return challenge(`DPoP error="${key}"`)
    const headers = new Headers(request.headers)
    headers.set('authorization', `Bearer ${token}`)
    const response = await next(new Request(request, { headers }))
    const asked = response.headers.get('www-authenticate')
    return asked === null ? response : challenge(asked.replace(/^Bearer /, 'DPoP algs="ES256", '), response.status)
  }

  /** The key of a proof, or why it does not do. `bound`: the token whose key it has to be. */
  async #keyOf(
    request: Request,
    { bound, isInProof = false }: { bound?: string | null | undefined; isInProof?: boolean },
  ) {
    const proof = await readProof(request.headers.get('dpop')).catch(() => undefined)
    const { jti = '', iat = 0, nonce, ath, htm, htu } = proof?.claims ?? {}
    const { origin, pathname } = new URL(request.url)
    const demands = {
      signed: proof !== undefined,
      new: !this.#seen.has(jti) && Math.abs(Date.now() / 1_000 - iat) < MAX_AGE_SECONDS,
      'for this request': htm === request.method && htu === origin + pathname,
      'for this token': !isInProof || ath === hashOfToken(bound ?? ''),
      // A token of nobody is for the server to judge.
      'by the key of the token': [undefined, proof?.thumbprint].includes(this.#keys.get(hashOfToken(bound ?? ''))),
    }
    this.#seen.add(jti)
    const missing = Object.entries(demands).flatMap(([name, isMet]) => (isMet ? [] : [name]))
    if (missing.length > 0) this.problems.push(`a proof for ${pathname} is not ${missing.join(', ')}`)
    if (missing.length > 0 || proof === undefined) return 'invalid_dpop_proof'
    return isGoodNonce(nonce) ? proof.thumbprint : 'use_dpop_nonce'
  }
}

const currentNonce = (): number => Math.floor(Date.now() / NONCE_MS)

const isGoodNonce = (nonce: unknown): boolean =>
  [currentNonce(), currentNonce() - 1].some((good) => nonce === `nonce-${good}`)

function withNonce(response: Response): Response {
  const answer = new Response(response.body, response)
  answer.headers.set('dpop-nonce', `nonce-${currentNonce()}`)
  return answer
}

const challenge = (parameters: string, status = 401): Response =>
  new Response(null, { status, headers: { 'www-authenticate': parameters } })
