import type { RegistrationCommand } from '../../machines/registration/events.ts'
import type { ConnectionDependencies, DynamicRegistrationRequest } from '../actors/dependencies.ts'
import type { DurableChart, RunResult, Step } from '../durable/chart.ts'
import type { Runner } from '../durable/runner.ts'
import { isAuthorizationError } from '../errors/authorization-error.ts'
import { failure } from '../errors/failure.ts'
import { PortError } from '../errors/port-error.ts'
import type { Policy } from '../options/policy.ts'
import type { ConnectionIdentity } from '../schemas/credentials.ts'
import type { RegistrationContext } from '../schemas/registration.ts'
import { registrationKey, routingId } from './routing.ts'

/** The dynamic registrations that connections share, each run durably by the registration chart. */
export function registrations({
  runner,
  chart,
  nameKey,
  policy,
}: {
  runner: Runner
  chart: DurableChart<RegistrationContext, RegistrationCommand>
  nameKey: Uint8Array
  policy: (identity: ConnectionIdentity) => Policy
}): Pick<ConnectionDependencies, 'ensureDynamicRegistration' | 'retireDynamicRegistration'> {
  async function run(
    { identity, issuer, redirectUri }: Pick<DynamicRegistrationRequest, 'identity' | 'issuer' | 'redirectUri'>,
    step: Step<RegistrationContext, RegistrationCommand>,
  ): Promise<RunResult<RegistrationContext>> {
    const lease = policy(identity)
    const scope = sharingScope(identity, lease.registrationScope)
    // A client that is registered for bound tokens only cannot serve connections that use unbound ones.
    const kind = lease.dpop === 'required' ? ['dpop'] : []
    const key = registrationKey(routingId(nameKey, ['registration', scope, issuer, redirectUri, ...kind]))
    try {
      return await runner.run(chart, key, step, { input: { issuer, redirectUri }, lease, isNested: true })
    } catch (error) {
      // No credential of the connection was sent; its chart records the reason.
      throw isAuthorizationError(error) ? new PortError(error.failure, 'notSent') : error
    }
  }
  return {
    async ensureDynamicRegistration(request) {
      const { registrationEndpoint, tokenEndpointAuthMethodsSupported, scope, grantedScope, replaces } = request
      const { dpop, registrationsPerIssuerPerHour, registrationsPerServerPerHour } = policy(request.identity)
      const dpopBoundAccessTokens = dpop === 'required' || undefined
      const { view } = await run(request, () => ({
        type: 'registration.requested',
        registrationEndpoint,
        tokenEndpointAuthMethodsSupported,
        dpopBoundAccessTokens,
        scope,
        grantedScope,
        replaces,
        maxPerHour: registrationsPerIssuerPerHour,
        maxReplacementsPerHour: registrationsPerServerPerHour,
      }))
      const { client, failure: reason, claim } = view?.context ?? {}
      // A client together with a failure is one whose secret has expired, and whose re-registration failed.
      if (client !== undefined && claim === undefined && reason === undefined) return client
      throw new PortError(reason ?? failure('SERVER_UNAVAILABLE'), 'notSent')
    },
    async retireDynamicRegistration({ clientId, failedMethod, ...request }) {
      await run(request, (view) => view && { type: 'client.rejected', clientId, failedMethod })
    },
  }
}

/** The scope within which a registration is shared, as an unambiguous string. */
function sharingScope({ tenant, user, server, label }: ConnectionIdentity, scope: Policy['registrationScope']): string {
  if (scope === 'deployment') return scope
  return JSON.stringify(scope === 'tenant' ? [tenant] : [tenant, user ?? null, server, label ?? null])
}
