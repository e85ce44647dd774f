import type { Grant } from '../schemas/credentials.ts'

interface Action<Type extends string, Data> {
  type: Type
  tenant: string
  user: string | undefined
  server: string
  label: string | undefined
  /** Incremented whenever tokens are stored. A host that stores credentials retains those of the newest generation. */
  generation: number
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
        issuer: string
        clientId: string
        clientSecret: string | undefined
        clientSecretExpiresAt: number | undefined
        tokenEndpointAuthMethod: string
        redirectUri: string | undefined
      }
    >
  | Action<
      'saveTokens',
      {
        accessToken: string
        tokenType: string
        scope: string | undefined
        expiresAt: number | undefined
        refreshToken: string | undefined
        grant: Grant
        issuer: string | undefined
      }
    >
  | Action<'forgetTokens' | 'forgetClientInformation', { issuer: string | undefined }>
