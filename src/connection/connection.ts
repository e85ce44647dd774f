import { canonicalJson } from '../../machines/canonical-json.ts'
import { revocationOf, tokensOf } from '../../machines/connection/selectors.ts'
import { randomId } from '../clock.ts'
import { isAuthorizationError } from '../errors/authorization-error.ts'
import type { HostAction } from '../options/host-action.ts'
import { policyViolation } from '../options/policy.ts'
import { coversScope } from '../protocol/scopes.ts'
import { type BearerChallenge, bearerChallenge } from '../protocol/www-authenticate.ts'
import type { ConnectionIdentity } from '../schemas/credentials.ts'
import { parseOptions } from '../schemas/parse-options.ts'
import {
  accessToken,
  failureOfRejectedToken,
  replacementForHost,
  type RequestToken,
  tokenForRequest,
} from './access-token.ts'
import { authorize, checkGrant, checkPolicy } from './authorize.ts'
import {
  type AccessTokenOptions,
  AccessTokenOptionsSchema,
  type AuthorizeOptions,
  AuthorizeOptionsSchema,
  type AuthorizeResult,
  type AwaitOptions,
  AwaitOptionsSchema,
  checkCredentials,
  type DisconnectOptions,
  DisconnectOptionsSchema,
  type ImportOptions,
  ImportOptionsSchema,
} from './call-options.ts'
import { fetchWithToken } from './fetch.ts'
import { importCredentials } from './import-credentials.ts'
import { REVOCATION_ID_BYTES } from './limits.ts'
import { abortable, ConnectionRecord } from './record.ts'
import type { OrchestratorServices, View } from './services.ts'
import { type RevocationResult, revocationResult } from './revocation-result.ts'
import { receiveChallenge, servedWithoutToken, tokenAccepted } from './received-challenge.ts'
import { awaitAuthorized, type ConnectionStatus, status, wake } from './status.ts'
import type { AccessToken, IssuedToken } from './token-cache.ts'

/** The connection of one tenant, optionally one user, to one MCP server: a stateless handle on its record. */
export class Connection {
  /** Tenant, user, server and label, with the server's URL in its canonical form. */
  readonly identity: ConnectionIdentity
  readonly #record: ConnectionRecord

  /** @internal */
  constructor(services: OrchestratorServices, identity: ConnectionIdentity, key: string) {
    this.identity = identity
    this.#record = new ConnectionRecord(services, identity, key)
  }

  /**
   * Authorizes the connection: by its stored tokens, by a refresh, by a non-interactive grant, or by an authorization
   * request for the user.
   *
   * @param options.scope Space-separated.
   * @param options.challenge The `WWW-Authenticate` header of a 401 (a refresh is tried first) or 403. Without it the
   *   last one counts that this connection received; without that, the server is asked once, without a token.
   * @param options.binding A value of the user's browser session that `completeCallback` must be called with.
   * @param options.force Starts a new authorization although tokens are stored, whatever scope they have.
   * @returns `redirect` when a user must act, `authorized` when a usable token is stored, `notRequired` when the server
   *   responds without a token and publishes no authorization metadata.
   * @throws {@link AuthorizationError} With the code of the step that failed.
   * @throws `TypeError` for invalid options.
   * @see [MCP authorization](https://modelcontextprotocol.io/specification/2026-07-28/basic/authorization)
   */
  async authorize(options: AuthorizeOptions = {}): Promise<AuthorizeResult> {
    const record = this.#open()
    const { signal, ...params } = parseOptions(AuthorizeOptionsSchema, options, 'authorize()')
    checkGrant(params.grant, record.services.options)
    checkCredentials('authorize()', record.services.options, params)
    checkPolicy(record, params)
    const { authorizing } = record.services
    return await abortable(
      () => record.singleFlight(authorizing, canonicalJson(params), () => authorize(record, params)),
      signal,
    )
  }

