import type { ClientInformation } from '../../src/schemas/credentials.ts'
import type { RegistrationContext } from '../../src/schemas/registration.ts'
import { assertDefined } from '../assert.ts'
import { hasRetriesLeft, withExpiredClaim } from '../record-rules.ts'
import type { Stamp } from '../connection/events.ts'
import { MAX_REMEMBERED_REGISTRATIONS } from '../limits.ts'
import type { RegisterClientInput } from '../ports.ts'
import type { RegistrationCommand, RegistrationEvent } from './events.ts'
import { limitedUntil, recentRegistrations } from './guards.ts'

type Change = Partial<RegistrationContext>
type Sent<Type extends RegistrationCommand['type']> = Extract<RegistrationCommand, { type: Type }> & Stamp

/** Claims the registration: the intent is stored before the request is sent. */
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

/** Records that the policy's maximum of registrations per hour is reached. */
export function rejectRegistration(context: RegistrationContext, event: Sent<'registration.requested'>): Change {
  const { at } = event
  const retryAfterMs = assertDefined(limitedUntil(context, event), 'a limit') - at
  return { at, failure: { code: 'RATE_LIMITED', details: { reason: 'registrationsPerIssuerPerHour', retryAfterMs } } }
}

/** Expires the claim; the registration is sent again under a new claim if a retry is left. */
export function expireClaim(context: RegistrationContext, event: Sent<'claim.expired'>): Change {
  const { at } = event
  const { retried, ...changes } = withExpiredClaim(
    context,
    event,
    // At worst an unused client remains at the server.
    hasRetriesLeft(context.claim),
    'REGISTRATION_UNAVAILABLE',
  )
  return { at, ...changes, ...(retried && { registeredAt: sentAt(context, at) }) }
}

/** Stores the client that all connections share from now on. */
export function storeClient(
  context: RegistrationContext,
  { at, client }: { at: number; client: ClientInformation },
): Change {
  return { at, client, generation: context.generation + 1, failure: undefined }
}

/** Removes a client that the server rejected. */
export function forgetClient({ at }: { at: number }): Change {
  return { at, client: undefined }
}

/** The send deadline is part of `checkpoint.saved`: after any other event the request must not be sent. */
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
