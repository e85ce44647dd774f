import * as oauth from 'oauth4webapi'
import type { TokenResult } from '../../../machines/ports.ts'
import { isSecretExpired } from '../../../machines/record-rules.ts'
import { stopwatch } from '../../clock.ts'
import { failure, type FailureCode } from '../../errors/failure.ts'
import { PortError, portError } from '../../errors/port-error.ts'
import { redactUrl } from '../../errors/redact.ts'
import type { ExchangeResponse } from '../../http/transport.ts'
import { subjectOfIdToken } from '../../protocol/id-token.ts'
import { audienceOf, tokenResponseFields } from '../../protocol/token-endpoint.ts'
import type { AuthorizationServer, DpopKey } from '../../schemas/credentials.ts'
import { decodeAnswer, TokenResponseSchema, wireErrorOf } from '../../schemas/endpoint-responses.ts'
import { GRANT_TYPES } from '../../schemas/grants.ts'
import { check } from '../../schemas/wire.ts'
import { asClient, clientAuthentication } from '../client-authentication.ts'
import type { TokenRequestDependencies } from '../dependencies.ts'
import {
  isSuccess,
  rejectionOf,
  sendOnce,
  withClientRejection,
  withProofRejection,
  withUnauthorizedClient,
} from '../endpoint-request.ts'

/** The server of a token request, and the client there. */
export type TokenServer = Pick<
  AuthorizationServer,
  'issuer' | 'announcedIssuer' | 'tokenEndpoint' | 'resource' | 'client' | 'dpop'
>

/** One request to a token endpoint. */
export interface TokenRequest {
  readonly at: number
  readonly sendBefore: number
  readonly server: TokenServer
  readonly grantType: string
  /** Besides `grant_type`, `resource` and the client authentication; an `undefined` one is omitted. */
  readonly parameters: Readonly<Record<string, string | undefined>>
  /** The failure code of a rejection. */
  readonly rejected: FailureCode
  /** The `nonce` of the authorization request, which an ID token has to repeat. */
  readonly nonce?: string | undefined
  /** The key that the tokens of this grant are bound to. If it is absent and `server.dpop` is set, one is generated. */
  readonly dpopKey?: DpopKey | undefined
}

/** A 2xx response of a token endpoint, not validated yet. */
export interface TokenEndpointResponse {
  readonly fields: Readonly<Record<string, unknown>>
  readonly where: { readonly url: string; readonly status: number }
  /** The key of the request's DPoP proof. */
  readonly key: DpopKey | undefined
}

/**
 * Sends one token request. It includes `resource` (RFC 8707) if the server entry has one, and a DPoP proof if the entry
 * has DPoP terms. If the server rejects the proof only because its nonce is missing, which has no other effect, the
 * request is repeated once. A client secret that has expired (RFC 7591 §3.2.1) is not sent: that is a rejection with
 * reason `secretExpired`. One whose proof is rejected all the same has the reason `dpopProof`.
 *
 * @throws `PortError` `request.rejected`, `CLIENT_REJECTED`, `RATE_LIMITED` or `SERVER_UNAVAILABLE` (rejected),
 *   `TOKEN_OUTCOME_UNKNOWN` or `TOKEN_RESPONSE_INVALID` (unknown), `CLIENT_AUTH_UNSUPPORTED` (not sent), or what the
 *   transport rejects with.
 * @see [RFC 6749 §5](https://www.rfc-editor.org/rfc/rfc6749.html#section-5), [RFC 9449 §5, §8](https://www.rfc-editor.org/rfc/rfc9449.html#section-5)
 */
