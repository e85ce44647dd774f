import type { ResourceFacts, ServerMetadata } from '../schemas/connection-context.ts'
import type { DpopTerms } from '../schemas/credentials.ts'
import { parseChallenges, wantsNonce } from './www-authenticate.ts'

/** Whether tokens are bound to a key of the client. */
export type DpopPolicy = 'never' | 'whenOffered' | 'required'

/** Supported proof algorithms, the preferred one first. No RSA: its keys would make the record several times larger. */
export const DPOP_ALGORITHMS: readonly string[] = ['ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519']

/**
 * How token requests prove possession of a key, if they do: always where the policy requires it, otherwise where the
 * authorization server or the resource announces DPoP and both support one of {@link DPOP_ALGORITHMS}.
 *
 * @returns `noAlgorithm` if the policy requires DPoP and no algorithm is supported by all parties.
 * @see [RFC 9449 §5.1](https://www.rfc-editor.org/rfc/rfc9449.html#section-5.1), [RFC 9728 §2](https://www.rfc-editor.org/rfc/rfc9728.html#section-2)
 */
export function dpopTerms(
  policy: DpopPolicy,
  server: Pick<ServerMetadata, 'dpopSigningAlgValuesSupported'>,
  resource: Pick<ResourceFacts, 'dpopSigningAlgValuesSupported' | 'dpopBoundAccessTokensRequired'>,
): DpopTerms | 'noAlgorithm' | undefined {
  const lists = [server, resource].flatMap(({ dpopSigningAlgValuesSupported: list }) => (list ? [list] : []))
  const isOffered = lists.length > 0 || resource.dpopBoundAccessTokensRequired === true
  if (policy === 'never' || (policy === 'whenOffered' && !isOffered)) return undefined
  const alg = DPOP_ALGORITHMS.find((name) => lists.every((list) => list.includes(name)))
  if (policy === 'whenOffered') return alg === undefined ? undefined : { alg }
  return alg === undefined ? 'noAlgorithm' : { alg, required: true }
}

/**
 * Whether a resource server rejected a request only because its DPoP proof lacks a nonce.
 *
 * @see [RFC 9449 §9](https://www.rfc-editor.org/rfc/rfc9449.html#section-9)
 */
export function asksForNonce({ status, headers }: { status: number; headers: Headers }): boolean {
  if (status !== 401 || !headers.has('dpop-nonce')) return false
  return parseChallenges(headers.get('www-authenticate') ?? '').some(wantsNonce)
}
