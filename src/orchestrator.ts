import { connectionMachine } from '../machines/connection.ts'
import { registrationMachine } from '../machines/registration.ts'
import { connectionActors, registrationActors } from './actors/index.ts'
import { DpopProver } from './actors/token-endpoint/dpop-prover.ts'
import { systemClock } from './clock.ts'
import { type AuthorizeResult, type CallbackOptions, CallbackOptionsSchema } from './connection/call-options.ts'
import { durableConnection, durableRegistration } from './connection/chart-definitions.ts'
import { type CallbackResult, completeCallback } from './connection/complete-callback.ts'
import { Connection } from './connection/connection.ts'
import { forgetRegistration } from './connection/forget-registration.ts'
import { connectionEventPublisher, Emitter, type OrchestratorEvents } from './connection/events.ts'
import { MAX_DEFERRED, MAX_ISSUED_GENERATIONS, MAX_UNDELIVERED } from './connection/limits.ts'
import {
  type ConnectionEntry,
  type ConnectionFilter,
  ConnectionFilterSchema,
  listConnections,
} from './connection/listing.ts'
import { abortable } from './connection/record.ts'
import { connectionKey, createState, hashState, routingId } from './connection/routing.ts'
import type { OrchestratorServices } from './connection/services.ts'
import { registrations } from './connection/shared-registration.ts'
import { TokenCache } from './connection/token-cache.ts'
import { wakeDue, type WakeDueOptions, WakeDueOptionsSchema, type WakeDueResult } from './connection/wake-due.ts'
import { createChangeWatcher } from './durable/change-watcher.ts'
import { Runner } from './durable/runner.ts'
import { createSealer, plainSealer } from './durable/sealing.ts'
import { AuthorizationError } from './errors/authorization-error.ts'
import { failure } from './errors/failure.ts'
import { warnOnFailure } from './errors/warn-on-failure.ts'
import { createAddressGuard } from './http/address-guard.ts'
import { systemResolve } from './http/system-resolver.ts'
import { parseNetworkOptions } from './http/network-options.ts'
import { createTransport } from './http/transport.ts'
import { LruMap } from './lru-map.ts'
import { configuredClients } from './options/client-options.ts'
import {
  type AuthOrchestratorOptions,
  parseIdentity,
  parseOrchestratorOptions,
} from './options/orchestrator-options.ts'
import { type Policy, policyFor } from './options/policy.ts'
import { parseServerFacts } from './options/server-facts-options.ts'
import { canonicalServer } from './protocol/discovery.ts'
import { createServerFacts } from './protocol/server-facts.ts'
import type { ConnectionIdentity } from './schemas/credentials.ts'
import { isFetchRequest } from './schemas/option-values.ts'
import { invalidArgument, parseOptions } from './schemas/parse-options.ts'
import { MemoryStore } from './stores/memory.ts'
import type { SnapshotStore } from './stores/snapshot-store.ts'
import { handleClientMetadata } from './web/client-id-document.ts'
import { handleCallback, redirectResponse } from './web/handle-callback.ts'

