import { bytesOf } from '../../src/protocol/scopes.ts'
import type { Attempt, ConnectionContext } from '../../src/schemas/connection-context.ts'
import { MAX_RECORD_BYTES } from '../limits.ts'
import { end } from './attempts.ts'
import type { Change } from './events.ts'
import { serversInUse } from './selectors.ts'

/**
 * What gives way in a record that is too large, in this order: first what only explains the past, then what is asked
 * for again, then sign-ins, whose users begin again, and the revocation that began first. Each step drops one entry;
 * one without entries drops nothing.
 */
const STEPS: readonly ((context: ConnectionContext) => Change | undefined)[] = [
  ({ revocations = [] }) => {
    const decided = revocations.find(({ pending }) => pending === undefined)
    return decided && { revocations: revocations.filter((other) => other !== decided) }
  },
  ({ endedAttempts, at }) =>
    endedAttempts.length === 0 ? undefined : { endedAttempts: endedAttempts.slice(1), historyTruncatedAt: at },
  ({ journal }) => (journal.length <= 1 ? undefined : { journal: journal.slice(1) }),
  ({ challenge }) => challenge && { challenge: undefined },
  ({ failedRequest }) => failedRequest && { failedRequest: undefined },
  (context) => {
    const oldest = oldestAttempt(context)
    return oldest && withoutAttempt(context, oldest)
  },
  ({ revocations = [], claim }) => {
    const others = revocations.filter(({ id }) => id !== claim?.revocationId)
    return others.length <= 1 ? undefined : { revocations: revocations.filter((other) => other !== others[0]) }
  },
]

/**
 * A record that takes at most {@link MAX_RECORD_BYTES} without its tokens, whatever its servers sent. What protects
 * somebody is not dropped: tokens, claims, accounts, issuers, counted step-ups, and the newest attempt.
 */
export function withinRecord(context: ConnectionContext): ConnectionContext {
  let fitting = context
  for (const step of STEPS) {
    for (;;) {
      if (recordBytes(fitting) <= MAX_RECORD_BYTES) return fitting
      const change = step(fitting)
      if (change === undefined) break
      fitting = { ...fitting, ...change }
    }
  }
  return fitting
}

/** How much a record takes without its tokens, in bytes of JSON. */
export function recordBytes({ tokens, revocations, ...rest }: ConnectionContext): number {
  return bytesOf({
    ...rest,
    tokens: tokens && { ...tokens, accessToken: '', refreshToken: '' },
    revocations: revocations?.map(({ pending, ...revocation }) => ({
      ...revocation,
      pending: pending && { ...pending, accessToken: '', refreshToken: '' },
    })),
  })
}

/** The oldest attempt that no claim is for, and that is not the newest: one without a code, or else any. */
function oldestAttempt({ attempts, claim }: ConnectionContext): Attempt | undefined {
  const others = attempts.slice(0, -1).filter(({ stateHash }) => stateHash !== claim?.stateHash)
  return others.find(({ code }) => code === undefined) ?? others[0]
}

/** The record without this attempt, which is superseded, and without its server if nothing else needs that. */
function withoutAttempt(context: ConnectionContext, attempt: Attempt): Change {
  const attempts = context.attempts.filter((other) => other !== attempt)
  return {
    attempts,
    servers: serversInUse({ ...context, attempts }),
    ...end(context, [attempt], 'superseded', context.at),
  }
}
