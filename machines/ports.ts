import { fromPromise } from 'xstate'
import type { Failure } from '../src/errors/failure.ts'
import type { AuthorizationRequest, ResourceFacts, ServerMetadata } from '../src/schemas/connection-context.ts'
import type {
  AuthorizationServer,
  ClientInformation,
  ConnectionIdentity,
  DpopKey,
  DpopTerms,
} from '../src/schemas/credentials.ts'
import type { ClientAuthenticationMethod } from '../src/protocol/token-endpoint.ts'
import type { Grant, NonInteractiveGrant } from '../src/schemas/grants.ts'
import type { ClientConfiguration } from '../src/schemas/registration.ts'

/** The input of every port: the record time at which it starts. Its result is stamped in the same time. */
export interface PortInput {
  /** Record time now. */
  at: number
}

/** What every port returns besides its result. */
export interface PortOutput {
  /** Record time when the response was complete: `input.at` plus the port's own duration, by the monotonic clock. */
  at: number
}

/** The further input of a port that uses a single-use credential. */
export interface SingleUseInput extends PortInput {
  /** Monotonic instant after which the request must not be sent any more (the deadline of the claim). */
  sendBefore: number
}

/** RFC 9728: the protected resource metadata, and the authorization server to use. */
export interface DiscoverResourceInput extends PortInput {
  identity: ConnectionIdentity
  /** The `resource_metadata` of a challenge: requested before the well-known URLs. */
  resourceMetadataUrl: string | undefined
  /** The issuer that the caller requires. */
  issuer: string | undefined
  /** The issuer of the stored tokens: chosen if the resource still lists it, and nobody chooses another one. */
  preferredIssuer?: string | undefined
  /** A challenge caused the request: cached metadata may be outdated. */
  challenged: boolean
  /** Whether the server is asked for a challenge first; `cached`: an answer of the last minutes counts as well. */
  asksServer: 'anew' | 'cached' | undefined
}
export interface DiscoverResourceOutput extends PortOutput {
  resource: ResourceFacts
  /** The scope of the challenge that the server answered with when it was asked. */
  challengeScope?: string | undefined
  /** The server answered the question with success. */
  servesWithoutToken?: true | undefined
  /** For the journal. */
  notes?: string[] | undefined
}

/** RFC 8414 and OpenID Connect Discovery: the metadata of the chosen issuer. */
export interface DiscoverServerInput extends PortInput {
  identity: ConnectionIdentity
  resource: ResourceFacts
}
export interface DiscoverServerOutput extends PortOutput {
  /** Absent: the server requires no authorization. */
  metadata: ServerMetadata | undefined
}

/** The client at this issuer: provided, configured, a metadata document, or registered through the registration chart. */
export interface EnsureRegistrationInput extends PortInput {
  identity: ConnectionIdentity
  metadata: ServerMetadata
  /** The client that the caller provided. */
  clientInformation: ClientInformation | undefined
  /** The client that was imported, or provided by an earlier call; used where the caller provides none. */
  importedClient?: ClientInformation | undefined
  /** The grant that the client is for. Non-interactive grants never register dynamically. */
  grant: Grant
  /** Whether a new client may be registered: a refresh token works only for the client that it was issued to. */
  mayRegister: boolean
  /** A dynamic registration that the server rejected: to be retired first, if it is still the stored one. */
  rejectedClientId: string | undefined
  /** The authentication method of that client, if the server may not support it. */
  failedMethod?: string | undefined
  /** The scope that the authorization will request. */
  scope?: string | undefined
  /** The scope that was granted to this connection's dynamic client. */
  grantedScope?: string | undefined
  /** `scopes_supported` of the resource. */
  resourceScopesSupported?: string[] | undefined
  /** The dynamic client to which the server rejected that scope: another one is registered for it. */
  invalidScopeClientId?: string | undefined
  /** The caller requires another dynamic client than this one; without an issuer, than one stored before its call. */
  reregister?: AuthorizationRequest['reregister']
  /** The last attempt was not finished: the server may have forgotten the dynamic client. */
  isSuspect?: true | undefined
  /** The issuer of this connection's tokens, if they were issued to a pre-registered client. */
  configuredIssuer: string | undefined
}
export interface EnsureRegistrationOutput extends PortOutput {
  client: ClientInformation
}

/**
 * RFC 6749 §4.1.1, RFC 7636, RFC 8707: the authorization URL. Performs no I/O, unless the request has to be pushed (RFC
 * 9126).
 */
export interface BuildAuthorizationRequestInput extends PortInput {
  identity: ConnectionIdentity
  metadata: ServerMetadata
  resource: ResourceFacts
  client: ClientInformation
  scope: string | undefined
  parameters: Record<string, string> | undefined
}
export interface BuildAuthorizationRequestOutput extends PortOutput {
  /** Secret: contains `state`. Never stored. */
  authorizationUrl: string
  /** Secret. Never stored. */
  state: string
  stateHash: string
  verifier: string
  /** If the request has one. */
  nonce?: string | undefined
}

