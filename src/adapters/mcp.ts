import '../errors/supported-node.ts'
import type { Connection } from '../connection/connection.ts'
import { type AnyAuthorizationError, isAuthorizationError } from '../errors/authorization-error.ts'
import { invalidArgument } from '../schemas/parse-options.ts'

/** The part of a {@link Connection} that an MCP client uses. */
type ClientConnection = Pick<Connection, 'identity' | 'fetch'>

/**
 * Replaces the `OAuthClientProvider` of an MCP SDK, so that the SDK starts no OAuth flow. Every member but `tokens()`
 * throws.
 */
export interface DisabledAuthProvider {
  /** Throws: the redirect URI is an option of the orchestrator. */
  readonly redirectUrl: never
  /** Throws: the orchestrator registers the client. */
  readonly clientMetadata: never
  /** Returns `undefined`: the token is added by `fetch`. */
  tokens(): undefined
  /** Throws: the orchestrator stores the client information. */
  clientInformation(): never
  /** Throws: the tokens are in the connection's record. */
  saveTokens(): never
  /** Throws: `connection.authorize()` returns the authorization URL. */
  redirectToAuthorization(): never
  /** Throws: the code verifier is in the connection's record. */
  saveCodeVerifier(): never
  /** Throws: the code verifier never leaves the connection's record. */
  codeVerifier(): never
}

/** Options for the transports of MCP SDKs. */
export interface McpTransportOptions {
  /** Throws an `AuthorizationError` where the SDK would otherwise start its own OAuth flow. */
  readonly fetch: Connection['fetch']
  /** Prevents the SDK's own OAuth flow: throws if the SDK does not send its requests through `fetch`. */
  readonly authProvider: DisabledAuthProvider
}

/**
 * The options for `StreamableHTTPClientTransport` of `@modelcontextprotocol/client` 2 and `@modelcontextprotocol/sdk`
 * 1: requests are sent with the connection's token, and the SDK starts no OAuth flow.
 *
 * The errors that `connect()` and calls reject with wrap the `AuthorizationError`; {@link authorizationErrorOf} unwraps
 * it. After the sign-in, forced or not, the transport can be used again.
 *
 * @example
 *
 * ```ts
 * await client.connect(new StreamableHTTPClientTransport(new URL(server), mcpTransportOptions(connection)))
 * ```
 *
 * @throws `TypeError` if `connection` is not a connection of an orchestrator; from `connect()`, if the version of the
 *   SDK does not support the option `fetch`.
 */
export function mcpTransportOptions(connection: ClientConnection): McpTransportOptions {
  if (typeof connection?.fetch !== 'function' || typeof connection.identity?.server !== 'string')
    throw invalidArgument('connection', 'must come from orchestrator.connection()', 'ERR_INVALID_ARG_TYPE')
  return { fetch: connection.fetch, authProvider: DISABLED_AUTH_PROVIDER }
}

/**
 * The `transport` for `createMCPClient` of the Vercel AI SDK (`@ai-sdk/mcp` 2): sends requests to the connection's
 * server with its token, and the SDK starts no OAuth flow.
 *
 * The errors that calls reject with wrap the `AuthorizationError`; {@link authorizationErrorOf} unwraps it.
 *
 * @example
 *
 * ```ts
 * const client = await createMCPClient({ transport: aiSdkTransport(connection) })
 * ```
 *
 * @throws `TypeError` as {@link mcpTransportOptions}.
 */
export function aiSdkTransport(connection: ClientConnection): McpTransportOptions & { type: 'http'; url: string } {
  return { type: 'http', ...mcpTransportOptions(connection), url: connection.identity.server }
}

/** Longest chain of `cause`s that is searched: more than SDKs wrap. */
const MAX_DEPTH = 10

/**
 * Finds the `AuthorizationError` in the chain of causes of an error that an MCP SDK threw. Its `nextAction` is what the
 * host can do, its `challenge` is passed to `authorize({ challenge })`.
 *
 * @returns `undefined` if the error was not caused by an `AuthorizationError`.
 */
export function authorizationErrorOf(error: unknown): AnyAuthorizationError | undefined {
  let current = error
  for (let depth = 0; depth < MAX_DEPTH && current instanceof Error; depth += 1) {
    if (isAuthorizationError(current)) return current
    current = current.cause
  }
  return undefined
}

/**
 * An SDK calls this only after a 401, which `connection.fetch` never returns to a request without an `Authorization`
 * header of its own, or because the host called `finishAuth()`.
 */
function rejectOwnFlow(): never {
  throw new TypeError(
    'this MCP SDK started its own OAuth flow: either its version does not send requests through the `fetch` of its ' +
      'transport options (use @modelcontextprotocol/client 2, @modelcontextprotocol/sdk 1.32 or later, or @ai-sdk/mcp ' +
      '2), or finishAuth() was called (use orchestrator.handleCallback() instead)',
  )
}

const DISABLED_AUTH_PROVIDER: DisabledAuthProvider = {
  get redirectUrl() {
    return rejectOwnFlow()
  },
  get clientMetadata() {
    return rejectOwnFlow()
  },
  tokens: () => undefined,
  clientInformation: rejectOwnFlow,
  saveTokens: rejectOwnFlow,
  redirectToAuthorization: rejectOwnFlow,
  saveCodeVerifier: rejectOwnFlow,
  codeVerifier: rejectOwnFlow,
}
