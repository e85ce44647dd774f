import { exportJWK, generateKeyPair, importJWK } from 'jose'
import * as oauth from 'oauth4webapi'
import * as v from 'valibot'
import { type Clock, randomId } from '../../clock.ts'
import { LruMap } from '../../lru-map.ts'
import { type DpopKey, DpopKeySchema } from '../../schemas/credentials.ts'
import { MAX_NONCE_LENGTH, MAX_NONCES, PROOF_ID_BYTES } from '../limits.ts'

/** Who verifies a proof. Their nonces are separate, even where both have one origin (RFC 9449 §8, §9). */
export type DpopVerifier = 'authorizationServer' | 'resourceServer'

/**
 * Creates DPoP proofs, with the latest nonce of each server. Shared by all connections of a process.
 *
 * @see [RFC 9449](https://www.rfc-editor.org/rfc/rfc9449.html)
 */
export class DpopProver {
  readonly #clock: Clock
  /** The latest nonce by verifier and origin. */
  readonly #nonces = new LruMap<string, string>(MAX_NONCES)
  /** Imported keys, so that a cached token needs no import. */
  readonly #imported = new WeakMap<DpopKey, Promise<oauth.CryptoKeyPair>>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /**
   * Generates a key pair for one set of tokens. WebCrypto generates it, not the clock's random bytes: no standard
   * derives a key from given bytes for all of these algorithms.
   */
  async createKey(alg: string): Promise<DpopKey> {
    const { privateKey } = await generateKeyPair(alg, { extractable: true })
    return v.parse(DpopKeySchema, { ...(await exportJWK(privateKey)), alg })
  }

  /** The handle by which oauth4webapi signs the proof of one token request. */
  forTokenRequest(url: string, key: DpopKey): Promise<oauth.DPoPHandle> {
    return this.#handle(key, nonceKey('authorizationServer', url))
  }

  /**
   * The headers `authorization` and `dpop` of a request to a resource: the token, and a proof for this request only.
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
      DPoP: await this.#handle(key, nonceKey('resourceServer', url)),
      [oauth.allowInsecureRequests]: true,
      // oauth4webapi only signs; the caller sends the request itself through the guarded transport.
      [oauth.customFetch]: (_url, { headers }) => {
        signed = headers
        return Promise.resolve(new Response())
      },
    })
    const { authorization = '', dpop = '' } = signed
    return { authorization, dpop }
  }

  /** Stores the nonce of a response for the next proof, whatever the status (RFC 9449 §8.2). */
  noteNonce(verifier: DpopVerifier, url: string, headers: Headers): void {
    const nonce = headers.get('dpop-nonce') ?? ''
    if (nonce !== '' && nonce.length <= MAX_NONCE_LENGTH) this.#nonces.set(nonceKey(verifier, url), nonce)
  }

  async #handle(key: DpopKey, server: string): Promise<oauth.DPoPHandle> {
    const pair = this.#imported.get(key) ?? importPair(key)
    this.#imported.set(key, pair)
    return oauth.DPoP({}, await pair, {
      [oauth.modifyAssertion]: (header, payload) => {
        // oauth4webapi writes Ed25519 (RFC 9864); a server may list only the older name EdDSA.
        header['alg'] = key.alg
        payload['jti'] = randomId(this.#clock, PROOF_ID_BYTES)
        payload['iat'] = Math.floor(this.#clock.now() / 1000)
        payload['nonce'] = this.#nonces.get(server)
      },
    })
  }
}

/** The cache key of a server's nonce. */
function nonceKey(verifier: DpopVerifier, url: string): string {
  return `${verifier} ${new URL(url).origin}`
}

/** Imports a key into WebCrypto; only its public half is extractable. */
async function importPair({ d, ...rest }: DpopKey): Promise<oauth.CryptoKeyPair> {
  const { alg, ...publicHalf } = rest
  const [privateKey, publicKey] = await Promise.all([
    importJWK({ ...rest, d }, alg, { extractable: false }),
    importJWK(publicHalf, alg, { extractable: true }),
  ])
  return { privateKey, publicKey }
}