/** Manages connections to many MCP servers, for many tenants and users. All methods are bound. */
export interface AuthOrchestrator {
  /**
   * Returns a handle on the connection of one tenant, optionally one user, to one MCP server. Performs no I/O.
   *
   * @throws `TypeError` for an empty `tenant` or `user`, text that is not well-formed Unicode, and a `server` that is
   *   not an http(s) URL or has credentials or a fragment.
   */
  connection(identity: ConnectionIdentity): Connection
  /**
   * Returns a 302 to the authorization server, with a cookie that binds the callback to this browser. The sign-in must
   * start on the host of the callback.
   *
   * @throws `TypeError` for a result whose status is not `redirect`, or that lacks a member.
   */
  redirectResponse(result: Extract<AuthorizeResult, { status: 'redirect' }>): Response
  /**
   * Completes the sign-in of a callback, in any process. Never throws for anything that a browser can send.
   *
   * @param callbackUrl Absolute: only its query is read, and its path where that has to name the issuer.
   * @throws {@link AuthorizationError} `ABORTED`, `CLOSED`.
   * @throws `TypeError` for invalid options, and for what is neither a `URL` nor the text of an absolute one.
   * @see [RFC 6749 §4.1.2](https://www.rfc-editor.org/rfc/rfc6749.html#section-4.1.2), [RFC 9207 §2.4](https://www.rfc-editor.org/rfc/rfc9207.html#section-2.4)
   */
  completeCallback(callbackUrl: string | URL, options?: CallbackOptions): Promise<CallbackResult>
  /**
   * `completeCallback` as a Fetch-API handler that responds with a page; requires the cookie of `redirectResponse`.
   * After `close()` the page is a 503 that can be reloaded, since another process can complete the sign-in.
   *
   * @throws `TypeError` for a request of Node, Express or Fastify: wrap the handler by `toNodeHandler` there.
   */
  handleCallback(request: Request): Promise<Response>
  /**
   * Serves the client ID metadata document (GET and HEAD). Mount it at the path of `client.metadataUrl`; 404 without
   * one.
   *
   * @throws `TypeError` for a request of Node, Express or Fastify: wrap the handler by `toNodeHandler` there.
   * @see [MCP client registration](https://modelcontextprotocol.io/specification/2026-07-28/basic/authorization/client-registration)
   */
  handleClientMetadata(request: Request): Promise<Response>
  /**
   * Reads the records of all connections and yields those that match: for operators, not for requests. A record that
   * cannot be read is yielded with its key and its failure, whatever the filter; so is one of a connection that matches
   * and that the function `policy` fails for, which is also a process warning with the code
   * `AUTHCHART_CALLBACK_FAILED`. Connections that change meanwhile may be missing. Of the shared registrations, only
   * those that cannot be read are yielded, with their key and failure.
   *
   * @throws {@link AuthorizationError} `STORE_UNAVAILABLE`, `CLOSED`, from the iteration.
   * @throws `TypeError` for an invalid filter, and for a store that does not implement `keys`.
   */
  connections(filter?: ConnectionFilter): AsyncIterableIterator<ConnectionEntry>
  /**
   * Calls `wake()` on the connections that are due, the longest due first: for a scheduler such as cron, BullMQ or
   * Temporal. Several processes may call it at the same time; each refresh is still made once. A record that cannot be
   * read is counted, and `connections()` says why.
   *
   * @throws {@link AuthorizationError} `STORE_UNAVAILABLE`, `CLOSED`.
   * @throws `TypeError` for invalid options, and for a store that does not implement `due`.
   */
  wakeDue(options?: WakeDueOptions): Promise<WakeDueResult>
  /**
   * Removes the dynamic registration at an issuer, so that the next authorization registers another client (RFC 7591
   * §3): for a server that has lost its registrations. Sends no request; stored tokens are used as they are. A client
   * that is configured, provided, or a client ID metadata document is not a registration.
   *
   * @throws {@link AuthorizationError} `STORE_UNAVAILABLE`, `CLOSED`.
   * @throws `TypeError` for invalid options, and without `connection` where registrations are not shared by the whole
   *   deployment.
   */
  forgetRegistration(options: {
    /** The issuer of the authorization server, with or without its final slash. */
    issuer: string
    /** The redirect URI that the client is registered with. @defaultValue `client.redirectUri` */
    redirectUri?: string | undefined
    /**
     * A connection that uses the registration. Required where `policy.registrationScope` is `'tenant'` or
     * `'connection'`, and where `policy` is a function.
     *
     * @defaultValue none: the registration that the whole deployment shares
     */
    connection?: ConnectionIdentity | undefined
  }): Promise<void>
  /**
   * Registers an event listener; returns an unsubscribe function. Events never contain secrets. A listener that throws
   * or rejects becomes a process warning with the code `AUTHCHART_CALLBACK_FAILED` and does not fail the call.
   *
   * @throws `TypeError` for an event that does not exist, and for a listener that is not a function.
   */
  on<Name extends keyof OrchestratorEvents>(name: Name, listener: (event: OrchestratorEvents[Name]) => void): () => void
  /**
   * Rejects new calls, waits for operations in flight (at most `leaseMs` + `graceMs`), and closes all resources that
   * the orchestrator and its store created; a store that several orchestrators share is closed with the last of them.
   * Every call returns the same promise, which never rejects: a resource that cannot be closed becomes a process
   * warning with the code `AUTHCHART_CLOSE_FAILED`, and the others are closed nevertheless.
   */
  close(): Promise<void>
}