  /**
   * Returns an access token for this server. Refreshes it early, once for all processes; never starts an authorization.
   * A token of the type `DPoP` is bound to a key that never leaves the record: it can only be used through
   * {@link Connection.fetch}.
   *
   * @param options.minTtlMs Minimum remaining lifetime, in milliseconds; a token that cannot have it is refreshed after
   *   a quarter of its lifetime. @defaultValue `policy.minTokenTtlMs`
   * @param options.rejectedToken The token that a server responded to with 401: it is refreshed only if it is still the
   *   stored one. If it cannot be refreshed, or its predecessors were rejected again and again within a minute, the
   *   rejection is recorded.
   * @throws {@link AuthorizationError} `AUTHORIZATION_REQUIRED` if `authorize()` is needed; `AUTHORIZATION_NOT_OFFERED`
   *   if the server requires no authorization; `CLIENT_REJECTED` if the authorization server rejected the configured
   *   client; `EXCHANGE_REJECTED`, `TOKEN_RESPONSE_INVALID` if it rejected a non-interactive grant, or if its response
   *   is not valid; `CLIENT_INFORMATION_REQUIRED`, `CLIENT_AUTH_UNSUPPORTED`, `GRANT_UNSUPPORTED`, `POLICY_REFUSED`,
   *   `INSECURE_ENDPOINT`, `ADDRESS_FORBIDDEN` if no renewal can be sent; `HTTP_TIMEOUT`, `HTTP_NETWORK`,
   *   `SERVER_UNAVAILABLE`, `RATE_LIMITED`, `RESOURCE_METADATA_UNAVAILABLE`, `SERVER_METADATA_UNAVAILABLE`,
   *   `TOKEN_OUTCOME_UNKNOWN`, `REFRESH_REJECTED` (the DPoP proof was rejected), `STORE_UNAVAILABLE`, `TIMED_OUT` if a
   *   later call may succeed.
   * @see [RFC 6749 §6](https://www.rfc-editor.org/rfc/rfc6749.html#section-6)
   */
  async accessToken(options: AccessTokenOptions = {}): Promise<AccessToken> {
    const { value, type, scope, expiresAt } = await this.#issuedToken(options, replacementForHost)
    return { value, type, scope, expiresAt }
  }

