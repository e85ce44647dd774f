import * as v from 'valibot'
import type { HostAction } from '../options/host-action.ts'
import { RESERVED_PARAMETERS } from '../protocol/authorization-endpoint.ts'
import { type ClientInformation, type Grant, GrantSchema, maybe } from '../schemas/credentials.ts'
import { DurationMs, Scope, Text } from '../schemas/option-values.ts'

/** A client that the host knows beforehand, for one call or one connection. */
export interface StaticClientInformation {
  /** Where it is registered. @defaultValue the first issuer that is discovered */
  issuer?: string | undefined
  /** The client id that the issuer gave. */
  clientId: string
  /** Secret. @defaultValue none: a public client */
  clientSecret?: string | undefined
  /** Instant after which the secret must not be used, epoch milliseconds. @defaultValue never */
  clientSecretExpiresAt?: number | undefined
  /** RFC 7591 §2. @defaultValue `client_secret_basic` with a secret, `none` without */
  tokenEndpointAuthMethod?: string | undefined
  /** The redirect URI that it is registered with. @defaultValue `client.redirectUri` */
  redirectUri?: string | undefined
}

/** What one `authorize()` call wants. */
export interface AuthorizeOptions {
  /** Space-separated. @defaultValue what the server asks for */
  scope?: string | undefined
  /** The `WWW-Authenticate` header of a 401 (a refresh is tried first) or 403. Untrusted. @defaultValue none */
  challenge?: string | undefined
  /** A value of the user's browser session that the callback must bring back. @defaultValue none */
  binding?: string | undefined
  /** Where the user goes after the callback; its origin must be in `policy.returnToOrigins`. @defaultValue none */
  returnTo?: string | undefined
  /** A client that is known beforehand, instead of `clients` and of registering one. @defaultValue none */
  clientInformation?: StaticClientInformation | undefined
  /** Which of the server's issuers. @defaultValue `policy.chooseIssuer`, or the first allowed one */
  issuer?: string | undefined
  /** How tokens are obtained. @defaultValue authorization code where the server offers it, else client credentials */
  grant?: Grant | undefined
  /** Sign in again although tokens are there. @defaultValue false */
  force?: boolean | undefined
  /**
   * Further parameters of the authorization request, such as `prompt` or `login_hint`; none of the protocol's own.
   *
   * @defaultValue none
   */
  parameters?: Record<string, string> | undefined
  /** Detaches the caller; the run goes on to its rest. @defaultValue none */
  signal?: AbortSignal | undefined
}

/** What one `completeCallback()` call knows beside the URL. */
export interface CallbackOptions {
  /** The value that `authorize({ binding })` was given. @defaultValue none */
  binding?: string | undefined
  /** Detaches the caller; the run goes on to its rest. @defaultValue none */
  signal?: AbortSignal | undefined
}

/** What one `accessToken()` call wants. */
export interface AccessTokenOptions {
  /** How long the token must still live, in milliseconds. @defaultValue `policy.minTokenTtlMs` */
  minTtlMs?: number | undefined
  /**
   * The token that a server answered 401 to: it is refreshed only if it is still the stored one. Secret. @defaultValue
   * none
   */
  rejectedToken?: string | undefined
  /** Detaches the caller; the run goes on to its rest. @defaultValue none */
  signal?: AbortSignal | undefined
}

/** How long one `awaitAuthorized()` call waits. */
export interface AwaitOptions {
  /** In milliseconds. Integer ≥ 1. @defaultValue 300_000 */
  timeoutMs?: number | undefined
  /** Ends the wait. @defaultValue none */
  signal?: AbortSignal | undefined
}

/** Credentials that a host already holds, in the shapes in which `actions` give them. */
export interface ImportOptions {
  /** The client that they were issued to. @defaultValue none */
  clientInformation?: StaticClientInformation | undefined
  /** The tokens. @defaultValue none */
  tokens?:
    | {
        /** Secret. */
        accessToken: string
        /** Not `DPoP`: a bound token is of no use without its key. @defaultValue 'Bearer' */
        tokenType?: string | undefined
        /** As granted; space-separated. @defaultValue unknown */
        scope?: string | undefined
        /** Epoch milliseconds. @defaultValue unknown: used until a server refuses it */
        expiresAt?: number | undefined
        /** Secret. @defaultValue none */
        refreshToken?: string | undefined
        /** How they were obtained. @defaultValue 'authorization_code' */
        grant?: Grant | undefined
        /** Where they were issued. @defaultValue `issuer` beside them */
        issuer?: string | undefined
      }
    | undefined
  /** Where they were issued. @defaultValue the first issuer that is discovered */
  issuer?: string | undefined
}

const ClientInformation = v.strictObject({
  issuer: maybe(Text),
  clientId: Text,
  clientSecret: maybe(Text),
  clientSecretExpiresAt: maybe(v.number()),
  tokenEndpointAuthMethod: maybe(Text),
  redirectUri: maybe(Text),
})
/** Goes into a header: what does not fit there would be quoted by an error of the platform. */
const HeaderText = v.pipe(Text, v.regex(/^[\x21-\x7E]+$/, 'must be visible ASCII characters'))
const Signal = maybe(v.instance(AbortSignal))
const Parameters = v.pipe(
  v.record(
    v.string(),
    v.pipe(
      v.string(),
      v.check((text) => text.isWellFormed(), 'must be well-formed Unicode'),
    ),
  ),
  v.check(
    (parameters) => !Object.keys(parameters).some((name) => RESERVED_PARAMETERS.has(name)),
    'must not set a parameter of the protocol itself',
  ),
)

export const AuthorizeOptionsSchema: v.GenericSchema<unknown, AuthorizeOptions> = v.strictObject({
  scope: maybe(Scope),
  challenge: maybe(v.string()),
  binding: maybe(Text),
  returnTo: maybe(Text),
  clientInformation: maybe(ClientInformation),
  issuer: maybe(Text),
  grant: maybe(GrantSchema),
  force: maybe(v.boolean()),
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

export const ImportOptionsSchema: v.GenericSchema<unknown, ImportOptions> = v.strictObject({
  clientInformation: maybe(ClientInformation),
  tokens: maybe(
    v.strictObject({
      accessToken: HeaderText,
      tokenType: maybe(
        v.pipe(
          HeaderText,
          v.check((type) => !/^dpop$/i.test(type), 'must not be DPoP: such a token is of no use without its key'),
        ),
      ),
      scope: maybe(v.string()),
      expiresAt: maybe(v.number()),
      refreshToken: maybe(Text),
      grant: maybe(GrantSchema),
      issuer: maybe(Text),
    }),
  ),
  issuer: maybe(Text),
})

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
/** Client information that a host gave, bound to the issuer that it names; without one, to the first that is discovered. */
export function staticClient(client: StaticClientInformation, issuer: string | undefined): ClientInformation {
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
