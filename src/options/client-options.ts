import { sameIssuer } from '../protocol/same-issuer.ts'
import { isSupportedMethod } from '../protocol/token-endpoint.ts'
import type { ConnectionIdentity } from '../schemas/credentials.ts'
import { invalidArgument } from '../schemas/parse-options.ts'
import { type PrivateKeyInput, readSigningKey, type SigningKey } from './signing-key.ts'

/** The client metadata that is sent to every authorization server. */
export interface ClientOptions {
  /** Shown to users on the consent page (`client_name`). At most 256 characters, without control or bidirectional ones. */
  readonly name: string
  /**
   * Where authorization servers redirect the browser after consent. `{issuer}` as a segment of its path is replaced by
   * a hash of the issuer, 22 characters, and a callback has to come back to it: that protects from mix-up attacks also
   * at servers that send no `iss` (RFC 9700 §4.4). Not together with `metadataUrl`. Its query must not have `state`,
   * `code`, `iss` or `error`.
   */
  readonly redirectUri: string
  /** Client home page (`client_uri`). @defaultValue none */
  readonly uri?: string | undefined
  /** Client logo (`logo_uri`). @defaultValue none */
  readonly logoUri?: string | undefined
  /** Contacts of the people responsible for the client, typically email addresses. @defaultValue none */
  readonly contacts?: readonly string[] | undefined
  /** Identifies the software across its registrations (`software_id`, RFC 7591 §2). @defaultValue none */
  readonly softwareId?: string | undefined
  /** Version of the software (`software_version`). @defaultValue none */
  readonly softwareVersion?: string | undefined
  /** Default scope; space-separated. @defaultValue none */
  readonly scope?: string | undefined
  /** URL of the client ID metadata document that this deployment serves. @defaultValue none */
  readonly metadataUrl?: string | undefined
}

/** A client that is pre-registered at one issuer. */
export interface PreRegisteredClient {
  /** Equal, ignoring one trailing slash, to the issuer that a server names, or to one that its metadata announces. */
  readonly issuer: string
  /** The client ID that the issuer assigned. At most 2,048 characters. */
  readonly clientId: string
  /** At most 4,096 characters. Secret. @defaultValue none: a public client */
  readonly clientSecret?: string | undefined
  /**
   * Signs client assertions (`private_key_jwt`): a `CryptoKey`, a JWK or PEM. Secret; never stored, so every process
   * must be configured with it. For a client ID metadata document that declares `private_key_jwt`, list its URL as the
   * `clientId`. @defaultValue none
   *
   * @see [RFC 7523 §2.2](https://www.rfc-editor.org/rfc/rfc7523.html#section-2.2)
   */
  readonly privateKey?: PrivateKeyInput | undefined
  /** Key ID (`kid`) in the header of assertions. @defaultValue that of the JWK, or none */
  readonly privateKeyId?: string | undefined
  /** RFC 7591 §2. @defaultValue `private_key_jwt` with a key, otherwise by the server's list */
  readonly tokenEndpointAuthMethod?: string | undefined
  /** A JWS algorithm such as `ES256`. @defaultValue that of the JWK, or the first of the key that the server lists */
  readonly tokenEndpointAuthSigningAlg?: string | undefined
  /** Default scope of non-interactive grants; space-separated. @defaultValue none */
  readonly scope?: string | undefined
}

/** A pre-registered client with its key parsed. */
export interface ConfiguredClient extends Omit<
  PreRegisteredClient,
  'privateKey' | 'privateKeyId' | 'tokenEndpointAuthSigningAlg'
> {
  /** Secret. */
  readonly signingKey?: SigningKey | undefined
}

/** What an assertion is requested for. */
export interface AssertionRequest {
  /** The connection that the tokens are for. */
  connection: ConnectionIdentity
  /**
   * `workload`: a JWT that the platform issues to its workloads. `id_token`: the ID token of the user's sign-in at the
   * identity provider. `refresh_token`: a refresh token of the identity provider, requested only if there is no ID
   * token.
   */
  kind: 'id_token' | 'refresh_token' | 'workload'
  /** The issuer of the authorization server, as its metadata announce it: the `aud` of a workload's JWT. */
  audience: string
  /** The URL that the assertion is sent to, for servers that require it as the `aud` of a workload's JWT. */
  tokenEndpoint: string
  /** The resource identifier of the MCP endpoint, from its metadata (RFC 8707); `undefined` without metadata. */
  resource: string | undefined
  /** Space-separated. */
  scope: string | undefined
}

/** The identity provider of an organisation, and this client's registration there. */
export interface IdentityProviderOptions {
  /** Equal, ignoring one trailing slash, to the `issuer` of its metadata. */
  readonly issuer: string
  /** Its token endpoint. @defaultValue that of the issuer's metadata */
  readonly tokenEndpoint?: string | undefined
  /** The client ID that the identity provider assigned. At most 2,048 characters. */
  readonly clientId: string
  /** At most 4,096 characters. Secret. @defaultValue none */
  readonly clientSecret?: string | undefined
}

/**
 * Parses the keys of the pre-registered clients.
 *
 * @throws `TypeError` for a second client at one issuer, for a method that is not supported or does not match the
 *   secret, for a key that cannot sign, and for a method or an algorithm that does not match the key. The message names
 *   the option and never contains the key.
 */
export function configuredClients(clients: readonly PreRegisteredClient[]): ConfiguredClient[] {
  return clients.map((client, index) => {
    const { privateKey, privateKeyId: kid, tokenEndpointAuthSigningAlg: alg, ...rest } = client
    const option = `clients[${index}]`
    if (clients.findIndex(({ issuer }) => sameIssuer(issuer, client.issuer)) !== index)
      throw invalidArgument(`${option}.issuer`, 'must not be that of another client')
    const { tokenEndpointAuthMethod: method, clientSecret } = rest
    const isUnused = method === 'none' && clientSecret !== undefined
    const problem = isUnused ? "must not be 'none' with clientSecret" : methodProblem(method, clientSecret)
    if (problem !== undefined) throw invalidArgument(`${option}.tokenEndpointAuthMethod`, problem)
    if (privateKey === undefined) {
      const keyOptions = Object.entries({ privateKeyId: kid, tokenEndpointAuthSigningAlg: alg })
      const [name] = keyOptions.find(([, value]) => value !== undefined) ?? []
      if (name !== undefined) throw invalidArgument(`${option}.${name}`, 'needs privateKey')
      if (method === 'private_key_jwt') throw invalidArgument(`${option}.tokenEndpointAuthMethod`, 'needs privateKey')
      return rest
    }
    const parsed = readSigningKey(privateKey)
    if (parsed === undefined)
      throw invalidArgument(
        `${option}.privateKey`,
        'must be a private key that can sign: RSA of at least 2048 bits, EC on P-256, P-384 or P-521, or Ed25519',
      )
    const signingKey = readSigningKey(privateKey, { kid, alg })
    if (signingKey === undefined)
      throw invalidArgument(
        `${option}.tokenEndpointAuthSigningAlg`,
        `does not match privateKey, which signs with ${parsed.algs.join(', ')}`,
      )
    return { ...rest, signingKey }
  })
}

/** Why an authentication method is not supported or lacks its secret; `undefined` if neither is so. */
export function methodProblem(method: string | undefined, clientSecret: string | undefined): string | undefined {
  if (method === undefined) return undefined
  if (!isSupportedMethod(method)) return 'must be client_secret_basic, client_secret_post, private_key_jwt or none'
  return method.startsWith('client_secret_') && clientSecret === undefined ? 'needs clientSecret' : undefined
}
