import { canonicalJson } from '../../machines/canonical-json.ts'
import { tokensOf } from '../../machines/connection/selectors.ts'
import type { HostAction } from '../options/host-action.ts'
import { coversScope } from '../protocol/scopes.ts'
import { bearerChallenge } from '../protocol/www-authenticate.ts'
import type { ConnectionIdentity } from '../schemas/credentials.ts'
import { parseOptions } from '../schemas/parse-options.ts'
import { accessToken } from './access-token.ts'
import { authorize, checkGrant, checkPolicy } from './authorize.ts'
import {
  type AccessTokenOptions,
  AccessTokenOptionsSchema,
  type AuthorizeOptions,
  AuthorizeOptionsSchema,
  type AuthorizeResult,
  type AwaitOptions,
  AwaitOptionsSchema,
  staticClient,
  type ImportOptions,
  ImportOptionsSchema,
} from './call-options.ts'
import { fetchWithToken } from './fetch.ts'
import { abortable, ConnectionRecord } from './record.ts'
import type { OrchestratorServices } from './services.ts'
import { awaitAuthorized, type ConnectionStatus, status, wake } from './status.ts'
import type { AccessToken, IssuedToken } from './token-cache.ts'

/** One tenant, perhaps one user, and one MCP server: a handle on its record. Holds nothing itself. */
export class Connection {
  /** Whose credentials they are, with the server's URL in its canonical form. */
  readonly identity: ConnectionIdentity
  readonly #core: ConnectionRecord

  /** @internal */
  constructor(services: OrchestratorServices, identity: ConnectionIdentity, key: string) {
    this.identity = identity
    this.#core = new ConnectionRecord(services, identity, key)
  }

  /**
   * Gets the connection signed in: by what is stored, by a refresh, by a grant without a user, or by sending the user
   * away.
   *
   * @param options.scope Space-separated.
   * @param options.challenge The `WWW-Authenticate` header of a 401 (a refresh is tried first) or 403.
   * @param options.binding A value of the user's browser session that the callback must bring back.
   * @param options.force Sign in again although tokens are there.
   * @returns `redirect` when a user must act, `authorized` when a usable token is stored.
   * @throws {@link AuthorizationError} With the code of whatever could not be done.
   * @throws `TypeError` for options of the wrong shape.
   * @see [MCP authorization](https://modelcontextprotocol.io/specification/2026-07-28/basic/authorization)
   */
  async authorize(options: AuthorizeOptions = {}): Promise<AuthorizeResult> {
    const record = this.#open()
    const { signal, ...params } = parseOptions(AuthorizeOptionsSchema, options, 'authorize()')
    checkGrant(params.grant, record.services.options)
    checkPolicy(params, this.identity.server, record.policy)
    const { authorizing } = record.services
    return await abortable(
      () => record.singleFlight(authorizing, canonicalJson(params), () => authorize(record, params)),
      signal,
    )
  }

  /**
   * A token to send to this server. Refreshes early, once for the whole fleet; never starts an authorization. One of
   * the type `DPoP` is bound to a key that stays in the record: it can be used through {@link Connection.fetch} alone.
   *
   * @param options.minTtlMs How long it must still live. @defaultValue `policy.minTokenTtlMs`
   * @param options.refused The token that a server answered 401 to: it is refreshed only if it is still the stored one.
   * @throws {@link AuthorizationError} `AUTHORIZATION_REQUIRED` when the user is needed; `HTTP_TIMEOUT`,
   *   `HTTP_NETWORK`, `RATE_LIMITED`, `TOKEN_OUTCOME_UNKNOWN`, `STORE_UNAVAILABLE` when it may work later.
   * @see [RFC 6749 §6](https://www.rfc-editor.org/rfc/rfc6749.html#section-6)
   */
  async accessToken(options: AccessTokenOptions = {}): Promise<AccessToken> {
    const { value, type, scope, expiresAt } = await this.#issuedToken(options)
    return { value, type, scope, expiresAt }
  }

