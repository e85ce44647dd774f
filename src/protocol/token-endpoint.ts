import { type Grant, GRANT_TYPES, isNonInteractive, type NonInteractiveGrant } from '../schemas/grants.ts'
import type { AuthorizationServerFacts } from './facts-row.ts'

/** RFC 8693 §2.1. */
export const TOKEN_EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange'

/** The grant, if it is non-interactive. */
export function nonInteractiveGrant(grant: Grant | undefined): NonInteractiveGrant | undefined {
  return grant !== undefined && isNonInteractive(grant) ? grant : undefined
}

/**
 * Whether an authorization server offers a grant. A server without `grant_types_supported` offers authorization code.
 * Names are compared case-insensitively.
 *
 * @see [RFC 8414 §2](https://www.rfc-editor.org/rfc/rfc8414.html#section-2)
 */
export function grantOffered(
  metadata: { readonly grantTypesSupported?: readonly string[] | undefined },
  grant: Grant,
): boolean {
  const offered = metadata.grantTypesSupported ?? ['authorization_code']
  return offered.some((name) => name.toLowerCase() === GRANT_TYPES[grant])
}

/**
 * Whether a status says that nothing was done and that the same request may succeed later: a time-out before the
 * request was complete, replayed early data, too many requests, an overloaded server.
 *
 * @see [RFC 9110 §15.5.9](https://www.rfc-editor.org/rfc/rfc9110.html#section-15.5.9), [RFC 8470 §5.2](https://www.rfc-editor.org/rfc/rfc8470.html#section-5.2), [RFC 6585 §4](https://www.rfc-editor.org/rfc/rfc6585.html#section-4)
 */
export function isRetryLaterStatus(status: number | undefined): boolean {
  return status === 408 || status === 425 || status === 429 || status === 503
}

/**
 * The audience of assertions for a server: its issuer in the form that its own metadata announce. A template, which the
 * endpoints for several tenants announce, is the name of no server.
 *
 * @see [RFC 7523 §3](https://www.rfc-editor.org/rfc/rfc7523.html#section-3)
 */
export function audienceOf({
  issuer,
  announcedIssuer = issuer,
}: {
  readonly issuer: string
  readonly announcedIssuer?: string | undefined
}): string {
  return /[{}]/.test(announcedIssuer) ? issuer : announcedIssuer
}

/** Authentication methods of a client without a private key, the preferred one first. */
const SECRET_METHODS = ['client_secret_basic', 'client_secret_post', 'none'] as const

/** A supported value of `token_endpoint_auth_method`. */
export type ClientAuthenticationMethod = (typeof SECRET_METHODS)[number] | 'private_key_jwt'

/** Whether this authentication method is supported. */
export function isSupportedMethod(method: string): method is ClientAuthenticationMethod {
  return method === 'private_key_jwt' || SECRET_METHODS.some((supported) => supported === method)
}

/**
 * The authentication method of a registered client. The registered method, if the server lists it or publishes no list;
 * otherwise `private_key_jwt` for a client with a key, a secret method from the server's list (Basic before the request
 * body) for a client with a secret, and `none` for the others. A client that has a key and no secret never falls back
 * to `none`.
 *
 * @param client.supported `token_endpoint_auth_methods_supported`.
 * @param client.registered `token_endpoint_auth_method` of the registration response.
 * @param client.hasKey Whether a private key of this client is configured.
 * @returns `undefined` if client and server have no method in common.
 * @see [RFC 8414 §2](https://www.rfc-editor.org/rfc/rfc8414.html#section-2), [RFC 7591 §2](https://www.rfc-editor.org/rfc/rfc7591.html#section-2)
 */
