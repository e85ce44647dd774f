import * as oauth from 'oauth4webapi'
import type { TokenResult } from '../../../machines/ports.ts'
import { stopwatch } from '../../clock.ts'
import type { FailureCode } from '../../errors/failure.ts'
import { type PortError, portError } from '../../errors/port-error.ts'
import type { ExchangeResponse } from '../../http/transport.ts'
import { normalize } from '../../protocol/quirks.ts'
import type { AuthorizationServer, DpopKey } from '../../schemas/credentials.ts'
import { wireErrorOf } from '../../schemas/endpoint-responses.ts'
import { decodeAnswer, type DecodedAnswer, TokenResponseSchema } from '../../schemas/token-response.ts'
import { check } from '../../schemas/wire.ts'
import { isClientError } from '../../protocol/token-endpoint.ts'
import { asClient, clientAuthentication } from '../client-authentication.ts'
import type { TokenRequestDependencies } from '../dependencies.ts'
import { isSuccess, redactUrl, rejectionOf, sendOnce } from '../endpoint-request.ts'

/** Whose token endpoint is asked, and who we are there. */
export type TokenServer = Pick<AuthorizationServer, 'issuer' | 'tokenEndpoint' | 'resource' | 'client' | 'dpop'>

/** One request to a token endpoint. */
export interface TokenRequest {
  readonly at: number
  readonly sendBefore: number
  readonly server: TokenServer
  readonly grantType: string
  /** Beside `grant_type`, `resource` and the client's authentication; what is `undefined` is left out. */
  readonly parameters: Readonly<Record<string, string | undefined>>
  /** The code of a refusal. */
  readonly rejected: FailureCode
  /** The key that the tokens of this grant are bound to already. Where there is none, and one is wanted, it is made. */
  readonly dpopKey?: DpopKey | undefined
}

/** What a token endpoint answered with a success, not judged yet. */
export interface TokenEndpointAnswer {
  readonly decoded: DecodedAnswer
  readonly where: { readonly url: string; readonly status: number }
  /** The key that the request proved possession of. */
  readonly key: DpopKey | undefined
}

/**
 * Asks a token endpoint once. RFC 8707's `resource` goes along wherever the server entry has one, and a proof of
 * possession where the entry wants bound tokens; if only its nonce is missing, which refuses the request without any
 * effect, the same is asked once more. A client secret whose time is over (RFC 7591 §3.2.1) is not shown any more: that
 * is a refusal with the reason `secretExpired`.
 *
 * @throws `PortError` `request.rejected`, `CLIENT_REJECTED`, `RATE_LIMITED` or `SERVER_UNAVAILABLE` (rejected),
 *   `TOKEN_OUTCOME_UNKNOWN` or `TOKEN_RESPONSE_INVALID` (unknown), `CLIENT_AUTH_UNSUPPORTED` (not sent), or what the
 *   transport rejects with.
 * @see [RFC 6749 §5](https://www.rfc-editor.org/rfc/rfc6749.html#section-5), [RFC 9449 §5, §8](https://www.rfc-editor.org/rfc/rfc9449.html#section-5)
 */
