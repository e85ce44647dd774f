import { accountOf } from '../../machines/connection/selectors.ts'
import type { DurableContext } from '../durable/chart.ts'
import type { Failure } from '../errors/failure.ts'
import type { ConnectionContext, JournalEntry } from '../schemas/connection-context.ts'
import type { ConnectionIdentity } from '../schemas/credentials.ts'
import { invalidArgument } from '../schemas/parse-options.ts'

/** What an orchestrator tells its listeners. Never holds a secret. */
export interface OrchestratorEvents {
  /** A connection moved from one place to another. */
  transition: { connection: ConnectionIdentity; at: number; from: string; to: string; reason: string }
  /** Only its user can sign it in now. */
  authorizationRequired: { connection: ConnectionIdentity; at: number }
  /** Tokens were stored that a sign-in, or a grant without a user, brought. */
  authorized: { connection: ConnectionIdentity; at: number; generation: number }
  /** Tokens were stored that a refresh brought. */
  refreshed: { connection: ConnectionIdentity; at: number; generation: number }
  /** Something could not be done; `failure` says what. */
  failed: { connection: ConnectionIdentity; at: number; failure: Failure }
  /** The tokens were revoked and forgotten. */
  disconnected: { connection: ConnectionIdentity; at: number }
  /** Tokens of another account than before were stored. */
  accountChanged: { connection: ConnectionIdentity; at: number }
}

type Listener<Name extends keyof OrchestratorEvents> = (event: OrchestratorEvents[Name]) => void

/** Typed listeners. One that throws does not keep the others from being told. */
export class Emitter {
  readonly #listeners: { readonly [Name in keyof OrchestratorEvents]: Set<Listener<Name>> } = {
    transition: new Set(),
    authorizationRequired: new Set(),
    authorized: new Set(),
    refreshed: new Set(),
    failed: new Set(),
    disconnected: new Set(),
    accountChanged: new Set(),
  }

  on<Name extends keyof OrchestratorEvents>(name: Name, listener: Listener<Name>): () => void {
    const listeners: Set<Listener<Name>> | undefined = Object.hasOwn(this.#listeners, name)
      ? this.#listeners[name]
      : undefined
    if (listeners === undefined) throw invalidArgument('on()', 'knows no such event')
    if (typeof listener !== 'function')
      throw invalidArgument('on()', 'needs a function that listens', 'ERR_INVALID_ARG_TYPE')
    listeners.add(listener)
    return () => {
      listeners.delete(listener)
    }
  }

  emit<Name extends keyof OrchestratorEvents>(name: Name, event: OrchestratorEvents[Name]): void {
    const listeners: Set<Listener<Name>> = this.#listeners[name]
    for (const listener of listeners) {
      try {
        listener(event)
      } catch (error) {
        queueMicrotask(() => {
          throw error
        })
      }
    }
  }
}

/** What the answer of a port means for listeners, by the reason that the journal gives. */
const NEW_TOKENS: ReadonlyMap<string, 'authorized' | 'refreshed'> = new Map([
  ['exchangeCode.done', 'authorized'],
  ['requestToken.done', 'authorized'],
  ['refreshTokens.done', 'refreshed'],
])

/**
 * What a result that came late means: it replaced tokens, or signed in. What a refresh has to prove yet is told by
 * that.
 */
function lateNews(
  { tokens }: ConnectionContext,
  before: DurableContext | undefined,
): 'authorized' | 'refreshed' | undefined {
  if (tokens === undefined || tokens.unverified) return undefined
  return before !== undefined && isConnection(before) && before.tokens !== undefined ? 'refreshed' : 'authorized'
}

const isConnection = (context: DurableContext): context is ConnectionContext => 'identity' in context

/**
 * Tells listeners what a save of a connection's record means for them.
 *
 * @internal
 */
export function connectionEventPublisher(
  listeners: Emitter,
): (context: DurableContext, entries: readonly JournalEntry[], before: DurableContext | undefined) => void {
  return (context, entries, before) => {
    if (!isConnection(context)) return
    const { identity: connection, generation, failure, at: savedAt } = context
    const account = before !== undefined && isConnection(before) ? accountOf(before) : undefined
    const now = accountOf(context)
    const hasChanged = account?.issuer === now?.issuer && account?.subject !== now?.subject
    if (hasChanged) listeners.emit('accountChanged', { connection, at: savedAt })
    for (const { at, from, to, reason } of entries) {
      listeners.emit('transition', { connection, at, from, to, reason })
      if (to === 'reauthorizationRequired') listeners.emit('authorizationRequired', { connection, at })
      const news =
        NEW_TOKENS.get(reason) ??
        (to === 'authorized' && reason === 'result.late' ? lateNews(context, before) : undefined)
      if (news !== undefined) listeners.emit(news, { connection, at, generation })
      const isFailure = reason === failure?.code || reason === 'callback.denied'
      if (failure !== undefined && isFailure) listeners.emit('failed', { connection, at, failure })
      const isParting = from === 'disconnecting' || reason === 'disconnect.requested'
      if (to === 'disconnected' && isParting) listeners.emit('disconnected', { connection, at })
    }
  }
}