/** How many orchestrators of this process use a store, and the HMAC key of its record names without `keys.name`. */
const stores = new WeakMap<SnapshotStore, { users: number; nameKey: Uint8Array }>()

/**
 * Creates an orchestrator. Opens no connection yet.
 *
 * @throws `TypeError` that names the option, for options that are invalid or cannot be combined.
 */
export function createAuthOrchestrator(options: AuthOrchestratorOptions): AuthOrchestrator {
  const parsed = parseOrchestratorOptions(options)
  const clients = configuredClients(parsed.clients ?? [])
  const facts = createServerFacts(parseServerFacts(parsed.authorizationServers ?? []))
  const clock = parsed.clock ?? systemClock
  const network = parsed.network ?? {}
  const rules = parseNetworkOptions(network)
  const policy = (identity: ConnectionIdentity): Policy => policyFor(parsed.policy, rules.timeoutMs, identity)
  if (typeof parsed.policy !== 'function') policy({ tenant: '-', server: '-' })
  const store = parsed.store ?? new MemoryStore()
  if (store instanceof MemoryStore) store.useClock(clock)
  const shared = stores.get(store) ?? { users: 0, nameKey: parsed.keys?.name ?? clock.random(32) }
  const nameKey = parsed.keys?.name ?? shared.nameKey
  const sealer = parsed.sealer ?? (parsed.keys?.sealing ? createSealer(parsed.keys.sealing) : plainSealer)
  stores.set(store, { ...shared, users: shared.users + 1 })

  const emitter = new Emitter()
  const changes = createChangeWatcher(store, () => clock.monotonic())
  const runner = new Runner({
    store,
    sealer,
    clock,
    changes,
    requestTimeoutMs: rules.timeoutMs,
    onTransitions: connectionEventPublisher(emitter),
    inspect: parsed.inspect,
  })
  const transport = createTransport({ network, clock })
  const guard = createAddressGuard({ allow: rules.allow, resolve: systemResolve })
  const dpop = new DpopProver(clock)
  const idOf = ({ tenant, user, server, label }: ConnectionIdentity): Uint8Array =>
    routingId(nameKey, [tenant, user ?? null, server, label ?? null])
  const registration = durableRegistration(
    registrationMachine.provide({
      actors: registrationActors({ transport, clock, dpop, client: parsed.client, clients, facts }),
    }),
  )
  const sharedRegistrations = registrations({ runner, chart: registration, clock, nameKey, policy })
  const actors = connectionActors({
    transport,
    clock,
    dpop,
    client: parsed.client,
    clients,
    facts,
    assertions: parsed.assertions,
    identityProvider: parsed.identityProvider,
    policy,
    checkUrl: (url, browser) => (browser === undefined ? guard.check(url) : guard.checkBrowserUrl(url, browser.own)),
    createState: (identity) => createState(idOf(identity), clock.random(32)),
    hashState,
    ...sharedRegistrations,
  })
  let closing: Promise<void> | undefined
  const services: OrchestratorServices = {
    options: parsed,
    clock,
    runner,
    chart: durableConnection(connectionMachine.provide({ actors })),
    changes,
    cache: new TokenCache(changes, clock),
    transport,
    dpop,
    facts,
    emitter,
    registrations: sharedRegistrations,
    nameKey,
    authorizing: new Map(),
    renewing: new Map(),
    issuedGenerations: new LruMap(MAX_ISSUED_GENERATIONS),
    deferredUntil: new LruMap(MAX_DEFERRED),
    undeliveredActions: new LruMap(MAX_UNDELIVERED),
    policy,
    assertOpen() {
      if (closing !== undefined) throw new AuthorizationError(failure('CLOSED'))
    },
  }

  async function close(): Promise<void> {
    const closePart = (name: string, work: () => Promise<void>): Promise<boolean> =>
      warnOnFailure('AUTHCHART_CLOSE_FAILED', `closing ${name}`, work)
    await closePart('the runner', () => runner.close())
    await closePart('the change subscription', () => changes.close())
    await closePart('the transport', () => transport.close())
    const { users } = stores.get(store) ?? { users: 1 }
    stores.set(store, { ...shared, users: users - 1 })
    if (users <= 1) await closePart('the store', () => store.close())
  }

  return {
    connection(identity) {
      const { tenant, user, server, label } = parseIdentity(identity)
      const canonical: ConnectionIdentity = { tenant, user, server: canonicalServer(server), label }
      policy(canonical)
      return new Connection(services, canonical, connectionKey(idOf(canonical)))
    },
    redirectResponse: (result) => redirectResponse(services, result),
    async completeCallback(callbackUrl, callbackOptions = {}) {
      services.assertOpen()
      const { binding, signal } = parseOptions(CallbackOptionsSchema, callbackOptions, 'completeCallback()')
      const url = absoluteUrl(callbackUrl)
      return await abortable(() => completeCallback(services, url, { binding }), signal)
    },
    handleCallback: async (request) => handleCallback(services, fetchRequest('handleCallback', request)),
    handleClientMetadata: async (request) =>
      handleClientMetadata(parsed.client, fetchRequest('handleClientMetadata', request)),
    connections(filter = {}) {
      const { server, ...rest } = parseOptions(ConnectionFilterSchema, filter, 'connections()')
      if (store.keys === undefined) throw invalidArgument('connections()', 'needs a store that implements keys()')
      return listConnections(services, { ...rest, server: server && canonicalServer(server, 'connections().server') })
    },
    async wakeDue(wakeOptions = {}) {
      services.assertOpen()
      const limits = parseOptions(WakeDueOptionsSchema, wakeOptions, 'wakeDue()')
      if (store.due === undefined) throw invalidArgument('wakeDue()', 'needs a store that implements due()')
      return await wakeDue(services, limits)
    },
    async forgetRegistration(forgetOptions) {
      services.assertOpen()
      await forgetRegistration(sharedRegistrations, parsed, forgetOptions)
    },
    on: (name, listener) => emitter.on(name, listener),
    close: () => (closing ??= close()),
  }
}

/** The URL of a callback as the host gives it. With a scheme it never throws: the rest is what a browser sent. */
function absoluteUrl(url: unknown): string {
  const text = typeof url === 'object' && url !== null && 'href' in url ? url.href : url
  if (typeof text === 'string' && /^[a-z][a-z\d+.-]*:/i.test(text)) return text
  throw invalidArgument(
    'completeCallback()',
    'needs the absolute URL of the callback, as a string or a URL: new URL(request.url, <origin of client.redirectUri>)',
    'ERR_INVALID_ARG_TYPE',
  )
}

/** The request of a handler, which is easily mounted without its adapter. */
function fetchRequest(handler: 'handleCallback' | 'handleClientMetadata', request: Request): Request {
  if (isFetchRequest(request)) return request
  throw invalidArgument(
    `${handler}()`,
    `needs a Request of the Fetch API: with node:http, Express or Fastify, mount toNodeHandler(orchestrator.${handler}), of 'authchart/node'`,
    'ERR_INVALID_ARG_TYPE',
  )
}
