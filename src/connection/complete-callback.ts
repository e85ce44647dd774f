import { assertDefined } from '../../machines/assert.ts'
import { type CallbackVerdict, judgeCallback } from '../../machines/connection/callback-verdict.ts'
import type { Callback, ConnectionCommand } from '../../machines/connection/events.ts'
import { canRetryLater } from '../../machines/connection/guards.ts'
import { attemptOf, isAuthorized, serverOf, tokensOf } from '../../machines/connection/selectors.ts'
import { isAuthorizationError } from '../errors/authorization-error.ts'
import { redactUrl } from '../errors/redact.ts'
import { authorizationRequired, failure, type Failure, isTransient, nextActionFor } from '../errors/failure.ts'
import type { HostAction } from '../options/host-action.ts'
import { type CallbackParameters, failureOfResponse, parseCallback } from '../protocol/authorization-endpoint.ts'
import { isAtRedirectUri } from '../protocol/redirect-uri.ts'
import type { ConnectionContext, EndedAttempt } from '../schemas/connection-context.ts'
import { hasFailedSince } from './access-token.ts'
import type { CallbackRejection, OrchestratorEvents } from './events.ts'
import { identityOf } from './host-actions.ts'
import { connectionKey, hashBinding, hashBindingWithoutKey, hashState, parseState } from './routing.ts'
import { violationOfAttempt } from './policy-violation.ts'
import { ConnectionRecord, type ConnectionRun } from './record.ts'
import { revokeInBackground } from './revoke-due.ts'
import type { OrchestratorServices, View } from './services.ts'

