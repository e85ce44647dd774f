import type { RequestTokenInput, TokenResult } from '../../machines/ports.ts'
import type { TokenRequestDependencies } from './dependencies.ts'
import { requestTokens } from './token-request.ts'

/**
 * Obtains tokens without a user.
 *
 * @throws `PortError` `EXCHANGE_REJECTED`, or as {@link requestTokens}.
 * @see [RFC 6749 §4.4](https://www.rfc-editor.org/rfc/rfc6749.html#section-4.4)
 */
export function createRequestClientCredentials(deps: TokenRequestDependencies) {
  return (input: RequestTokenInput, signal: AbortSignal): Promise<TokenResult> => {
    const { at, sendBefore, server, scope } = input
    const rejected = 'EXCHANGE_REJECTED'
    return requestTokens(
      deps,
      { at, sendBefore, server, grantType: 'client_credentials', parameters: { scope }, rejected },
      signal,
    )
  }
}
