import type { ExchangeCodeInput, TokenResult } from '../../machines/ports.ts'
import { portError } from '../errors/port-error.ts'
import type { RegistrationDependencies, TokenRequestDependencies } from './dependencies.ts'
import { createRevokeTokens } from './revoke-tokens.ts'
import { requestTokens } from './token-request.ts'

/**
 * Spends an authorization code, at the issuer of its attempt only. Tokens of another account than the expected one are
 * revoked, as well as may be, and not answered.
 *
 * @throws `PortError` `EXCHANGE_REJECTED`, `ACCOUNT_CHANGED` (refused), or as {@link requestTokens}.
 * @see [RFC 6749 §4.1.3](https://www.rfc-editor.org/rfc/rfc6749.html#section-4.1.3), [RFC 7636 §4.5](https://www.rfc-editor.org/rfc/rfc7636.html#section-4.5)
 */
export function createExchangeCode(deps: TokenRequestDependencies & Pick<RegistrationDependencies, 'client'>) {
  const revokeTokens = createRevokeTokens(deps)
  return async (input: ExchangeCodeInput, signal: AbortSignal): Promise<TokenResult> => {
    const { at, sendBefore, server, code, verifier, expectedSubject } = input
    const parameters = {
      code,
      code_verifier: verifier,
      redirect_uri: server.client.redirectUri ?? deps.client.redirectUri,
    }
    const rejected = 'EXCHANGE_REJECTED'
    const request = { at, sendBefore, server, grantType: 'authorization_code', parameters, rejected } as const
    const result = await requestTokens(deps, request, signal)
    if (expectedSubject === undefined || (result.subject ?? expectedSubject) === expectedSubject) return result
    await revokeTokens({ ...input, ...result, at }, signal).catch(() => {})
    throw portError('ACCOUNT_CHANGED', 'refused')
  }
}
