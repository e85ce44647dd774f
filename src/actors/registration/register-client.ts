import * as oauth from 'oauth4webapi'
import type { RegisterClientInput, RegisterClientOutput } from '../../../machines/ports.ts'
import { stopwatch } from '../../clock.ts'
import { portError } from '../../errors/port-error.ts'
import { redactNames, redactUrl } from '../../errors/redact.ts'
import { clientMetadata } from '../../options/client-metadata.ts'
import { chooseMethod, preferredSecretMethod } from '../../protocol/token-endpoint.ts'
import { RegistrationResponseSchema } from '../../schemas/registration.ts'
import { check, parseJson } from '../../schemas/wire.ts'
import type { RegistrationDependencies } from '../dependencies.ts'
import { isSuccess, rejectionOf, sendOnce } from '../endpoint-request.ts'
import { issuedConfiguration, issuedSecret } from './issued-credentials.ts'

/**
 * Registers this client dynamically. The values of the response take precedence over the requested ones.
 *
 * @throws `PortError` `REGISTRATION_REJECTED` or `RATE_LIMITED` (rejected), `SERVER_UNAVAILABLE` (503: rejected; any
 *   other 5xx: unknown), `RESPONSE_NOT_JSON` (unknown), `RESPONSE_INVALID` (rejected: a client may have been registered
 *   there, which nobody uses), `CLIENT_AUTH_UNSUPPORTED`, or what the transport rejects with.
 * @see [RFC 7591 §3](https://www.rfc-editor.org/rfc/rfc7591.html#section-3)
 */
export function createRegisterClient(deps: RegistrationDependencies) {
  return async (input: RegisterClientInput, signal: AbortSignal): Promise<RegisterClientOutput> => {
    const {
      issuer,
      redirectUri,
      registrationEndpoint,
      tokenEndpointAuthMethodsSupported: supported,
      dpopBoundAccessTokens,
      tokenEndpointAuthMethod,
      omitsScope,
      sendBefore,
    } = input
    const recordTime = stopwatch(deps.clock, input.at)
    const method = tokenEndpointAuthMethod ?? preferredSecretMethod(supported)
    if (method === undefined) {
      throw portError('CLIENT_AUTH_UNSUPPORTED', 'notSent', { offered: redactNames(supported ?? []) })
    }
    const response = await sendOnce({ transport: deps.transport, sendBefore, signal }, (options) =>
      oauth.dynamicClientRegistrationRequest(
        { issuer, registration_endpoint: registrationEndpoint },
        {
          ...clientMetadata(deps.client, redirectUri, method),
          // Some servers reject a scope that the client is not registered for (RFC 7591 §2).
          scope: omitsScope ? undefined : input.scope,
          ...(dpopBoundAccessTokens && { dpop_bound_access_tokens: true }),
        },
        options,
      ),
    )
    if (!isSuccess(response)) {
      const codes = { rejected: 'REGISTRATION_REJECTED', unknown: 'SERVER_UNAVAILABLE' } as const
      throw rejectionOf(response, registrationEndpoint, deps.clock.now(), codes)
    }
    const where = {
      url: redactUrl(registrationEndpoint),
      status: response.status,
      document: 'registration response',
    }
    const json = parseJson(response.text)
    if (json === undefined) throw portError('RESPONSE_NOT_JSON', 'unknown', where)
    const checked = check(RegistrationResponseSchema, json)
    if ('field' in checked) throw portError('RESPONSE_INVALID', 'rejected', { ...where, field: checked.field })
    const {
      clientId,
      clientSecret,
      tokenEndpointAuthMethod: registered = method,
      redirectUris = [redirectUri],
      grantTypes = ['authorization_code'],
      scope,
    } = checked.output
    const rejection = (field: string, expected: string, received: readonly string[]) =>
      portError('REGISTRATION_REJECTED', 'rejected', {
        ...where,
        field,
        expected,
        received: redactNames(received),
      })
    // A client without the redirect URI or the grant is unusable, and is not stored.
    if (!redirectUris.includes(redirectUri)) throw rejection('redirect_uris', redirectUri, redirectUris)
    if (!grantTypes.includes('authorization_code')) throw rejection('grant_types', 'authorization_code', grantTypes)
    const chosen = chooseMethod({ supported, registered, hasSecret: clientSecret !== undefined })
    if (chosen === undefined)
      throw portError('CLIENT_AUTH_UNSUPPORTED', 'rejected', { ...where, received: redactNames([registered]) })
    const at = recordTime()
    return {
      at,
      scope,
      configuration: issuedConfiguration(checked.output, registrationEndpoint),
      client: {
        issuer,
        clientId,
        ...(chosen !== 'none' && issuedSecret(checked.output, at, deps.clock)),
        tokenEndpointAuthMethod: chosen,
        redirectUri,
        source: 'dynamic',
      },
    }
  }
}
