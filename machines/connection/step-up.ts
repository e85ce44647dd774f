import { challengedScope, coversScope, isTooMuchScope, permittedScope, unionScopes } from '../../src/protocol/scopes.ts'
import type { ConnectionContext } from '../../src/schemas/connection-context.ts'
import { MAX_STEP_UPS, STEP_UP_TTL_MS } from '../limits.ts'
import type { Change, ConnectionEvent, Sent } from './events.ts'
import { isPending } from './selectors.ts'

/**
 * Whether a server insists on scope that was granted already, or does not say on which: the same authorization once
 * more cannot help.
 */
export function asksForNothingNew(context: ConnectionContext, event: ConnectionEvent): boolean {
  if (event.type !== 'challenge.insufficientScope') return false
  const { scope, challengeScope, allowedScopes } = event.request
  const wanted = permittedScope(unionScopes(scope, challengedScope(challengeScope)), allowedScopes)
  return coversScope(context.tokens?.scope, wanted)
}

/**
 * Which round of asking for this scope comes next. An attempt for it that still waits is the same round: many callers
 * may have met the same challenge.
 */
export function stepUpRound(context: ConnectionContext, scope: string, at: number): number {
  const before = context.stepUps?.find((round) => round.scope === scope && at - round.at < STEP_UP_TTL_MS)
  if (before === undefined) return 1
  const isWaitedFor = context.attempts.some((attempt) => isPending(attempt, at) && coversScope(attempt.scope, scope))
  return isWaitedFor ? before.rounds : before.rounds + 1
}

/** Whether the same scope was asked for as often as the policy allows, or it would be more than anybody means. */
export function isStepUpExhausted(context: ConnectionContext, event: ConnectionEvent): boolean {
  if (event.type !== 'challenge.insufficientScope') return false
  const { scope, challengeScope, maxStepUps = Infinity } = event.request
  const wanted = challengedScope(challengeScope) ?? ''
  const { requestedScope, scope: granted } = context.tokens ?? {}
  if (isTooMuchScope(unionScopes(unionScopes(scope, wanted), unionScopes(requestedScope, granted)))) return true
  return stepUpRound(context, wanted, event.at) > maxStepUps
}

/** Counts how often the same scope was insisted on without being granted. */
export function countStepUp(context: ConnectionContext, event: Sent<'challenge.insufficientScope'>): Change {
  const { at, request } = event
  const scope = challengedScope(request.challengeScope) ?? ''
  const others = (context.stepUps ?? []).filter((round) => round.scope !== scope && at - round.at < STEP_UP_TTL_MS)
  return { stepUps: [...others, { scope, rounds: stepUpRound(context, scope, at), at }].slice(-MAX_STEP_UPS) }
}

/** The server insists on scope that was granted already. */
export function rejectScope(_context: ConnectionContext, { at, request }: Sent<'challenge.insufficientScope'>): Change {
  const expected = challengedScope(request.challengeScope)?.slice(0, 200)
  return { at, failure: { code: 'INSUFFICIENT_SCOPE', ...(expected !== undefined && { details: { expected } }) } }
}

/** The same scope was asked for often enough. */
export function endStepUps(_context: ConnectionContext, { at, request }: Sent<'challenge.insufficientScope'>): Change {
  const expected = challengedScope(request.challengeScope)?.slice(0, 200)
  return { at, failure: { code: 'STEP_UP_EXHAUSTED', ...(expected !== undefined && { details: { expected } }) } }
}

/** A round does not count if no authorization request could be made in it. */
export function withoutRound(context: ConnectionContext): ConnectionContext['stepUps'] {
  const { at, request, stepUps } = context
  const wanted = challengedScope(request?.challengeScope)
  // While an attempt waits for the same scope, none was counted.
  const isCounted = ({ scope, rounds }: { scope: string; rounds: number }): boolean =>
    scope === wanted && stepUpRound(context, scope, at) > rounds
  return stepUps
    ?.map((round) => (isCounted(round) ? { ...round, rounds: round.rounds - 1 } : round))
    .filter(({ rounds }) => rounds > 0)
}
