import { coversScope, isTooMuchScope, unionScopes } from '../../src/protocol/scopes.ts'
import { type ClientAuthenticationMethod, secretMethods } from '../../src/protocol/token-endpoint.ts'
import type { RegistrationContext } from '../../src/schemas/registration.ts'
import { MAX_REJECTED_SCOPES } from '../limits.ts'
import { newestWithin } from '../record-rules.ts'
import { portFailureOf } from '../rejection.ts'
import type { RegistrationEvent } from './events.ts'
import { hasUsableClient, isReplaced } from './guards.ts'

/**
 * The scope of a registration: that of this request, joined with what was granted to its connection and with what the
 * client is registered for, unless the server rejected that client's scope. If that is longer than any scope may be,
 * the other connections register theirs anew when they need it.
 */
export function scopeToRegister(
  context: RegistrationContext,
  request: { scope?: string | undefined; grantedScope?: string | undefined; replaces?: string | undefined },
): string | undefined {
  const registered = isReplaced(context, request) ? undefined : context.scope
  return boundedUnion(request.scope, unionScopes(registered, request.grantedScope))
}

function boundedUnion(scope: string | undefined, further: string | undefined): string | undefined {
  const union = unionScopes(further, scope)
  return isTooMuchScope(union) ? scope : union
}

/**
 * The authentication method to register with: of those that the server lists and the registration endpoint did not
 * reject, one that the token endpoint did not reject, or else the one that it rejected first.
 *
 * @returns `undefined` if no such method is left.
 */
export function methodToRegister(context: RegistrationContext): ClientAuthenticationMethod | undefined {
  const { tokenEndpointAuthMethodsSupported, rejectedMethods = [], failedMethods = [] } = context
  const failedAt = (method: string): number => failedMethods.find((failed) => failed.method === method)?.at ?? 0
  return secretMethods(tokenEndpointAuthMethodsSupported)
    .filter((method) => !rejectedMethods.includes(method))
    .toSorted((one, other) => failedAt(one) - failedAt(other))[0]
}

/**
 * The scope that the new client is registered for, as the server says, and the scopes that it rejected to register: a
 * response with less than was requested rejects it as well.
 */
export function registeredScopes(
  context: RegistrationContext,
  issued: string | undefined,
): Pick<RegistrationContext, 'scope' | 'rejectedScopes'> {
  const { omitsScope, claim, requestedScope } = context
  const scope = issued ?? (omitsScope ? undefined : claim?.scope)
  const rejected = coversScope(scope, requestedScope) ? context.rejectedScopes : withRejectedScope(context)
  return { scope, rejectedScopes: someOf(rejected?.filter((one) => !coversScope(scope, one))) }
}

/** The rejected scopes, with the requested one. */
export function withRejectedScope(context: RegistrationContext): string[] | undefined {
  const { requestedScope, rejectedScopes = [] } = context
  if (requestedScope === undefined) return context.rejectedScopes
  const scopes = [...rejectedScopes.filter((scope) => scope !== requestedScope), requestedScope]
  return newestWithin(
    scopes.map((scope) => ({ scope })),
    MAX_REJECTED_SCOPES,
  ).map(({ scope }) => scope)
}

/** The rejected scopes, without those of the request: their omission did not help. */
export function withoutRequestedScope({ requestedScope, rejectedScopes }: RegistrationContext): string[] | undefined {
  return someOf(rejectedScopes?.filter((scope) => !coversScope(requestedScope, scope)))
}

function someOf(scopes: string[] | undefined): string[] | undefined {
  return scopes?.length === 0 ? undefined : scopes
}

/** What changes in a registration after the registration endpoint rejected its metadata. */
type Amendment = Partial<
  Pick<RegistrationContext, 'rejectedMethods' | 'omitsScope' | 'scope' | 'rejectedScopes' | 'claim'>
>

/**
 * How the registration is amended after its rejection: it is sent with the next listed authentication method; with each
 * of them rejected, with the requested scope alone; and with that rejected as well, without `scope`, but only if no
 * client is usable: another connection may need the scope that the stored one is registered for.
 *
 * @returns `undefined` if nothing is left to amend, or something else was rejected.
 * @see [RFC 7591 §3.2.2](https://www.rfc-editor.org/rfc/rfc7591.html#section-3.2.2)
 */
export function amendmentAfter(context: RegistrationContext, event: RegistrationEvent): Amendment | undefined {
  const { failure, outcome } = portFailureOf(event)
  const { claim, requestedScope, omitsScope } = context
  const error = outcome === 'rejected' ? failure.details?.error : undefined
  if (omitsScope || (error !== 'invalid_client_metadata' && error !== 'invalid_scope')) return undefined
  const method = methodToRegister(context)
  if (method === undefined) return undefined
  const rejectedMethods = [...(context.rejectedMethods ?? []), method]
  const isMethodLeft = methodToRegister({ ...context, rejectedMethods }) !== undefined
  if (error === 'invalid_client_metadata' && isMethodLeft) return { rejectedMethods }
  // The methods were not what was rejected.
  const isUsable = hasUsableClient(context, context.at)
  if (claim && !coversScope(requestedScope, claim.scope)) {
    const scope = isUsable ? context.scope : undefined
    return { rejectedMethods: undefined, scope, claim: { ...claim, scope: requestedScope } }
  }
  if (isUsable || requestedScope === undefined) return undefined
  return { rejectedMethods: undefined, omitsScope: true, rejectedScopes: withRejectedScope(context) }
}
