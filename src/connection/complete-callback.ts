import { assertDefined } from '../../machines/assert.ts'
import type { Callback, ConnectionCommand } from '../../machines/connection/events.ts'
import {
  attemptOf,
  type CallbackVerdict,
  isAuthorized,
  judgeCallback,
  serverOf,
} from '../../machines/connection/selectors.ts'
import { isAuthorizationError } from '../errors/authorization-error.ts'
import { failure, type Failure, isTransient, truncate } from '../errors/failure.ts'
import type { HostAction } from '../options/host-action.ts'
import { type CallbackParameters, parseCallback } from '../protocol/authorization-endpoint.ts'
import type { ConnectionContext, EndedAttempt } from '../schemas/connection-context.ts'
import type { CallbackRejection, OrchestratorEvents } from './events.ts'
import { identityOf } from './host-actions.ts'
import { connectionKey, hashBinding, hashState, parseState } from './routing.ts'
import { runConnection } from './record.ts'
import type { OrchestratorServices, View } from './services.ts'

/** The result of a callback. `actions` contain secrets. */
export interface CallbackResult {
  /**
   * `authorized`: this callback authorized the connection. `alreadyAuthorized`: an earlier one did, and it still is.
   * `denied`: the user or the server denied the authorization. `expired`, `superseded`: the attempt has ended.
   * `unknown`: the `state` belongs to no attempt of this deployment. `failed`: see `failure`.
   */
  status: 'authorized' | 'alreadyAuthorized' | 'denied' | 'expired' | 'superseded' | 'unknown' | 'failed'
  /** The connection of the attempt; absent if no attempt was found. */
  connection?: { tenant: string; user: string | undefined; server: string; label: string | undefined } | undefined
  /** The `returnTo` of `authorize()`. */
  returnTo?: string | undefined
  /** Why the callback failed or was denied. */
  failure?: Failure | undefined
  /** The code was not consumed: the same callback can be sent again while the code is valid. */
  retryable?: boolean | undefined
  /** Updates for hosts that store credentials themselves. Secret. */
  actions: HostAction[]
}

/** How a callback proves that it comes from the browser that started the sign-in. */
interface Proof {
  /** The value of `authorize({ binding })`. */
  binding?: string | undefined
  /** Whether the browser sent the binding cookie. If `undefined`, an attempt without a `binding` needs no proof. */
  cookie?: 'valid' | 'missing' | undefined
}

/**
 * Completes the attempt that a callback belongs to. Never throws for anything that a browser can send. A callback that
 * is rejected before it changes anything is an event.
 *
 * @internal
 */
export async function completeCallback(
  services: OrchestratorServices,
  url: string | URL,
  proof: Proof,
): Promise<CallbackResult> {
  const outcome = await settle(services, url, proof)
  if (!('rejection' in outcome)) return outcome
  const { rejection: reason, ...result } = outcome
  services.emitter.emit('callbackRejected', { status: result.status, reason, at: services.clock.now() })
  return result
}

/** The result of a callback that was rejected before it changed anything. */
interface Rejected extends CallbackResult {
  status: OrchestratorEvents['callbackRejected']['status']
  rejection: CallbackRejection
}

type Outcome = CallbackResult | Rejected

async function settle(services: OrchestratorServices, url: string | URL, proof: Proof): Promise<Outcome> {
  const parameters = parseCallback(url)
  const { state, malformed } = parameters
  if (malformed !== undefined && malformed !== 'noCode') return malformedCallback(malformed)
  if (state === undefined) return unknown('noState')
  const routing = parseState(state)
  if (routing === undefined) return unknown('foreignState')
  const key = connectionKey(routing.routingId)
  try {
    const view = await services.runner.load(services.chart, key)
    return view === undefined ? unknown('noRecord') : await finish(services, key, view, { ...parameters, state }, proof)
  } catch (error) {
    if (!isAuthorizationError(error)) throw error
    // A closing process did not redeem the code: the same callback can succeed in another process.
    const result = failed(error.failure, isTransient(error.failure))
    return error.code.startsWith('SNAPSHOT_') ? { ...result, rejection: 'recordUnreadable' } : result
  }
}

