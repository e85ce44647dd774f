import type { Grant } from '../schemas/credentials.ts'

interface Of<Type extends string, Data> {
  type: Type
  tenant: string
  user: string | undefined
  server: string
  label: string | undefined
  /** A host that keeps credentials keeps those of the newest generation. */
  generation: number
  data: Data
}

/**
 * Something that the host may want to do in its own database. Derived from the stored record: it may come twice. Holds
 * secrets; appears in results and in `onActions` only.
 */
export type HostAction =
  | Of<
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
  | Of<
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
  | Of<'forgetTokens' | 'forgetClientInformation', { issuer: string | undefined }>
