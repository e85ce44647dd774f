import type { ClientInformation } from '../../src/schemas/credentials.ts'
import type { RegistrationContext } from '../../src/schemas/registration.ts'
import { assertDefined } from '../assert.ts'
import { hasRetriesLeft, withExpiredClaim } from '../claim-rules.ts'
import type { Stamp } from '../connection/events.ts'
import { MAX_REMEMBERED_REGISTRATIONS } from '../limits.ts'
import type { RegisterClientInput } from '../ports.ts'
import type { RegistrationCommand, RegistrationEvent } from './events.ts'
import { limitedUntil, recentRegistrations } from './guards.ts'

type Change = Partial<RegistrationContext>
type Sent<Type extends RegistrationCommand['type']> = Extract<RegistrationCommand, { type: Type }> & Stamp

/** The intent, which is stored before the request is sent. */
export function claimRegistration(context: RegistrationContext, event: Sent<'registration.requested'>): Change {
  const { at, claimId, leaseMs, registrationEndpoint, tokenEndpointAuthMethodsSupported, dpopBoundAccessTokens } = event
  return {
    at,
    registrationEndpoint,
    tokenEndpointAuthMethodsSupported,
    dpopBoundAccessTokens,
    failure: undefined,
    registeredAt: sentAt(context, at),
    claim: { id: claimId, kind: 'register', leaseMs, retries: 0 },
  }
}

/** Adds a registration to those of the last hour. */
function sentAt(context: RegistrationContext, at: number): number[] {
  return [...recentRegistrations(context, at), at].slice(-MAX_REMEMBERED_REGISTRATIONS)
}

/** As many registrations were sent within the last hour as the policy allows. */
export function rejectRegistration(context: RegistrationContext, event: Sent<'registration.requested'>): Change {
  const { at } = event
  const retryAfterMs = assertDefined(limitedUntil(context, event), 'a limit') - at
  return { at, failure: { code: 'RATE_LIMITED', details: { reason: 'registrationsPerIssuerPerHour', retryAfterMs } } }
}

/** The claim expires; the registration is sent again under a new claim where that is allowed. */
export function expireClaim(context: RegistrationContext, event: Sent<'claim.expired'>): Change {
  const { at } = event
  const { retried, ...changes } = withExpiredClaim(
    context,
    event,
    // At worst it leaves a client at the server that nobody uses.
    hasRetriesLeft(context.claim),
    'REGISTRATION_UNAVAILABLE',
  )
  return { at, ...changes, ...(retried && { registeredAt: sentAt(context, at) }) }
}

/** The client that all connections share from now on. */
export function storeClient(
  context: RegistrationContext,
  { at, client }: { at: number; client: ClientInformation },
): Change {
  return { at, client, generation: context.generation + 1, failure: undefined }
}

/** The server no longer knows this client. */
export function forgetClient({ at }: { at: number }): Change {
  return { at, client: undefined }
}

/** The deadline comes with the event that leaves a checkpoint: without one no request may be sent. */
export function registerClientInput(context: RegistrationContext, event: RegistrationEvent): RegisterClientInput {
  const { at, issuer, redirectUri, registrationEndpoint } = context
  const { tokenEndpointAuthMethodsSupported, dpopBoundAccessTokens } = context
  return {
    at,
    issuer,
    redirectUri,
    registrationEndpoint,
    tokenEndpointAuthMethodsSupported,
    dpopBoundAccessTokens,
    sendBefore: event.type === 'checkpoint.saved' ? event.sendBefore : -Infinity,
  }
}
