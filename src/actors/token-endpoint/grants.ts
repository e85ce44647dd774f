import type { ExchangeCodeInput, RefreshTokensInput, RequestTokenInput, TokenResult } from '../../../machines/ports.ts'
import { stopwatch } from '../../clock.ts'
import { portError } from '../../errors/port-error.ts'
import { JWT_BEARER } from '../../protocol/grants.ts'
import type { AssertionDependencies, RegistrationDependencies, TokenRequestDependencies } from '../dependencies.ts'
import type { createDiscoverServer } from '../discovery/discover-server.ts'
import { createRequestIdentityAssertion, obtainAssertion } from './assertions.ts'
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
    throw portError('ACCOUNT_CHANGED', 'rejected')
  }
}

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

/**
 * Obtains tokens for a workload: the JWT that its platform issues is the grant. A new one for every request.
 *
 * @throws `PortError` `EXCHANGE_REJECTED`, or as {@link obtainAssertion} and {@link requestTokens}.
 * @see [RFC 7523 §2.1](https://www.rfc-editor.org/rfc/rfc7523.html#section-2.1)
 */
export function createRequestJwtBearer(deps: AssertionDependencies) {
  return async (input: RequestTokenInput, signal: AbortSignal): Promise<TokenResult> => {
    const { at, identity: connection, server, scope, sendBefore } = input
    const recordTime = stopwatch(deps.clock, at)
    const { issuer: audience, tokenEndpoint, resource } = server
    const wanted = { connection, audience, tokenEndpoint, resource, scope }
    const { assertion } = await obtainAssertion(deps, ['workload'], wanted, { sendBefore, signal })
    const parameters = { assertion, scope }
    const rejected = 'EXCHANGE_REJECTED'
    return await requestTokens(
      deps,
      { at: recordTime(), sendBefore, server, grantType: JWT_BEARER, parameters, rejected },
      signal,
    )
  }
}

/** Obtains tokens by whichever grant without a user the claim is for. */
export function createRequestToken(
  deps: AssertionDependencies,
  discoverServer: ReturnType<typeof createDiscoverServer>,
) {
  const byGrant = {
    client_credentials: createRequestClientCredentials(deps),
    jwt_bearer: createRequestJwtBearer(deps),
    identity_assertion: createRequestIdentityAssertion(deps, discoverServer),
  }
  return (input: RequestTokenInput, signal: AbortSignal): Promise<TokenResult> => byGrant[input.grant](input, signal)
}
