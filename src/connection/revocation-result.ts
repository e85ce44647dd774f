import { revocationOf } from '../../machines/connection/selectors.ts'
import type { ConnectionContext, Revocation } from '../schemas/connection-context.ts'

/**
 * What became of the tokens of a connection that was disconnected.
 *
 * - `yes`: they were revoked, or the server says that they were invalid already.
 * - `pending`: the server could not be reached, or has not decided: `wake()` attempts it again, for a day.
 * - `unsupported`: the authorization server is not known, publishes no revocation endpoint, or revokes no such tokens.
 * - `failed`: the server rejected the revocation, or has not decided it for a day.
 * - `nothing`: the connection had no tokens, and none of an earlier disconnect are left to revoke.
 */
export type RevocationResult = 'yes' | 'pending' | 'unsupported' | 'failed' | 'nothing'

const resultOf = ({ outcome }: Revocation): RevocationResult => outcome ?? 'pending'

/** The result of the disconnect with this id; one that found no tokens has that of an earlier one that is pending. */
export function revocationResult(context: ConnectionContext | undefined, id: string): RevocationResult {
  const revocation = context && revocationOf(context, id)
  if (revocation !== undefined) return resultOf(revocation)
  return context !== undefined && isDisconnectPending(context) ? 'pending' : 'nothing'
}

/** Whether the server has not decided yet about the tokens of a disconnect. */
export function isDisconnectPending({ revocations = [] }: ConnectionContext): boolean {
  return revocations.some(({ ofDisconnect, pending }) => ofDisconnect && pending !== undefined)
}

/** What is to be announced of the disconnects that a change of the record began or decided. */
export function decidedBetween(before: ConnectionContext | undefined, after: ConnectionContext): RevocationResult[] {
  const { revocations = [] } = after
  // A pending one that is gone was dropped because there were too many.
  const dropped = (before?.revocations ?? []).filter(
    ({ id, pending, ofDisconnect }) => ofDisconnect && pending !== undefined && revocationOf(after, id) === undefined,
  )
  const changed = revocations.flatMap((revocation): RevocationResult[] => {
    const earlier = before && revocationOf(before, revocation.id)
    const result = resultOf(revocation)
    const isNew = revocation.ofDisconnect && result !== (earlier && resultOf(earlier))
    return isNew ? [result] : []
  })
  return [...dropped.map((): RevocationResult => 'failed'), ...changed]
}

/** Whether a disconnect removed the last tokens, whatever became of them. */
export function isDisconnected({ generation, tokens, reauthorizationRequired }: ConnectionContext): boolean {
  return tokens === undefined && generation > 0 && !reauthorizationRequired
}

/** How many disconnects removed tokens between two states of a record. */
export function disconnectsBetween(before: ConnectionContext | undefined, after: ConnectionContext): number {
  const { revocations = [] } = after
  return revocations.filter(({ id, ofDisconnect }) => ofDisconnect && !(before && revocationOf(before, id))).length
}