  /**
   * `fetch` with the token of this connection, which goes to its server's origin only, with a proof of possession if it
   * is bound to a key. A 401 is answered with one refresh, a 403 that asks for more scope with one wider token where no
   * user is needed, and either with one repeat. `redirect: 'follow'`, the default, follows redirects for GET and HEAD
   * within that origin and returns all others; `'manual'` and `'error'` are those of the global `fetch`. A streamed
   * body is cancelled by whatever keeps it from being sent to its end. Bound, so that it can be handed on.
   *
   * @throws {@link AuthorizationError} As {@link Connection.accessToken}, with the server's `challenge`:
   *   `AUTHORIZATION_REQUIRED` where the user is needed (hand the challenge to `authorize({ challenge })`),
   *   `BODY_NOT_REPLAYABLE` where a new token is available but the body was a stream: send the request again.
   * @throws `TypeError` for another origin, and for a redirect where `redirect` is `'error'`.
   * @see [RFC 6750 §3.1](https://www.rfc-editor.org/rfc/rfc6750.html#section-3.1)
   */
  readonly fetch = async (input: string | URL | Request, init?: RequestInit): Promise<Response> => {
    // The first token rejects with CLOSED, so that the body of the request is cancelled then as well.
    const record = this.#core
    const source = {
      identity: this.identity,
      accessToken: (options: AccessTokenOptions) => this.#issuedToken(options),
      widerToken: async (rejectedToken: string, challenge: string, signal: AbortSignal) => {
        const tokens = tokensOf((await record.load())?.context)
        // Others may have met the same challenge: what they were answered by now is tried.
        const { scope } = bearerChallenge(challenge) ?? {}
        const isAnswered =
          tokens !== undefined && tokens.accessToken !== rejectedToken && coversScope(tokens.scope, scope)
        if (isAnswered) return await this.#issuedToken({ rejectedToken, signal })
        if (tokens === undefined || tokens.grant === 'authorization_code') return undefined
        await this.authorize({ challenge, signal })
        return await this.#issuedToken({ signal })
      },
    }
    return await fetchWithToken(source, record.services, input, init)
  }

  /**
   * What is stored, in one load. Starts nothing.
   *
   * @throws {@link AuthorizationError} `STORE_UNAVAILABLE`, `SNAPSHOT_UNREADABLE`, `SNAPSHOT_KEY_UNKNOWN`,
   *   `SNAPSHOT_TOO_NEW`.
   */
  async status(): Promise<ConnectionStatus> {
    return await status(this.#open())
  }

  /**
   * Does what is due by `nextWakeAt`, and nothing else: finds out about abandoned claims, goes on with kept codes,
   * refreshes early, ends attempts.
   */
  async wake(): Promise<void> {
    await wake(this.#open())
  }

  /**
   * Resolves once a token can be had without the user, in whichever process waits.
   *
   * @param options.timeoutMs @defaultValue 300_000
   * @throws {@link AuthorizationError} `TIMED_OUT`, `ABORTED`, `CLOSED`, `STORE_UNAVAILABLE`.
   */
  async awaitAuthorized(options: AwaitOptions = {}): Promise<void> {
    const record = this.#open()
    const { timeoutMs = 300_000, signal } = parseOptions(AwaitOptionsSchema, options, 'awaitAuthorized()')
    await awaitAuthorized(record, { timeoutMs, signal })
  }

  /**
   * Revokes the tokens, forgets them and the attempts under way, and tells the other processes. Waits, bounded, for a
   * claim in progress and revokes what came of it.
   *
   * @throws {@link AuthorizationError} `STORE_UNAVAILABLE`, `TIMED_OUT`. A server that does not answer is no error
   *   here.
   * @see [RFC 7009](https://www.rfc-editor.org/rfc/rfc7009.html)
   */
  async disconnect(): Promise<{ actions: HostAction[] }> {
    const record = this.#open()
    const view = await record.load()
    const { actions } = await record.run((now) => now && { type: 'disconnect.requested' }, { view })
    record.services.cache.forget(record.key)
    return { actions }
  }

  /**
   * Takes over credentials that the host held before. Without an issuer they are bound to the first one discovered.
   * Asks no server.
   *
   * @throws {@link AuthorizationError} `STORE_UNAVAILABLE`.
   */
  async import(options: ImportOptions): Promise<{ actions: HostAction[] }> {
    const record = this.#open()
    const { clientInformation, tokens, issuer } = parseOptions(ImportOptionsSchema, options, 'import()')
    const loaded = issuer ?? tokens?.issuer ?? clientInformation?.issuer
    const view = await record.load()
    const { actions } = await record.run(
      () => ({
        type: 'credentials.imported',
        issuer: loaded,
        clientInformation: clientInformation && staticClient(clientInformation, loaded),
        tokens: tokens && {
          accessToken: tokens.accessToken,
          tokenType: tokens.tokenType ?? 'Bearer',
          scope: tokens.scope,
          requestedScope: tokens.scope,
          expiresAt: tokens.expiresAt,
          refreshToken: tokens.refreshToken,
          grant: tokens.grant ?? 'authorization_code',
        },
      }),
      { view },
    )
    record.services.cache.forget(record.key)
    return { actions }
  }

  async #issuedToken(options: AccessTokenOptions): Promise<IssuedToken> {
    const record = this.#open()
    const { signal, ...params } = parseOptions(AccessTokenOptionsSchema, options, 'accessToken()')
    const cached = record.services.cache.get(record.key, params.minTtlMs)
    if (cached !== undefined && cached.value !== params.rejectedToken) {
      const isOverdue = record.services.undeliveredActions.get(record.key) !== undefined
      if (isOverdue) await abortable(() => record.redeliverActions(), signal)
      return cached
    }
    return await abortable(() => accessToken(record, params), signal)
  }

  #open(): ConnectionRecord {
    this.#core.services.assertOpen()
    return this.#core
  }
}
