import type { Failure } from '../../src/errors/failure.ts'
import { isSupportedMethod } from '../../src/protocol/token-endpoint.ts'
import type { RegistrationContext } from '../../src/schemas/registration.ts'
import { assertDefined } from '../assert.ts'
import { hasRetriesLeft, isDeferred, withExpiredClaim } from '../record-rules.ts'
import type { Stamp } from '../connection/events.ts'
import { MAX_REMEMBERED_REGISTRATIONS, MIN_RETRY_AFTER_MS } from '../limits.ts'
import type {
  CheckRegistrationInput,
  CheckRegistrationOutput,
  RegisterClientInput,
  RegisterClientOutput,
} from '../ports.ts'
import { isLocal, isRetryLater, portFailureOf } from '../rejection.ts'
import type { RegistrationCommand, RegistrationEvent } from './events.ts'
import {
  deferralOf,
  hasUsableClient,
  isReplaced,
  isScopeRejected,
  limitEndsAt,
  limitedUntil,
  maxPerHourOf,
  recentRegistrations,
} from './guards.ts'
import {
  amendmentAfter,
  methodToRegister,
  registeredScopes,
  scopeToRegister,
  withoutRequestedScope,
  withRejectedScope,
} from './metadata.ts'

type Change = Partial<RegistrationContext>
type Sent<Type extends RegistrationCommand['type']> = Extract<RegistrationCommand, { type: Type }> & Stamp

/** Claims the registration: the intent is stored before the request is sent. */
export function claimRegistration(context: RegistrationContext, event: Sent<'registration.requested'>): Change {
  const { at, claimId, leaseMs, registrationEndpoint, tokenEndpointAuthMethodsSupported, dpopBoundAccessTokens } = event
  const isMethodLeft = methodToRegister({ ...context, tokenEndpointAuthMethodsSupported }) !== undefined
  return {
    at,
    maxPerHour: maxPerHourOf(context, event),
    registrationEndpoint,
    tokenEndpointAuthMethodsSupported,
    dpopBoundAccessTokens,
    failure: undefined,
    registeredAt: sentAt(context, at),
    // A server that now lists only methods that it rejected is asked for them again.
    rejectedMethods: isMethodLeft ? context.rejectedMethods : undefined,
    requestedScope: event.scope,
    omitsScope: (isScopeRejected(context, event.scope) && !isReplaced(context, event)) || undefined,
    claim: { id: claimId, kind: 'register', leaseMs, retries: 0, scope: scopeToRegister(context, event) },
  }
}

/** Claims a check of the stored client. If the server has forgotten it, the claim becomes that of a registration. */
export function claimCheck(context: RegistrationContext, event: Sent<'registration.requested'>): Change {
  const { registeredAt } = context
  return { ...claimRegistration(context, event), registeredAt, checkedAt: event.at, check: event.check }
}

/** Records that the server still has the client, with the credentials that it may have replaced. */
export function recordCheck(
  context: RegistrationContext,
  { at, client = context.client, configuration = context.configuration }: CheckRegistrationOutput,
): Change {
  return { at, client, configuration }
}

/** Records that a check was not decided: it was made, unless this process did not send it. */
export function recordFailedCheck({ checkedAt }: RegistrationContext, event: RegistrationEvent): Change {
  return { checkedAt: isLocal(portFailureOf(event).failure) ? undefined : checkedAt }
}

/** Removes a client that its server has forgotten; the claim becomes that of another registration. */
export function replaceForgottenClient(context: RegistrationContext, { at }: CheckRegistrationOutput): Change {
  return { ...forgetClient({ at }), check: undefined, registeredAt: sentAt(context, at) }
}

/** Removes a client that its server has forgotten, although no other one may be registered yet. */
export function removeForgottenClient(context: RegistrationContext, { at }: CheckRegistrationOutput): Change {
  const retryAfterMs = assertDefined(limitEndsAt(context, context.maxPerHour, context.at), 'a limit') - context.at
  return { ...forgetClient({ at }), failure: rateLimited(retryAfterMs) }
}

/** Ends a check whose process did not finish it: nothing is known of the client, and the next request asks again. */
export function expireCheck({ at }: Sent<'claim.expired'>): Change {
  return { at, claim: undefined, checkedAt: undefined }
}

/** Adds a registration to those of the last hour. */
function sentAt(context: RegistrationContext, at: number): number[] {
  return [...recentRegistrations(context, at), at].slice(-MAX_REMEMBERED_REGISTRATIONS)
}

/** Amends the metadata that the server rejected; the registration is sent once more, and counted. */
export function amendRegistration(context: RegistrationContext, event: RegistrationEvent): Change {
  return { ...amendmentAfter(context, event), registeredAt: sentAt(context, context.at) }
}

/**
 * Records why no client was registered. A registration that can still be amended continues with the next request.
 * Otherwise the requested scope counts as rejected, so that a usable client is not registered again for it; but not if
 * the registration was rejected without it as well.
 */
