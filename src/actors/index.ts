import { fromPromise } from 'xstate'
import type {
  CheckRegistrationInput,
  CheckRegistrationOutput,
  PortInput,
  RegisterClientInput,
  RegisterClientOutput,
} from '../../machines/ports.ts'
import { type Clock, stopwatch } from '../clock.ts'
import { createBuildAuthorizationRequest } from './authorization-request/build-authorization-request.ts'
import { ofConnectionServer, PortError } from '../errors/port-error.ts'
import type { ConnectionIdentity } from '../schemas/credentials.ts'
import type { ConnectionDependencies, RegistrationDependencies, TokenRequestDependencies } from './dependencies.ts'
import { createAskServer, type ServerAnswer } from './discovery/ask-server.ts'
import { createDiscoverResource, type ResourceLookup } from './discovery/discover-resource.ts'
import { createDiscoverServer, type ServerLookup } from './discovery/discover-server.ts'
import { MetadataCache } from './discovery/metadata.ts'
import { createCheckRegistration } from './registration/check-registration.ts'
import { createEnsureRegistration, createRetireRegistration } from './registration/ensure-registration.ts'
import { createRegisterClient } from './registration/register-client.ts'
import { createExchangeCode, createRefreshTokens, createRequestToken } from './token-endpoint/grants.ts'
import { createRevokeTokens } from './token-endpoint/revoke-tokens.ts'

/** Adapts a function to an actor port of the connection chart; its failure is stamped as its result is. */
function port<Input extends PortInput & { identity: ConnectionIdentity }, Output>(
  clock: Clock,
  run: (input: Input, signal: AbortSignal) => Promise<Output>,
) {
  return fromPromise<Output, Input>(async ({ input, signal }) => {
    const recordTime = stopwatch(clock, input.at)
    try {
      return await run(input, signal)
    } catch (error) {
      if (!(error instanceof PortError)) throw error
      const { failure, outcome } = isOfServer(error, input.identity) ? ofConnectionServer(error) : error
      throw new PortError(failure, outcome, recordTime())
    }
  })
}

/** Whether the request went to the origin of the connection's own server. */
function isOfServer({ failure: { details } }: PortError, { server }: ConnectionIdentity): boolean {
  return (
    details?.url !== undefined && URL.canParse(details.url) && new URL(details.url).origin === new URL(server).origin
  )
}

/**
 * The actors of the connection chart, for `machine.provide({ actors })`. The actors that one call returns share their
 * metadata caches.
 */
export function connectionActors(deps: ConnectionDependencies) {
  const askServer = createAskServer(deps, new MetadataCache<ServerAnswer>(deps.clock))
  const discoverServer = createDiscoverServer(deps, new MetadataCache<ServerLookup>(deps.clock))
  const { clock } = deps
  return {
    discoverResource: port(
      clock,
      createDiscoverResource({ ...deps, askServer }, new MetadataCache<ResourceLookup>(deps.clock)),
    ),
    discoverServer: port(clock, discoverServer),
    ensureRegistration: port(clock, createEnsureRegistration(deps)),
    buildAuthorizationRequest: port(clock, createBuildAuthorizationRequest(deps)),
    exchangeCode: port(clock, createExchangeCode(deps)),
    refreshTokens: port(clock, createRefreshTokens(deps)),
    requestToken: port(clock, createRequestToken({ ...deps, discoverServer })),
    revokeTokens: port(clock, createRevokeTokens(deps)),
    retireRegistration: port(clock, createRetireRegistration(deps)),
  }
}

/** The actors of the registration chart. */
export function registrationActors(deps: RegistrationDependencies & TokenRequestDependencies) {
  const registerClient = createRegisterClient(deps)
  const checkRegistration = createCheckRegistration(deps)
  return {
    registerClient: fromPromise<RegisterClientOutput, RegisterClientInput>(({ input, signal }) =>
      registerClient(input, signal),
    ),
    checkRegistration: fromPromise<CheckRegistrationOutput, CheckRegistrationInput>(({ input, signal }) =>
      checkRegistration(input, signal),
    ),
  }
}
