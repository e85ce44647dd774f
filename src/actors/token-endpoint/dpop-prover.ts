import { exportJWK, generateKeyPair, importJWK } from 'jose'
import * as oauth from 'oauth4webapi'
import * as v from 'valibot'
import { type Clock, randomId } from '../../clock.ts'
import { LruMap } from '../../lru-map.ts'
import { type DpopKey, DpopKeySchema } from '../../schemas/credentials.ts'
import { MAX_NONCES, PROOF_ID_BYTES } from '../limits.ts'

/** Whom a proof is for: their nonces are kept apart, even where both have one origin (RFC 9449 §8, §9). */
export type DpopVerifier = 'authorizationServer' | 'resourceServer'

/**
 * Proves to servers that we hold the key of a token, with the nonce that each server gave last. One for all connections
 * of a process.
 *
 * @see [RFC 9449](https://www.rfc-editor.org/rfc/rfc9449.html)
 */
export class DpopProver {
  readonly #clock: Clock
  /** The latest nonce by verifier and origin. */
  readonly #nonces = new LruMap<string, string>(MAX_NONCES)
  /** What WebCrypto made of a key, so that a token from the cache costs no import. */
  readonly #imported = new WeakMap<DpopKey, Promise<oauth.CryptoKeyPair>>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /**
   * A key pair for one set of tokens. It comes from WebCrypto, not from the clock's random bytes: no standard makes a
   * key of given bytes for all of these algorithms, and a test that knows the bytes learns nothing by it.
   */
  async createKey(alg: string): Promise<DpopKey> {
    const { privateKey } = await generateKeyPair(alg, { extractable: true })
    return v.parse(DpopKeySchema, { ...(await exportJWK(privateKey)), alg })
  }

  /** What oauth4webapi signs the proof of a token request with. Good for one request, as each proof is. */
  forTokenRequest(url: string, key: DpopKey): Promise<oauth.DPoPHandle> {
    return this.#handle(key, nameOf('authorizationServer', url))
  }

  /**
   * The headers `authorization` and `dpop` of a request to a resource: the token, and a proof that is good for this
   * request alone.
   *
   * @see [RFC 9449 §7.1](https://www.rfc-editor.org/rfc/rfc9449.html#section-7.1)
   */
  async authorizationHeaders(
    { url, method }: Request,
    token: string,
    key: DpopKey,
  ): Promise<{ authorization: string; dpop: string }> {
    let signed: Record<string, string> = {}
    await oauth.protectedResourceRequest(token, method, new URL(url), undefined, undefined, {
      DPoP: await this.#handle(key, nameOf('resourceServer', url)),
      [oauth.allowInsecureRequests]: true,
      // oauth4webapi only signs: the request itself goes through the guarded transport, with its body as it is.
      [oauth.customFetch]: (_url, { headers }) => {
        signed = headers
        return Promise.resolve(new Response())
      },
    })
    const { authorization = '', dpop = '' } = signed
    return { authorization, dpop }
  }

  /** Takes over the nonce for the next proof, wherever a server gives one: with a challenge, or with any other answer. */
  noteNonce(verifier: DpopVerifier, url: string, headers: Headers): void {
    const nonce = headers.get('dpop-nonce')
    if (nonce !== null) this.#nonces.set(nameOf(verifier, url), nonce)
  }

  async #handle(key: DpopKey, server: string): Promise<oauth.DPoPHandle> {
    const pair = this.#imported.get(key) ?? importPair(key)
    this.#imported.set(key, pair)
    return oauth.DPoP({}, await pair, {
      [oauth.modifyAssertion]: (header, payload) => {
        // oauth4webapi calls it Ed25519, as RFC 9864 does; a server may list it under the older name alone.
        header['alg'] = key.alg
        payload['jti'] = randomId(this.#clock, PROOF_ID_BYTES)
        payload['iat'] = Math.floor(this.#clock.now() / 1000)
        payload['nonce'] = this.#nonces.get(server)
      },
    })
  }
}

/** Names what one server gives its nonces for. */
function nameOf(verifier: DpopVerifier, url: string): string {
  return `${verifier} ${new URL(url).origin}`
}

/** The key for WebCrypto: only its public half can be read out again. */
async function importPair({ d, ...rest }: DpopKey): Promise<oauth.CryptoKeyPair> {
  const { alg, ...publicHalf } = rest
  const [privateKey, publicKey] = await Promise.all([
    importJWK({ ...rest, d }, alg, { extractable: false }),
    importJWK(publicHalf, alg, { extractable: true }),
  ])
  return { privateKey, publicKey }
}
