import { isSecretExpired } from '../../machines/record-rules.ts'
import type { RegistrationCommand } from '../../machines/registration/events.ts'
import { deferralOf } from '../../machines/registration/guards.ts'
import type { ConnectionDependencies, DynamicRegistrationRequest } from '../actors/dependencies.ts'
import type { Clock } from '../clock.ts'
import type { DurableChart, RecordView, RunResult, Step } from '../durable/chart.ts'
import type { Runner } from '../durable/runner.ts'
import { isAuthorizationError } from '../errors/authorization-error.ts'
import { failure, FAILURE_CODES } from '../errors/failure.ts'
import { PortError, portError } from '../errors/port-error.ts'
import type { Policy } from '../options/policy.ts'
import type { JournalEntry } from '../schemas/connection-context.ts'
import type { ClientInformation, ConnectionIdentity } from '../schemas/credentials.ts'
import type { RegistrationContext } from '../schemas/registration.ts'
import { RegistrationQuota } from './registration-quota.ts'
import { registrationKey, routingId } from './routing.ts'

/** Which registration: the one that this connection shares, at an issuer, with a redirect URI. */
type Registration = Pick<DynamicRegistrationRequest, 'identity' | 'issuer' | 'redirectUri'>

/** The dynamic registrations that connections share. */
export interface Registrations extends Pick<
  ConnectionDependencies,
  'ensureDynamicRegistration' | 'retireDynamicRegistration' | 'storedClient'
> {
  /** The id of the stored client. */
  storedClientId(registration: Registration): Promise<string | undefined>
  /** Encrypts a record of a registration anew if it is encrypted with another key than new ones are. */
  reseal(key: string): Promise<void>
  /**
   * Removes the stored client, so that the next authorization registers another one: also one that cannot be decrypted,
   * of which every connection has its own copy.
   */
  forget(registration: Registration): Promise<void>
}