async function finish(
  services: OrchestratorServices,
  key: string,
  view: View,
  parameters: CallbackParameters & { state: string },
  proof: Proof,
): Promise<Outcome> {
  const { identity } = view.context
  const stateHash = hashState(parameters.state)
  const { code, error, iss } = parameters
  const callback = {
    stateHash,
    iss,
    bindingHash: proof.binding === undefined ? undefined : hashBinding(proof.binding),
    bindingProven: proof.cookie === 'valid' ? (true as const) : undefined,
  }
  const judge = (now: View): CallbackVerdict => {
    const verdict = judgeCallback(now.context, callback, now.at())
    return verdict === 'acceptable' && proof.cookie === 'missing' ? 'bindingMismatch' : verdict
  }
  const returnTo = view.context.attempts.find((attempt) => attempt.stateHash === stateHash)?.returnTo
  const about = { connection: identityOf(identity), returnTo }
  const verdict = judge(view)
  if (verdict === 'unknown') return resultOfEnded(view, stateHash, about)
  if (verdict !== 'acceptable') return { ...rejected(verdict, view, callback), ...about }
  if (code === undefined && error === undefined) return { ...malformedCallback('noCode'), ...about }

  const { codeTtlMs, refuseAccountChange } = services.policy(identity)
  const command: ConnectionCommand =
    code === undefined
      ? { type: 'callback.denied', error: error ?? 'other', ...callback }
      : {
          type: 'callback.received',
          code,
          codeTtlMs,
          ...(refuseAccountChange && { refuseAccountChange }),
          ...callback,
        }
  const result = await runConnection(
    services,
    key,
    identity,
    (now) => {
      if (now === undefined) return undefined
      if (judge(now) === 'acceptable') return command
      // The tokens of this exchange came late, and are unverified until a refresh succeeds.
      const { generation, tokens } = now.context
      return tokens?.unverified ? { type: 'refresh.requested', generation } : undefined
    },
    { view },
  )
  if (result.view === undefined) return unknown('noRecord')
  const { context } = result.view
  const outcome = outcomeOf(context, stateHash)
  if (outcome === 'authorized' && !context.reauthorizationRequired)
    return { status: result.consumed ? 'authorized' : 'alreadyAuthorized', ...about, actions: result.actions }
  if (outcome === 'authorized') return { ...failed(context.failure ?? failure('AUTHORIZATION_REQUIRED')), ...about }
  if (outcome === 'failed') return { ...failed(context.failure ?? failure('EXCHANGE_REJECTED')), ...about }
  if (outcome === 'denied') return { status: outcome, ...about, actions: [], failure: context.failure }
  if (outcome !== undefined) return { status: outcome, ...about, actions: [], rejection: 'attemptEnded' }
  const after = judge(result.view)
  if (after === 'unknown') return resultOfEnded(result.view, stateHash, about)
  if (after !== 'acceptable') return { ...rejected(after, result.view, callback), ...about }
  // The attempt is still pending: its code was not consumed, or the outcome is unknown.
  const { claim, failure: reason } = context
  const isUnknown = claim?.outcomeUnknown === true
  // A connection that was lost, or a response that was late, does not show whether the server redeemed the code.
  if (isUnknown && reason !== undefined && isTransient(reason))
    return { ...failed(failure('TOKEN_OUTCOME_UNKNOWN', reason.details)), ...about }
  return { ...failed(reason ?? failure('TOKEN_OUTCOME_UNKNOWN'), !isUnknown), ...about }
}

type About = Pick<CallbackResult, 'connection' | 'returnTo'>

const failed = (reason: Failure, retryable = false): CallbackResult & { status: 'failed' } => ({
  status: 'failed',
  failure: reason,
  retryable,
  actions: [],
})

const unknown = (rejection: CallbackRejection): Rejected => ({ status: 'unknown', actions: [], rejection })

const malformedCallback = (reason: NonNullable<CallbackParameters['malformed']>): Rejected => ({
  ...failed(failure('CALLBACK_MALFORMED', { reason })),
  rejection: reason,
})

function outcomeOf(context: ConnectionContext, stateHash: string): EndedAttempt['outcome'] | undefined {
  return context.endedAttempts.find((attempt) => attempt.stateHash === stateHash)?.outcome
}

/** The result for a `state` without a pending attempt: the outcome of the ended attempt, if it is recorded. */
function resultOfEnded(view: View, stateHash: string, about: About): Outcome {
  const { context } = view
  const outcome = outcomeOf(context, stateHash)
  if (outcome === undefined)
    // Records of ended attempts were dropped: this may have been one of them.
    return context.historyTruncatedAt === undefined
      ? unknown('noAttempt')
      : { status: 'superseded', actions: [], rejection: 'attemptEnded' }
  const rejection = 'attemptEnded'
  if (outcome === 'authorized' || outcome === 'alreadyAuthorized') {
    if (isAuthorized(context, view.at())) return { status: 'alreadyAuthorized', ...about, actions: [] }
    // Signed in then, and signed out or lapsed since.
    return context.tokens === undefined && !context.reauthorizationRequired
      ? { status: 'superseded', ...about, actions: [], rejection }
      : { ...failed(context.failure ?? failure('AUTHORIZATION_REQUIRED')), ...about, rejection }
  }
  if (outcome === 'failed') return { ...failed(context.failure ?? failure('EXCHANGE_REJECTED')), ...about, rejection }
  return { status: outcome, ...about, actions: [], rejection }
}

/** The result for a callback that failed a check. */
function rejected(
  verdict: 'expired' | 'bindingMismatch' | 'issuerMismatch',
  { context }: View,
  { stateHash, iss }: Callback,
): Rejected {
  if (verdict === 'expired') return { status: 'expired', actions: [], rejection: verdict }
  if (verdict === 'bindingMismatch') return { ...failed(failure('CALLBACK_BINDING_MISMATCH')), rejection: verdict }
  const server = assertDefined(serverOf(context, attemptOf(context, stateHash)?.serverId), 'a server')
  const expected = truncate(server.announcedIssuer ?? server.issuer)
  const details = iss === undefined ? { expected, reason: 'issNotSent' } : { expected, received: truncate(iss) }
  return {
    ...failed(failure('CALLBACK_ISSUER_MISMATCH', details)),
    rejection: iss === undefined ? 'issNotSent' : verdict,
  }
}
