import type { RefreshTokensInput, TokenResult } from '../../machines/ports.ts'
import type { TokenRequestDependencies } from './dependencies.ts'
import { requestTokens } from './token-request.ts'

/**
 * Spends a refresh token, at the issuer that gave it only. Asks for no scope, which keeps what was granted.
 *
 * @throws `PortError` `REFRESH_REJECTED`, whose `details.error` tells `invalid_grant` from `invalid_client`, or as
 *   {@link requestTokens}.
 * @see [RFC 6749 §6](https://www.rfc-editor.org/rfc/rfc6749.html#section-6)
 */
export function createRefreshTokens(deps: TokenRequestDependencies) {
  return (input: RefreshTokensInput, signal: AbortSignal): Promise<TokenResult> => {
    const { at, sendBefore, server, refreshToken, dpopKey } = input
    const parameters = { refresh_token: refreshToken }
    const rejected = 'REFRESH_REJECTED'
    return requestTokens(
      deps,
      { at, sendBefore, server, grantType: 'refresh_token', parameters, rejected, dpopKey },
      signal,
    )
  }
}
