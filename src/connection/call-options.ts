import * as v from 'valibot'
import type { HostAction } from '../options/host-action.ts'
import { methodProblem } from '../options/client-options.ts'
import type { ParsedOptions } from '../options/orchestrator-options.ts'
import { Parameters } from '../options/parameters.ts'
import { type ClientInformation, GrantSchema, maybe } from '../schemas/credentials.ts'
import type { Grant } from '../schemas/grants.ts'
import {
  AccessTokenText,
  ClientSecret,
  GrantedScope,
  Method,
  RefreshTokenText,
  TokenType,
} from '../schemas/issued-values.ts'
import { MAX_URL_LENGTH } from '../schemas/limits.ts'
import {
  atMost,
  DurationMs,
  EpochMs,
  hasCredentials,
  Identifier,
  isWebUrl,
  RegisteredRedirectUri,
  Scope,
  Text,
} from '../schemas/option-values.ts'
import { invalidArgument } from '../schemas/parse-options.ts'

/** Client information of a pre-registered client, for one call or one connection. */
export interface StaticClientInformation {
  /**
   * The issuer that it is registered at: an http(s) URL of at most 2,048 characters, or an issuer in
   * `authorizationServers[].discovery.alsoAnnounces`. @defaultValue in `authorize()` the issuer that this client was
   * used at before, in `import()` that of the tokens, or else that of the same client in `clients`, or the first one
   * that is discovered: it is sent to no other, also where `authorize({ issuer })` names another one. Required where
   * `clients` has the same client for several issuers
   */
  issuer?: string | undefined
  /** The client ID that the issuer assigned. At most 2,048 characters. */
  clientId: string
  /** At most 4,096 characters. Secret. @defaultValue none: a public client */
  clientSecret?: string | undefined
  /**
   * Instant after which the secret must not be used, epoch milliseconds by the clock of this process. @defaultValue
   * never
   */
  clientSecretExpiresAt?: number | undefined
  /**
   * `client_secret_basic`, `client_secret_post`, `none`, or `private_key_jwt` of a client that `clients` has with its
   * key. @defaultValue `client_secret_basic` with a secret, `none` without
   */
  tokenEndpointAuthMethod?: string | undefined
  /**
   * The redirect URI that it is registered with, verbatim, of https, or http on a loopback address: `{issuer}` in it is
   * not replaced, and one that does not name the issuer lacks the protection of `{issuer}` in `client.redirectUri`.
   *
   * @defaultValue `client.redirectUri`
   */
  redirectUri?: string | undefined
}

/** The options of `authorize()`. */
export interface AuthorizeOptions {
  /** Space-separated. @defaultValue the scope that the server requests */
  scope?: string | undefined
  /**
   * The `WWW-Authenticate` header of a 401 (a refresh is tried first) or 403. Untrusted. @defaultValue the last one
   * that this connection received, or else that of a request without a token, which is sent once for all connections
   */
  challenge?: string | undefined
  /** A value of the user's browser session that `completeCallback` must be called with. @defaultValue none */
  binding?: string | undefined
  /**
   * The URL for the user after the callback, without whitespace and backslashes, at most 2,048 characters; its origin
   * must be in `policy.returnToOrigins`. @defaultValue none
   */
  returnTo?: string | undefined
  /**
   * A pre-registered client, instead of `clients` and of a dynamic registration. If it is the provided client of usable
   * tokens with another secret, they are renewed and revoked with that from then on.
   *
   * @defaultValue none
   */
  clientInformation?: StaticClientInformation | undefined
  /**
   * One of the issuers that the server lists. @defaultValue that of `policy.chooseIssuer`, or that of the current or
   * last tokens if it is listed, or the first allowed one
   */
  issuer?: string | undefined
  /** How tokens are obtained. @defaultValue authorization code if the server offers it, else client credentials */
  grant?: Grant | undefined
  /**
   * Starts a new authorization although tokens are stored, also where the server requires scope that was granted
   * already, or that was requested as often as `policy.maxStepUps` allows. @defaultValue false
   */
  force?: boolean | undefined
  /**
   * Registers another client dynamically (RFC 7591 §3) and starts a new authorization with it, as `force` does: for a
   * server that has lost its registrations. Calls at the same time register once, within
   * `policy.registrationsPerServerPerHour`; beyond it the stored client is used. If the registration fails, so does the
   * call. Without effect on the client where that is not registered dynamically, but configured, provided, or a client
   * ID metadata document.
   *
   * @defaultValue false
   */
  reregister?: boolean | undefined
  /**
   * Further parameters of the authorization request, such as `prompt` or `login_hint`, or of the token request of a
   * non-interactive grant and its renewals, such as `audience`. An empty value omits a parameter that would be sent
   * otherwise. Not those that authchart sets; at most 4,096 bytes of JSON.
   *
   * @defaultValue none
   */
  parameters?: Record<string, string> | undefined
  /** Stops waiting; the operation itself continues in the background. @defaultValue none */
  signal?: AbortSignal | undefined
}

