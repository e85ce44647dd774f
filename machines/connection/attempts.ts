import type { Failure } from '../../src/errors/failure.ts'
import { failureOfResponse } from '../../src/protocol/authorization-endpoint.ts'
import { sameIssuer } from '../../src/protocol/same-issuer.ts'
import { bytesOf, coversScope, shownScope, textBytesOf } from '../../src/protocol/scopes.ts'
import type { Attempt, ConnectionContext, EndedAttempt } from '../../src/schemas/connection-context.ts'
import type { ClientInformation, Tokens } from '../../src/schemas/credentials.ts'
import { assertDefined } from '../assert.ts'
import { MAX_ATTEMPTS, MAX_ENDED_ATTEMPTS } from '../limits.ts'
import type { BuildAuthorizationRequestOutput } from '../ports.ts'
import { newestWithin } from '../record-rules.ts'
import type { AuthorizationRequestBuilt, Change, ConnectionEvent, Sent } from './events.ts'
import { attemptOf, isExchangePending, requestedScope, serverOf } from './selectors.ts'

/**
 * Adds an attempt that awaits its callback; if there are too many, the oldest is superseded: only if all have a code
 * that can still be redeemed, one of those.
 */
export function addAttempt(
  context: ConnectionContext,
  output: Pick<BuildAuthorizationRequestOutput, 'at' | 'stateHash' | 'verifier' | 'nonce'>,
): Change {
  const { bindingHash, returnTo, attemptTtlMs } = assertDefined(context.request, 'a request')
  const attempt: Attempt = {
    stateHash: output.stateHash,
    verifier: output.verifier,
    nonce: output.nonce,
    serverId: assertDefined(context.servers.at(-1), 'a server').id,
    scope: requestedScope(context),
    bindingHash,
    returnTo,
    expiresAt: output.at + attemptTtlMs,
  }
  const hasCode = (other: Attempt): boolean => isExchangePending(other, output.at)
  const byPriority = context.attempts.toSorted((a, b) => Number(hasCode(a)) - Number(hasCode(b)))
  // An attempt at another server retains that server, which another party has named.
  const bytesIn = ({ scope, code, serverId }: Attempt): number =>
    textBytesOf(scope) + textBytesOf(code) + (serverId === attempt.serverId ? 0 : bytesOf(serverOf(context, serverId)))
  const retained = newestWithin([...byPriority, attempt], MAX_ATTEMPTS, bytesIn)
  const superseded = context.attempts.filter((other) => !retained.includes(other))
  return {
    at: output.at,
    failure: undefined,
    attempts: [...context.attempts.filter((other) => retained.includes(other)), attempt],
    ...end(context, superseded, 'superseded', output.at),
  }
}

/** The event with the authorization URL, which is emitted to the caller and never stored. */
export function authorizationRequestBuilt(
  context: ConnectionContext,
  { authorizationUrl, state }: { authorizationUrl: string; state: string },
): AuthorizationRequestBuilt {
  const { expiresAt } = assertDefined(context.attempts.at(-1), 'an attempt')
  return { type: 'authorizationRequest.built', authorizationUrl, state, expiresAt }
}

/** Adds attempts to the history, which is bounded in length and time. */
export function end(
  context: ConnectionContext,
  attempts: readonly Attempt[],
  outcome: EndedAttempt['outcome'],
  endedAt: number,
): Pick<ConnectionContext, 'endedAttempts' | 'historyTruncatedAt'> {
  const endedAttempts = [
    ...context.endedAttempts,
    ...attempts.map(({ stateHash, failure }) => ({
      stateHash,
      outcome,
      endedAt,
      ...(outcome === 'failed' && { failure }),
    })),
  ]
  const historyTruncatedAt = endedAttempts.length > MAX_ENDED_ATTEMPTS ? endedAt : context.historyTruncatedAt
  return { endedAttempts: endedAttempts.slice(-MAX_ENDED_ATTEMPTS), historyTruncatedAt }
}

/** Ends the attempt of a callback, or of the current claim. */
export function endAttempt(
  context: ConnectionContext,
  stateHash: string | undefined,
  outcome: EndedAttempt['outcome'],
  at: number,
  failure?: Failure,
): Change {
  const attempt = attemptOf(context, stateHash)
  if (attempt === undefined) return { at }
  return {
    at,
    attempts: context.attempts.filter((other) => other !== attempt),
    ...end(context, [{ ...attempt, failure }], outcome, at),
  }
}

/** Ends the attempt of the current claim, whose code was not redeemed: a later callback is answered with the reason. */
export function endFailed(context: ConnectionContext, { type }: ConnectionEvent): Change {
  const { at, claim } = context
  const failure = type === 'claim.expired' ? ({ code: 'TOKEN_OUTCOME_UNKNOWN' } as const) : context.failure
  return endAttempt(context, claim?.stateHash, 'failed', at, failure)
}

/** Ends the attempt of a denied authorization (RFC 6749 §4.1.2.1); tokens and other attempts stay unchanged. */
export function endDenied(context: ConnectionContext, event: Sent<'callback.denied'>): Change {
  const { at, stateHash, error } = event
  const failure = failureOfResponse(error)
  // The user may have denied the scope of the last challenge: another authorization does not request it again.
  const isDenied = failure.code === 'AUTHORIZATION_DENIED'
  const ended = { ...endAttempt(context, stateHash, 'denied', at), ...(isDenied && { challenge: undefined }) }
  const attempt = attemptOf(context, stateHash)
  const { client } = serverOf(context, attempt?.serverId) ?? {}
  return { ...ended, ...denial(context, failure, client, attempt?.scope) }
}

/**
 * The failure of a denied authorization. A dynamic client whose scope was rejected is registered again, once; if that
 * one is rejected as well, the scope lists of the server contradict each other.
 */
export function denial(
  { invalidScope }: ConnectionContext,
  failure: Failure,
  client: ClientInformation | undefined,
  scope: string | undefined,
): Change {
  if (failure.details?.error !== 'invalid_scope' || client?.source !== 'dynamic') return { failure }
  const { issuer, clientId } = client
  const isFirst =
    invalidScope === undefined || !sameIssuer(invalidScope.issuer, issuer) || invalidScope.clientId === clientId
  if (isFirst) return { failure, invalidScope: { issuer, clientId } }
  const details = { ...failure.details, reason: 'contradictoryScopes', offered: scope && shownScope(scope) }
  return { failure: { ...failure, details } }
}

/** Ends an attempt that succeeded, and those that requested no more than was granted: they are authorized as well. */
export function finishAttempts(context: ConnectionContext, finished: Attempt, tokens: Tokens, at: number): Change {
  const done = context.attempts.filter((other) => other !== finished && coversScope(tokens.scope, other.scope))
  const first = end(context, [finished], 'authorized', at)
  return {
    attempts: context.attempts.filter((other) => other !== finished && !done.includes(other)),
    ...end({ ...context, ...first }, done, 'alreadyAuthorized', at),
  }
}
