import * as oauth from 'oauth4webapi'
import type { TokenResult } from '../../machines/ports.ts'
import type { FailureCode } from '../errors/failure.ts'
import { portError } from '../errors/port-error.ts'
import type { ExchangeResponse } from '../http/transport.ts'
import { straighten } from '../protocol/quirks.ts'
import type { AuthorizationServer } from '../schemas/connection-context.ts'
import { wireErrorOf } from '../schemas/error-response.ts'
import { decodeAnswer, type TokenResponse, TokenResponseSchema } from '../schemas/token-response.ts'
import { check } from '../schemas/wire.ts'
import { isSuccess, refusal, shownUrl } from './answers.ts'
import type { ClientRequestDependencies } from './dependencies.ts'
import { clientAuthentication, sendOnce } from './send-once.ts'
import { stopwatch } from './stopwatch.ts'

/** One request to a token endpoint. */
export interface TokenRequest {
  readonly at: number
  readonly sendBefore: number
  readonly server: AuthorizationServer
  readonly grantType: string
  /** Beside `grant_type`, `resource` and the client's authentication; what is `undefined` is left out. */
  readonly parameters: Readonly<Record<string, string | undefined>>
  /** The code of a refusal. */
  readonly rejected: FailureCode
}

/**
 * Asks a token endpoint once. RFC 8707's `resource` goes along wherever the server entry has one.
 *
 * @throws `PortError` `request.rejected`, `RATE_LIMITED` or `HTTP_NETWORK` (refused), `TOKEN_OUTCOME_UNKNOWN` or
 *   `TOKEN_RESPONSE_INVALID` (unknown), `CLIENT_AUTH_UNSUPPORTED` (not sent), or what the transport rejects with.
 * @see [RFC 6749 §5](https://www.rfc-editor.org/rfc/rfc6749.html#section-5)
 */
export async function requestTokens(
  deps: ClientRequestDependencies,
  request: TokenRequest,
  signal: AbortSignal,
): Promise<TokenResult> {
  const { server, grantType, rejected, sendBefore } = request
  const recordTime = stopwatch(deps.clock, request.at)
  const parameters = Object.entries({ ...request.parameters, resource: server.resource }).flatMap(([name, value]) =>
    value === undefined ? [] : [[name, value]],
  )
  const authentication = clientAuthentication(deps, server.client)
  const answer = await sendOnce({ transport: deps.transport, sendBefore, signal }, (options) =>
    oauth.genericTokenEndpointRequest(
      { issuer: server.issuer, token_endpoint: server.tokenEndpoint },
      { client_id: server.client.clientId },
      authentication,
      grantType,
      parameters,
      options,
    ),
  )
  if (!isSuccess(answer)) {
    throw refusal(answer, server.tokenEndpoint, deps.clock.now(), { rejected, unknown: 'TOKEN_OUTCOME_UNKNOWN' })
  }
  return { at: recordTime(), ...tokensIn(answer, server.tokenEndpoint, rejected) }
}

function tokensIn(answer: ExchangeResponse, endpoint: string, rejected: FailureCode): TokenResponse {
  const where = { url: shownUrl(endpoint), status: answer.status }
  const decoded = decodeAnswer(answer.text)
  const invalid = { ...where, document: 'token response' }
  if (decoded === undefined) throw portError('TOKEN_RESPONSE_INVALID', 'unknown', { ...invalid, reason: 'unreadable' })
  const wire = wireErrorOf(decoded.fields)
  if (wire !== undefined) throw portError(rejected, 'refused', { ...where, error: wire.error })
  const checked = check(TokenResponseSchema, straighten(decoded))
  if ('output' in checked) return checked.output
  throw portError('TOKEN_RESPONSE_INVALID', 'unknown', { ...invalid, field: checked.field })
}
