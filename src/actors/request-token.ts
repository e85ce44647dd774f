import type { RequestTokenInput, TokenResult } from '../../machines/ports.ts'
import type { AssertionDependencies } from './dependencies.ts'
import type { createDiscoverServer } from './discover-server.ts'
import { createRequestClientCredentials } from './request-client-credentials.ts'
import { createRequestIdentityAssertion } from './request-identity-assertion.ts'
import { createRequestJwtBearer } from './request-jwt-bearer.ts'

/** Obtains tokens by whichever grant without a user the claim is for. */
export function createRequestToken(
  deps: AssertionDependencies,
  discoverServer: ReturnType<typeof createDiscoverServer>,
) {
  const byGrant = {
    client_credentials: createRequestClientCredentials(deps),
    jwt_bearer: createRequestJwtBearer(deps),
    identity_assertion: createRequestIdentityAssertion(deps, discoverServer),
  }
  return (input: RequestTokenInput, signal: AbortSignal): Promise<TokenResult> => byGrant[input.grant](input, signal)
}