/** The options of `completeCallback()`. */
export interface CallbackOptions {
  /** The `binding` that was passed to `authorize()`. @defaultValue none */
  binding?: string | undefined
  /** Stops waiting; the operation itself continues in the background. @defaultValue none */
  signal?: AbortSignal | undefined
}

/** The options of `accessToken()`. */
export interface AccessTokenOptions {
  /**
   * Minimum remaining lifetime of the token, in milliseconds. With as much as the whole lifetime of the token, or more,
   * it is refreshed after a quarter of that.
   *
   * @defaultValue `policy.minTokenTtlMs`
   */
  minTtlMs?: number | undefined
  /**
   * The token that a server responded to with 401: it is refreshed only if it is still the stored one. If it cannot be
   * refreshed, or its predecessors were rejected again and again within a minute, the rejection is recorded until other
   * tokens are stored. Secret.
   *
   * @defaultValue none
   */
  rejectedToken?: string | undefined
  /** Stops waiting; the operation itself continues in the background. @defaultValue none */
  signal?: AbortSignal | undefined
}

/** The options of `awaitAuthorized()`. */
export interface AwaitOptions {
  /** Maximum wait, in milliseconds. Integer from 1 to 2,147,483,647. @defaultValue 300_000 */
  timeoutMs?: number | undefined
  /** Stops waiting. @defaultValue none */
  signal?: AbortSignal | undefined
}

/** The options of `disconnect()`. */
export interface DisconnectOptions {
  /** Stops waiting; the operation itself continues in the background. @defaultValue none */
  signal?: AbortSignal | undefined
}

/** Credentials that a host has stored itself, in the form of the data of its `actions`: tokens, a client, or both. */
export interface ImportOptions {
  /** The client that they were issued to. @defaultValue none */
  clientInformation?: StaticClientInformation | undefined
  /** The tokens. @defaultValue none */
  tokens?:
    | {
        /** At most 32,768 characters. Secret. */
        accessToken: string
        /** `Bearer`, in any case: the only type that MCP servers accept without a key. @defaultValue 'Bearer' */
        tokenType?: string | undefined
        /** As granted; separated by spaces, or by commas as some servers do; at most 4,096 bytes. @defaultValue unknown */
        scope?: string | undefined
        /** Epoch milliseconds by the clock of this process. @defaultValue unknown: used until a server rejects it */
        expiresAt?: number | undefined
        /** At most 32,768 characters. Secret. @defaultValue none */
        refreshToken?: string | undefined
        /** How they were obtained. @defaultValue 'authorization_code' */
        grant?: Grant | undefined
        /** The issuer of the tokens. @defaultValue the `issuer` of the import */
        issuer?: string | undefined
      }
    | undefined
  /**
   * The issuer of the credentials: the same as the others that are named. @defaultValue that of the tokens that they
   * replace, or the first issuer that is discovered
   */
  issuer?: string | undefined
  /**
   * Imports only if the connection has no tokens, not even expired ones, and was not disconnected since it had some;
   * without `tokens`, only if it has no tokens and no client. For a host that migrates when a connection is first used:
   * of two such calls, the later one changes nothing.
   *
   * @defaultValue false
   */
  ifAbsent?: boolean | undefined
}

const ClientInformation = v.strictObject({
  issuer: maybe(Identifier),
  clientId: Identifier,
  clientSecret: maybe(ClientSecret),
  clientSecretExpiresAt: maybe(EpochMs),
  tokenEndpointAuthMethod: maybe(Method),
  redirectUri: maybe(RegisteredRedirectUri),
})
const Signal = maybe(v.instance(AbortSignal))

export const AuthorizeOptionsSchema: v.GenericSchema<unknown, AuthorizeOptions> = v.strictObject({
  scope: maybe(Scope),
  challenge: maybe(v.string()),
  binding: maybe(Text),
  returnTo: maybe(
    v.pipe(
      Text,
      atMost(MAX_URL_LENGTH),
      v.check((url) => !hasCredentials(url), 'must not contain credentials'),
      // Parsers of URLs and browsers read these in different ways.
      v.check((url) => !/[\s\\\p{Cc}]/u.test(url), 'must not contain whitespace, control characters or backslashes'),
    ),
  ),
  clientInformation: maybe(ClientInformation),
  issuer: maybe(Identifier),
  grant: maybe(GrantSchema),
  force: maybe(v.boolean()),
  reregister: maybe(v.boolean()),
  parameters: maybe(Parameters),
  signal: Signal,
})

export const CallbackOptionsSchema: v.GenericSchema<unknown, CallbackOptions> = v.strictObject({
  binding: maybe(Text),
  signal: Signal,
})

export const AccessTokenOptionsSchema: v.GenericSchema<unknown, AccessTokenOptions> = v.strictObject({
  minTtlMs: maybe(v.pipe(v.number(), v.minValue(0, 'must be at least 0'))),
  rejectedToken: maybe(Text),
  signal: Signal,
})

export const AwaitOptionsSchema: v.GenericSchema<unknown, AwaitOptions> = v.strictObject({
  timeoutMs: maybe(DurationMs),
  signal: Signal,
})

