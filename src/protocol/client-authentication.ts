/** How we prove to a token endpoint who we are. */
export const CLIENT_AUTHENTICATION_METHODS = ['client_secret_basic', 'client_secret_post', 'none'] as const

/** One of {@link CLIENT_AUTHENTICATION_METHODS}. */
export type ClientAuthenticationMethod = (typeof CLIENT_AUTHENTICATION_METHODS)[number]

/** Whether this is a method that we can use. */
export function isKnownMethod(method: string): method is ClientAuthenticationMethod {
  return CLIENT_AUTHENTICATION_METHODS.some((known) => known === method)
}

/**
 * The method for a client that was registered: what the registration answered if the server lists it or lists nothing;
 * a secret by the server's list, Basic before the body; otherwise none.
 *
 * @param client.supported `token_endpoint_auth_methods_supported`.
 * @param client.registered What the registration answered.
 * @returns `undefined` if both sides have no method in common.
 * @see [RFC 8414 §2](https://www.rfc-editor.org/rfc/rfc8414.html#section-2), [RFC 7591 §2](https://www.rfc-editor.org/rfc/rfc7591.html#section-2)
 */
export function chooseMethod(client: {
  supported: readonly string[] | undefined
  registered: string | undefined
  hasSecret: boolean
}): ClientAuthenticationMethod | undefined {
  const { supported, registered, hasSecret } = client
  if (registered !== undefined && !isKnownMethod(registered)) return undefined
  if (!hasSecret || registered === 'none') return 'none'
  if (registered !== undefined && (supported?.includes(registered) ?? true)) return registered
  return methodToAskFor(supported)
}

/**
 * The method that a client which can keep a secret asks for: Basic, which a server that lists nothing supports, then
 * the body, then none.
 */
export function methodToAskFor(supported: readonly string[] | undefined): ClientAuthenticationMethod | undefined {
  if (supported === undefined) return 'client_secret_basic'
  return CLIENT_AUTHENTICATION_METHODS.find((method) => supported.includes(method))
}
