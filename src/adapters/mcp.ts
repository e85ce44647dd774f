import '../errors/supported-node.ts'
import type { Connection } from '../connection/connection.ts'
import { type AnyAuthorizationError, isAuthorizationError } from '../errors/authorization-error.ts'
import { invalidArgument } from '../schemas/parse-options.ts'

/** What of a {@link Connection} an MCP client needs. */
type ClientConnection = Pick<Connection, 'identity' | 'fetch'>

/**
 * Stands where an MCP SDK looks for its own `OAuthClientProvider`, and takes no part in any sign-in. Everything but
 * `tokens()` throws.
 */
export interface NoOwnSignIn {
  /** Throws: the orchestrator has the redirect URI. */
  readonly redirectUrl: never
  /** Throws: the orchestrator registers the client. */
  readonly clientMetadata: never
  /** Nothing: the token is added by `fetch`. */
  tokens(): undefined
  /** Throws: the registration is the orchestrator's. */
  clientInformation(): never
  /** Throws: the record holds the tokens. */
  saveTokens(): never
  /** Throws: `connection.authorize()` says where the user goes. */
  redirectToAuthorization(): never
  /** Throws: the sealed attempt holds the verifier. */
  saveCodeVerifier(): never
  /** Throws: the verifier never leaves the sealed attempt. */
  codeVerifier(): never
}

/** What the transports of MCP SDKs take. */
export interface McpTransportOptions {
  /** Throws an `AuthorizationError` where the SDK would begin a sign-in of its own. */
  readonly fetch: Connection['fetch']
  /** Keeps the SDK's own sign-in away, and says so where an SDK does not send its requests through `fetch`. */
  readonly authProvider: NoOwnSignIn
}

/**
 * The options for `StreamableHTTPClientTransport` of `@modelcontextprotocol/client` 2 and `@modelcontextprotocol/sdk`
 * 1: requests go out with the connection's token, and no sign-in of the SDK competes.
 *
 * What `connect()` and calls reject with holds the `AuthorizationError`; {@link authorizationErrorOf} gets it back.
 * After a `force`d or a first sign-in the same transport works again.
 *
 * @example
 *
 * ```ts
 * await client.connect(new StreamableHTTPClientTransport(new URL(server), mcpTransportOptions(connection)))
 * ```
 *
 * @throws `TypeError` if `connection` is none. Later, from `connect()`, if the SDK is so old that it ignores the option
 *   `fetch`.
 */
export function mcpTransportOptions(connection: ClientConnection): McpTransportOptions {
  if (typeof connection?.fetch !== 'function' || typeof connection.identity?.server !== 'string')
    throw invalidArgument('connection', 'must come from orchestrator.connection()', 'ERR_INVALID_ARG_TYPE')
  return { fetch: connection.fetch, authProvider: NO_OWN_SIGN_IN }
}

/**
 * The `transport` for `createMCPClient` of the Vercel AI SDK (`@ai-sdk/mcp` 2): to the connection's server, with its
 * token, without the SDK's own sign-in.
 *
 * What calls reject with holds the `AuthorizationError`; {@link authorizationErrorOf} gets it back.
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

/** How deep SDKs wrap an error, with room to spare. */
const MAX_DEPTH = 10

/**
 * The `AuthorizationError` within what an MCP SDK threw: its `code` says what to do, its `challenge` goes into
 * `authorize({ challenge })`.
 *
 * @returns `undefined` if the error has nothing to do with authorization.
 */
export function authorizationErrorOf(error: unknown): AnyAuthorizationError | undefined {
  let current = error
  for (let depth = 0; depth < MAX_DEPTH && current instanceof Error; depth += 1) {
    if (isAuthorizationError(current)) return current
    current = current.cause
  }
  return undefined
}

/** An SDK comes here only after a 401, which `connection.fetch` never answers with, or when its host asks it to. */
function refuse(): never {
  throw new TypeError(
    'this MCP SDK began a sign-in of its own: either its version does not send requests through the `fetch` of its ' +
      'transport options (use @modelcontextprotocol/client 2, @modelcontextprotocol/sdk 1.32 or later, or @ai-sdk/mcp ' +
      '2), or finishAuth() was called (use orchestrator.handleCallback() instead)',
  )
}

const NO_OWN_SIGN_IN: NoOwnSignIn = {
  get redirectUrl() {
    return refuse()
  },
  get clientMetadata() {
    return refuse()
  },
  tokens: () => undefined,
  clientInformation: refuse,
  saveTokens: refuse,
  redirectToAuthorization: refuse,
  saveCodeVerifier: refuse,
  codeVerifier: refuse,
}
