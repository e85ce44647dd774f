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

/** Compares hashes in a time that does not depend on where they differ. */
function isSameHash(hash: string, other: string | undefined): boolean {
  if (hash.length !== other?.length) return false
  let difference = 0
  for (let index = 0; index < hash.length; index += 1) difference |= hash.charCodeAt(index) ^ other.charCodeAt(index)
  return difference === 0
}

/** Whether a callback came from the browser of its attempt, as far as that asked for a proof. */
function isBound({ bindingHash }: Attempt, callback: Callback): boolean {
  if (callback.bindingProven || bindingHash === undefined) return true
  return isSameHash(bindingHash, callback.bindingHash) || isSameHash(bindingHash, callback.earlierBindingHash)
}

/** Checks a callback against the attempt that it names: still pending, from the same browser, from the right issuer. */
export function judgeCallback(context: ConnectionContext, callback: Callback, at: number): CallbackVerdict {
  const attempt = attemptOf(context, callback.stateHash)
  const server = serverOf(context, attempt?.serverId)
  if (attempt === undefined || server === undefined) return 'unknown'
  if (!isInTime(attempt, callback, at)) return 'expired'
  if (!isBound(attempt, callback)) return 'bindingMismatch'
  return issuerVerdict(server, callback.iss) ? 'acceptable' : 'issuerMismatch'
}
