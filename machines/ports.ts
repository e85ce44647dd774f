import { fromPromise } from 'xstate'
import type { ResourceFacts, ServerMetadata } from '../src/schemas/connection-context.ts'
import type {
  AuthorizationServer,
  ClientInformation,
  ConnectionIdentity,
  DpopKey,
  Grant,
  NonInteractiveGrant,
} from '../src/schemas/credentials.ts'

/** What every port is told: the record time at which it starts. What it answers is stamped in the same time. */
export interface PortInput {
  /** Record time now. */
  at: number
}

/** What every port answers with, besides its result. */
export interface PortOutput {
  /** Record time when the answer was complete: `input.at` plus what the port itself took, by the monotonic clock. */
  at: number
}

/** What a port that spends something single-use is told besides. */
export interface SingleUseInput extends PortInput {
  /** Monotonic instant after which the request must not leave any more (the fence of the claim). */
  sendBefore: number
}

/** RFC 9728: where the resource is described, and by which authorization servers it may be reached. */
export interface DiscoverResourceInput extends PortInput {
  identity: ConnectionIdentity
  /** From a challenge: the only place to look. */
  resourceMetadataUrl: string | undefined
  /** The issuer that the caller insists on. */
  issuer: string | undefined
  /** A challenge led here: what was read before it is no good. */
  challenged: boolean
}
export interface DiscoverResourceOutput extends PortOutput {
  resource: ResourceFacts
}

/** RFC 8414 and OpenID Connect Discovery: the metadata of the chosen issuer. */
export interface DiscoverServerInput extends PortInput {
  identity: ConnectionIdentity
  resource: ResourceFacts
}
export interface DiscoverServerOutput extends PortOutput {
  metadata: ServerMetadata
}

/**
 * Who we are at this issuer: given, configured, a metadata document, or registered dynamically through the registration
 * chart.
 */
export interface EnsureRegistrationInput extends PortInput {
  identity: ConnectionIdentity
  metadata: ServerMetadata
  /** What the caller gave. */
  clientInformation: ClientInformation | undefined
  /** The grant that the client is for. Grants without a user never register dynamically. */
  grant: Grant
  /** Whether a new client may be registered: a refresh token is good for the client alone that it was issued to. */
  mayRegister: boolean
  /** A dynamic registration that the server refused: to be retired first, if it is still the stored one. */
  rejectedClientId: string | undefined
  /** Where the tokens of this connection come from, if a client did that which was registered beforehand. */
  configuredIssuer: string | undefined
}
export interface EnsureRegistrationOutput extends PortOutput {
  client: ClientInformation
}

/**
 * RFC 6749 §4.1.1, RFC 7636, RFC 8707: the URL that the user is sent to. Asks nobody, unless it has to be pushed (RFC
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
  /** Secret: holds `state`. Never stored. */
  authorizationUrl: string
  /** Secret. Never stored. */
  state: string
  stateHash: string
  verifier: string
}

/** RFC 6749 §5.1, as every token request answers it. */
export interface TokenResult extends PortOutput {
  accessToken: string
  tokenType: string
  /** As granted; absent: as asked for. */
  scope: string | undefined
  /** Counted from before the request left; absent: the server did not say. */
  expiresInMs: number | undefined
  refreshToken: string | undefined
  refreshTokenExpiresInMs: number | undefined
  subject: string | undefined
  /** The key that they are bound to (RFC 9449), made by the port unless it was given one. */
  dpopKey?: DpopKey | undefined
}

/** RFC 6749 §4.1.3. */
export interface ExchangeCodeInput extends SingleUseInput {
  identity: ConnectionIdentity
  server: AuthorizationServer
  code: string
  verifier: string
  /** The only account whose tokens are wanted, if any is told. */
  expectedSubject: string | undefined
}

/** RFC 6749 §6. */
export interface RefreshTokensInput extends SingleUseInput {
  identity: ConnectionIdentity
  server: AuthorizationServer
  refreshToken: string
  /** The key that the tokens are bound to. */
  dpopKey?: DpopKey | undefined
}

/**
 * RFC 6749 §4.4, RFC 7523 §2.1, and an identity assertion for RFC 7523: a grant without a user. Where it needs an
 * assertion, the port obtains it, and it goes no further than the request.
 */
export interface RequestTokenInput extends SingleUseInput {
  grant: NonInteractiveGrant
  identity: ConnectionIdentity
  server: AuthorizationServer
  scope: string | undefined
}

/** RFC 7009. Best effort: what a server answers decides nothing. */
export interface RevokeTokensInput extends SingleUseInput {
  identity: ConnectionIdentity
  server: AuthorizationServer
  accessToken: string
  refreshToken: string | undefined
}

/** The client was refused by its server: the shared registration forgets it, if it is still the one that was refused. */
export interface RetireRegistrationInput extends PortInput {
  identity: ConnectionIdentity
  issuer: string
  clientId: string
}

/** RFC 7591 §3. */
export interface RegisterClientInput extends SingleUseInput {
  issuer: string
  redirectUri: string
  registrationEndpoint: string
  tokenEndpointAuthMethodsSupported: string[] | undefined
  /** Whether the client tells that it uses bound tokens only (RFC 9449 §5.2). */
  dpopBoundAccessTokens?: true | undefined
}
export interface RegisterClientOutput extends PortOutput {
  client: ClientInformation
}

/** A port that nobody has provided: fails as soon as it is used, by name. */
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
  revokeTokens: unprovided<PortOutput, RevokeTokensInput>('revokeTokens'),
  retireRegistration: unprovided<PortOutput, RetireRegistrationInput>('retireRegistration'),
}

/** The side effects of the registration chart. */
export const registrationPorts = {
  registerClient: unprovided<RegisterClientOutput, RegisterClientInput>('registerClient'),
}
