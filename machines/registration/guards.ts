import { coversScope } from '../../src/protocol/scopes.ts'
import type { RegistrationContext } from '../../src/schemas/registration.ts'
import { isSecretExpired, orphanedClaim } from '../record-rules.ts'
import { REGISTRATION_WINDOW_MS } from '../limits.ts'
import type { RegistrationEvent } from './events.ts'

/** Whether a client is stored whose secret has not expired. */
export function hasUsableClient({ client }: RegistrationContext, at: number): boolean {
  return client !== undefined && !isSecretExpired(client, at)
}

/**
 * Whether the stored client is absent, its secret has expired, it is not registered for the requested scope, or the
 * server rejected that scope for it.
 */
export function needsRegistration(context: RegistrationContext, event: RegistrationEvent): boolean {
  if (event.type !== 'registration.requested') return false
  if (!hasUsableClient(context, event.at) || !coversScope(context.scope, event.scope)) return true
  return event.replaces !== undefined && event.replaces === context.client?.clientId
}

/** The registrations that were sent within the last hour. */
export function recentRegistrations({ registeredAt = [] }: RegistrationContext, at: number): number[] {
  return registeredAt.filter((sentAt) => at - sentAt < REGISTRATION_WINDOW_MS)
}

/** When the next registration may be sent; `undefined` while the maximum per hour is not reached. */
function limitEndsAt(context: RegistrationContext, maxPerHour: number | undefined, at: number): number | undefined {
  const recent = recentRegistrations(context, at)
  if (maxPerHour === undefined || recent.length < maxPerHour) return undefined
  return (recent.at(-maxPerHour) ?? at) + REGISTRATION_WINDOW_MS
}

/** When the requested registration may be sent; `undefined` while the policy's maximum per hour is not reached. */
export function limitedUntil(context: RegistrationContext, event: RegistrationEvent): number | undefined {
  return event.type === 'registration.requested' ? limitEndsAt(context, event.maxPerHour, event.at) : undefined
}

/** Whether no client is usable, and none may be registered yet. */
export function isLimited(context: RegistrationContext, event: RegistrationEvent): boolean {
  if (event.type !== 'registration.requested' || hasUsableClient(context, event.at)) return false
  return limitedUntil(context, event) !== undefined
}

/** Whether the current registration may be sent once more with other metadata, within the maximum per hour. */
export function isWithinLimit(context: RegistrationContext): boolean {
  return limitEndsAt(context, context.maxPerHour, context.at) === undefined
}

/** Whether the client that a server rejected is still the stored one. */
export function isCurrentClient(context: RegistrationContext, event: RegistrationEvent): boolean {
  return event.type === 'client.rejected' && event.clientId === context.client?.clientId
}

/**
 * Whether a rejected client may be replaced. A server that rejects every authentication method leads to one further
 * registration per hour.
 */
export function isReplaceable({ failedMethods = [] }: RegistrationContext, event: RegistrationEvent): boolean {
  if (event.type !== 'client.rejected' || event.failedMethod === undefined) return true
  return failedMethods.every(({ at }) => event.at - at >= REGISTRATION_WINDOW_MS)
}

/** Whether a client submitted after its claim had expired is still useful: no newer one was stored. */
export function isAcceptableLateResult(context: RegistrationContext, event: RegistrationEvent): boolean {
  return (
    event.type === 'result.late' &&
    event.generation === context.generation &&
    orphanedClaim(context, event.orphanId) !== undefined
  )
}
