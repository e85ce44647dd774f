import type { ConnectionCommand } from '../../machines/connection/events.ts'
import { type CallbackVerdict, judgeCallback } from '../../machines/connection/selectors.ts'
import { isAuthorizationError } from '../errors/authorization-error.ts'
import { failure, type Failure, isRetryable } from '../errors/failure.ts'
import type { HostAction } from '../options/host-action.ts'
import { type CallbackParameters, parseCallback } from '../protocol/authorization-endpoint.ts'
import type { ConnectionContext, EndedAttempt } from '../schemas/connection-context.ts'
import { identityOf } from './host-actions.ts'
import { connectionKey, hashBinding, hashState, parseState } from './routing.ts'
import { runConnection } from './record.ts'
import type { OrchestratorServices, View } from './services.ts'

/** What a browser's return came to. `actions` hold secrets. */
export interface CallbackResult {
  /**
   * `authorized`: this callback signed the connection in. `alreadyAuthorized`: another one had. `denied`: the user or
   * the server said no. `expired`, `superseded`: too late. `unknown`: no attempt of ours. `failed`: see `failure`.
   */
  status: 'authorized' | 'alreadyAuthorized' | 'denied' | 'expired' | 'superseded' | 'unknown' | 'failed'
  /** Whose sign-in it was; absent where no attempt of ours was found. */
  connection?: { tenant: string; user: string | undefined; server: string; label: string | undefined } | undefined
  /** Where the host wanted the user to go afterwards. */
  returnTo?: string | undefined
  /** Why it failed or was denied. */
  failure?: Failure | undefined
  /** Nothing was spent: the same callback again carries on, while the code lives. */
  retryable?: boolean | undefined
  /** What a host that keeps credentials itself has to do. Secret. */
  actions: HostAction[]
}

/** How a callback shows that it comes from the browser that was sent away. */
interface Proof {
  /** What the host handed to `authorize({ binding })`. */
  binding?: string | undefined
  /** Whether the browser has our cookie. Without a word here, an attempt without a binding needs none. */
  proof?: 'proven' | 'missing' | undefined
}

/**
 * Finishes the attempt that a callback belongs to. Never throws for what a browser can bring.
 *
 * @internal
 */
export async function completeCallback(
  services: OrchestratorServices,
  url: string | URL,
  by: Proof,
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
      : await finish(services, key, view, { ...parameters, state }, by)
  } catch (error) {
    if (!isAuthorizationError(error)) throw error
    // Nothing was redeemed by a process that is closing: the same callback can succeed in another one.
    return failed(error.failure, isRetryable(error.failure) || error.code === 'CLOSED')
  }
}

async function finish(
  services: OrchestratorServices,
  key: string,
  view: View,
  parameters: CallbackParameters & { state: string },
  by: Proof,
): Promise<CallbackResult> {
  const { identity } = view.context
  const stateHash = hashState(parameters.state)
  const { code, error, iss } = parameters
  const callback = {
    stateHash,
    iss,
    bindingHash: by.binding === undefined ? undefined : hashBinding(by.binding),
    bindingProven: by.proof === 'proven' ? (true as const) : undefined,
  }
  const judge = (now: View): CallbackVerdict => {
    const verdict = judgeCallback(now.context, callback, now.at())
    return verdict === 'acceptable' && by.proof === 'missing' ? 'bindingMismatch' : verdict
  }
  const returnTo = view.context.attempts.find((attempt) => attempt.stateHash === stateHash)?.returnTo
  const about = { connection: identityOf(identity), returnTo }
  const verdict = judge(view)
  if (verdict === 'unknown') return explained(view, stateHash, about)
  if (verdict !== 'acceptable') return { ...refused(verdict), ...about }
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
      // What this exchange brought came late, and is only worth something if it can be refreshed.
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
  if (after === 'unknown') return explained(result.view, stateHash, about)
  if (after !== 'acceptable') return { ...refused(after), ...about }
  // The attempt lives on: its code was not spent, or nobody knows.
  const { claim, failure: reason } = context
  const isUnknown = claim?.outcomeUnknown === true
  // A connection that was lost, or a response that was late, does not show whether the server redeemed the code.
  if (isUnknown && reason !== undefined && isRetryable(reason))
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

/** What is to be said of an attempt that is no longer there. */
function explained({ context }: View, stateHash: string, about: About): CallbackResult {
  const outcome = outcomeOf(context, stateHash)
  if (outcome === undefined)
    // More attempts have ended here than are remembered: this may have been one of them.
    return { status: context.historyTruncatedAt === undefined ? 'unknown' : 'superseded', actions: [] }
  if (outcome === 'authorized' || outcome === 'alreadyAuthorized')
    return { status: 'alreadyAuthorized', ...about, actions: [] }
  if (outcome === 'failed') return { ...failed(context.failure ?? failure('EXCHANGE_REJECTED')), ...about }
  return { status: outcome, ...about, actions: [] }
}

/** What is to be said of a callback that is not believed. Nothing was changed by it. */
function refused(verdict: 'expired' | 'bindingMismatch' | 'issuerMismatch'): CallbackResult {
  if (verdict === 'expired') return { status: 'expired', actions: [] }
  return failed(failure(verdict === 'bindingMismatch' ? 'CALLBACK_BINDING_MISMATCH' : 'CALLBACK_ISSUER_MISMATCH'))
}