export async function sendTokenRequest(
  deps: TokenRequestDependencies,
  request: TokenRequest,
  signal: AbortSignal,
): Promise<TokenEndpointResponse> {
  const { server, grantType, rejected, sendBefore } = request
  if (isSecretExpired(server.client, request.at)) {
    // A dynamic client is registered again; only the host can replace its own.
    const code = server.client.source === 'dynamic' ? rejected : 'CLIENT_INFORMATION_REQUIRED'
    throw portError(code, 'rejected', { reason: 'secretExpired' })
  }
  const parameters = Object.entries({ ...request.parameters, resource: server.resource }).flatMap(([name, value]) =>
    value === undefined ? [] : [[name, value]],
  )
  const authentication = clientAuthentication(deps, server.client)
  const key = request.dpopKey ?? (server.dpop && (await deps.dpop.createKey(server.dpop.alg)))
  const send = async (): Promise<ExchangeResponse> => {
    const DPoP = key && (await deps.dpop.forTokenRequest(server.tokenEndpoint, key))
    const response = await sendOnce({ transport: deps.transport, sendBefore, signal }, (options) =>
      oauth.genericTokenEndpointRequest(
        { issuer: audienceOf(server), token_endpoint: server.tokenEndpoint },
        asClient(server.client),
        authentication,
        grantType,
        parameters,
        { ...options, ...(DPoP && { DPoP }) },
      ),
    )
    deps.dpop.noteNonce('authorizationServer', server.tokenEndpoint, response.headers)
    return response
  }
  const first = await send()
  const response = key !== undefined && isNonceMissing(first) ? await send() : first
  const rejection = (): PortError => {
    const codes = { rejected, unknown: 'TOKEN_OUTCOME_UNKNOWN' } as const
    const rejection = rejectionOf(response, server.tokenEndpoint, deps.clock.now(), codes)
    const error = withClientRejection(key === undefined ? rejection : withProofRejection(rejection), server.client)
    return grantType === GRANT_TYPES.authorization_code ? withUnauthorizedClient(error, server.client) : error
  }
  if (!isSuccess(response)) throw rejection()
  const where = { url: redactUrl(server.tokenEndpoint), status: response.status }
  const fields = decodeAnswer(response.text)
  if (fields === undefined)
    throw portError('TOKEN_RESPONSE_INVALID', 'unknown', { ...where, document: 'token response', reason: 'unreadable' })
  if (wireErrorOf(fields) !== undefined) throw rejection()
  return { fields, where, key }
}

/** Whether a token endpoint rejected a request only because its proof lacks a nonce (RFC 9449 §8). */
function isNonceMissing({ status, headers, text }: ExchangeResponse): boolean {
  if (status !== 400 || !headers.has('dpop-nonce')) return false
  return wireErrorOf(decodeAnswer(text) ?? {})?.error === 'use_dpop_nonce'
}

/**
 * Requests tokens from a token endpoint, once.
 *
 * @throws `PortError` as {@link sendTokenRequest}, and `TOKEN_RESPONSE_INVALID` (rejected) for a response without
 *   tokens, or with tokens that are not bound to the key although the policy requires it. Those of a sign-in are
 *   returned as `discarded`, to be revoked.
 * @see [RFC 6749 §5.1](https://www.rfc-editor.org/rfc/rfc6749.html#section-5.1), [RFC 9449 §5](https://www.rfc-editor.org/rfc/rfc9449.html#section-5)
 */
export async function requestTokens(
  deps: TokenRequestDependencies,
  request: TokenRequest,
  signal: AbortSignal,
): Promise<TokenResult> {
  const recordTime = stopwatch(deps.clock, request.at)
  const { fields, where, key } = await sendTokenRequest(deps, request, signal)
  const at = recordTime()
  const invalid = { ...where, document: 'token response' }
  const { tokens } = deps.facts(request.server.issuer)
  const checked = check(TokenResponseSchema, tokenResponseFields(fields, tokens))
  // Not an unknown outcome: the credential was consumed, and another request would be answered alike.
  if ('field' in checked) throw portError('TOKEN_RESPONSE_INVALID', 'rejected', { ...invalid, field: checked.field })
  const { tokenType: received } = checked.output
  const field = 'token_type'
  if (received === 'DPoP' && key === undefined)
    throw portError('TOKEN_RESPONSE_INVALID', 'rejected', { ...invalid, field })
  // The refresh token may be bound to the previous key, whatever the type of the new access token.
  const { idToken, ...answer } = checked.output
  const { nonce, server } = request
  const terms = { issuer: server.announcedIssuer ?? server.issuer, clientId: server.client.clientId, nonce }
  // Whether a refresh is of the same account is said by ID tokens only (OpenID Connect Core §12.2).
  const named = request.grantType === 'refresh_token' ? undefined : answer.subject
  const subject = idToken === undefined ? named : subjectOfIdToken(idToken, { ...terms, now: deps.clock.now() })
  const result = { at, ...answer, subject, dpopKey: received === 'DPoP' ? key : request.dpopKey }
  if (received === 'DPoP' || !request.server.dpop?.required) return result
  const discarded = failure('TOKEN_RESPONSE_INVALID', { ...invalid, field, expected: 'DPoP', received })
  // Revoking those of a renewal may end the grant, whose access token is still used.
  if (request.grantType !== GRANT_TYPES.authorization_code) throw new PortError(discarded, 'rejected')
  return { ...result, discarded }
}
