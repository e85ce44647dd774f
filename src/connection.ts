import type { ConnectionCommand, RequestedAuthorization } from '../machines/connection-events.ts'
import { isRenewable, isUsable, restingPlace } from '../machines/resting-place.ts'
import { AuthorizationError } from './errors/authorization-error.ts'
import { nextActionFor } from './errors/describe-failure.ts'
import { failure, type Failure, type NextAction } from './errors/failure.ts'
import { invalidArgument } from './errors/invalid-argument.ts'
import { actionsBetween, type HostAction } from './host-actions.ts'
import { detachable, type Kernel, runConnection, type View } from './kernel.ts'
import {
  AccessTokenOptionsSchema,
  type AccessTokenOptions,
  AuthorizeOptionsSchema,
  type AuthorizeOptions,
  AwaitOptionsSchema,
  type AwaitOptions,
  ImportOptionsSchema,
  type ImportOptions,
  type Policy,
} from './options.ts'
import { type BearerChallenge, bearerChallenge } from './protocol/www-authenticate.ts'
import { coversScope, unionScopes } from './protocol/scopes.ts'
import { fetchWithToken } from './fetch-with-token.ts'
import type { ClientInformation, ConnectionContext, ConnectionIdentity, JournalEntry } from './schemas/connection-context.ts'
import { parseOptions } from './stores/parse-options.ts'
import { hashBinding } from './stores/record-keys.ts'
import type { AccessToken } from './token-cache.ts'
import {
  type ConnectionState,
  isAuthorized,
  isFresh,
  keptAttempt,
  marginMs,
  nextWakeAt,
  stateOf,
  tokensOf,
} from './token-state.ts'

/** What `authorize()` comes to. `actions` hold secrets. */
export type AuthorizeResult =
  | { status: 'authorized'; actions: HostAction[] }
  | {
      status: 'redirect'
      /** Secret: send the user there and nobody else. */
      authorizationUrl: string
      /** Secret. */
      state: string
      /** Until when the user may come back; epoch milliseconds. */
      expiresAt: number
      actions: HostAction[]
    }

/** What an operator reads. Nothing in it is secret. */
export interface ConnectionStatus {
  state: ConnectionState
  /** Whether a token can be had without the user. */
  authorized: boolean
  scope: string | undefined
  expiresAt: number | undefined
  /** When `wake()` has something to do; `undefined`: nothing is due by itself. */
  nextWakeAt: number | undefined
  failure: Failure | undefined
  nextAction: NextAction
  /** The last transitions, oldest first. */
  journal: readonly JournalEntry[]
}

/** One tenant, perhaps one user, and one MCP server: a handle on its record. Holds nothing itself. */
export class Connection {
  readonly identity: ConnectionIdentity
  readonly #kernel: Kernel
  readonly #key: string
  readonly #inFlight: Map<string, Promise<unknown>>

  /** @internal */
  constructor(kernel: Kernel, identity: ConnectionIdentity, key: string, inFlight: Map<string, Promise<unknown>>) {
    this.#kernel = kernel
    this.identity = identity
    this.#key = key
    this.#inFlight = inFlight
  }

  /**
   * Gets the connection signed in: by what is stored, by a refresh, by a grant without a user, or by sending the user away.
   *
   * @param options.scope Space-separated.
   * @param options.challenge The `WWW-Authenticate` header of a 401 (a refresh is tried first) or 403.
   * @param options.binding A value of the user's browser session that the callback must bring back.
   * @param options.force Sign in again although tokens are there.
   * @throws {@link AuthorizationError} with the code of whatever could not be done.
   * @throws `TypeError` for options of the wrong shape.
   */
  async authorize(options: AuthorizeOptions = {}): Promise<AuthorizeResult> {
    this.#kernel.assertOpen()
    const { signal, ...wishes } = parseOptions(AuthorizeOptionsSchema, options, 'authorize()')
    const policy = this.#policy()
    this.#checkWishes(wishes, policy)
    const result = this.#joined(`authorize ${JSON.stringify(wishes)}`, () => this.#authorize(wishes, policy))
    return await detachable(result, signal)
  }

