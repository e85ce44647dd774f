import { isTooMuchScope, unionScopes } from '../../src/protocol/scopes.ts'
import { type ClientAuthenticationMethod, secretMethods } from '../../src/protocol/token-endpoint.ts'
import type { RegistrationContext } from '../../src/schemas/registration.ts'
import { assertDefined } from '../assert.ts'
import { portFailureOf } from '../rejection.ts'
import type { RegistrationEvent } from './events.ts'

/**
 * The scope of a registration: that of this request, joined with what was granted or registered before. If that is
 * longer than any scope may be, the other connections register theirs anew when they need it.
 */
export function scopeToRegister(
  { scope }: RegistrationContext,
  request: { scope?: string | undefined; grantedScope?: string | undefined },
): string | undefined {
  return boundedUnion(request.scope, unionScopes(scope, request.grantedScope))
}

/** The scope that a client is registered for: the requested one, and what the server added. */
export function registeredScope({ claim }: RegistrationContext, issued: string | undefined): string | undefined {
  return claim === undefined ? issued : boundedUnion(claim.scope, issued)
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

/** What a registration is sent without, after the registration endpoint rejected its metadata. */
type Amendment = Pick<RegistrationContext, 'rejectedMethods' | 'omitsScope'>

/**
 * How the registration is amended after its rejection: it is sent with the next listed authentication method, and with
 * each of them rejected, without `scope`.
 *
 * @returns `undefined` if nothing is left to amend, or something else was rejected.
 * @see [RFC 7591 §3.2.2](https://www.rfc-editor.org/rfc/rfc7591.html#section-3.2.2)
 */
export function amendmentAfter(context: RegistrationContext, event: RegistrationEvent): Amendment | undefined {
  const { failure, outcome } = portFailureOf(event)
  const error = outcome === 'rejected' ? failure.details?.error : undefined
  if (context.omitsScope || (error !== 'invalid_client_metadata' && error !== 'invalid_scope')) return undefined
  const method = assertDefined(methodToRegister(context), 'the method that was sent')
  const rejectedMethods = [...(context.rejectedMethods ?? []), method]
  const isMethodLeft = methodToRegister({ ...context, rejectedMethods }) !== undefined
  if (error === 'invalid_client_metadata' && isMethodLeft) return { rejectedMethods, omitsScope: undefined }
  // The methods were not what was rejected.
  return context.claim?.scope === undefined ? undefined : { rejectedMethods: undefined, omitsScope: true }
}