  /**
   * `fetch` with the access token of this connection, to its server's origin only, with a DPoP proof if the token is
   * bound. A connection that never had tokens sends the request without one, so that servers which require no
   * authorization work; every response but a 401, and a 403 that requires scope, is then returned. After a 401, or a
   * 400 or 403 with `invalid_token`, the token is refreshed once, after a 401 or 403 with `insufficient_scope`, or a
   * 403 with scopes that were not granted, a token of wider scope is obtained once if that needs no user interaction,
   * and the request is repeated. `redirect: 'follow'`, the default, follows redirects for GET and HEAD within that
   * origin and returns all others; `'manual'` and `'error'` behave as in the global `fetch`. A streamed body is
   * cancelled if it cannot be sent completely. Bound, so that it can be passed as a function.
   *
   * @throws {@link AuthorizationError} As {@link Connection.accessToken}, with the server's `challenge`:
   *   `AUTHORIZATION_REQUIRED` if `authorize()` is needed (pass the challenge to `authorize({ challenge })`),
   *   `BODY_NOT_REPLAYABLE` if a new token is available but the body was a stream: send the request again;
   *   `INSUFFICIENT_SCOPE`, `STEP_UP_EXHAUSTED` if a grant that needs no user obtains no wider scope,
   *   `SERVER_UNAVAILABLE`, reason `dpopProof`, if the server rejects the DPoP proof: check the clock of this machine.
   * @throws `TypeError` for another origin, for a redirect if `redirect` is `'error'`, and for a header that HTTP
   *   clients set themselves, such as `transfer-encoding`.
   * @see [RFC 6750 §3.1](https://www.rfc-editor.org/rfc/rfc6750.html#section-3.1)
   */
  readonly fetch = async (input: string | URL | Request, init?: RequestInit): Promise<Response> => {
    // CLOSED is thrown by `accessToken` below, so that the request's body is cancelled in that case as well.
    const record = this.#record
    let firstContact: View | undefined
    const source = {
      identity: this.identity,
      token: async (signal: AbortSignal) => {
        const found = await this.#tokenForRequest(signal)
        if (found.token === undefined) firstContact = found.view
        return found.token
      },
      replacement: (rejectedToken: string, signal: AbortSignal) =>
        this.#issuedToken({ rejectedToken, signal }, (of, params) =>
          accessToken(of, { ...params, triesRejected: true }),
        ),
      received: (
        challenge: BearerChallenge,
        token: IssuedToken | undefined,
        isRejected: boolean,
        signal: AbortSignal,
      ) =>
        abortable(async () => {
          const view = await receiveChallenge(record, challenge, { token: token?.value, isTokenRejected: isRejected })
          return isRejected && view !== undefined ? failureOfRejectedToken(view) : undefined
        }, signal),
      accepted: (token: IssuedToken | undefined, signal: AbortSignal) =>
        abortable(
          () => (token === undefined ? servedWithoutToken(record, firstContact) : tokenAccepted(record, token)),
          signal,
        ),
      widerToken: async (rejectedToken: string, challenge: string, signal: AbortSignal) => {
        const tokens = tokensOf((await record.load())?.context)
        // Another caller may have received the same challenge: its token is used if it has the scope.
        const { scope } = bearerChallenge(challenge) ?? {}
        const hasScope =
          tokens !== undefined && tokens.accessToken !== rejectedToken && coversScope(tokens.scope, scope)
        if (hasScope) return await this.#issuedToken({ rejectedToken, signal })
        if (tokens === undefined || tokens.grant === 'authorization_code') return undefined
        // The server decides whether scope of another name is enough.
        await this.authorize({ challenge, signal }).catch((error: unknown) => {
          if (!isAuthorizationError(error) || error.failure.details?.reason !== 'notGranted') throw error
        })
        return await this.#issuedToken({ signal })
      },
    }
    return await fetchWithToken(source, record.services, input, init)
  }

  /**
   * Returns the stored state, in one load. Sends no request and changes nothing.
   *
   * @throws {@link AuthorizationError} `STORE_UNAVAILABLE`, `SNAPSHOT_UNREADABLE`, `SNAPSHOT_KEY_UNKNOWN`,
   *   `SNAPSHOT_TOO_NEW`.
   */
  async status(): Promise<ConnectionStatus> {
    return await status(this.#open())
  }

  /**
   * Performs the work that is due by `nextWakeAt`, and nothing else: takes over orphaned claims, redeems retained
   * authorization codes, refreshes early, ends expired attempts, attempts pending revocations again. A record that is
   * encrypted with another key than new ones are is encrypted anew.
   */
  async wake(): Promise<void> {
    await wake(this.#open())
  }

  /**
   * Resolves once an access token can be obtained without user interaction, whichever process authorized the
   * connection, or once the server is found to require no authorization.
   *
   * @param options.timeoutMs Maximum wait, in milliseconds. @defaultValue 300_000
   * @throws {@link AuthorizationError} `TIMED_OUT`, `ABORTED`, `CLOSED`, `STORE_UNAVAILABLE`.
   */
  async awaitAuthorized(options: AwaitOptions = {}): Promise<void> {
    const record = this.#open()
    const { timeoutMs = 300_000, signal } = parseOptions(AwaitOptionsSchema, options, 'awaitAuthorized()')
    await awaitAuthorized(record, { timeoutMs, signal })
  }

  /**
   * Ends the connection in every process: its tokens and pending attempts are deleted, and the tokens are revoked at
   * their authorization server. Waits, bounded, for a claim in progress and revokes its tokens as well. A revocation
   * that the server has not decided is attempted again by `wake()`, for a day, also beside a new sign-in.
   *
   * @returns `revoked` says what became of the tokens, as the event `disconnected` does: see {@link RevocationResult}.
   * @throws {@link AuthorizationError} `STORE_UNAVAILABLE`, `TIMED_OUT`, `ABORTED`; what had begun may still take
   *   effect. A revocation endpoint that does not respond is not an error.
   * @see [RFC 7009](https://www.rfc-editor.org/rfc/rfc7009.html)
   */
  async disconnect(options: DisconnectOptions = {}): Promise<{ revoked: RevocationResult; actions: HostAction[] }> {
    const record = this.#open()
    const { signal } = parseOptions(DisconnectOptionsSchema, options, 'disconnect()')
    return await abortable(() => this.#disconnect(record), signal)
  }

  async #disconnect(record: ConnectionRecord): Promise<{ revoked: RevocationResult; actions: HostAction[] }> {
    const id = randomId(record.services.clock, REVOCATION_ID_BYTES)
    const view = await record.load()
    const result = await record.run(
      // After a conflict the record may show that this call has disconnected it already.
      (now) => (now && revocationOf(now.context, id) === undefined ? { type: 'disconnect.requested', id } : undefined),
      { view },
    )
    record.services.cache.forget(record.key)
    return { revoked: revocationResult(result.view?.context, id), actions: result.actions }
  }

  /**
   * Imports credentials that the host has stored itself. Without an issuer they belong to that of the tokens that they
   * replace, or else to the first one that is discovered, and from then on are sent to no other. The secret of an
   * imported client replaces the one that stored tokens are renewed and revoked with, unless that client was registered
   * dynamically. Sends no request.
   *
   * @returns `imported` is false if other tokens were stored since the call began, or have replaced the same refresh
   *   token since it was imported before, or with `ifAbsent` if there were any, or if they were disconnected: then
   *   nothing was changed, and the record is the newer one.
   * @throws {@link AuthorizationError} `POLICY_REFUSED`, `STORE_UNAVAILABLE`.
   * @throws `TypeError` for invalid options, without `tokens` and `clientInformation`, and if the options name several
   *   issuers, or another one than that of the tokens or the client that were imported before, and that this call would
   *   combine with them.
   */
  async import(options: ImportOptions): Promise<{ imported: boolean; actions: HostAction[] }> {
    const record = this.#open()
    const credentials = parseOptions(ImportOptionsSchema, options, 'import()')
    checkCredentials('import()', record.services.options, credentials)
    return await importCredentials(record, credentials)
  }

  async #issuedToken(options: AccessTokenOptions, issue = accessToken): Promise<IssuedToken> {
    const record = this.#open()
    const { signal, ...params } = parseOptions(AccessTokenOptionsSchema, options, 'accessToken()')
    return await abortable(async () => (await this.#cachedToken(params)) ?? (await issue(record, params)), signal)
  }

  async #tokenForRequest(signal: AbortSignal): Promise<RequestToken> {
    const record = this.#open()
    return await abortable(async () => {
      const token = await this.#cachedToken({})
      return token ? { token } : await tokenForRequest(record)
    }, signal)
  }

  async #cachedToken({ minTtlMs, rejectedToken }: AccessTokenOptions): Promise<IssuedToken | undefined> {
    const record = this.#record
    const cached = record.services.cache.get(record.key, minTtlMs)
    if (cached === undefined || cached.value === rejectedToken) return undefined
    // A policy that is a function may have another result by now.
    if (policyViolation(record.policy, record.identity, cached) !== undefined) return undefined
    const isOverdue = record.services.undeliveredActions.get(record.key) !== undefined
    if (isOverdue) await record.redeliverActions()
    return cached
  }

  #open(): ConnectionRecord {
    this.#record.services.assertOpen()
    return this.#record
  }
}
