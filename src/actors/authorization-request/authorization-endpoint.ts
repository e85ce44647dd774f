import { failure } from '../../errors/failure.ts'
import { PortError, portError } from '../../errors/port-error.ts'
import { redactNames, redactUrl } from '../../errors/redact.ts'
import type { ServerMetadata } from '../../schemas/connection-context.ts'
import type { ConnectionDependencies } from '../dependencies.ts'

type Dependencies = Pick<ConnectionDependencies, 'client' | 'checkUrl'>

/**
 * The authorization endpoint, if it supports the authorization code grant with PKCE, and a browser may be sent there.
 *
 * @throws `PortError` `GRANT_UNSUPPORTED`, `PKCE_UNSUPPORTED`, `INSECURE_ENDPOINT`, `ADDRESS_FORBIDDEN`.
 */
export function authorizationEndpointOf(deps: Dependencies, metadata: ServerMetadata): URL {
  const { authorizationEndpoint, responseTypesSupported, codeChallengeMethodsSupported, legacy } = metadata
  if (authorizationEndpoint === undefined) {
    throw portError('GRANT_UNSUPPORTED', 'notSent', { reason: 'noAuthorizationEndpoint' })
  }
  if (responseTypesSupported !== undefined && !responseTypesSupported.includes('code')) {
    const offered = redactNames(responseTypesSupported)
    throw portError('GRANT_UNSUPPORTED', 'notSent', { reason: 'responseType', expected: 'code', offered })
  }
  // A server without metadata cannot announce PKCE; the challenge is sent anyway.
  if (!legacy && !codeChallengeMethodsSupported?.includes('S256')) {
    const offered = codeChallengeMethodsSupported && redactNames(codeChallengeMethodsSupported)
    throw portError('PKCE_UNSUPPORTED', 'notSent', { expected: 'S256', offered })
  }
  const { redirectUri, metadataUrl = redirectUri } = deps.client
  const own = [redirectUri, metadataUrl].map((url) => new URL(url).origin)
  return checkedUrl(deps, authorizationEndpoint, own)
}

/**
 * Checks the endpoints that a registration is for, as far as that needs no request: a server whose endpoints cannot be
 * used must not cause a registration.
 *
 * @throws `PortError` As {@link authorizationEndpointOf}.
 */
export function checkEndpoints(deps: Dependencies, metadata: ServerMetadata): void {
  const { registrationEndpoint, tokenEndpoint } = metadata
  authorizationEndpointOf(deps, metadata)
  for (const endpoint of [registrationEndpoint, tokenEndpoint]) if (endpoint !== undefined) checkedUrl(deps, endpoint)
}

/** @param own For a URL that a browser is sent to: the origins of this application. */
function checkedUrl({ checkUrl }: Dependencies, text: string, own?: readonly string[]): URL {
  const url = new URL(text)
  try {
    checkUrl(url, own && { own })
  } catch (error) {
    if (!(error instanceof PortError)) throw error
    const { code, details } = error.failure
    throw new PortError(failure(code, { url: redactUrl(text), ...details }), error.outcome)
  }
  return url
}
