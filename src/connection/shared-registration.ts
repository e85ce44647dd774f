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

/** The registrations that connections share, run durably as a chart of their own. */
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
    // A client that may use bound tokens only is of no use to connections that may not.
    const kind = lease.dpop === 'required' ? ['dpop'] : []
    const key = registrationKey(routingId(nameKey, ['registration', scope, issuer, redirectUri, ...kind]))
    try {
      return await runner.run(chart, key, step, { input: { issuer, redirectUri }, lease, isNested: true })
    } catch (error) {
      // Nothing of the connection was spent by this; its chart keeps the reason.
      throw isAuthorizationError(error) ? new PortError(error.failure, 'notSent') : error
    }
  }
  return {
    async ensureDynamicRegistration(request) {
      const { registrationEndpoint, tokenEndpointAuthMethodsSupported } = request
      const dpopBoundAccessTokens = policy(request.identity).dpop === 'required' || undefined
      const { view } = await run(request, () => ({
        type: 'registration.requested',
        registrationEndpoint,
        tokenEndpointAuthMethodsSupported,
        dpopBoundAccessTokens,
        maxPerHour: policy(request.identity).registrationsPerIssuerPerHour,
      }))
      const { client, failure: reason, claim } = view?.context ?? {}
      // A client beside a failure is one whose secret has ended: only then another is asked for.
      if (client !== undefined && claim === undefined && reason === undefined) return client
      throw new PortError(reason ?? failure('REGISTRATION_UNAVAILABLE'), 'notSent')
    },
    async retireDynamicRegistration({ clientId, ...request }) {
      await run(request, (view) => view && { type: 'client.rejected', clientId })
    },
  }
}

/** Who shares a registration, as a word that no other scope can have. */
function sharingScope({ tenant, user, server, label }: ConnectionIdentity, scope: Policy['registrationScope']): string {
  if (scope === 'deployment') return scope
  return JSON.stringify(scope === 'tenant' ? [tenant] : [tenant, user ?? null, server, label ?? null])
}
