import type { ConnectionCommand } from '../../machines/connection/events.ts'
import { type CallbackVerdict, judgeCallback } from '../../machines/connection/selectors.ts'
import { isAuthorizationError } from '../errors/authorization-error.ts'
import { failure, type Failure, isTransient } from '../errors/failure.ts'
import type { HostAction } from '../options/host-action.ts'
import { type CallbackParameters, parseCallback } from '../protocol/authorization-endpoint.ts'
import type { ConnectionContext, EndedAttempt } from '../schemas/connection-context.ts'
import { identityOf } from './host-actions.ts'
import { connectionKey, hashBinding, hashState, parseState } from './routing.ts'
import { runConnection } from './record.ts'
import type { OrchestratorServices, View } from './services.ts'

/** The result of a callback. `actions` contain secrets. */
export interface CallbackResult {
  /**
   * `authorized`: this callback authorized the connection. `alreadyAuthorized`: an earlier one did. `denied`: the user
   * or the server denied the authorization. `expired`, `superseded`: the attempt has ended. `unknown`: the `state`
   * belongs to no attempt of this deployment. `failed`: see `failure`.
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
 * Completes the attempt that a callback belongs to. Never throws for anything that a browser can send.
 *
 * @internal
 */
export async function completeCallback(
  services: OrchestratorServices,
  url: string | URL,
  proof: Proof,
): Promise<CallbackResult> {
  const parameters = parseCallback(url)
  const { state, malformed } = parameters
  if (malformed !== undefined && malformed !== 'noCode')
    return failed(failure('CALLBACK_MALFORMED', { reason: malformed }))
  const routing = state === undefined ? undefined : parseState(state)
  if (state === undefined || routing === undefined) return { status: 'unknown', actions: [] }
  const key = connectionKey(routing.routingId)
  try {
    const view = await services.runner.load(services.chart, key)
    return view === undefined
      ? { status: 'unknown', actions: [] }
      : await finish(services, key, view, { ...parameters, state }, proof)
  } catch (error) {
    if (!isAuthorizationError(error)) throw error
    // A closing process did not redeem the code: the same callback can succeed in another process.
    return failed(error.failure, isTransient(error.failure))
  }
}

async function finish(
  services: OrchestratorServices,
  key: string,
  view: View,
  parameters: CallbackParameters & { state: string },
  proof: Proof,
): Promise<CallbackResult> {
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
  if (verdict !== 'acceptable') return { ...rejected(verdict), ...about }
  if (code === undefined && error === undefined)
    return { ...failed(failure('CALLBACK_MALFORMED', { reason: 'noCode' })), ...about }

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
  if (result.view === undefined) return { status: 'unknown', actions: [] }
  const { context } = result.view
  const outcome = outcomeOf(context, stateHash)
  if (outcome === 'authorized' && !context.reauthorizationRequired)
    return { status: result.consumed ? 'authorized' : 'alreadyAuthorized', ...about, actions: result.actions }
  if (outcome === 'authorized') return { ...failed(context.failure ?? failure('AUTHORIZATION_REQUIRED')), ...about }
  if (outcome === 'failed') return { ...failed(context.failure ?? failure('EXCHANGE_REJECTED')), ...about }
  if (outcome !== undefined)
    return { status: outcome, ...about, actions: [], ...(outcome === 'denied' && { failure: context.failure }) }
  const after = judge(result.view)
  if (after === 'unknown') return resultOfEnded(result.view, stateHash, about)
  if (after !== 'acceptable') return { ...rejected(after), ...about }
  // The attempt is still pending: its code was not consumed, or the outcome is unknown.
  const { claim, failure: reason } = context
  const isUnknown = claim?.outcomeUnknown === true
  // A connection that was lost, or a response that was late, does not show whether the server redeemed the code.
  if (isUnknown && reason !== undefined && isTransient(reason))
    return { ...failed(failure('TOKEN_OUTCOME_UNKNOWN', reason.details)), ...about }
  return { ...failed(reason ?? failure('TOKEN_OUTCOME_UNKNOWN'), !isUnknown), ...about }
}

type About = Pick<CallbackResult, 'connection' | 'returnTo'>

const failed = (reason: Failure, retryable = false): CallbackResult => ({
  status: 'failed',
  failure: reason,
  retryable,
  actions: [],
})

function outcomeOf(context: ConnectionContext, stateHash: string): EndedAttempt['outcome'] | undefined {
  return context.endedAttempts.find((attempt) => attempt.stateHash === stateHash)?.outcome
}

/** The result for a `state` without a pending attempt: the outcome of the ended attempt, if it is recorded. */
function resultOfEnded({ context }: View, stateHash: string, about: About): CallbackResult {
  const outcome = outcomeOf(context, stateHash)
  if (outcome === undefined)
    // Records of ended attempts were dropped: this may have been one of them.
    return { status: context.historyTruncatedAt === undefined ? 'unknown' : 'superseded', actions: [] }
  if (outcome === 'authorized' || outcome === 'alreadyAuthorized')
    return { status: 'alreadyAuthorized', ...about, actions: [] }
  if (outcome === 'failed') return { ...failed(context.failure ?? failure('EXCHANGE_REJECTED')), ...about }
  return { status: outcome, ...about, actions: [] }
}

/** The result for a callback that was rejected before it changed anything. */
function rejected(verdict: 'expired' | 'bindingMismatch' | 'issuerMismatch'): CallbackResult {
  if (verdict === 'expired') return { status: 'expired', actions: [] }
  return failed(failure(verdict === 'bindingMismatch' ? 'CALLBACK_BINDING_MISMATCH' : 'CALLBACK_ISSUER_MISMATCH'))
}
