import type { ServerMetadata } from '../schemas/connection-context.ts'

/**
 * What is known of one authorization server beyond its metadata: one row of the option `authorizationServers`. Every
 * effect is optional; a row is merged over the built-in row of the same server effect by effect.
 */
export interface AuthorizationServerFacts {
  /** Name of the server, in `status().facts` and in the journal. At most 64 characters. */
  readonly server: string
  /**
   * Issuers that the row is for, as the protected resource names them: exact, ignoring one trailing slash. `*` stands
   * for a whole label of the host or a whole segment of the path. Without protected resource metadata, the origin of
   * the MCP server. The first row that matches is used.
   */
  readonly issuers: readonly string[]
  /** Discovery of the server's metadata (RFC 8414 §3). @defaultValue none */
  readonly discovery?:
    | {
        /**
         * Values of `issuer` in the server's document that are accepted besides the issuer of the row; they need not be
         * URLs. The issuer that the resource names remains the key of records, `clients` and policies; the `iss` of a
         * callback must equal the announced value. Not in a row with `*`. @defaultValue none
         */
        readonly alsoAnnounces?: readonly string[] | undefined
        /**
         * The metadata of a server that publishes none, in the form of RFC 8414 §2: used instead of a request. Not in a
         * row with `*`. @defaultValue none
         */
        readonly metadata?: Readonly<Record<string, unknown>> | undefined
        /** The server verifies PKCE with S256, although its metadata does not list it. @defaultValue as listed */
        readonly pkce?: 'unlisted' | undefined
      }
    | undefined
  /** The authorization request (RFC 6749 §4.1.1). @defaultValue none */
  readonly authorization?:
    | {
        /** Parameters by which the server issues a refresh token. @defaultValue none */
        readonly offline?: Readonly<Record<string, string>> | undefined
        /**
         * The scope by which the server issues a refresh token, requested instead of `offline_access`; `never`: no such
         * scope is requested unless the caller names it. @defaultValue `offline_access` where the server lists it
         */
        readonly offlineScope?: string | undefined
        /** `prompt=consent` is not sent beside `offline_access`. @defaultValue it is sent */
        readonly promptConsent?: 'never' | undefined
        /** Further parameters; those of `authorize({ parameters })` take precedence. @defaultValue none */
        readonly parameters?: Readonly<Record<string, string>> | undefined
      }
    | undefined
  /**
   * Where `resource` (RFC 8707) is not sent: never, without a scope that starts with it, or in a refresh.
   *
   * @defaultValue it is sent in every request
   */
  readonly resource?: 'omit' | 'omitUnlessScoped' | 'omitOnRefresh' | undefined
  /** The refresh request (RFC 6749 §6). @defaultValue none */
  readonly refresh?:
    | {
        /** The granted scope is sent again. @defaultValue `scope` is not sent */
        readonly scope?: 'repeat' | undefined
      }
    | undefined
  /** The authentication method of clients with a secret, whatever the server lists. @defaultValue by the server's list */
  readonly clientAuthentication?: 'client_secret_post' | 'client_secret_basic' | undefined
  /** Dynamic client registration (RFC 7591 §2). @defaultValue none */
  readonly registration?:
    | {
        /**
         * The scopes that a registration names besides `client.scope`: those of the authorization server's list, those
         * of the resource's list, or none at all. @defaultValue the requested ones
         */
        readonly scope?: 'server' | 'resource' | 'none' | undefined
      }
    | undefined
  /** Token responses (RFC 6749 §5.1). @defaultValue none */
  readonly tokens?:
    | {
        /** The member with the tokens, where the response itself has no `access_token`. @defaultValue none */
        readonly under?: string | undefined
        /** Values of `token_type` that mean Bearer. @defaultValue none */
        readonly bearerTypes?: readonly string[] | undefined
        /** The separator of scopes. @defaultValue a space */
        readonly scopeSeparator?: string | undefined
        /** The type of tokens without a `token_type`. @defaultValue none: such a response is rejected */
        readonly defaultType?: 'Bearer' | undefined
      }
    | undefined
  /**
   * `unsupported`: no revocation request is sent. `bearer`: the revocation endpoint is not that of RFC 7009; it revokes
   * the token that authenticates the request. @defaultValue RFC 7009 §2.1
   */
  readonly revocation?: 'unsupported' | 'bearer' | undefined
  /**
   * The server's metadata promises `iss` in callbacks (RFC 9207), but the server does not send it. A wrong `iss` is
   * rejected all the same. Not in a row with `*`. @defaultValue `iss` is required where the metadata promises it
   */
  readonly iss?: 'notRequired' | undefined
}

/** A row whose `discovery.metadata` was parsed. */
export interface FactsRow extends Omit<AuthorizationServerFacts, 'discovery'> {
  readonly discovery?:
    | (Omit<NonNullable<AuthorizationServerFacts['discovery']>, 'metadata'> & {
        readonly metadata?: ServerMetadata | undefined
      })
    | undefined
}
