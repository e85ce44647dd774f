import type { AuthorizeOptions, AuthOrchestratorOptions, NextAction } from '../../src/index.ts'
import type { Answer } from './stub/network.ts'

/** A document, as published. */
export type Document = Readonly<Record<string, unknown>>

/** A deployed server as it was recorded: what it publishes, how its endpoints behave, and what becomes of it. */
export interface Row {
  /** Its name, and what is peculiar about this record. */
  readonly server: string
  /** Where it is recorded. */
  readonly source: string
  /** What is recorded and unusual. */
  readonly recorded: string
  readonly mcp: McpEndpoint
  /** The documents that its hosts publish, by URL. Every other place answers 404. */
  readonly documents: Readonly<Record<string, Document>>
  /** Places that answer something other than a document. */
  readonly answers?: Readonly<Record<string, Answer>>
  readonly authorizationServer: AuthorizationServer
  /** What a host has to configure for it. */
  readonly host?: HostOptions
  readonly expected: Expected
}

/** An MCP endpoint. */
export interface McpEndpoint {
  readonly url: string
  /** Its `WWW-Authenticate`; `null`: a 401 without the header. */
  readonly challenge: string | null
  /** What it answers without a valid token, where that is not 401. */
  readonly withoutToken?: Answer
  /** Its only tool. @defaultValue 'whoami' */
  readonly tool?: string
  /** The JSON-RPC methods that it serves to anybody. */
  readonly open?: readonly string[]
}

/** An authorization server: the URLs of its endpoints, by their names in its metadata, and its quirks. */
export interface AuthorizationServer {
  readonly document: Document
  readonly quirks?: Quirks
}

/** In what an authorization server differs from one that follows all standards. */
export interface Quirks {
  /** The answer to every registration. */
  readonly registration?: Answer
  /** The only redirect URIs that may be registered. */
  readonly registersRedirects?: readonly string[]
  /** The only redirect URIs that the authorization page accepts. */
  readonly acceptsRedirects?: readonly string[]
  /** The method that a registered client gets, whatever it asked for. */
  readonly registersAs?: string
  /** A client may only ask for scopes that its registration named. */
  readonly bindsScopes?: true
  /** Scopes that end a request with `invalid_scope`. */
  readonly rejectsScopes?: readonly string[]
  /** Parameters without which the page refuses the authorization request. */
  readonly needs?: Readonly<Record<string, string>>
  /** Parameters with which the page refuses it. */
  readonly rejectsParameters?: Readonly<Record<string, string>>
  /** Parameters without which a token request of the client itself is refused. */
  readonly needsInTokenRequest?: Readonly<Record<string, string>>
  /** `rejected`: with any `resource`; `rejectedUnlessScoped`: unless the scope is one of that resource. */
  readonly resource?: 'rejected' | 'rejectedUnlessScoped'
  /** Refresh tokens: never, or only where a scope or parameters of the authorization request ask for them. */
  readonly refreshToken?: 'never' | { readonly scope?: string; readonly parameters?: Readonly<Record<string, string>> }
  /** Whether a refresh has to name its scope, or must not. */
  readonly refreshScope?: 'required' | 'rejected'
  /** `expires_in`, verbatim; `null`: none. @defaultValue 3_600 */
  readonly expiresIn?: number | string | null
  /** After how many seconds the access token is over. @defaultValue as `expires_in` says; without it, never */
  readonly livesSeconds?: number
  /** The form of a token response. */
  readonly tokens?: {
    /** The member that all others are in. */
    readonly under?: string
    readonly type?: string
    readonly scopeSeparator?: string
    /** Instead of the granted scope. */
    readonly scope?: string
    /** Further members at the top. */
    readonly more?: Document
  }
  /** Errors have the status 200. */
  readonly errorsIn200?: true
  /** The `iss` of the callback; `null`: none. @defaultValue its issuer, if its metadata promise one */
  readonly iss?: string | null
  /** Revokes the token in the `Authorization` header, and nothing else. */
  readonly revocation?: 'bearer'
}

/** The options of the orchestrator and of `authorize()` that this server needs. */
export interface HostOptions {
  readonly redirectUri?: string
  readonly clients?: AuthOrchestratorOptions['clients']
  readonly authorizationServers?: AuthOrchestratorOptions['authorizationServers']
  readonly authorize?: AuthorizeOptions
}

/** What becomes of a server. */
export type Expected =
  | {
      readonly connects: 'with refresh' | 'without refresh'
      /** The scope that is asked for. @defaultValue the challenge's, otherwise the list of the resource */
      readonly scope?: string | null
      /** The `resource` that is asked for. @defaultValue that of the protected resource metadata; without them, none */
      readonly resource?: string | null
      /** The names of the rows of facts in use. @defaultValue not compared */
      readonly facts?: readonly string[]
    }
  | {
      /** For a good reason: the code, or `by its page`, which shows the reason to the user. */
      readonly rejected: string
      readonly nextAction?: NextAction
      /** What its message says. */
      readonly advice?: RegExp
    }
