import * as oauth from 'oauth4webapi'
import type { PortOutput, RevokeTokensInput } from '../../../machines/ports.ts'
import { stopwatch } from '../../clock.ts'
import { audienceOf } from '../../protocol/token-endpoint.ts'
import { asClient, clientAuthentication } from '../client-authentication.ts'
import type { ClientRequestDependencies } from '../dependencies.ts'
import { isSuccess, rejectionOf, sendOnce } from '../endpoint-request.ts'
import { MAX_TOKEN_RESPONSE_BYTES, USER_AGENT } from '../limits.ts'

const CODES = { rejected: 'EXCHANGE_REJECTED', unknown: 'TOKEN_OUTCOME_UNKNOWN' } as const

/** Revokes the grant at an endpoint that revokes the access token of the request, and the refresh token with it. */
async function revokeByBearer(
  { transport, clock }: ClientRequestDependencies,
  url: string,
  { accessToken, sendBefore }: RevokeTokensInput,
  signal: AbortSignal,
): Promise<void> {
  const headers = { authorization: `Bearer ${accessToken}`, 'user-agent': USER_AGENT }
  const maxBytes = MAX_TOKEN_RESPONSE_BYTES
  const response = await transport.exchange({ url, method: 'POST', headers, maxBytes, sendBefore, signal })
  if (!isSuccess(response)) throw rejectionOf(response, url, clock.now(), CODES)
}

/**
 * Revokes both tokens, the refresh token first, since that ends the grant. A failure of the first request does not
 * prevent the second.
 *
 * @throws `PortError` of the first that failed: `EXCHANGE_REJECTED`, `RATE_LIMITED`, `HTTP_NETWORK`,
 *   `TOKEN_OUTCOME_UNKNOWN`, `CLIENT_AUTH_UNSUPPORTED`, or what the transport rejects with. The tokens are deleted from
 *   the record in any case.
 * @see [RFC 7009 §2](https://www.rfc-editor.org/rfc/rfc7009.html#section-2)
 */
export function createRevokeTokens(deps: ClientRequestDependencies) {
  return async (input: RevokeTokensInput, signal: AbortSignal): Promise<PortOutput> => {
    const { server, accessToken, refreshToken } = input
    const recordTime = stopwatch(deps.clock, input.at)
    const endpoint = server.revocationEndpoint
    const { revocation } = deps.facts(server.issuer)
    if (endpoint === undefined || revocation === 'unsupported') return { at: recordTime() }
    if (revocation === 'bearer') {
      await revokeByBearer(deps, endpoint, input, signal)
      return { at: recordTime() }
    }

    const revoke = async (token: string, token_type_hint: string) => {
      const authentication = clientAuthentication(deps, server.client)
      const response = await sendOnce({ transport: deps.transport, sendBefore: input.sendBefore, signal }, (options) =>
        oauth.revocationRequest(
          { issuer: audienceOf(server), revocation_endpoint: endpoint },
          asClient(server.client),
          authentication,
          token,
          { ...options, additionalParameters: { token_type_hint } },
        ),
      )
      if (isSuccess(response)) return
      const rejection = rejectionOf(response, endpoint, deps.clock.now(), CODES)
      // RFC 7009 §2.2.1: the server cannot revoke this type of token separately; it ends with its grant.
      if (rejection.failure.details?.error !== 'unsupported_token_type') throw rejection
    }

    const failures: unknown[] = []
    if (refreshToken !== undefined)
      await revoke(refreshToken, 'refresh_token').catch((error: unknown) => failures.push(error))
    await revoke(accessToken, 'access_token').catch((error: unknown) => failures.push(error))
    if (failures.length > 0) throw failures[0]
    return { at: recordTime() }
  }
}
