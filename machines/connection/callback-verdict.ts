import { issuerVerdict } from '../../src/protocol/authorization-endpoint.ts'
import type { Attempt, ConnectionContext } from '../../src/schemas/connection-context.ts'
import type { Callback } from './events.ts'
import { attemptOf, isPending, serverOf } from './selectors.ts'

/** The result of checking a callback before anything in it is trusted (RFC 9207 §2.4, RFC 6749 §10.12). */
export type CallbackVerdict = 'acceptable' | 'unknown' | 'expired' | 'bindingMismatch' | 'issuerMismatch'

/**
 * Whether the attempt of a callback is pending. If the callback came in time, the attempt does not expire while it
 * waits for a claim, as long as its code is valid.
 */
function isInTime(attempt: Attempt, callback: Callback, at: number): boolean {
  const { arrivedAt = at, codeTtlMs = 0 } = callback
  if (isPending(attempt, at)) return true
  return attempt.code === undefined && isPending(attempt, arrivedAt) && at - arrivedAt < codeTtlMs
}

/** Checks a callback against the attempt that it names: still pending, from the same browser, from the right issuer. */
export function judgeCallback(context: ConnectionContext, callback: Callback, at: number): CallbackVerdict {
  const attempt = attemptOf(context, callback.stateHash)
  const server = serverOf(context, attempt?.serverId)
  if (attempt === undefined || server === undefined) return 'unknown'
  if (!isInTime(attempt, callback, at)) return 'expired'
  if (!callback.bindingProven && attempt.bindingHash !== undefined && attempt.bindingHash !== callback.bindingHash)
    return 'bindingMismatch'
  return issuerVerdict(server, callback.iss) ? 'acceptable' : 'issuerMismatch'
}
