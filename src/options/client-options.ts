import type { ConnectionIdentity } from '../schemas/credentials.ts'
import type { PrivateKeyInput, SigningKey } from './signing-key.ts'

/** Who we are, at every authorization server. */
export interface ClientOptions {
  /** Shown to users at the consent page. */
  readonly name: string
  /** Where authorization servers send the browser back. */
  readonly redirectUri: string
  /** Our home page, for the consent page. @defaultValue none */
  readonly uri?: string | undefined
  /** Our logo, for the consent page. @defaultValue none */
  readonly logoUri?: string | undefined
  /** Whom an authorization server may write to. @defaultValue none */
  readonly contacts?: readonly string[] | undefined
  /** Names this software at every registration (RFC 7591 §2). @defaultValue none */
  readonly softwareId?: string | undefined
  /** Its version. @defaultValue none */
  readonly softwareVersion?: string | undefined
  /** What to ask for where nobody says anything else. Space-separated. @defaultValue none */
  readonly scope?: string | undefined
  /** The client id metadata document that we serve, as its URL. @defaultValue none */
  readonly metadataUrl?: string | undefined
}

/** A client that was registered by hand, at one issuer. */
export interface PreRegisteredClient {
  /** Compared character by character. */
  readonly issuer: string
  /** The client id that the issuer gave. */
  readonly clientId: string
  /** Secret. @defaultValue none: a public client */
  readonly clientSecret?: string | undefined
  /**
   * Signs our client assertions (`private_key_jwt`): a `CryptoKey`, a JWK or PEM. Secret; stays in this process, so
   * that each process is given it. For a client id metadata document that declares `private_key_jwt`, list its URL as
   * the `clientId`. @defaultValue none
   *
   * @see [RFC 7523 §2.2](https://www.rfc-editor.org/rfc/rfc7523.html#section-2.2)
   */
  readonly privateKey?: PrivateKeyInput | undefined
  /** What the server knows the key by (`kid`). @defaultValue that of the JWK, or none */
  readonly privateKeyId?: string | undefined
  /** RFC 7591 §2. @defaultValue `private_key_jwt` with a key, else by the server's list */
  readonly tokenEndpointAuthMethod?: string | undefined
  /** A JWS algorithm such as `ES256`. @defaultValue that of the JWK, or the first of the key's that the server lists */
  readonly tokenEndpointAuthSigningAlg?: string | undefined
  /** For grants without a user. Space-separated. @defaultValue none */
  readonly scope?: string | undefined
}

/** The same with its key read. */
export interface ConfiguredClient extends Omit<
  PreRegisteredClient,
  'privateKey' | 'privateKeyId' | 'tokenEndpointAuthSigningAlg'
> {
  /** Secret. */
  readonly signingKey?: SigningKey | undefined
}

/** What an assertion is wanted for. */
export interface AssertionRequest {
  /** Whose tokens are wanted. */
  connection: ConnectionIdentity
  /**
   * `workload`: a JWT that this platform issues to its workloads. `id_token`: what the user's sign-in at the identity
   * provider brought. `refresh_token`: the identity provider's, asked for only where there is no ID token.
   */
  kind: 'id_token' | 'refresh_token' | 'workload'
  /** The issuer of the authorization server that a token is wanted from: the `aud` of a workload's JWT. */
  audience: string
  /** Where the assertion is sent, for servers that want that as the `aud` of a workload's JWT. */
  tokenEndpoint: string
  /** The MCP endpoint as its metadata names it (RFC 8707); `undefined` if it has none. */
  resource: string | undefined
  /** Space-separated. */
  scope: string | undefined
}

/** Where an organisation signs its people in, and who we are there. */
export interface IdentityProviderOptions {
  /** Compared character by character. */
  readonly issuer: string
  /** Its token endpoint. @defaultValue what the issuer's metadata says */
  readonly tokenEndpoint?: string | undefined
  /** Who we are there. */
  readonly clientId: string
  /** Secret. @defaultValue none */
  readonly clientSecret?: string | undefined
}
