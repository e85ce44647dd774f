import { knownIssuer, issuerOfTokens, serverOf, tokensOf } from '../../machines/connection/selectors.ts'
import { failure, type Failure } from '../errors/failure.ts'
import { truncate } from '../errors/redact.ts'
import { policyRefusal } from '../options/policy.ts'
import { sameIssuer } from '../protocol/same-issuer.ts'
import { unionScopes } from '../protocol/scopes.ts'
import type { Attempt, ConnectionContext } from '../schemas/connection-context.ts'
import type { ConnectionRecord } from './record.ts'

/**
 * Why the policy does not allow the stored tokens to be used or renewed any more; `undefined` if it does, or without
 * any.
 */
export function refusalOf({ policy, identity }: ConnectionRecord, context: ConnectionContext): Failure | undefined {
  const tokens = tokensOf(context)
  if (tokens === undefined) return undefined
  const { grant, scope, requestedScope } = tokens
  // A renewal that needs no user requests its scope again.
  const used = grant === 'authorization_code' ? scope : unionScopes(scope, requestedScope)
  return policyRefusal(policy, identity, { issuer: issuerOfTokens(context), grant, scope: used })
}

/** Why the policy does not allow the code of an attempt to be redeemed; `undefined` if it does. */
export function refusalOfAttempt(
  { policy, identity }: ConnectionRecord,
  context: ConnectionContext,
  { serverId, scope }: Pick<Attempt, 'serverId' | 'scope'>,
): Failure | undefined {
  const { issuer } = serverOf(context, serverId) ?? {}
  const refusal = policyRefusal(policy, identity, { issuer, grant: 'authorization_code', scope })
  const expected = knownIssuer(context)
  if (refusal !== undefined || !policy.refuseIssuerChange || issuer === undefined || expected === undefined)
    return refusal
  if (sameIssuer(issuer, expected)) return undefined
  return failure('POLICY_REFUSED', {
    reason: 'issuerChanged',
    expected: truncate(expected),
    received: truncate(issuer),
  })
}

/**
 * The record without what the policy does not allow any more: its tokens, its codes, and the claim of a request for
 * any.
 */
export function allowedPart(record: ConnectionRecord, context: ConnectionContext): ConnectionContext {
  const isRefused = refusalOf(record, context) !== undefined
  const attempts = context.attempts.map((attempt) =>
    refusalOfAttempt(record, context, attempt) === undefined ? attempt : { ...attempt, code: undefined },
  )
  const { claim } = context
  const isClaimRefused =
    claim?.kind === 'exchange'
      ? attempts.some(({ stateHash, code }) => stateHash === claim.stateHash && code === undefined)
      : claim?.kind !== 'disconnect' && isRefused
  return {
    ...context,
    attempts,
    tokens: isRefused ? undefined : context.tokens,
    claim: isClaimRefused ? undefined : claim,
  }
}
