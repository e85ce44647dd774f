import { calculatePKCECodeChallenge } from 'oauth4webapi'
import type { BuildAuthorizationRequestInput, BuildAuthorizationRequestOutput } from '../../../machines/ports.ts'
import { randomId, stopwatch } from '../../clock.ts'
import { RESERVED_PARAMETERS } from '../../protocol/authorization-endpoint.ts'
import { redirectUriAt } from '../../protocol/redirect-uri.ts'
import { audienceOf } from '../../protocol/token-endpoint.ts'
import type { ClientRequestDependencies, ConnectionDependencies } from '../dependencies.ts'
import { VERIFIER_BYTES } from '../limits.ts'
import { authorizationEndpointOf } from './authorization-endpoint.ts'
import { createPushAuthorizationRequest } from './push-authorization-request.ts'

type Dependencies = ClientRequestDependencies &
  Pick<ConnectionDependencies, 'client' | 'checkUrl' | 'createState' | 'hashState'>

/**
 * Builds the authorization URL that the user is redirected to. Performs no I/O, unless the server requires a pushed
 * authorization request.
 *
 * @throws `PortError` As {@link authorizationEndpointOf} and {@link createPushAuthorizationRequest}.
 * @see [RFC 6749 §4.1.1](https://www.rfc-editor.org/rfc/rfc6749.html#section-4.1.1), [RFC 7636 §4](https://www.rfc-editor.org/rfc/rfc7636.html#section-4), [RFC 8707 §2.1](https://www.rfc-editor.org/rfc/rfc8707.html#section-2.1)
 */
export function createBuildAuthorizationRequest(deps: Dependencies) {
  const push = createPushAuthorizationRequest(deps)
  return async (
    input: BuildAuthorizationRequestInput,
    signal: AbortSignal,
  ): Promise<BuildAuthorizationRequestOutput> => {
    const { identity, metadata, resource, client, scope, parameters } = input
    const recordTime = stopwatch(deps.clock, input.at)
    const url = authorizationEndpointOf(deps, metadata)
    const verifier = randomId(deps.clock, VERIFIER_BYTES)
    const state = deps.createState(identity)
    const reserved = {
      response_type: 'code',
      client_id: client.clientId,
      redirect_uri: client.redirectUri ?? redirectUriAt(deps.client.redirectUri, metadata.issuer),
      scope,
      resource: resource.resource,
      state,
      code_challenge: await calculatePKCECodeChallenge(verifier),
      code_challenge_method: 'S256',
    }
    for (const name of RESERVED_PARAMETERS) url.searchParams.delete(name)
    const { promptConsent, offline, parameters: ofServer } = deps.facts(metadata.issuer).authorization ?? {}
    const isOffline = scope?.split(' ').includes('offline_access')
    // OpenID Connect Core §11: servers ignore `offline_access` without `prompt=consent`.
    const defaults = isOffline && promptConsent !== 'never' ? { prompt: 'consent' } : {}
    const additional = Object.entries({ ...defaults, ...offline, ...ofServer, ...parameters }).filter(
      ([name, value]) => value !== '' && !RESERVED_PARAMETERS.has(name),
    )
    const all = [...additional, ...Object.entries(reserved)].flatMap(([name, value]): [string, string][] =>
      value === undefined ? [] : [[name, value]],
    )
    const { pushedAuthorizationRequestEndpoint: endpoint } = metadata
    const pushed = { audience: audienceOf(metadata), client, parameters: all }
    const visible: [string, string][] =
      endpoint === undefined
        ? all
        : [
            ['client_id', client.clientId],
            ['request_uri', await push({ endpoint, ...pushed }, signal)],
          ]
    for (const [name, value] of visible) url.searchParams.set(name, value)
    const nonce = new Map(all).get('nonce')
    return { at: recordTime(), authorizationUrl: url.href, state, stateHash: deps.hashState(state), verifier, nonce }
  }
}
