import type { Grant } from '../schemas/grants.ts'

interface Action<Type extends string, Data> {
  /** What the host has to save or forget. */
  type: Type
  /** The tenant of the connection. */
  tenant: string
  /** Its user, if it has one. */
  user: string | undefined
  /** The MCP endpoint, as a canonical URL. */
  server: string
  /** Its label, if it has one. */
  label: string | undefined
  /**
   * Incremented whenever tokens are stored, and by a disconnect. A host that stores credentials retains those of the
   * newest generation.
   */
  generation: number
  /** What to save; for the forget actions, the issuer of what to forget. */
  data: Data
}

/**
 * An update for a host that stores credentials in its own database. Derived from the stored record, so that it may be
 * delivered twice. Contains secrets: appears in results and in `onActions` only.
 */
export type HostAction =
  | Action<
      'saveClientInformation',
      {
        /** The issuer that the client is registered at. */
        issuer: string
        /** The client ID that the issuer assigned. */
        clientId: string
        /** Secret; `undefined` for a public client. */
        clientSecret: string | undefined
        /** Epoch milliseconds by the clock of this process; `undefined`: never. */
        clientSecretExpiresAt: number | undefined
        /** RFC 7591 §2. */
        tokenEndpointAuthMethod: string
        /** The redirect URI of the registration. */
        redirectUri: string | undefined
      }
    >
  | Action<
      'saveTokens',
      {
        /** Secret. */
        accessToken: string
        /** `Bearer` or `DPoP`. */
        tokenType: string
        /** As granted; space-separated. */
        scope: string | undefined
        /** Expiry of the access token, epoch milliseconds by the clock of this process; `undefined`: unknown. */
        expiresAt: number | undefined
        /** Secret. */
        refreshToken: string | undefined
        /** How the tokens were obtained. */
        grant: Grant
        /** The issuer of the tokens; `undefined` for imported tokens whose issuer is not discovered yet. */
        issuer: string | undefined
      }
    >
  | Action<'forgetTokens' | 'forgetClientInformation', { issuer: string | undefined }>
