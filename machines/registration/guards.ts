import type { Failure } from '../../src/errors/failure.ts'
import { coversScope } from '../../src/protocol/scopes.ts'
import type { RegistrationContext } from '../../src/schemas/registration.ts'
import { isSecretExpired, orphanedClaim } from '../record-rules.ts'
import { REGISTRATION_CHECK_INTERVAL_MS, REGISTRATION_RENEWAL_MS, REGISTRATION_WINDOW_MS } from '../limits.ts'
import type { RegistrationEvent } from './events.ts'

type Requested = Extract<RegistrationEvent, { type: 'registration.requested' }>

/** Whether a client is stored whose secret has not expired. */
export function hasUsableClient({ client }: RegistrationContext, at: number): boolean {
  return client !== undefined && !isSecretExpired(client, at)
}

/** Whether the server rejected to register this scope, or a part of it that was requested alone. */
export function isScopeRejected({ rejectedScopes = [] }: RegistrationContext, scope: string | undefined): boolean {
  return rejectedScopes.some((rejected) => coversScope(scope, rejected))
}

/** Whether the server rejected the requested scope at its authorization endpoint, for the client that is stored. */
export function isReplaced({ client }: RegistrationContext, { replaces }: { replaces?: string | undefined }): boolean {
  return replaces !== undefined && replaces === client?.clientId
}

/**
 * Whether the stored client is absent, its secret has expired or expires before a sign-in can be finished, it is not
 * registered for the requested scope although the server did not reject to register it, or the server rejected that
 * scope at its authorization endpoint.
 */
export function needsRegistration(context: RegistrationContext, event: RegistrationEvent): boolean {
  if (event.type !== 'registration.requested') return false
  const { at, minSecretTtlMs = 0 } = event
  if (!hasUsableClient(context, at + minSecretTtlMs) || isReplaced(context, event)) return true
  return !coversScope(context.scope, event.scope) && !isScopeRejected(context, event.scope)
}

/** Whether the server has to be asked whether it still has the stored client: at most once an hour. */
export function needsCheck(context: RegistrationContext, event: RegistrationEvent): boolean {
  if (event.type !== 'registration.requested' || event.check === undefined) return false
  const { checkedAt = -Infinity } = context
  return hasUsableClient(context, event.at) && event.at - checkedAt >= REGISTRATION_CHECK_INTERVAL_MS
}

/** Whether the record of a registration that is in use was not written for so long that it could expire. */
export function isDueForRenewal({ at }: RegistrationContext, event: RegistrationEvent): boolean {
  return event.type === 'registration.requested' && event.at - at >= REGISTRATION_RENEWAL_MS
}

/** Whether the server no longer has the stored client. */
export function isForgotten(event: RegistrationEvent): boolean {
  return event.type === 'xstate.done.actor.checkRegistration' && event.output.isForgotten
}

/** The registrations that were sent within the last hour. */
export function recentRegistrations({ registeredAt = [] }: RegistrationContext, at: number): number[] {
  return registeredAt.filter((sentAt) => at - sentAt < REGISTRATION_WINDOW_MS)
}

/** When the next registration may be sent; `undefined` while the maximum per hour is not reached. */
export function limitEndsAt(
  context: RegistrationContext,
  maxPerHour: number | undefined,
  at: number,
): number | undefined {
  const recent = recentRegistrations(context, at)
  if (maxPerHour === undefined || recent.length < maxPerHour) return undefined
  return (recent.at(-maxPerHour) ?? at) + REGISTRATION_WINDOW_MS
}

/** The maximum per hour for this request: usually a lower one if it replaces a usable client. */
export function maxPerHourOf(context: RegistrationContext, event: Requested): number | undefined {
  const { at, maxPerHour, maxReplacementsPerHour = Infinity } = event
  if (!hasUsableClient(context, at) || maxReplacementsPerHour >= (maxPerHour ?? Infinity)) return maxPerHour
  return maxReplacementsPerHour
}

/** When the requested registration may be sent; `undefined` while the policy's maximum per hour is not reached. */
export function limitedUntil(context: RegistrationContext, event: RegistrationEvent): number | undefined {
  if (event.type !== 'registration.requested') return undefined
  return limitEndsAt(context, maxPerHourOf(context, event), event.at)
}

/** The failure by which the server asked for a later registration (RFC 9110 §10.2.3), as long as that defers one. */
export function deferralOf({ deferral }: RegistrationContext, at: number): Failure | undefined {
  if (deferral === undefined || deferral.retryAt <= at) return undefined
  const { failure, retryAt } = deferral
  return { ...failure, details: { ...failure.details, retryAfterMs: retryAt - at } }
}

/** Whether the requested registration may be sent now: neither the policy nor the server defers it. */
export function mayRegister(context: RegistrationContext, event: Requested): boolean {
  return limitedUntil(context, event) === undefined && deferralOf(context, event.at) === undefined
}

/** Whether no client is usable, and none may be registered yet. */
export function isLimited(context: RegistrationContext, event: RegistrationEvent): boolean {
  if (event.type !== 'registration.requested' || hasUsableClient(context, event.at)) return false
  return !mayRegister(context, event)
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