export function recordFailure(context: RegistrationContext, event: RegistrationEvent): Change {
  const rejection = portFailureOf(event)
  const { failure, outcome, at = context.at } = rejection
  const amendment = amendmentAfter(context, event)
  if (amendment !== undefined) return { failure, ...amendment }
  if (outcome !== 'rejected' || isRetryLater(rejection))
    return { failure, rejectedMethods: undefined, deferral: deferralAfter(failure, at) }
  const isUsable = hasUsableClient(context, context.at)
  const rejectedScopes = isUsable ? withRejectedScope(context) : withoutRequestedScope(context)
  return { failure, rejectedMethods: undefined, rejectedScopes }
}

/** The deferral that a server asks for by `Retry-After`, of all connections that share the registration. */
function deferralAfter(failure: Failure, at: number): RegistrationContext['deferral'] {
  const { details: { retryAfterMs = 0 } = {} } = failure
  return retryAfterMs < MIN_RETRY_AFTER_MS ? undefined : { failure, retryAt: at + retryAfterMs }
}

/** A failure is retained only without a usable client: registering for more scope must not prevent a sign-in. */
function failureAfter(context: RegistrationContext): Failure | undefined {
  return hasUsableClient(context, context.at) ? undefined : context.failure
}

/** Records that the policy's maximum of registrations per hour is reached, or that the server asked for a later one. */
export function rejectRegistration(context: RegistrationContext, event: Sent<'registration.requested'>): Change {
  const { at } = event
  const failure = deferralOf(context, at)
  if (failure !== undefined) return { at, failure }
  const retryAfterMs = assertDefined(limitedUntil(context, event), 'a limit') - at
  return { at, failure: rateLimited(retryAfterMs) }
}

function rateLimited(retryAfterMs: number): Failure {
  return { code: 'RATE_LIMITED', details: { reason: 'registrationsPerIssuerPerHour', retryAfterMs } }
}

/** Whether the registration is sent once more when its claim expires: at worst an unused client remains at the server. */
export function canRetry({ claim }: RegistrationContext, at: number): boolean {
  return hasRetriesLeft(claim) && !isDeferred(claim, at)
}

/** Expires the claim; the registration is sent again under a new claim if a retry is left. */
export function expireClaim(context: RegistrationContext, event: Sent<'claim.expired'>): Change {
  const { at } = event
  const { claim: last } = context
  const { retried, ...changes } = withExpiredClaim(context, event, canRetry(context, at), 'SERVER_UNAVAILABLE')
  if (retried) return { at, ...changes, registeredAt: sentAt(context, at) }
  if (!isDeferred(last, at)) return { at, ...changes }
  const failure = { code: 'SERVER_UNAVAILABLE', details: { retryAfterMs: last.retryAt - at } } as const
  return { at, ...changes, failure, deferral: deferralAfter(failure, at) }
}

/** Stores the client that all connections share from now on. */
export function storeClient(
  context: RegistrationContext,
  { at, client, scope, configuration }: RegisterClientOutput,
): Change {
  return {
    at,
    client,
    configuration,
    ...registeredScopes(context, scope),
    generation: context.generation + 1,
    failure: undefined,
    deferral: undefined,
    rejectedMethods: undefined,
  }
}

/** Releases the claim, with what holds only for its registration. */
export function releaseClaim(context: RegistrationContext): Change {
  return {
    claim: undefined,
    requestedScope: undefined,
    omitsScope: undefined,
    check: undefined,
    failure: failureAfter(context),
  }
}

/** Removes a client that the server rejected, or that its host no longer wants. */
export function forgetClient({ at }: { at: number }): Change {
  return { at, client: undefined, configuration: undefined }
}

/** Records that the token endpoint rejected a client with this authentication method before it had any tokens. */
export function recordFailedMethod(context: RegistrationContext, event: Sent<'client.rejected'>): Change {
  const { at, failedMethod: method } = event
  if (method === undefined || !isSupportedMethod(method)) return {}
  const others = (context.failedMethods ?? []).filter((failed) => failed.method !== method)
  return { failedMethods: [...others, { method, at }] }
}

/** The send deadline is part of `checkpoint.saved`: after any other event the request must not be sent. */
const sendDeadline = (event: RegistrationEvent): number =>
  event.type === 'checkpoint.saved' ? event.sendBefore : -Infinity

export function registerClientInput(context: RegistrationContext, event: RegistrationEvent): RegisterClientInput {
  const { at, issuer, redirectUri, registrationEndpoint } = context
  const { tokenEndpointAuthMethodsSupported, dpopBoundAccessTokens, omitsScope, claim } = context
  const isPreferredUsable = context.rejectedMethods === undefined && context.failedMethods === undefined
  return {
    at,
    issuer,
    redirectUri,
    registrationEndpoint,
    tokenEndpointAuthMethodsSupported,
    dpopBoundAccessTokens,
    tokenEndpointAuthMethod: isPreferredUsable ? undefined : methodToRegister(context),
    scope: claim?.scope,
    omitsScope,
    sendBefore: sendDeadline(event),
  }
}

export function checkRegistrationInput(context: RegistrationContext, event: RegistrationEvent): CheckRegistrationInput {
  const { at, client, configuration, check } = context
  const { tokenEndpoint, dpop } = assertDefined(check, 'a check')
  const sendBefore = sendDeadline(event)
  return { at, client: assertDefined(client, 'a client'), configuration, tokenEndpoint, dpop, sendBefore }
}
