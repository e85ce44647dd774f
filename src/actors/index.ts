import { fromPromise } from 'xstate'
import { createBuildAuthorizationRequest } from './authorization-request/build-authorization-request.ts'
import type { ConnectionDependencies, RegistrationDependencies } from './dependencies.ts'
import { createDiscoverResource, type ResourceAnswer } from './discovery/discover-resource.ts'
import { createDiscoverServer, type ServerAnswer } from './discovery/discover-server.ts'
import { MetadataCache } from './discovery/metadata-cache.ts'
import { createEnsureRegistration, createRetireRegistration } from './registration/ensure-registration.ts'
import { createRegisterClient } from './registration/register-client.ts'
import { createExchangeCode, createRefreshTokens, createRequestToken } from './token-endpoint/grants.ts'
import { createRevokeTokens } from './token-endpoint/revoke-tokens.ts'

/** One of our functions as a port of a chart. */
function port<Input, Output>(run: (input: Input, signal: AbortSignal) => Promise<Output>) {
  return fromPromise<Output, Input>(({ input, signal }) => run(input, signal))
}

/**
 * The side effects of the connection chart, for `machine.provide({ actors })`. All that one call makes share one cache
 * of metadata.
 */
export function connectionActors(deps: ConnectionDependencies) {
  const discoverServer = createDiscoverServer(deps, new MetadataCache<ServerAnswer>(deps.clock))
  return {
    discoverResource: port(createDiscoverResource(deps, new MetadataCache<ResourceAnswer>(deps.clock))),
    discoverServer: port(discoverServer),
    ensureRegistration: port(createEnsureRegistration(deps)),
    buildAuthorizationRequest: port(createBuildAuthorizationRequest(deps)),
    exchangeCode: port(createExchangeCode(deps)),
    refreshTokens: port(createRefreshTokens(deps)),
    requestToken: port(createRequestToken({ ...deps, discoverServer })),
    revokeTokens: port(createRevokeTokens(deps)),
    retireRegistration: port(createRetireRegistration(deps)),
  }
}

/** The side effects of the registration chart. */
export function registrationActors(deps: RegistrationDependencies) {
  return { registerClient: port(createRegisterClient(deps)) }
}