  /**
   * A token to send to this server. Refreshes early, once for the whole fleet; never starts an authorization.
   *
   * @param options.minTtlMs How long it must still live. @defaultValue `policy.minTokenTtlMs`
   * @param options.refused The token that a server answered 401 to: it is refreshed only if it is still the stored one.
   * @throws {@link AuthorizationError} `AUTHORIZATION_REQUIRED` when the user is needed; `HTTP_*`, `RATE_LIMITED`, `TOKEN_OUTCOME_UNKNOWN`, `STORE_UNAVAILABLE` when
   *   it may work later.
   */
  async accessToken(options: AccessTokenOptions = {}): Promise<AccessToken> {
    this.#kernel.assertOpen()
    const { signal, minTtlMs, refused } = parseOptions(AccessTokenOptionsSchema, options, 'accessToken()')
    const cached = this.#kernel.cache.get(this.#key, minTtlMs)
    if (cached !== undefined && cached.value !== refused) return cached
    return await detachable(this.#accessToken(minTtlMs, refused), signal)
  }

  /**
   * `fetch` with the token of this connection, which goes to its server's origin only. A 401 is answered with one refresh and
   * one repeat, if the body can be sent again.
   *
   * @throws {@link AuthorizationError} as {@link Connection.accessToken}, with the server's `challenge`.
   * @throws `TypeError` for another origin.
   */
  readonly fetch = async (input: string | URL | Request, init?: RequestInit): Promise<Response> => {
    this.#kernel.assertOpen()
    return await fetchWithToken(this, this.#kernel.transport, input, init)
  }

  /** What is stored, in one load. Starts nothing. */
  async status(): Promise<ConnectionStatus> {
    const view = await this.#load()
    if (view === undefined)
      return {
        state: 'disconnected',
        authorized: false,
        scope: undefined,
        expiresAt: undefined,
        nextWakeAt: undefined,
        failure: undefined,
        nextAction: 'authorize',
        journal: [],
      }
    const { context } = view
    const at = view.at()
    const tokens = tokensOf(context)
    const authorized = isAuthorized(context, at)
    const fallback: NextAction = authorized ? 'none' : 'authorize'
    return {
      state: stateOf(context, at),
      authorized,
      scope: tokens?.scope,
      expiresAt: tokens?.expiresAt,
      nextWakeAt: nextWakeAt(context, at, this.#claimEndsAt(view), this.#policy().minTokenTtlMs),
      failure: context.failure,
      nextAction: context.failure === undefined ? fallback : nextActionFor(context.failure),
      journal: context.journal,
    }
  }

  /** Does what is due by `nextWakeAt`, and nothing else: ends attempts, goes on with kept codes, finds out about abandoned claims, refreshes early. */
  async wake(): Promise<void> {
    this.#kernel.assertOpen()
    const view = await this.#load()
    if (view === undefined) return
    const dueAt = nextWakeAt(view.context, view.at(), this.#claimEndsAt(view), this.#policy().minTokenTtlMs)
    if (dueAt === undefined || dueAt > view.at()) return
    const { generation } = view.context
    await this.#run(
      (now) => {
        if (now === undefined) return undefined
        const at = now.at()
        const kept = keptAttempt(now.context, at)
        if (kept !== undefined) return { type: 'exchange.resumed', stateHash: kept.stateHash }
        const tokens = tokensOf(now.context)
        const isEarly = isFresh(tokens, at, tokens === undefined ? 0 : marginMs(tokens, this.#policy().minTokenTtlMs), undefined)
        if (isRenewable(tokens, at) && !isEarly) return { type: 'refresh.requested', generation }
        return now.context.attempts.some(({ expiresAt }) => expiresAt <= at) ? { type: 'attempt.expired' } : undefined
      },
      { view },
    )
  }

  /**
   * Resolves once a token can be had, in whichever process waits.
   *
   * @throws {@link AuthorizationError} `TIMED_OUT`, `ABORTED`, `CLOSED`.
   */
  async awaitAuthorized(options: AwaitOptions = {}): Promise<void> {
    const { timeoutMs = 300_000, signal } = parseOptions(AwaitOptionsSchema, options, 'awaitAuthorized()')
    await detachable(this.#awaitAuthorized(timeoutMs, signal), signal)
  }

  /**
   * Revokes the tokens (RFC 7009), forgets them and the attempts under way, and tells the other processes. Waits, bounded, for a claim in
   * progress and revokes what came of it.
   */
  async disconnect(): Promise<{ actions: HostAction[] }> {
    this.#kernel.assertOpen()
    const view = await this.#load()
    const { actions } = await this.#run((now) => now && { type: 'disconnect.requested' }, { view })
    this.#kernel.cache.forget(this.#key)
    return { actions }
  }

  /**
   * Takes over credentials that the host held before. Without an issuer they are bound to the first one discovered. Asks no
   * server.
   */
  async import(options: ImportOptions): Promise<{ actions: HostAction[] }> {
    this.#kernel.assertOpen()
    const { clientInformation, tokens, issuer } = parseOptions(ImportOptionsSchema, options, 'import()')
    const known = issuer ?? tokens?.issuer ?? clientInformation?.issuer
    const command: ConnectionCommand = {
      type: 'credentials.imported',
      issuer: known,
      clientInformation: clientInformation && givenClient(clientInformation, known),
      tokens: tokens && {
        accessToken: tokens.accessToken,
        tokenType: tokens.tokenType ?? 'Bearer',
        scope: tokens.scope,
        requestedScope: tokens.scope,
        expiresAt: tokens.expiresAt,
        refreshToken: tokens.refreshToken,
        grant: tokens.grant ?? 'authorization_code',
      },
    }
    const view = await this.#load()
    const { actions } = await this.#run(() => command, { view })
    this.#kernel.cache.forget(this.#key)
    return { actions }
  }

  async #authorize(wishes: Wishes, policy: Policy): Promise<AuthorizeResult> {
    const challenge = wishes.challenge === undefined ? undefined : bearerChallenge(wishes.challenge)
    const isStepUp = challenge?.error === 'insufficient_scope'
    let view = await this.#load()
    const before = view?.context
    if (view !== undefined && !wishes.force && !isStepUp) {
      view = await this.#renewed(view, challenge, policy)
      if (this.#satisfies(view, wishes, challenge, before))
        return { status: 'authorized', actions: await this.#told(before, view.context) }
    }
    const request = this.#requested(wishes, challenge, isStepUp ? view?.context : undefined, policy)
    const result = await this.#run(
      (now) =>
        now !== undefined && now !== view && !wishes.force && !isStepUp && this.#satisfies(now, wishes, challenge, before)
          ? undefined
          : { type: isStepUp ? 'challenge.insufficientScope' : 'authorization.requested', request },
      { view },
    )
    const built = result.emitted.find((told) => told.type === 'authorizationRequest.built') as
      | { authorizationUrl: string; state: string; expiresAt: number }
      | undefined
    const { actions } = result
    if (built !== undefined) {
      const { authorizationUrl, state, expiresAt } = built
      return { status: 'redirect', authorizationUrl, state, expiresAt, actions }
    }
    const { context } = result.view ?? {}
    if (context?.failure !== undefined) throw new AuthorizationError(context.failure)
    return { status: 'authorized', actions }
  }

  /** The record after everything that can be done without the user was done: a kept code, a refresh. */
  async #renewed(view: View, challenge: BearerChallenge | undefined, policy: Policy): Promise<View> {
    const tokens = tokensOf(view.context)
    const isRefused = challenge !== undefined
    if (!isRefused && isFresh(tokens, view.at(), 0, undefined)) return view
    const after = await this.#renew(view, isRefused ? tokens?.accessToken : undefined)
    const { context } = after
    const isDone = context.generation > view.context.generation || isFresh(tokensOf(context), after.at(), 0, tokens?.accessToken)
    if (!isDone && context.claim === undefined && restingPlace(context, after.at()) === 'authorized') {
      // The server could not be asked, or would not say: the user cannot help with that.
      const { failure: reason } = context
      if (reason !== undefined && reason.code !== 'REFRESH_REJECTED') throw new AuthorizationError(reason)
    }
    if (context.claim?.outcomeUnknown) throw new AuthorizationError(failure('TOKEN_OUTCOME_UNKNOWN'))
    void policy
    return after
  }

  /** Whether what is stored is what the caller wants. */
  #satisfies(
    view: View,
    { scope, grant }: Wishes,
    challenge: BearerChallenge | undefined,
    before: ConnectionContext | undefined,
  ): boolean {
    const { context } = view
    const tokens = tokensOf(context)
    if (!isUsable(tokens, view.at())) return false
    if (challenge !== undefined && context.generation === before?.generation) return false
    if (grant !== undefined && tokens.grant !== grant) return false
    return coversScope(unionScopes(tokens.scope, tokens.requestedScope), scope)
  }

  #requested(
    wishes: Wishes,
    challenge: BearerChallenge | undefined,
    stepUpFrom: ConnectionContext | undefined,
    policy: Policy,
  ): RequestedAuthorization {
    const { scope, grant, issuer, parameters, returnTo, binding, clientInformation } = wishes
    const held = stepUpFrom?.tokens
    return {
      scope: unionScopes(scope, unionScopes(held?.requestedScope, held?.scope)),
      challengeScope: challenge?.scope,
      resourceMetadataUrl: challenge?.resourceMetadataUrl,
      defaultScope: this.#kernel.options.client.scope,
      allowedGrants: policy.allowedGrants,
      allowedScopes: policy.allowedScopes,
      grant,
      issuer,
      parameters,
      returnTo,
      bindingHash: binding === undefined ? undefined : hashBinding(binding),
      clientInformation: clientInformation && givenClient(clientInformation, issuer),
      attemptTtlMs: policy.attemptTtlMs,
    }
  }

  async #accessToken(minTtlMs: number | undefined, refused: string | undefined): Promise<AccessToken> {
    const { cache } = this.#kernel
    const policy = this.#policy()
    const ticket = await cache.begin(this.#key)
    let isKept = false
    try {
      const view = await this.#load()
      const tokens = tokensOf(view?.context)
      if (view !== undefined && tokens !== undefined) {
        const at = view.at()
        const margin = minTtlMs ?? marginMs(tokens, policy.minTokenTtlMs)
        const { claim, retryAt } = view.context
        // A good token is answered at once while others renew it, or while renewing it has just failed.
        const isHeld = minTtlMs === undefined && (claim !== undefined || (retryAt ?? 0) > at)
        if (isFresh(tokens, at, isHeld ? 0 : margin, refused)) {
          isKept = true
          return this.#keep(view, ticket, policy)
        }
      }
      if (view === undefined) throw required(undefined)
      const after = await this.#renew(view, refused, minTtlMs)
      return this.#answer(view, after, refused)
    } finally {
      if (!isKept) cache.end(ticket)
    }
  }

  /** What a caller gets after its one renewal: the new token, the old one if it is still good, or why there is none. */
  #answer(before: View, after: View, refused: string | undefined): AccessToken {
    const { context } = after
    const at = after.at()
    const tokens = tokensOf(context)
    // A token that was just issued is answered even if it is said to live for no time at all.
    const isNew = context.generation > before.context.generation && tokens !== undefined && !tokens.unproven
    if (tokens !== undefined && tokens.accessToken !== refused && (isNew || isUsable(tokens, at)))
      return answered(tokens)
    if (context.claim?.outcomeUnknown) throw new AuthorizationError(failure('TOKEN_OUTCOME_UNKNOWN'))
    if (restingPlace(context, at) === 'authorized' && context.failure !== undefined && isRenewable(tokens, at))
      throw new AuthorizationError(context.failure)
    const kept = keptAttempt(context, at)
    throw kept !== undefined && context.failure !== undefined ? new AuthorizationError(context.failure) : required(context.failure)
  }

  /** Renews the tokens if they are still those of `view`; callers of the same generation share one run. */
  async #renew(view: View, refused: string | undefined, minTtlMs?: number): Promise<View> {
    const { generation } = view.context
    const { minTokenTtlMs } = this.#policy()
    const isIdle = view.context.claim === undefined && keptAttempt(view.context, view.at()) === undefined
    if (isIdle && !isRenewable(tokensOf(view.context), view.at())) return view
    return await this.#joined(`refresh ${generation} ${minTtlMs ?? ''}`, async () => {
      const result = await this.#run(
        (now) => {
          if (now === undefined) return undefined
          const at = now.at()
          const kept = keptAttempt(now.context, at)
          const tokens = tokensOf(now.context)
          const margin = tokens === undefined ? 0 : (minTtlMs ?? marginMs(tokens, minTokenTtlMs))
          if (now !== view && isFresh(tokens, at, margin, refused)) return undefined
          if (isRenewable(tokens, at)) return { type: 'refresh.requested', generation }
          return kept && { type: 'exchange.resumed', stateHash: kept.stateHash }
        },
        { view },
      )
      return result.view ?? view
    })
  }

  #keep(view: View, ticket: Parameters<Kernel['cache']['end']>[0], policy: Policy): AccessToken {
    const tokens = tokensOf(view.context)
    if (tokens === undefined) throw required(undefined)
    const token = answered(tokens)
    const ttlMs = tokens.expiresAt === undefined ? Infinity : tokens.expiresAt - view.at()
    const margin = marginMs(tokens, policy.minTokenTtlMs)
    this.#kernel.cache.end(ticket, { token, ttlMs, marginMs: margin, trustMs: policy.cacheMs })
    return token
  }

  async #awaitAuthorized(timeoutMs: number, signal: AbortSignal | undefined): Promise<void> {
    const { changes, clock } = this.#kernel
    const until = clock.monotonic() + timeoutMs
    await changes.ready()
    const watch = changes.watch(this.#key)
    try {
      for (;;) {
        this.#kernel.assertOpen()
        const view = await this.#load()
        if (view !== undefined && isAuthorized(view.context, view.at())) return
        const leftMs = until - clock.monotonic()
        if (leftMs <= 0) throw new AuthorizationError(failure('TIMED_OUT'))
        if (signal?.aborted) return
        await watch.changed(Math.min(leftMs, 1_000))
      }
    } finally {
      watch.stop()
    }
  }

  #checkWishes({ scope, grant, returnTo, challenge }: Wishes, policy: Policy): void {
    const { allowedServers, allowedScopes, allowedGrants, returnToOrigins } = policy
    const { server } = this.identity
    const refuse = (reason: string): never => {
      throw new AuthorizationError(failure('POLICY_REFUSED', { reason }))
    }
    if (allowedServers && !allowedServers.includes(server) && !allowedServers.includes(new URL(server).origin))
      refuse('allowedServers')
    if (allowedScopes && !coversScope(allowedScopes.join(' '), scope)) refuse('allowedScopes')
    if (allowedGrants && grant !== undefined && !allowedGrants.includes(grant)) refuse('allowedGrants')
    if (returnTo !== undefined && !(URL.canParse(returnTo) && returnToOrigins?.includes(new URL(returnTo).origin)))
      throw invalidArgument('authorize().returnTo', 'must lead to an origin that policy.returnToOrigins lists')
    void challenge
  }

  async #run(
    step: (view: View | undefined) => ConnectionCommand | undefined,
    known: { view: View | undefined },
  ): ReturnType<typeof runConnection> {
    return await runConnection(this.#kernel, this.#key, this.identity, step, known)
  }

  /** Callers with equal intents share one run; its result is told to all of them. */
  #joined<T>(intent: string, start: () => Promise<T>): Promise<T> {
    const name = `${this.#key} ${intent}`
    const known = this.#inFlight.get(name)
    if (known !== undefined) return known as Promise<T>
    const started = start().finally(() => this.#inFlight.delete(name))
    this.#inFlight.set(name, started)
    return started
  }

  async #told(before: ConnectionContext | undefined, after: ConnectionContext): Promise<HostAction[]> {
    const actions = actionsBetween(before, after)
    await this.#kernel.options.onActions?.(actions)
    return actions
  }

  #claimEndsAt(view: View): number | undefined {
    const { claim } = view.context
    return claim && view.at() - Math.round(view.ageMs()) + claim.leaseMs + this.#policy().graceMs
  }

  #load(): Promise<View | undefined> {
    return this.#kernel.runner.load(this.#kernel.chart, this.#key)
  }

  #policy(): Policy {
    return this.#kernel.policy(this.identity)
  }
}

type Wishes = Omit<AuthorizeOptions, 'signal'>

function required(reason: Failure | undefined): AuthorizationError {
  return new AuthorizationError(failure('AUTHORIZATION_REQUIRED', { ...reason?.details, reason: reason?.code }))
}

function answered({ accessToken, tokenType, scope, expiresAt }: NonNullable<ReturnType<typeof tokensOf>>): AccessToken {
  return { value: accessToken, type: tokenType, scope, expiresAt }
}

/** Client information that a host gave, bound to the issuer that it names, if any. */
function givenClient(
  client: NonNullable<ImportOptions['clientInformation']>,
  issuer: string | undefined,
): ClientInformation {
  const { clientId, clientSecret, clientSecretExpiresAt, tokenEndpointAuthMethod, redirectUri } = client
  return {
    issuer: client.issuer ?? issuer ?? '',
    clientId,
    clientSecret,
    clientSecretExpiresAt,
    tokenEndpointAuthMethod: tokenEndpointAuthMethod ?? (clientSecret === undefined ? 'none' : 'client_secret_basic'),
    redirectUri,
    source: 'given',
  }
}