export async function askTokenEndpoint(
  deps: TokenRequestDependencies,
  request: TokenRequest,
  signal: AbortSignal,
): Promise<TokenEndpointAnswer> {
  const { server, grantType, rejected, sendBefore } = request
  const { clientSecretExpiresAt = Infinity } = server.client
  if (clientSecretExpiresAt <= request.at) throw portError(rejected, 'rejected', { reason: 'secretExpired' })
  const parameters = Object.entries({ ...request.parameters, resource: server.resource }).flatMap(([name, value]) =>
    value === undefined ? [] : [[name, value]],
  )
  const authentication = clientAuthentication(deps, server.client)
  const key = request.dpopKey ?? (server.dpop && (await deps.dpop.createKey(server.dpop.alg)))
  const ask = async (): Promise<ExchangeResponse> => {
    const DPoP = key && (await deps.dpop.forTokenRequest(server.tokenEndpoint, key))
    const answer = await sendOnce({ transport: deps.transport, sendBefore, signal }, (options) =>
      oauth.genericTokenEndpointRequest(
        { issuer: server.issuer, token_endpoint: server.tokenEndpoint },
        asClient(server.client),
        authentication,
        grantType,
        parameters,
        { ...options, ...(DPoP && { DPoP }) },
      ),
    )
    deps.dpop.noteNonce('authorizationServer', server.tokenEndpoint, answer.headers)
    return answer
  }
  const first = await ask()
  const answer = key !== undefined && isNonceMissing(first) ? await ask() : first
  if (!isSuccess(answer)) {
    const codes = { rejected, unknown: 'TOKEN_OUTCOME_UNKNOWN' } as const
    throw withClientRejection(rejectionOf(answer, server.tokenEndpoint, deps.clock.now(), codes), server)
  }
  const where = { url: redactUrl(server.tokenEndpoint), status: answer.status }
  const decoded = decodeAnswer(answer.text)
  if (decoded === undefined)
    throw portError('TOKEN_RESPONSE_INVALID', 'unknown', { ...where, document: 'token response', reason: 'unreadable' })
  const wire = wireErrorOf(decoded.fields)
  if (wire !== undefined)
    throw withClientRejection(portError(rejected, 'rejected', { ...where, error: wire.error }), server)
  return { decoded, where, key }
}

/** A rejection of the client itself has a code of its own, which says who can do something about it. */
function withClientRejection(error: PortError, { client }: TokenServer): PortError {
  const { details } = error.failure
  if (error.outcome !== 'rejected' || !isClientError(details?.error)) return error
  const reason = client.source === 'dynamic' ? 'dynamicClient' : undefined
  return portError('CLIENT_REJECTED', 'rejected', { ...details, reason })
}

/** Whether a token endpoint refuses a request only because its proof lacks a nonce (RFC 9449 §8). */
function isNonceMissing({ status, headers, text }: ExchangeResponse): boolean {
  if (status !== 400 || !headers.has('dpop-nonce')) return false
  return wireErrorOf(decodeAnswer(text)?.fields ?? {})?.error === 'use_dpop_nonce'
}

/**
 * Asks a token endpoint for tokens, once.
 *
 * @throws `PortError` as {@link askTokenEndpoint}, and `TOKEN_RESPONSE_INVALID` for an answer without tokens (unknown)
 *   or with tokens that are not bound where they have to be (refused).
 * @see [RFC 6749 §5.1](https://www.rfc-editor.org/rfc/rfc6749.html#section-5.1), [RFC 9449 §5](https://www.rfc-editor.org/rfc/rfc9449.html#section-5)
 */
export async function requestTokens(
  deps: TokenRequestDependencies,
  request: TokenRequest,
  signal: AbortSignal,
): Promise<TokenResult> {
  const recordTime = stopwatch(deps.clock, request.at)
  const { decoded, where, key } = await askTokenEndpoint(deps, request, signal)
  const at = recordTime()
  const invalid = { ...where, document: 'token response' }
  const checked = check(TokenResponseSchema, normalize(decoded))
  if ('field' in checked) throw portError('TOKEN_RESPONSE_INVALID', 'unknown', { ...invalid, field: checked.field })
  const { tokenType: received } = checked.output
  const field = 'token_type'
  if (received === 'DPoP' && key === undefined)
    throw portError('TOKEN_RESPONSE_INVALID', 'unknown', { ...invalid, field })
  // Asking once more would bring no other type: whatever was spent for it is spent.
  if (received !== 'DPoP' && request.server.dpop?.required)
    throw portError('TOKEN_RESPONSE_INVALID', 'rejected', { ...invalid, field, expected: 'DPoP', received })
  // A refresh token may be bound to the key that was there, whatever the type of the new access token.
  return { at, ...checked.output, dpopKey: received === 'DPoP' ? key : request.dpopKey }
}
