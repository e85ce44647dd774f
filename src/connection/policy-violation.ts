import { issuerChanged } from '../../machines/connection/request.ts'
import { isOtherIssuer, issuerOfTokens } from '../../machines/connection/issuers.ts'
import { serverOf, tokensOf } from '../../machines/connection/selectors.ts'
import { failure, type Failure } from '../errors/failure.ts'
import { policyViolation } from '../options/policy.ts'
import { unionScopes } from '../protocol/scopes.ts'
import type { Attempt, ConnectionContext } from '../schemas/connection-context.ts'
import type { ConnectionRecord } from './record.ts'

/**
 * Why the policy does not allow the server, or the stored tokens to be used or renewed any more; `undefined` if it
 * does.
 */
export function violationOf(
  { policy, identity }: ConnectionRecord,
  context: ConnectionContext | undefined,
): Failure | undefined {
  const tokens = tokensOf(context)
  if (context === undefined || tokens === undefined) return policyViolation(policy, identity, {})
  const { grant, scope, requestedScope, isScopePartial } = tokens
  // A renewal that needs no user requests its scope again.
  const used = grant === 'authorization_code' ? scope : unionScopes(scope, requestedScope)
  const use = { issuer: issuerOfTokens(context), grant, scope: used, isScopePartial }
  return ofStored(policyViolation(policy, identity, use))
}

/** The reasons for which a new authorization may obtain what is allowed. */
const STORED_REASONS: Readonly<Record<string, string>> = {
  issuerNotAllowed: 'issuerNoLongerAllowed',
  allowedScopes: 'scopeNoLongerAllowed',
  allowedGrants: 'grantNoLongerAllowed',
}

/** Whether the last sign-in failed for the rule that the stored tokens violate: no other tokens are allowed. */
export function isDisallowedForGood(violation: Failure | undefined, last: Failure | undefined): boolean {
  return last?.code === 'POLICY_REFUSED' && STORED_REASONS[last.details?.reason ?? ''] === violation?.details?.reason
}

/** The violation by what was stored while it was allowed. */
function ofStored(violation: Failure | undefined): Failure | undefined {
  const { reason = '' } = violation?.details ?? {}
  return violation && failure(violation.code, { ...violation.details, reason: STORED_REASONS[reason] ?? reason })
}

/** Whether a failure is that of stored tokens which the policy does not allow, so that they were not renewed. */
export function isOfStored({ code, details: { reason = '' } = {} }: Failure): boolean {
  return code === 'POLICY_REFUSED' && (reason === 'allowedServers' || Object.values(STORED_REASONS).includes(reason))
}

/** Why the policy does not allow the code of an attempt to be redeemed; `undefined` if it does. */
export function violationOfAttempt(
  { policy, identity }: ConnectionRecord,
  context: ConnectionContext,
  { serverId, scope }: Pick<Attempt, 'serverId' | 'scope'>,
): Failure | undefined {
  const { issuer } = serverOf(context, serverId) ?? {}
  const violation = ofStored(policyViolation(policy, identity, { issuer, grant: 'authorization_code', scope }))
  if (violation !== undefined || !policy.refuseIssuerChange || !isOtherIssuer(context, issuer)) return violation
  return issuerChanged(context, issuer)
}

/**
 * The record without what the policy does not allow any more: its tokens, its codes, and the claim of a request for
 * any.
 */
export function allowedPart(record: ConnectionRecord, context: ConnectionContext): ConnectionContext {
  const isDisallowed = violationOf(record, context) !== undefined
  const attempts = context.attempts.map((attempt) =>
    violationOfAttempt(record, context, attempt) === undefined ? attempt : { ...attempt, code: undefined },
  )
  const { claim } = context
  const isClaimDisallowed =
    claim?.kind === 'exchange'
      ? attempts.some(({ stateHash, code }) => stateHash === claim.stateHash && code === undefined)
      : claim?.kind !== 'disconnect' && isDisallowed
  return {
    ...context,
    attempts,
    tokens: isDisallowed ? undefined : context.tokens,
    claim: isClaimDisallowed ? undefined : claim,
  }
}
