import { canonicalJson } from '../../machines/canonical-json.ts'
import { lastIssuer } from '../../machines/connection/issuers.ts'
import { accountOf } from '../../machines/connection/selectors.ts'
import type { DurableContext, RunnerOptions } from '../durable/chart.ts'
import { isTransient, type Failure } from '../errors/failure.ts'
import { warnOnFailure } from '../errors/warn-on-failure.ts'
import type { ConnectionContext, JournalEntry, RestingState } from '../schemas/connection-context.ts'
import type { ConnectionIdentity } from '../schemas/credentials.ts'
import { sameIssuer } from '../protocol/same-issuer.ts'
import { invalidArgument } from '../schemas/parse-options.ts'
import { decidedBetween, isDisconnectPending, type RevocationResult } from './revocation-result.ts'

/**
 * Why a callback was rejected before it changed anything.
 *
 * - `noState`: it has no `state`. `foreignState`: its `state` was not created by this library.
 * - `noRecord`: the store has no record for its `state`. `noAttempt`: the record has no such attempt.
 * - `expired`: the attempt is older than `policy.attemptTtlMs`. `attemptEnded`: it was superseded, denied, failed or
 *   expired before.
 * - `notAUrl`, `tooLong`, `repeatedParameter`, `noCode`, `codeAndError`: it is not a valid authorization response.
 * - `bindingMismatch`: it came from another browser. `issuerMismatch`, `issNotSent`: its `iss` is that of another
 *   authorization server, or is missing (RFC 9207 §2.4). `otherRedirectUri`: it came to a path that does not name the
 *   issuer of its attempt (`{issuer}` in `client.redirectUri`).
 * - `disallowed`: the policy does not allow the server, the issuer, the grant or the scope of its attempt any more.
 * - `recordUnreadable`: the record does not open, for example because it was encrypted with another key.
 */
export type CallbackRejection =
  | 'noState'
  | 'foreignState'
  | 'noRecord'
  | 'noAttempt'
  | 'expired'
  | 'attemptEnded'
  | 'notAUrl'
  | 'tooLong'
  | 'repeatedParameter'
  | 'noCode'
  | 'codeAndError'
  | 'bindingMismatch'
  | 'issuerMismatch'
  | 'issNotSent'
  | 'otherRedirectUri'
  | 'disallowed'
  | 'recordUnreadable'

/** The events of an orchestrator. They never contain secrets. `at` is epoch milliseconds by the clock of this process. */
export interface OrchestratorEvents {
  /** A connection changed its state. */
  transition: { connection: ConnectionIdentity; at: number; from: string; to: string; reason: string }
  /**
   * `authorize()` is needed again, and the user if the grant needs one: tokens that were usable are lost, or a sign-in
   * ended without new ones. Emitted with the change of the record, in the process that stored it. Time alone changes no
   * record: tokens that expire and cannot be renewed are reported by `status()` and by the errors of calls, and by this
   * event at the next change.
   */
  authorizationRequired: { connection: ConnectionIdentity; at: number }
  /** Tokens of a sign-in or of a non-interactive grant were stored. */
  authorized: { connection: ConnectionIdentity; at: number; generation: number }
  /** Tokens of a refresh were stored. */
  refreshed: { connection: ConnectionIdentity; at: number; generation: number }
  /**
   * An operation failed; `failure` is the reason. What a later call finds again without a response of a server, such as
   * a client that is not configured, is emitted once.
   */
  failed: { connection: ConnectionIdentity; at: number; failure: Failure }
  /**
   * The connection was disconnected. Emitted at once, before its tokens are revoked: `revoked` is then `pending`, or
   * what is decided without a request. After `pending` it is emitted once more, when it is decided what became of the
   * tokens, also beside a new sign-in. While it is `pending`, another `disconnect()` that finds no tokens emits
   * nothing.
   */
  disconnected: { connection: ConnectionIdentity; revoked: RevocationResult; at: number }
  /**
   * Tokens were stored that are not certain to be of the same account as before: a new sign-in named another one, or
   * none, or was at another issuer. Not emitted by `import()`.
   */
  accountChanged: { connection: ConnectionIdentity; at: number }
  /** Tokens of another issuer than the tokens before were stored. */
  issuerChanged: { connection: ConnectionIdentity; from: string; to: string; at: number }
  /**
   * A callback was rejected before it changed anything: `status` is that of its result. Anybody can send such
   * callbacks.
   */
  callbackRejected: {
    status: 'denied' | 'expired' | 'superseded' | 'unknown' | 'failed'
    reason: CallbackRejection
    at: number
  }
}

type Listener<Name extends keyof OrchestratorEvents> = (event: OrchestratorEvents[Name]) => void

/** Typed event emitter. A listener that throws or rejects becomes a process warning and does not affect the others. */
export class Emitter {
  readonly #listeners: { readonly [Name in keyof OrchestratorEvents]: Set<Listener<Name>> } = {
    transition: new Set(),
    authorizationRequired: new Set(),
    authorized: new Set(),
    refreshed: new Set(),
    failed: new Set(),
    disconnected: new Set(),
    accountChanged: new Set(),
    issuerChanged: new Set(),
    callbackRejected: new Set(),
  }

  on<Name extends keyof OrchestratorEvents>(name: Name, listener: Listener<Name>): () => void {
    const listeners: Set<Listener<Name>> | undefined = Object.hasOwn(this.#listeners, name)
      ? this.#listeners[name]
      : undefined
    if (listeners === undefined) throw invalidArgument('on()', 'does not support this event')
    if (typeof listener !== 'function')
      throw invalidArgument('on()', 'requires a function as its listener', 'ERR_INVALID_ARG_TYPE')
    listeners.add(listener)
    return () => {
      listeners.delete(listener)
    }
  }

  emit<Name extends keyof OrchestratorEvents>(name: Name, event: OrchestratorEvents[Name]): void {
    const listeners: Set<Listener<Name>> = this.#listeners[name]
    for (const listener of listeners)
      void warnOnFailure('AUTHCHART_CALLBACK_FAILED', `a listener of '${name}'`, () => listener(event))
  }
}