/** RFC 6749 §5.1: the result of every token request. */
export interface TokenResult extends PortOutput {
  accessToken: string
  tokenType: string
  /** The granted scope; absent: the requested one. */
  scope: string | undefined
  /** More was granted than `scope` contains. */
  isScopePartial?: true | undefined
  /** Measured from before the request was sent; absent without `expires_in`. */
  expiresInMs: number | undefined
  refreshToken: string | undefined
  refreshTokenExpiresInMs: number | undefined
  subject: string | undefined
  /** The key that the tokens are bound to (RFC 9449); created by the port unless its input has one. */
  dpopKey?: DpopKey | undefined
  /** Why the tokens must not be used. */
  discarded?: Failure | undefined
  /** The client that obtained them, if its secret was replaced since the input (RFC 7592 §2.1). */
  client?: ClientInformation | undefined
}

/** RFC 6749 §4.1.3. */
export interface ExchangeCodeInput extends SingleUseInput {
  identity: ConnectionIdentity
  server: AuthorizationServer
  code: string
  verifier: string
  nonce?: string | undefined
}

/** RFC 6749 §6. */
export interface RefreshTokensInput extends SingleUseInput {
  identity: ConnectionIdentity
  server: AuthorizationServer
  refreshToken: string
  /** The granted scope, or else the requested one; sent only where the server requires it. */
  scope?: string | undefined
  /** The key that the tokens are bound to. */
  dpopKey?: DpopKey | undefined
}

/**
 * A non-interactive grant: RFC 6749 §4.4, RFC 7523 §2.1, or an identity assertion for RFC 7523. The port obtains the
 * assertion, which is used only in the request and never stored.
 */
export interface RequestTokenInput extends SingleUseInput {
  grant: NonInteractiveGrant
  identity: ConnectionIdentity
  server: AuthorizationServer
  scope: string | undefined
  /** Further parameters of the token request. */
  parameters?: Record<string, string> | undefined
}

/** RFC 7009. */
export interface RevokeTokensInput extends SingleUseInput {
  identity: ConnectionIdentity
  server: AuthorizationServer
  accessToken: string
  refreshToken: string | undefined
}
export interface RevokeTokensOutput extends PortOutput {
  /** `unsupported`: the server has no usable revocation endpoint, or revokes no tokens of this type. */
  revoked: 'yes' | 'unsupported'
}

/** The server rejected the client: the shared registration removes it, if it is still the stored one. */
export interface RetireRegistrationInput extends PortInput {
  identity: ConnectionIdentity
  issuer: string
  clientId: string
  /** Its authentication method, if the server may not support that. */
  failedMethod?: string | undefined
}

/** RFC 7591 §3. */
export interface RegisterClientInput extends SingleUseInput {
  issuer: string
  redirectUri: string
  registrationEndpoint: string
  tokenEndpointAuthMethodsSupported: string[] | undefined
  /** Whether the client registers `dpop_bound_access_tokens` (RFC 9449 §5.2). */
  dpopBoundAccessTokens?: true | undefined
  /** Absent: the preferred method of those that the server supports. */
  tokenEndpointAuthMethod?: ClientAuthenticationMethod | undefined
  /** Joined with the scope that the host configured. */
  scope?: string | undefined
  /** The server rejects `scope` in a registration. */
  omitsScope?: true | undefined
}
export interface RegisterClientOutput extends PortOutput {
  client: ClientInformation
  /** The scope in the response. */
  scope?: string | undefined
  /** RFC 7592 §3. */
  configuration?: ClientConfiguration | undefined
}

/**
 * Whether the server still has a registration: asked at its client configuration endpoint (RFC 7592 §2.1), or else by a
 * token request with an invented code, which rejects the client first (RFC 6749 §5.2).
 */
export interface CheckRegistrationInput extends SingleUseInput {
  client: ClientInformation
  configuration: ClientConfiguration | undefined
  tokenEndpoint: string
  dpop: DpopTerms | undefined
}
export interface CheckRegistrationOutput extends PortOutput {
  isForgotten: boolean
  /** As of now: the server may have replaced the secret, or the access token. */
  client?: ClientInformation | undefined
  configuration?: ClientConfiguration | undefined
}

/** A placeholder that rejects with the port's name if it was not provided. */
function unprovided<Output, Input>(port: string) {
  return fromPromise<Output, Input>(() => Promise.reject(new Error(`the actor port ${port} was not provided`)))
}

/** The side effects of the connection chart, each to be provided under its name. */
export const connectionPorts = {
  discoverResource: unprovided<DiscoverResourceOutput, DiscoverResourceInput>('discoverResource'),
  discoverServer: unprovided<DiscoverServerOutput, DiscoverServerInput>('discoverServer'),
  ensureRegistration: unprovided<EnsureRegistrationOutput, EnsureRegistrationInput>('ensureRegistration'),
  buildAuthorizationRequest: unprovided<BuildAuthorizationRequestOutput, BuildAuthorizationRequestInput>(
    'buildAuthorizationRequest',
  ),
  exchangeCode: unprovided<TokenResult, ExchangeCodeInput>('exchangeCode'),
  refreshTokens: unprovided<TokenResult, RefreshTokensInput>('refreshTokens'),
  requestToken: unprovided<TokenResult, RequestTokenInput>('requestToken'),
  revokeTokens: unprovided<RevokeTokensOutput, RevokeTokensInput>('revokeTokens'),
  retireRegistration: unprovided<PortOutput, RetireRegistrationInput>('retireRegistration'),
}

/** The side effects of the registration chart. */
export const registrationPorts = {
  registerClient: unprovided<RegisterClientOutput, RegisterClientInput>('registerClient'),
  checkRegistration: unprovided<CheckRegistrationOutput, CheckRegistrationInput>('checkRegistration'),
}
