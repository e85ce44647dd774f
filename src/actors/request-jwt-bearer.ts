import type { RequestTokenInput, TokenResult } from '../../machines/ports.ts'
import { JWT_BEARER } from '../protocol/grants.ts'
import type { AssertionDependencies } from './dependencies.ts'
import { obtainAssertion } from './obtain-assertion.ts'
import { stopwatch } from './stopwatch.ts'
import { requestTokens } from './token-request.ts'

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
