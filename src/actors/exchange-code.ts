import type { ExchangeCodeInput, TokenResult } from '../../machines/ports.ts'
import type { TokenRequestDependencies, RegistrationDependencies } from './dependencies.ts'
import { requestTokens } from './token-request.ts'

/**
 * Spends an authorization code, at the issuer of its attempt only.
 *
 * @throws `PortError` `EXCHANGE_REJECTED`, or as {@link requestTokens}.
 * @see [RFC 6749 §4.1.3](https://www.rfc-editor.org/rfc/rfc6749.html#section-4.1.3), [RFC 7636 §4.5](https://www.rfc-editor.org/rfc/rfc7636.html#section-4.5)
 */
export function createExchangeCode(deps: TokenRequestDependencies & Pick<RegistrationDependencies, 'client'>) {
  return (input: ExchangeCodeInput, signal: AbortSignal): Promise<TokenResult> => {
    const { at, sendBefore, server, code, verifier } = input
    const parameters = {
      code,
      code_verifier: verifier,
      redirect_uri: server.client.redirectUri ?? deps.client.redirectUri,
    }
    const rejected = 'EXCHANGE_REJECTED'
    return requestTokens(
      deps,
      { at, sendBefore, server, grantType: 'authorization_code', parameters, rejected },
      signal,
    )
  }
}