export const DisconnectOptionsSchema: v.GenericSchema<unknown, DisconnectOptions> = v.strictObject({ signal: Signal })

const ImportMembers = v.strictObject({
  clientInformation: maybe(ClientInformation),
  tokens: maybe(
    v.strictObject({
      accessToken: AccessTokenText,
      tokenType: maybe(TokenType),
      scope: maybe(GrantedScope),
      expiresAt: maybe(EpochMs),
      refreshToken: maybe(RefreshTokenText),
      grant: maybe(GrantSchema),
      issuer: maybe(Identifier),
    }),
  ),
  issuer: maybe(Identifier),
  ifAbsent: maybe(v.boolean()),
})
export const ImportOptionsSchema: v.GenericSchema<unknown, ImportOptions> = v.pipe(
  ImportMembers,
  v.check(
    ({ tokens, clientInformation }) => (tokens ?? clientInformation) !== undefined,
    'needs tokens or clientInformation',
  ),
)

/**
 * Checks what credentials have in common with the option `clients`: their issuers are URLs, or announced by a row of
 * `authorizationServers`, and a method has its secret or key, which `clients` may have for the same client.
 *
 * @throws `TypeError` that names the member.
 * @internal
 */
export function checkCredentials(
  call: 'authorize()' | 'import()',
  { clients = [], authorizationServers = [] }: Pick<ParsedOptions, 'clients' | 'authorizationServers'>,
  { issuer, tokens, clientInformation }: Pick<ImportOptions, 'issuer' | 'tokens' | 'clientInformation'>,
): void {
  const issuers = {
    issuer,
    'tokens.issuer': tokens?.issuer,
    'clientInformation.issuer': clientInformation?.issuer,
  }
  for (const [name, text] of Object.entries(issuers)) {
    const isIssuer =
      text === undefined ||
      isWebUrl(text) ||
      authorizationServers.some(({ discovery }) => discovery?.alsoAnnounces?.includes(text))
    if (!isIssuer) throw invalidArgument(`${call}.${name}`, 'must be an absolute http(s) URL')
  }
  if (clientInformation === undefined) return
  const { clientId, clientSecret, tokenEndpointAuthMethod: method } = clientInformation
  const same = clients.filter((client) => client.clientId === clientId)
  const lacksKey = method === 'private_key_jwt' && same.every(({ privateKey }) => privateKey === undefined)
  const secret = clientSecret ?? same.find((client) => client.clientSecret !== undefined)?.clientSecret
  const problem = lacksKey ? 'needs this client in clients, with its privateKey' : methodProblem(method, secret)
  if (problem !== undefined) throw invalidArgument(`${call}.clientInformation.tokenEndpointAuthMethod`, problem)
}

/** The result of `authorize()`. `actions` contain secrets. */
export type AuthorizeResult =
  | { status: 'authorized'; actions: HostAction[] }
  | {
      /** The server responds without a token, and publishes no authorization metadata. */
      status: 'notRequired'
      /** Empty. */
      actions: HostAction[]
    }
  | {
      status: 'redirect'
      /** Secret: redirect the user's browser there, and disclose it to nobody else. */
      authorizationUrl: string
      /** Secret. */
      state: string
      /** When the authorization request expires, epoch milliseconds by the clock of this process. */
      expiresAt: number
      actions: HostAction[]
    }

/**
 * The issuer that `clients` has the same client for.
 *
 * @throws `TypeError` if it has it for several: its secret must not reach any other one.
 */
export function configuredIssuer(
  clients: readonly { clientId: string; issuer: string }[] | undefined,
  client: StaticClientInformation | undefined,
  call: 'authorize()' | 'import()',
): string | undefined {
  const [only, ...others] = clients?.filter(({ clientId }) => clientId === client?.clientId) ?? []
  if (others.length > 0)
    throw invalidArgument(
      `${call}.clientInformation.issuer`,
      'is required: clients has this client for several issuers',
    )
  return only?.issuer
}

/**
 * Client information of the host, bound to its issuer; without one, to the first issuer that is discovered. A record
 * that does not exist yet will start with the clock of this process.
 */
export function staticClient(
  client: StaticClientInformation | undefined,
  issuer: string | undefined,
  view: { toRecord(instant: number | undefined): number | undefined } | undefined,
  clients?: Parameters<typeof configuredIssuer>[0],
): ClientInformation | undefined {
  if (client === undefined) return undefined
  const { clientId, clientSecret, clientSecretExpiresAt, tokenEndpointAuthMethod, redirectUri } = client
  return {
    issuer: client.issuer ?? issuer ?? configuredIssuer(clients, client, 'authorize()') ?? '',
    clientId,
    clientSecret,
    clientSecretExpiresAt: view === undefined ? clientSecretExpiresAt : view.toRecord(clientSecretExpiresAt),
    tokenEndpointAuthMethod: tokenEndpointAuthMethod ?? (clientSecret === undefined ? 'none' : 'client_secret_basic'),
    redirectUri,
    source: 'provided',
  }
}
