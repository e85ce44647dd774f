import * as oauth from 'oauth4webapi'
import { type Failure, isRetryable } from '../../errors/failure.ts'
import { PortError, portError } from '../../errors/port-error.ts'
import { redactUrl } from '../../errors/redact.ts'
import { LruMap } from '../../lru-map.ts'
import type { ClientInformation } from '../../schemas/credentials.ts'
import { PushedAuthorizationResponseSchema } from '../../schemas/endpoint-responses.ts'
import { check, parseJson } from '../../schemas/wire.ts'
import { clientAuthentication } from '../client-authentication.ts'
import type { ClientRequestDependencies } from '../dependencies.ts'
import { isSuccess, rejectionOf, sendOnce, withClientRejection } from '../endpoint-request.ts'
import { MAX_CACHED_DOCUMENTS } from '../limits.ts'

type PushedRequest = Parameters<typeof pushAuthorizationRequest>[1]

/**
 * Sends pushed authorization requests, for all connections of a process that use a client: none while a `Retry-After`
 * of the server defers them (RFC 9110 §10.2.3).
 *
 * @throws `PortError` as {@link pushAuthorizationRequest}.
 */
export function createPushAuthorizationRequest(deps: ClientRequestDependencies) {
  const deferrals = new LruMap<string, { failure: Failure; until: number }>(MAX_CACHED_DOCUMENTS)
  return async (request: PushedRequest, signal: AbortSignal): Promise<string> => {
    const key = JSON.stringify([request.audience, request.endpoint, request.client.clientId])
    const { failure: last, until = 0 } = deferrals.get(key) ?? {}
    const retryAfterMs = until - deps.clock.monotonic()
    if (last !== undefined && retryAfterMs > 0) throw portError(last.code, 'notSent', { ...last.details, retryAfterMs })
    try {
      return await pushAuthorizationRequest(deps, request, signal)
    } catch (error) {
      if (error instanceof PortError && isRetryable(error.failure)) {
        const { retryAfterMs: delayMs = 0 } = error.failure.details ?? {}
        if (delayMs > 0) deferrals.set(key, { failure: error.failure, until: deps.clock.monotonic() + delayMs })
      }
      throw error
    }
  }
}

/**
 * Sends a pushed authorization request, before the user is redirected. It uses no single-use credential: after an
 * unknown outcome the next authorization pushes a request of its own.
 *
 * @param request.audience The audience of a client assertion.
 * @returns The `request_uri`, which refers to the request.
 * @throws `PortError` `AUTHORIZATION_DENIED`, `CLIENT_REJECTED`, `RATE_LIMITED` or `SERVER_UNAVAILABLE` (unknown for a
 *   5xx but 503), `RESPONSE_NOT_JSON`, `RESPONSE_INVALID`, `CLIENT_AUTH_UNSUPPORTED`, or what the transport rejects
 *   with.
 * @see [RFC 9126 §2](https://www.rfc-editor.org/rfc/rfc9126.html#section-2)
 */
async function pushAuthorizationRequest(
  deps: ClientRequestDependencies,
  {
    endpoint,
    audience,
    client,
    parameters,
  }: { endpoint: string; audience: string; client: ClientInformation; parameters: [string, string][] },
  signal: AbortSignal,
): Promise<string> {
  const authentication = clientAuthentication(deps, client)
  const response = await sendOnce({ transport: deps.transport, sendBefore: Infinity, signal }, (options) =>
    oauth.pushedAuthorizationRequest(
      { issuer: audience, pushed_authorization_request_endpoint: endpoint },
      { client_id: client.clientId },
      authentication,
      parameters,
      options,
    ),
  )
  if (!isSuccess(response)) {
    const codes = { rejected: 'AUTHORIZATION_DENIED', unknown: 'SERVER_UNAVAILABLE' } as const
    const rejection = withClientRejection(rejectionOf(response, endpoint, deps.clock.now(), codes), client)
    const { code, details } = rejection.failure
    // A dynamic client whose scope was rejected is registered again by the next authorization.
    const isReplaced = details?.error === 'invalid_scope' && client.source === 'dynamic'
    if (code !== 'AUTHORIZATION_DENIED' || isReplaced) throw rejection
    throw portError(code, 'rejected', { ...details, reason: 'pushedRequest' })
  }
  const where = { url: redactUrl(endpoint), status: response.status, document: 'pushed authorization response' }
  const json = parseJson(response.text)
  if (json === undefined) throw portError('RESPONSE_NOT_JSON', 'unknown', where)
  const checked = check(PushedAuthorizationResponseSchema, json)
  if ('field' in checked) throw portError('RESPONSE_INVALID', 'rejected', { ...where, field: checked.field })
  return checked.output.request_uri
}
