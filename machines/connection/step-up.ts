import {
  challengedScope,
  coversScope,
  isTooMuchScope,
  permittedScope,
  scopeBeyond,
  shownScope,
  unionScopes,
} from '../../src/protocol/scopes.ts'
import { nonInteractiveGrant } from '../../src/protocol/token-endpoint.ts'
import type { ConnectionContext } from '../../src/schemas/connection-context.ts'
import type { Tokens } from '../../src/schemas/credentials.ts'
import { MAX_STEP_UPS, STEP_UP_TTL_MS } from '../limits.ts'
import { newestWithin } from '../record-rules.ts'
import type { Change, ConnectionEvent, RequestedAuthorization, Sent } from './events.ts'
import { isPending } from './selectors.ts'

/** Step-ups without a user, for any scope. No scope of a server has this form (RFC 6749 §3.3). */
const ANY_SCOPE = '"any"'

/** Whether a challenge names no scope beyond what was granted, or none at all: another authorization cannot help. */
export function asksForNothingNew(context: ConnectionContext, event: ConnectionEvent): boolean {
  if (event.type !== 'challenge.insufficientScope') return false
  const { scope, challengeScope, allowedScopes } = event.request
  const wanted = permittedScope(unionScopes(scope, challengedScope(challengeScope)), allowedScopes)
  return coversScope(context.tokens?.scope, wanted)
}

/**
 * What the step-ups of a request are counted under: its scope. Without a user nobody ends a series of ever new scopes,
 * so that all are counted together, unless the policy lists those that are allowed.
 */
function countedScope(request: RequestedAuthorization): string {
  const isUnbounded = request.allowedScopes === undefined && nonInteractiveGrant(request.grant) !== undefined
  return isUnbounded ? ANY_SCOPE : (challengedScope(request.challengeScope) ?? '')
}

/**
 * The number of the next step-up for this scope, from 1. While an attempt for the scope is pending, the number stays
 * the same: many callers may receive the same challenge.
 */
function stepUpRound(context: ConnectionContext, scope: string, at: number): number {
  const before = context.stepUps?.find((round) => round.scope === scope && at - round.at < STEP_UP_TTL_MS)
  if (before === undefined) return 1
  const isRequested = context.attempts.some((attempt) => isPending(attempt, at) && coversScope(attempt.scope, scope))
  return isRequested ? before.rounds : before.rounds + 1
}

/** Whether the scope of the step-up, with all that was requested and granted before, is longer than a request may send. */
function isCombinedScopeTooLong({ tokens }: ConnectionContext, request: RequestedAuthorization): boolean {
  const wanted = unionScopes(request.scope, challengedScope(request.challengeScope))
  return isTooMuchScope(unionScopes(wanted, unionScopes(tokens?.requestedScope, tokens?.scope)))
}

/** Whether the scope was requested as often as the policy allows, or the combined scope would be too long. */
export function isStepUpExhausted(context: ConnectionContext, event: ConnectionEvent): boolean {
  if (event.type !== 'challenge.insufficientScope') return false
  const { maxStepUps = Infinity } = event.request
  if (isCombinedScopeTooLong(context, event.request)) return true
  return stepUpRound(context, countedScope(event.request), event.at) > maxStepUps
}

/** Counts the step-ups for the same scope. */
export function countStepUp(context: ConnectionContext, event: Sent<'challenge.insufficientScope'>): Change {
  const { at, request } = event
  const scope = countedScope(request)
  const others = (context.stepUps ?? []).filter((round) => round.scope !== scope && at - round.at < STEP_UP_TTL_MS)
  const round = { scope, rounds: stepUpRound(context, scope, at), at }
  return { stepUps: newestWithin([...others, round], MAX_STEP_UPS) }
}

/** Records that the server requires scope that was granted already, or that the policy does not allow. */
export function rejectScope(_context: ConnectionContext, { at, request }: Sent<'challenge.insufficientScope'>): Change {
  const required = challengedScope(request.challengeScope)
  const disallowed = request.allowedScopes && scopeBeyond(required, request.allowedScopes)
  if (disallowed !== undefined)
    return {
      at,
      failure: { code: 'INSUFFICIENT_SCOPE', details: { expected: shownScope(disallowed), reason: 'allowedScopes' } },
    }
  const expected = required && shownScope(required)
  return { at, failure: { code: 'INSUFFICIENT_SCOPE', ...(expected !== undefined && { details: { expected } }) } }
}

/** Records that the same scope was requested as often as the policy allows, or that the combined scope is too long. */
export function endStepUps(context: ConnectionContext, { at, request }: Sent<'challenge.insufficientScope'>): Change {
  const required = challengedScope(request.challengeScope)
  const expected = required && shownScope(required)
  if (isCombinedScopeTooLong(context, request))
    return { at, failure: { code: 'STEP_UP_EXHAUSTED', details: { expected, reason: 'scopeTooLong' } } }
  return { at, failure: { code: 'STEP_UP_EXHAUSTED', ...(expected !== undefined && { details: { expected } }) } }
}

/** The step-ups that still count after these tokens were stored: not those for scope that was granted. */
export function remainingStepUps({ stepUps }: ConnectionContext, tokens: Tokens): ConnectionContext['stepUps'] {
  return stepUps?.filter(({ scope }) => scope === ANY_SCOPE || !coversScope(tokens.scope, scope))
}

/** Uncounts the current round, in which no authorization request could be built. */
export function withoutRound(context: ConnectionContext): ConnectionContext['stepUps'] {
  const { at, request, stepUps } = context
  const wanted = request && countedScope(request)
  // While an attempt for the same scope is pending, rounds are not counted.
  const isCounted = ({ scope, rounds }: { scope: string; rounds: number }): boolean =>
    scope === wanted && stepUpRound(context, scope, at) > rounds
  return stepUps
    ?.map((round) => (isCounted(round) ? { ...round, rounds: round.rounds - 1 } : round))
    .filter(({ rounds }) => rounds > 0)
}