/** The dynamic registrations that connections share, each run durably by the registration chart. */
export function registrations({
  runner,
  chart,
  clock,
  nameKey,
  policy,
}: {
  runner: Runner
  clock: Clock
  chart: DurableChart<RegistrationContext, RegistrationCommand>
  nameKey: Uint8Array
  policy: (identity: ConnectionIdentity) => Policy
}): Registrations {
  const quota = new RegistrationQuota(clock)
  const keyOf = ({ identity, issuer, redirectUri }: Registration): string => {
    const { registrationScope, dpop } = policy(identity)
    // A client that is registered for bound tokens only cannot serve connections that use unbound ones.
    const kind = dpop === 'required' ? ['dpop'] : []
    const scope = sharingScope(identity, registrationScope)
    return registrationKey(routingId(nameKey, ['registration', scope, issuer, redirectUri, ...kind]))
  }
  const chartOf = ({ issuer, redirectUri }: Registration): typeof chart => ({
    ...chart,
    isOf: (context) => context.issuer === issuer && context.redirectUri === redirectUri,
  })
  const storedClientId = async (registration: Registration): Promise<string | undefined> =>
    (await runner.load(chartOf(registration), keyOf(registration)))?.context.client?.clientId
  const run = (
    registration: Registration,
    step: Step<RegistrationContext, RegistrationCommand>,
  ): Promise<RunResult<RegistrationContext>> => {
    const { identity, issuer, redirectUri } = registration
    const options = { input: { issuer, redirectUri }, lease: policy(identity), isNested: true } as const
    return runner.run(chartOf(registration), keyOf(registration), step, options)
  }
  return {
    storedClientId,
    async storedClient(registration) {
      // Waits for the claim of a check, whose response may contain another secret.
      const { view } = await asPort(() => run(registration, () => undefined))
      return view?.context.client && inLocalTime(view.context.client, view)
    },
    async ensureDynamicRegistration(request) {
      const { registrationEndpoint, tokenEndpointAuthMethodsSupported, scope, grantedScope, check, calledAt, isLost } =
        request
      const { identity } = request
      const { dpop, registrationScope, attemptTtlMs, codeTtlMs, ...limits } = policy(identity)
      const { registrationsPerIssuerPerHour, registrationsPerServerPerHour } = limits
      const server = JSON.stringify([sharingScope(identity, registrationScope), identity.server])
      const minSecretTtlMs = attemptTtlMs + codeTtlMs
      const dpopBoundAccessTokens = dpop === 'required' || undefined
      let generation: number | undefined
      const ask = () =>
        run(request, (before) => {
          generation = before?.context.generation ?? 0
          const retryAfterMs =
            before === undefined ? quota.begin(server, keyOf(request), registrationsPerServerPerHour) : undefined
          if (retryAfterMs !== undefined)
            throw portError('RATE_LIMITED', 'notSent', { reason: 'registrationsPerServerPerHour', retryAfterMs })
          const isOutdated = calledAt !== undefined && before && clientAgeMs(before) > clock.monotonic() - calledAt
          return {
            type: 'registration.requested',
            registrationEndpoint,
            tokenEndpointAuthMethodsSupported,
            dpopBoundAccessTokens,
            scope,
            grantedScope,
            replaces: isOutdated ? before.context.client?.clientId : request.replaces,
            check,
            minSecretTtlMs,
            maxPerHour: registrationsPerIssuerPerHour,
            maxReplacementsPerHour: registrationsPerServerPerHour,
          }
        })
      const { view, accepted } = await asPort(async () => {
        const first = await ask()
        // This process was too slow to send a check: under a new claim it is not, as a rule.
        return isUnsentCheck(first) ? await ask() : first
      })
      const { client, failure: reason, claim } = view?.context ?? {}
      // A client together with a failure is one whose secret has expired, and whose re-registration failed.
      if (view !== undefined && client !== undefined && claim === undefined && reason === undefined) {
        const isNew = view.context.generation !== generation
        const last = view.context.journal.at(-1)
        // With the client that the server has lost, the user would end at its error page.
        const deferral = isLost && !isNew ? deferralOf(view.context, view.at()) : undefined
        if (deferral !== undefined) throw new PortError(deferral, 'notSent')
        if (isLost && accepted && !isNew && last?.from === 'registering')
          throw new PortError(
            failure(FAILURE_CODES.find((code) => code === last.reason) ?? 'SERVER_UNAVAILABLE'),
            'notSent',
          )
        if (!isNew || !isSecretExpired(client, view.at())) return inLocalTime(client, view)
        // Another registration would be answered alike, and a user would consent for nothing.
        throw portError('REGISTRATION_REJECTED', 'rejected', { reason: 'secretBornExpired' })
      }
      throw new PortError(reason ?? failure('SERVER_UNAVAILABLE'), 'notSent')
    },
    async retireDynamicRegistration({ clientId, failedMethod, ...request }) {
      await asPort(() => run(request, (view) => view && { type: 'client.rejected', clientId, failedMethod }))
    },
    reseal: async (key) => void (await runner.reseal(chart, key)),
    async forget(registration) {
      const clientId = await storedClientId(registration).catch(async (error: unknown) => {
        const isUndecryptable =
          isAuthorizationError(error) && ['SNAPSHOT_KEY_UNKNOWN', 'SNAPSHOT_UNREADABLE'].includes(error.code)
        if (!isUndecryptable) throw error
        await runner.discard(keyOf(registration))
        return undefined
      })
      if (clientId !== undefined) await run(registration, (view) => view && { type: 'client.rejected', clientId })
    },
  }
}

/** A client of a registration, which has a record, and with it a clock, of its own. */
function inLocalTime(client: ClientInformation, view: RecordView<RegistrationContext>): ClientInformation {
  return { ...client, clientSecretExpiresAt: view.toLocal(client.clientSecretExpiresAt) }
}

/** Whether a run ended with a check of the client that was not sent. */
function isUnsentCheck({ view }: RunResult<RegistrationContext>): boolean {
  const { journal = [], client, checkedAt } = view?.context ?? {}
  return journal.at(-1)?.from === 'checking' && client !== undefined && checkedAt === undefined
}

/** How long ago the client of a registration was stored, in milliseconds. */
function clientAgeMs(view: RecordView<RegistrationContext>): number {
  const isStored = ({ reason }: JournalEntry): boolean => reason === 'registerClient.done' || reason === 'result.late'
  return view.at() - (view.context.journal.findLast(isStored)?.at ?? -Infinity)
}

/** Converts the errors of the runner for the chart of the connection, which records the reason. */
async function asPort<Result>(work: () => Promise<Result>): Promise<Result> {
  try {
    return await work()
  } catch (error) {
    // No credential of the connection was sent.
    throw isAuthorizationError(error) ? new PortError(error.failure, 'notSent') : error
  }
}

/** The scope within which a registration is shared, as an unambiguous string. */
function sharingScope({ tenant, user, server, label }: ConnectionIdentity, scope: Policy['registrationScope']): string {
  if (scope === 'deployment') return scope
  return JSON.stringify(scope === 'tenant' ? [tenant] : [tenant, user ?? null, server, label ?? null])
}
