import { fromPromise } from 'xstate'
import { createBuildAuthorizationRequest } from './build-authorization-request.ts'
import type { ConnectionDependencies, RegistrationDependencies } from './dependencies.ts'
import { createDiscoverResource, type ResourceAnswer } from './discover-resource.ts'
import { createDiscoverServer, type ServerAnswer } from './discover-server.ts'
import { createEnsureRegistration } from './ensure-registration.ts'
import { createExchangeCode } from './exchange-code.ts'
import { MetadataCache } from './metadata-cache.ts'
import { createRefreshTokens } from './refresh-tokens.ts'
import { createRegisterClient } from './register-client.ts'
import { createRequestToken } from './request-token.ts'
import { createRetireRegistration } from './retire-registration.ts'
import { createRevokeTokens } from './revoke-tokens.ts'

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
    requestToken: port(createRequestToken(deps, discoverServer)),
    revokeTokens: port(createRevokeTokens(deps)),
    retireRegistration: port(createRetireRegistration(deps)),
  }
}

/** The side effects of the registration chart. */
export function registrationActors(deps: RegistrationDependencies) {
  return { registerClient: port(createRegisterClient(deps)) }
}