/** The result of a callback. `actions` contain secrets. */
export interface CallbackResult {
  /**
   * `authorized`: this callback authorized the connection. `alreadyAuthorized`: an earlier one did, and it still is.
   * `denied`: the user or the server denied the authorization. `expired`: the attempt took too long. `superseded`:
   * newer ones have replaced it, or `disconnect()` has ended it. `unknown`: the `state` belongs to no attempt of this
   * deployment. `failed`: see `failure`.
   */
  status: 'authorized' | 'alreadyAuthorized' | 'denied' | 'expired' | 'superseded' | 'unknown' | 'failed'
  /** The connection of the attempt; absent if no attempt was found. */
  connection?: { tenant: string; user: string | undefined; server: string; label: string | undefined } | undefined
  /** The `returnTo` of `authorize()`. */
  returnTo?: string | undefined
  /** Why the callback failed or was denied. */
  failure?: Failure | undefined
  /**
   * The code was not consumed, or the outcome will still be decided: the same callback can be sent again, to any
   * process, while the code is valid. `wake()` carries on as well, and so do `accessToken()` and `authorize()` of a
   * connection without a usable token.
   */
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
    services.assertOpen()
    const view = await services.runner.load(services.chart, key)
    return view === undefined
      ? unknown('noRecord')
      : await finish(services, key, view, { ...parameters, state, url }, proof)
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
  parameters: CallbackParameters & { state: string; url: string | URL },
  proof: Proof,
): Promise<Outcome> {
  const { identity } = view.context
  const stateHash = hashState(parameters.state)
  const { code, error, iss } = parameters
  const record = new ConnectionRecord(services, identity, key)
  const { codeTtlMs, refuseAccountChange } = record.policy
  const callback = {
    stateHash,
    // It may wait for a claim: the attempt is judged by when its callback arrived.
    arrivedAt: view.at(),
    codeTtlMs,
    iss,
    ...(proof.binding !== undefined && {
      bindingHash: hashBinding(services.nameKey, proof.binding),
      earlierBindingHash: hashBindingWithoutKey(proof.binding),
    }),
    bindingProven: proof.cookie === 'valid' ? (true as const) : undefined,
  }
  const judge = (now: View): CallbackVerdict | 'otherRedirectUri' => {
    const verdict = judgeCallback(now.context, callback, now.at())
    if (verdict !== 'acceptable') return verdict
    if (proof.cookie === 'missing') return 'bindingMismatch'
    const { issuer, client } = serverOf(now.context, attemptOf(now.context, stateHash)?.serverId) ?? {}
    const isHere = issuer === undefined || isAtRedirectUri(parameters.url, client?.redirectUri, issuer)
    return isHere ? 'acceptable' : 'otherRedirectUri'
  }
  const returnTo = attemptOf(view.context, stateHash)?.returnTo
  const about = { connection: identityOf(identity), returnTo }
  const verdict = judge(view)
  // Its outcome is still to be decided, by the run below.
  const isOpen = view.context.claim?.stateHash === stateHash || isUnverified(view, stateHash)
  if (verdict === 'unknown' && !isOpen) return resultOfEnded(view, stateHash, about, { error })
  if (verdict !== 'acceptable' && verdict !== 'unknown' && !(verdict === 'expired' && isOpen))
    return { ...rejected(verdict, view, callback), ...about }
  if (code === undefined && error === undefined) return { ...malformedCallback('noCode'), ...about }

  const attempt = attemptOf(view.context, stateHash)
  const violation = code && attempt && violationOfAttempt(record, view.context, attempt)
  if (violation) return { ...failed(violation), ...about, rejection: 'disallowed' }
  const command: ConnectionCommand =
    code === undefined
      ? { type: 'callback.denied', error: error ?? 'other', ...callback }
      : {
          type: 'callback.received',
          code,
          ...(refuseAccountChange && { refuseAccountChange }),
          ...callback,
        }
  const run = await record.run(
    (now) => {
      if (now === undefined) return undefined
      const attempt = attemptOf(now.context, stateHash)
      // The holder of the claim has sent the code since, and failed: every waiting callback adopts that failure.
      if (attempt !== undefined && hasFailedSince(attempt, view)) return undefined
      if (judge(now) === 'acceptable') return command
      return isUnverified(now, stateHash)
        ? { type: 'refresh.requested', generation: now.context.generation }
        : undefined
    },
    { view },
  )
  if (run.view === undefined) return unknown('noRecord')
  // Of a grant that was replaced, or of an account that is not allowed.
  if (run.consumed) revokeInBackground(record, run.view)
  const after = judge(run.view)
  if (after === 'unknown') return resultOfEnded(run.view, stateHash, about, { error, run })
  if (after !== 'acceptable') return { ...rejected(after, run.view, callback), ...about }
  // The attempt is still pending: its code was not consumed, or the outcome is unknown.
  const { claim, failure: reason } = run.view.context
  if (!claim?.outcomeUnknown) return { ...failed(reason ?? failure('TOKEN_OUTCOME_UNKNOWN'), true), ...about }
  const isRepeated = canRetryLater(run.view.context, record.claimEndsAt(run.view) ?? 0)
  // A connection that was lost, or a response that was late, does not show whether the server redeemed the code.
  const isLost = reason === undefined || isTransient(reason)
  return { ...failed(isLost ? failure('TOKEN_OUTCOME_UNKNOWN', reason?.details) : reason, isRepeated), ...about }
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

function endedAttempt(context: ConnectionContext, stateHash: string): EndedAttempt | undefined {
  return context.endedAttempts.find((attempt) => attempt.stateHash === stateHash)
}

/** Whether the tokens of this attempt came late, so that only a refresh shows whether the sign-in succeeded. */
function isUnverified({ context }: View, stateHash: string): boolean {
  return endedAttempt(context, stateHash)?.outcome === 'authorized' && tokensOf(context)?.unverified === true
}

/**
 * The result for a `state` without a pending attempt: the outcome of the ended attempt, if it is recorded.
 *
 * @param callback.error The error that the callback contains.
 * @param callback.run What was done for this callback; `undefined`: nothing.
 */
function resultOfEnded(
  view: View,
  stateHash: string,
  about: About,
  { error, run }: { error: string | undefined; run?: ConnectionRun },
): Outcome {
  const { context } = view
  const outcome = endedAttempt(context, stateHash)?.outcome
  if (outcome === undefined)
    // Records of ended attempts were dropped: this may have been one of them.
    return context.historyTruncatedAt === undefined
      ? unknown('noAttempt')
      : { status: 'superseded', actions: [], rejection: 'attemptEnded' }
  const isOwn = run !== undefined && (run.accepted || run.consumed)
  const nothingDone = isOwn ? {} : { rejection: 'attemptEnded' as const }
  if (outcome === 'authorized' || outcome === 'alreadyAuthorized') {
    if (isUnverified(view, stateHash))
      return { ...failed(context.failedRenewal?.failure ?? failure('TOKEN_OUTCOME_UNKNOWN'), true), ...about }
    const status = outcome === 'authorized' && run?.consumed ? outcome : 'alreadyAuthorized'
    if (isAuthorized(context, view.at())) return { status, ...about, actions: run?.actions ?? [] }
    // Signed in then, and signed out or lapsed since.
    return tokensOf(context) === undefined && !context.reauthorizationRequired
      ? { status: 'superseded', ...about, actions: [], ...nothingDone }
      : { ...failed(whyLapsed(context)), ...about, ...nothingDone }
  }
  if (outcome === 'failed') return { ...failed(whyNotRedeemed(context, stateHash)), ...about, ...nothingDone }
  const denied = isOwn || error === undefined ? context.failure : failureOfResponse(error)
  return {
    status: outcome,
    ...about,
    actions: [],
    ...(outcome === 'denied' && { failure: denied }),
    ...nothingDone,
  }
}

/** Why the code of an attempt was not redeemed. An earlier release did not record that for each attempt. */
function whyNotRedeemed(context: ConnectionContext, stateHash: string): Failure {
  const { failure: own } = endedAttempt(context, stateHash) ?? attemptOf(context, stateHash) ?? {}
  return own ?? context.failure ?? failure('EXCHANGE_REJECTED')
}

/** Why the user of a connection that was signed in has to sign in again. */
function whyLapsed({ failure: last, failedRenewal }: ConnectionContext): Failure {
  const reason = last ?? failedRenewal?.failure
  return reason !== undefined && nextActionFor(reason) === 'authorize' ? reason : authorizationRequired(reason)
}

/** The result for a callback that failed a check. */
function rejected(
  verdict: 'expired' | 'bindingMismatch' | 'issuerMismatch' | 'otherRedirectUri',
  { context }: View,
  { stateHash, iss }: Callback,
): Rejected {
  if (verdict === 'expired')
    return attemptOf(context, stateHash)?.code === undefined
      ? { status: 'expired', actions: [], rejection: verdict }
      : { ...failed(whyNotRedeemed(context, stateHash)), rejection: 'attemptEnded' }
  if (verdict === 'bindingMismatch') return { ...failed(failure('CALLBACK_BINDING_MISMATCH')), rejection: verdict }
  const server = assertDefined(serverOf(context, attemptOf(context, stateHash)?.serverId), 'a server')
  const expected = redactUrl(server.announcedIssuer ?? server.issuer)
  if (verdict === 'otherRedirectUri')
    return {
      ...failed(failure('CALLBACK_ISSUER_MISMATCH', { expected, reason: verdict })),
      rejection: verdict,
    }
  const details = iss === undefined ? { expected, reason: 'issNotSent' } : { expected, received: redactUrl(iss) }
  return {
    ...failed(failure('CALLBACK_ISSUER_MISMATCH', details)),
    rejection: iss === undefined ? 'issNotSent' : verdict,
  }
}