/** The event for new tokens, by the reason of the journal entry. */
const TOKEN_EVENTS: ReadonlyMap<string, 'authorized' | 'refreshed'> = new Map([
  ['exchangeCode.done', 'authorized'],
  ['requestToken.done', 'authorized'],
  ['refreshTokens.done', 'refreshed'],
])

/**
 * The event for a late result: `refreshed` if it replaced tokens, otherwise `authorized`. Unverified tokens are
 * reported by the refresh that verifies them.
 */
function lateTokenEvent(
  { tokens }: ConnectionContext,
  before: DurableContext | undefined,
): 'authorized' | 'refreshed' | undefined {
  if (tokens === undefined || tokens.unverified) return undefined
  return before !== undefined && isConnection(before) && before.tokens !== undefined ? 'refreshed' : 'authorized'
}

const RESTING_STATES: ReadonlySet<string> = new Set<RestingState>([
  'disconnected',
  'awaitingCallback',
  'authorized',
  'reauthorizationRequired',
  'failed',
])

const isConnection = (context: DurableContext): context is ConnectionContext => 'identity' in context

/** The resting state before a transition: an operation that changes nothing must not be reported again. */
function stateBefore({ journal }: ConnectionContext, entry: JournalEntry): string | undefined {
  return journal.slice(0, journal.indexOf(entry)).findLast(({ to }) => RESTING_STATES.has(to))?.to
}

/**
 * Whether a transition leaves a connection whose user must sign in again: also where an earlier sign-in is pending,
 * which the user may never finish; but not if this transition began it.
 */
function asksForSignIn(context: ConnectionContext, entry: JournalEntry): boolean {
  const { to, reason } = entry
  const before = stateBefore(context, entry)
  if (to === 'awaitingCallback') return before === 'authorized' && reason !== 'buildAuthorizationRequest.done'
  return to === 'reauthorizationRequired' && before !== to
}

/**
 * Whether an operation failed: the failure is another one than before, or a transition has its code as the reason, so
 * that the same failure happened again, or a callback was denied.
 */
function hasFailed(
  { failure }: ConnectionContext,
  entries: readonly JournalEntry[],
  before: ConnectionContext | undefined,
): boolean {
  // A stored failure may have its members in another order.
  if (canonicalJson(failure) !== canonicalJson(before?.failure)) return true
  // Without a response of a server, what does not pass by itself was found again, and did not happen again.
  const mayRecur = failure !== undefined && (failure.details?.status !== undefined || isTransient(failure))
  // The failure of a retired client is that of the operation before.
  return entries.some(
    ({ reason, from }) => (mayRecur && reason === failure.code && from !== 'retiring') || reason === 'callback.denied',
  )
}

/**
 * Emits the events of each saved change of a connection's record.
 *
 * @internal
 */
export function connectionEventPublisher(emitter: Emitter): RunnerOptions['onTransitions'] {
  return ({ context, toLocal }, entries, before) => {
    if (!isConnection(context)) return
    const { identity: connection, generation, failure } = context
    const earlier = before !== undefined && isConnection(before) ? before : undefined
    const account = earlier && accountOf(earlier)
    const now = accountOf(context)
    const isImport = entries.some(({ reason }) => reason === 'credentials.imported')
    const isStored = context.tokens !== undefined && generation !== earlier?.generation && !isImport
    const isSame = now?.subject === account?.subject && sameIssuer(now?.issuer ?? '', account?.issuer ?? '')
    if (account !== undefined && isStored && !isSame)
      emitter.emit('accountChanged', { connection, at: toLocal(context.at) })
    const [oldIssuer, issuer] = [earlier && lastIssuer(earlier), lastIssuer(context)]
    if (oldIssuer !== undefined && issuer !== undefined && !sameIssuer(oldIssuer, issuer))
      emitter.emit('issuerChanged', { connection, from: oldIssuer, to: issuer, at: toLocal(context.at) })
    for (const entry of entries) {
      const { from, to, reason } = entry
      const at = toLocal(entry.at)
      emitter.emit('transition', { connection, at, from, to, reason })
      if (asksForSignIn(context, entry)) emitter.emit('authorizationRequired', { connection, at })
      const tokenEvent =
        TOKEN_EVENTS.get(reason) ??
        (to === 'authorized' && reason === 'result.late' ? lateTokenEvent(context, before) : undefined)
      if (tokenEvent !== undefined) emitter.emit(tokenEvent, { connection, at, generation })
      const hadNothing = reason === 'disconnect.requested' && to === 'disconnected' && earlier?.tokens === undefined
      // What becomes of the tokens of an earlier disconnect is announced when it is decided.
      if (hadNothing && !isDisconnectPending(context))
        emitter.emit('disconnected', { connection, revoked: 'nothing', at })
    }
    if (failure !== undefined && hasFailed(context, entries, earlier))
      emitter.emit('failed', { connection, at: toLocal(context.at), failure })
    for (const revoked of decidedBetween(earlier, context))
      emitter.emit('disconnected', { connection, revoked, at: toLocal(context.at) })
  }
}