export function chooseMethod(client: {
  supported: readonly string[] | undefined
  registered: string | undefined
  hasSecret: boolean
  hasKey?: boolean
}): ClientAuthenticationMethod | undefined {
  const { supported, registered, hasSecret, hasKey = false } = client
  if (registered !== undefined && !isSupportedMethod(registered)) return undefined
  if (registered === 'none') return 'none'
  const isListed = (method: string): boolean => supported?.includes(method) ?? true
  if (registered === 'private_key_jwt' || (registered === undefined && hasKey)) {
    if (hasKey && isListed('private_key_jwt')) return 'private_key_jwt'
    return hasKey && hasSecret ? preferredSecretMethod(supported) : undefined
  }
  if (!hasSecret) return 'none'
  if (registered !== undefined && isListed(registered)) return registered
  return preferredSecretMethod(supported)
}

/**
 * The methods of a client that can store a secret, the preferred one first: Basic, which a server without a list
 * supports (RFC 8414 §2), then the request body, then `none`.
 */
export function secretMethods(supported: readonly string[] | undefined): ClientAuthenticationMethod[] {
  if (supported === undefined) return ['client_secret_basic']
  return SECRET_METHODS.filter((method) => supported.includes(method))
}

/** The first of {@link secretMethods}; `undefined` if client and server have no method in common. */
export function preferredSecretMethod(
  supported: readonly string[] | undefined,
): ClientAuthenticationMethod | undefined {
  return secretMethods(supported)[0]
}

/**
 * The signing algorithm of client assertions: the first algorithm of the key that the server lists, or the first one if
 * the server publishes no list.
 *
 * @param algs Algorithms that the key supports.
 * @param supported `token_endpoint_auth_signing_alg_values_supported`.
 * @returns `undefined` if key and server have no algorithm in common.
 * @see [RFC 8414 §2](https://www.rfc-editor.org/rfc/rfc8414.html#section-2)
 */
export function chooseSigningAlg(
  algs: readonly string[],
  supported: readonly string[] | undefined,
): string | undefined {
  return algs.find((alg) => supported?.includes(alg) ?? true)
}

/**
 * Parameters of a token request that `authorize({ parameters })` cannot set, besides those of the authorization
 * request.
 */
export const RESERVED_TOKEN_PARAMETERS: ReadonlySet<string> = new Set([
  'grant_type',
  'client_secret',
  'client_assertion',
  'client_assertion_type',
  'assertion',
  'code',
  'code_verifier',
  'refresh_token',
])

/**
 * The fields of a token response in the form of RFC 6749 §5.1.
 *
 * @see [RFC 6749 §5.1](https://www.rfc-editor.org/rfc/rfc6749.html#section-5.1)
 */
export function tokenResponseFields(
  fields: Readonly<Record<string, unknown>>,
  facts: AuthorizationServerFacts['tokens'],
): Readonly<Record<string, unknown>> {
  const { under, bearerTypes = [], scopeSeparator, defaultType } = facts ?? {}
  const nested = under !== undefined && fields['access_token'] === undefined ? fields[under] : undefined
  const response = isFields(nested) ? nested : fields
  const { token_type: type = defaultType, scope } = response
  return {
    ...response,
    token_type: bearerTypes.some((bearerType) => bearerType === type) ? 'Bearer' : type,
    ...(typeof scope === 'string' && scopeSeparator !== undefined && { scope: scope.replaceAll(scopeSeparator, ' ') }),
  }
}

const isFields = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/**
 * RFC 6749 §5.2, and what GitHub (`incorrect_client_credentials`) and Slack respond instead. `invalid_redirect_uri` is
 * returned to a pushed authorization request by a server that no longer has the redirect URI registered.
 */
const CLIENT_ERRORS: ReadonlySet<string> = new Set([
  'invalid_client',
  'unauthorized_client',
  'invalid_redirect_uri',
  'incorrect_client_credentials',
  'invalid_client_id',
  'bad_client_secret',
])

/** Whether an error code rejects the client itself: its registration was deleted, or its secret is wrong. */
export function isClientError(error: string | undefined): boolean {
  return error !== undefined && CLIENT_ERRORS.has(error)
}
