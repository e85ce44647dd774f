import type { AnyStateMachine } from 'xstate'
import { canonicalJson } from '../../machines/canonical-json.ts'
import type { ConnectionCommand } from '../../machines/connection/events.ts'
import { revocationOf } from '../../machines/connection/selectors.ts'
import { REVOCATION_TTL_MS } from '../../machines/limits.ts'
import type { RegistrationCommand } from '../../machines/registration/events.ts'
import type { DurableChart } from '../durable/chart.ts'
import { isTransient } from '../errors/failure.ts'
import { type ConnectionContext, ConnectionContextSchema } from '../schemas/connection-context.ts'
import { type RegistrationContext, RegistrationContextSchema } from '../schemas/registration.ts'
import { tolerant } from '../schemas/tolerant.ts'
import { CLAIM_TTL_MS, IDLE_TTL_MS, REGISTRATION_TTL_MS } from './limits.ts'

const StoredConnectionSchema = tolerant(ConnectionContextSchema)
const StoredRegistrationSchema = tolerant(RegistrationContextSchema)

/** The time to live of a connection's record, a pure function of its context; `undefined`: it does not expire. */
function connectionTtlMs({ at, claim, tokens, attempts, revocations = [] }: ConnectionContext): number | undefined {
  const pending = revocations.filter((revocation) => revocation.pending !== undefined)
  const workEndsAt = Math.max(
    at,
    ...attempts.map(({ expiresAt }) => expiresAt),
    ...pending.map(({ startedAt }) => startedAt + REVOCATION_TTL_MS),
  )
  if (tokens !== undefined) {
    const { grant, refreshToken, refreshTokenExpiresAt, expiresAt } = tokens
    const needsRefreshToken = grant === 'authorization_code' && refreshToken !== undefined
    // An access token may live longer than its refresh token; one without an expiry is usable until it is rejected.
    if (!needsRefreshToken || refreshTokenExpiresAt === undefined || expiresAt === undefined) return undefined
    return Math.max(refreshTokenExpiresAt, expiresAt, workEndsAt) - at + IDLE_TTL_MS
  }
  return claim === undefined ? workEndsAt - at + IDLE_TTL_MS : CLAIM_TTL_MS
}

/**
 * Whether a call met the failure that is stored already, and changed nothing else. Not once the backoff after a failed
 * renewal has elapsed: then the next one is stored.
 */
function isSameFailure(stored: ConnectionContext, context: ConnectionContext): boolean {
  const { claim, failure, failedRenewal } = stored
  if (claim !== undefined || failure === undefined || isTransient(failure)) return false
  // A server has responded once more.
  if (failure.details?.status !== undefined) return false
  if (failedRenewal !== undefined && failedRenewal.retryAt <= context.at) return false
  const essence = ({ at: _at, journal, failedRenewal: last, ...rest }: ConnectionContext): string =>
    canonicalJson({ ...rest, state: journal.at(-1)?.to, failedRenewal: { failure: last?.failure, count: last?.count } })
  return essence(stored) === essence(context)
}

/** The event that submits the decision of a revocation; `undefined` while it is pending. */
function lateRevocation(context: ConnectionContext, id: string): ConnectionCommand | undefined {
  const outcome = revocationOf(context, id)?.outcome
  return outcome && { type: 'revocation.late', id, outcome }
}

/** The event that submits the tokens of a claim that must not be stored; `undefined` without any. */
function discardedTokens(context: ConnectionContext, id: string): ConnectionCommand | undefined {
  const { server, accessToken, refreshToken } = revocationOf(context, id)?.pending ?? {}
  if (server === undefined || accessToken === undefined) return undefined
  return { type: 'tokens.discarded', id, server, accessToken, refreshToken }
}

/** The connection chart, for the runner. */
export function durableConnection(machine: AnyStateMachine): DurableChart<ConnectionContext, ConnectionCommand> {
  return {
    name: 'connection',
    version: 1,
    machine,
    contextSchema: StoredConnectionSchema,
    ttlMs: connectionTtlMs,
    isSameFailure,
    yields: ({ revocationId }) => revocationId !== undefined,
    lateResult(claimed, rested) {
      const { claim, generation } = claimed
      if (claim === undefined) return undefined
      const { id: orphanId, kind, stateHash: attemptHash, revocationId } = claim
      if (revocationId !== undefined) return lateRevocation(rested, revocationId)
      if (rested.generation === generation) return discardedTokens(rested, orphanId)
      const server = rested.servers.find(({ id }) => id === rested.tokens?.serverId)
      if (server === undefined || rested.tokens === undefined) return undefined
      return { type: 'result.late', orphanId, kind, attemptHash, generation, tokens: rested.tokens, server }
    },
  }
}

/** The registration chart, for the runner. */
export function durableRegistration(machine: AnyStateMachine): DurableChart<RegistrationContext, RegistrationCommand> {
  return {
    name: 'registration',
    version: 1,
    machine,
    contextSchema: StoredRegistrationSchema,
    ttlMs: ({ client, claim }) => (client !== undefined ? REGISTRATION_TTL_MS : claim ? CLAIM_TTL_MS : IDLE_TTL_MS),
    lateResult(claimed, rested) {
      const { claim, generation } = claimed
      if (claim === undefined || rested.client === undefined || rested.generation === generation) return undefined
      const { client, scope, configuration } = rested
      return { type: 'result.late', orphanId: claim.id, generation, client, scope, configuration }
    },
  }
}
