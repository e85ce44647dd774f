import * as oauth from 'oauth4webapi'
import type { RevokeTokensInput, RevokeTokensOutput } from '../../../machines/ports.ts'
import { stopwatch } from '../../clock.ts'
import { portError, PortError } from '../../errors/port-error.ts'
import type { ExchangeResponse } from '../../http/transport.ts'
import { audienceOf } from '../../protocol/token-endpoint.ts'
import type { ClientInformation } from '../../schemas/credentials.ts'
import { asClient, clientAuthentication } from '../client-authentication.ts'
import type { ClientRequestDependencies, StoredClientDependencies } from '../dependencies.ts'
import { isSuccess, rejectionOf, sendOnce } from '../endpoint-request.ts'
import { MAX_TOKEN_RESPONSE_BYTES, USER_AGENT } from '../limits.ts'
import { withCurrentClient } from '../registration/current-client.ts'

const CODES = { rejected: 'REVOCATION_FAILED', unknown: 'SERVER_UNAVAILABLE' } as const

/** The errors of servers that do not answer 200 for a token which is invalid already, as RFC 7009 §2.2 requires. */
const ALREADY_INVALID: ReadonlySet<string | undefined> = new Set(['invalid_token', 'invalid_grant'])

/** What became of one token. */
type Revoked = RevokeTokensOutput['revoked']

/** What the response to a revocation request says of the token. */
function revokedBy(response: ExchangeResponse, url: string, now: number): Revoked {
  if (isSuccess(response)) return 'yes'
  const rejection = rejectionOf(response, url, now, CODES)
  const { code, details } = rejection.failure
  if (code === 'REVOCATION_FAILED' && ALREADY_INVALID.has(details?.error)) return 'yes'
  if (code === 'REVOCATION_FAILED' && details?.error === 'unsupported_token_type') return 'unsupported'
  throw rejection
}

/** Revokes the grant at an endpoint that revokes the access token of the request, and the refresh token with it. */
async function revokeByBearer(
  { transport, clock }: ClientRequestDependencies,
  url: string,
  { accessToken, sendBefore }: RevokeTokensInput,
  signal: AbortSignal,
): Promise<Revoked> {
  const headers = { authorization: `Bearer ${accessToken}`, 'user-agent': USER_AGENT }
  const maxBytes = MAX_TOKEN_RESPONSE_BYTES
  const response = await transport.exchange({ url, method: 'POST', headers, maxBytes, sendBefore, signal })
  return revokedBy(response, url, clock.now())
}

/** Marks a failure after which only the access token is left to be revoked. */
function ofAccessToken(error: unknown): unknown {
  if (!(error instanceof PortError) || error.failure.details?.reason !== undefined) return error
  return portError(error.failure.code, error.outcome, { ...error.failure.details, reason: 'accessTokenLeft' })
}

/**
 * Revokes both tokens, the refresh token first, since that ends the grant. A rejection of the refresh token does not
 * prevent the request for the access token; any other failure does.
 *
 * @returns Whether the refresh token was revoked, or without one the access token: a server that revokes the access
 *   token only with its grant has done so.
 * @throws `PortError` of the first that failed: `REVOCATION_FAILED` if the server rejected it; `SERVER_UNAVAILABLE`,
 *   `RATE_LIMITED`, `HTTP_NETWORK`, `HTTP_TIMEOUT`, `CLIENT_AUTH_UNSUPPORTED`, or what the transport rejects with, with
 *   the reason `accessTokenLeft` if the refresh token was revoked before.
 * @see [RFC 7009 §2](https://www.rfc-editor.org/rfc/rfc7009.html#section-2)
 */
export function createRevokeTokens(deps: ClientRequestDependencies & StoredClientDependencies) {
  return async (input: RevokeTokensInput, signal: AbortSignal): Promise<RevokeTokensOutput> => {
    const { identity, server, accessToken, refreshToken } = input
    const recordTime = stopwatch(deps.clock, input.at)
    const endpoint = server.revocationEndpoint
    const { revocation } = deps.facts(server.issuer)
    if (endpoint === undefined || revocation === 'unsupported') return { at: recordTime(), revoked: 'unsupported' }
    if (revocation === 'bearer') {
      const revoked = await revokeByBearer(deps, endpoint, input, signal)
      return { at: recordTime(), revoked }
    }

    const revokeBy = async (client: ClientInformation, token: string, token_type_hint: string) => {
      const authentication = clientAuthentication(deps, client)
      const response = await sendOnce({ transport: deps.transport, sendBefore: input.sendBefore, signal }, (options) =>
        oauth.revocationRequest(
          { issuer: audienceOf(server), revocation_endpoint: endpoint },
          asClient(client),
          authentication,
          token,
          { ...options, additionalParameters: { token_type_hint } },
        ),
      )
      return { revoked: revokedBy(response, endpoint, deps.clock.now()) }
    }
    let { client } = server
    const revoke = async (token: string, hint: string): Promise<Revoked> => {
      const result = await withCurrentClient(deps, { identity, recordTime, client }, (current) =>
        revokeBy(current, token, hint),
      )
      client = result.client ?? client
      return result.revoked
    }
    const revokeAccessToken = (): Promise<Revoked> => revoke(accessToken, 'access_token')

    if (refreshToken === undefined) {
      const revoked = await revokeAccessToken()
      return { at: recordTime(), revoked }
    }
    const revoked = await revoke(refreshToken, 'refresh_token').catch(async (error: unknown) => {
      const isRejected = error instanceof PortError && error.failure.code === 'REVOCATION_FAILED'
      if (isRejected) await revokeAccessToken().catch(() => {})
      throw error
    })
    await revokeAccessToken().catch((error: unknown) => {
      throw ofAccessToken(error)
    })
    return { at: recordTime(), revoked }
  }
}
