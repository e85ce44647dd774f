/** How a client without a key proves to a token endpoint who it is, the preferred method first. */
const SECRET_METHODS = ['client_secret_basic', 'client_secret_post', 'none'] as const

/** How we prove to a token endpoint who we are. */
export type ClientAuthenticationMethod = (typeof SECRET_METHODS)[number] | 'private_key_jwt'

/** Whether this is a method that we can use. */
export function isKnownMethod(method: string): method is ClientAuthenticationMethod {
  return method === 'private_key_jwt' || SECRET_METHODS.some((known) => known === method)
}

/**
 * The method for a client that was registered: what the registration answered if the server lists it or lists nothing;
 * a key, and then a secret by the server's list, Basic before the body; otherwise none. A client that has nothing but a
 * key never goes without it.
 *
 * @param client.supported `token_endpoint_auth_methods_supported`.
 * @param client.registered What the registration answered.
 * @param client.hasKey Whether a private key of this client is at hand.
 * @returns `undefined` if both sides have no method in common.
 * @see [RFC 8414 §2](https://www.rfc-editor.org/rfc/rfc8414.html#section-2), [RFC 7591 §2](https://www.rfc-editor.org/rfc/rfc7591.html#section-2)
 */
export function chooseMethod(client: {
  supported: readonly string[] | undefined
  registered: string | undefined
  hasSecret: boolean
  hasKey?: boolean
}): ClientAuthenticationMethod | undefined {
  const { supported, registered, hasSecret, hasKey = false } = client
  if (registered !== undefined && !isKnownMethod(registered)) return undefined
  if (registered === 'none') return 'none'
  const isListed = (method: string): boolean => supported?.includes(method) ?? true
  if (registered === 'private_key_jwt' || (registered === undefined && hasKey)) {
    if (hasKey && isListed('private_key_jwt')) return 'private_key_jwt'
    return hasKey && hasSecret ? methodToAskFor(supported) : undefined
  }
  if (!hasSecret) return 'none'
  if (registered !== undefined && isListed(registered)) return registered
  return methodToAskFor(supported)
}

/**
 * The method that a client which can keep a secret asks for: Basic, which a server that lists nothing supports, then
 * the body, then none.
 */
export function methodToAskFor(supported: readonly string[] | undefined): ClientAuthenticationMethod | undefined {
  if (supported === undefined) return 'client_secret_basic'
  return SECRET_METHODS.find((method) => supported.includes(method))
}

/**
 * The algorithm to sign with: the first of ours that the server lists, or where it lists nothing our first.
 *
 * @param able What our key can sign with.
 * @param supported `token_endpoint_auth_signing_alg_values_supported`.
 * @returns `undefined` if both sides have no algorithm in common.
 * @see [RFC 8414 §2](https://www.rfc-editor.org/rfc/rfc8414.html#section-2)
 */
export function chooseSigningAlg(
  able: readonly string[],
  supported: readonly string[] | undefined,
): string | undefined {
  return able.find((alg) => supported?.includes(alg) ?? true)
}

/** RFC 6749 §5.2; the last one comes from pushed authorization requests, whose server no longer has our redirect URI. */
const CLIENT_ERRORS: ReadonlySet<string> = new Set(['invalid_client', 'unauthorized_client', 'invalid_redirect_uri'])

/** Whether an error code rejects the client itself: its registration is gone, or its secret is wrong. */
export function isClientError(error: string | undefined): boolean {
  return error !== undefined && CLIENT_ERRORS.has(error)
}
