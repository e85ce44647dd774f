import type { RegistrationContext } from '../../src/schemas/registration.ts'
import { isSecretExpired, orphanedClaim } from '../record-rules.ts'
import { REGISTRATION_WINDOW_MS } from '../limits.ts'
import type { RegistrationEvent } from './events.ts'

/** Whether the stored client is absent or its secret has expired. */
export function needsRegistration(context: RegistrationContext, event: RegistrationEvent): boolean {
  if (event.type !== 'registration.requested') return false
  const { client } = context
  return client === undefined || isSecretExpired(client, event.at)
}

/** The registrations that were sent within the last hour. */
export function recentRegistrations({ registeredAt = [] }: RegistrationContext, at: number): number[] {
  return registeredAt.filter((sentAt) => at - sentAt < REGISTRATION_WINDOW_MS)
}

/** When the next registration may be sent; `undefined` while the policy's maximum per hour is not reached. */
export function limitedUntil(context: RegistrationContext, event: RegistrationEvent): number | undefined {
  if (event.type !== 'registration.requested' || event.maxPerHour === undefined) return undefined
  const recent = recentRegistrations(context, event.at)
  if (recent.length < event.maxPerHour) return undefined
  return (recent.at(-event.maxPerHour) ?? event.at) + REGISTRATION_WINDOW_MS
}

/** Whether the client that a server rejected is still the stored one. */
export function isCurrentClient(context: RegistrationContext, event: RegistrationEvent): boolean {
  return event.type === 'client.rejected' && event.clientId === context.client?.clientId
}

/** Whether a client submitted after its claim had expired is still useful: no newer one was stored. */
export function isAcceptableLateResult(context: RegistrationContext, event: RegistrationEvent): boolean {
  return (
    event.type === 'result.late' &&
    event.generation === context.generation &&
    orphanedClaim(context, event.orphanId) !== undefined
  )
}
